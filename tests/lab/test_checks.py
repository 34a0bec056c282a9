"""``conbool-tui check`` on real servers against sinks with every kind of certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .lab import Lab
from .postfix import PostfixMachine, PostfixSite
from .product import apply_answers, write_answers

Found = dict[str, dict[str, str]]
TLS = ("smart-host.starttls", "smart-host.chain", "smart-host.name")


@pytest.fixture(scope="module")
def server(lab_ready: None, suite: str) -> Iterator[tuple[Lab, PostfixMachine]]:
    """One server; the tests leave its configuration as it was."""
    with Lab() as lab:
        yield lab, lab.postfix(suite, PostfixSite(main={"mynetworks": "127.0.0.0/8"}))


def check(lab: Lab, machine: PostfixMachine, *flags: str, expect: int, **changes: Any) -> Found:
    """Run the checks; the findings by id (the last one of several with the same id)."""
    done = machine.conbool("check", "--json", "--answers", write_answers(lab, machine, **changes), *flags)
    assert done.returncode == expect, done.stdout + done.stderr
    found: Found = {}
    for finding in json.loads(done.stdout)["findings"]:
        assert finding["summary"]
        assert finding["remedy"] or finding["status"] in ("OK", "NOT TESTED"), finding
        found[finding["id"]] = finding
    return found


def test_all_is_well(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    lab.forget()
    found = check(lab, machine, expect=0)
    not_ok = {name: finding["status"] for name, finding in found.items() if finding["status"] != "OK"}
    assert not_ok == {"client-certificate": "NOT TESTED", "drift": "NOT TESTED"}
    assert found["smtp.reachable"]["summary"].startswith("SMTP reachable")
    assert "554" in found["smtp.relay"]["summary"] or "454" in found["smtp.relay"]["summary"]
    assert [sink.name for sink in lab.sinks.values() for _ in sink.find("")] == []
    assert machine.queue() == []
    text = machine.conbool("check").stdout
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    ("kind", "statuses", "words"),
    [
        ("good", ("OK", "OK", "OK"), ""),
        ("wrong_name", ("OK", "OK", "FAIL"), "wrong-name.invalid, not for mail.conbool.com"),
        ("expired", ("OK", "FAIL", "OK"), "expired"),
        ("self_signed", ("OK", "FAIL", "OK"), "self"),
        ("untrusted", ("OK", "FAIL", "OK"), "issuer"),
        ("none", ("FAIL", "NOT TESTED", "NOT TESTED"), "does not offer STARTTLS"),
    ],
)
def test_certificates(
    server: tuple[Lab, PostfixMachine], kind: str, statuses: tuple[str, ...], words: str
) -> None:
    lab, machine = server
    lab.conbool.certificate = kind
    try:
        found = check(lab, machine, expect=0 if kind == "good" else 3)
    finally:
        lab.conbool.certificate = "good"
    assert tuple(found[name]["status"] for name in TLS) == statuses
    assert words in " ".join(finding["summary"] for finding in found.values() if finding["status"] == "FAIL")


def test_client_certificate_is_shown(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    pair = lab.authority.issue("mx1.example.com")
    machine.write("/etc/client.pem", pair.certificate)
    machine.write("/etc/client.key", pair.key, 0o600)
    lab.forget()
    smart_host = {"client_certificate": "/etc/client.pem", "client_key": "/etc/client.key"}
    found = check(lab, machine, expect=0, smart_host=smart_host)
    assert found["client-certificate"]["status"] == "OK"
    shown = [connection.tls.client_name for connection in lab.conbool._connections if connection.tls]
    assert shown == ["mx1.example.com"]


def test_refused_and_unknown(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    found = check(lab, machine, "--smart-host-port", "26", expect=3)
    assert "refused" in found["smart-host.connect"]["summary"]
    found = check(lab, machine, "--smart-host-host", "nothing.conbool.com", expect=3)
    assert found["smart-host.resolve"]["status"] == "FAIL"
    assert found["smtp.reachable"]["status"] == "OK"


def test_relay_host(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    found = check(lab, machine, "--inbound-relay-host", "mx7.example.com", expect=3)
    assert "no address" in found["smtp.relay-host"]["summary"]
    lab.dns.zone.host("mx7.example.com", machine.place.ipv4)
    found = check(lab, machine, "--inbound-relay-host", "mx7.example.com", expect=0)
    assert found["smtp.relay-host"]["status"] == "OK"
    assert found["smtp.certificate"]["status"] == "WARN"


def test_drift(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    apply_answers(lab, machine)
    try:
        assert check(lab, machine, expect=0)["drift"]["status"] == "OK"
        kept = machine.read("/etc/postfix/main.cf")
        machine.write("/etc/postfix/main.cf", kept + b"\nmessage_size_limit = 20000000\n")
        assert check(lab, machine, expect=0)["drift"]["status"] == "OK"
        machine.write("/etc/postfix/main.cf", kept + b"\nheader_checks = pcre:/etc/postfix/own\n")
        found = check(lab, machine, expect=3)
        # The table is not there: the configuration is broken, and the check goes on all the same.
        assert found["mail-system"]["status"] == "FAIL"
        assert found["smart-host.name"]["status"] == "OK"
        drift = found["drift"]
        assert drift["status"] == "FAIL"
        assert "header_checks" in drift["summary"]
        assert "pcre:/etc/postfix/own" in drift["detail"]
        machine.write("/etc/postfix/main.cf", kept)
        tables = [name for name in machine.snapshot("/etc/postfix/conbool") if name != "."]
        table = f"/etc/postfix/conbool/{sorted(tables)[0]}"
        content = machine.read(table)
        machine.write(table, content + b"# edited\n")
        assert f"{table} was edited" in check(lab, machine, expect=3)["drift"]["summary"]
        machine.path(table).unlink()
        assert f"{table} is gone" in check(lab, machine, expect=3)["drift"]["summary"]
        machine.write(table, content, 0o644)
        assert check(lab, machine, expect=0)["drift"]["status"] == "OK"
    finally:
        assert machine.conbool("undo", "--yes").returncode == 0
    assert check(lab, machine, expect=0)["drift"]["status"] == "NOT TESTED"


def test_postfix_stopped(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    machine.postfix_stop()
    try:
        found = check(lab, machine, expect=3)
    finally:
        machine.postfix_start()
    assert "Nothing listens" in found["smtp.reachable"]["summary"]
    assert found["smart-host.name"]["status"] == "OK"
