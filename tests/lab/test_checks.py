"""``conbool-tui check`` on real servers against sinks with every kind of certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .lab import Lab
from .netns import ip_batch
from .postfix import PostfixMachine, PostfixSite
from .product import apply_answers, write_answers
from .sinks import Forward

Found = dict[str, dict[str, str]]
CERTIFICATE, KEY = "/etc/ssl/certs/mx1.example.com.pem", "/etc/ssl/private/mx1.example.com.key"
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
    # What name service should say is not this module's subject.
    not_ok = {
        name: status for name, status in not_ok.items() if not name.startswith(("dns", "prerequisites"))
    }
    assert not_ok == {"client-certificate": "NOT TESTED", "drift": "NOT TESTED"}
    assert "posttls-finger agrees" in found["smart-host.second-opinion"]["summary"]
    assert (
        f"leads to this server, which answers on port 25 ({machine.place.ipv4}, "
        in found["smtp.relay-host"]["summary"]
    )
    assert found["smtp.reachable"]["summary"].startswith("SMTP reachable")
    assert "554" in found["smtp.relay"]["summary"] or "454" in found["smtp.relay"]["summary"]
    assert [sink.name for sink in lab.sinks.values() for _ in sink.find("")] == []
    assert machine.queue() == []
    text = machine.conbool("check").stdout
    assert max(len(line) for line in text.splitlines()) <= 80


CERTIFICATES = [
    ("good", ("OK", "OK", "OK"), ""),
    ("wrong_name", ("OK", "OK", "FAIL"), "wrong-name.invalid, not for mail.conbool.com"),
    ("expired", ("OK", "FAIL", "OK"), "expired"),
    ("soon", ("OK", "WARN", "OK"), ""),
    ("not_yet_valid", ("OK", "FAIL", "OK"), "not yet valid"),
    ("self_signed", ("OK", "FAIL", "OK"), "signed by itself"),
    ("untrusted", ("OK", "FAIL", "OK"), "Nobody's authority"),
    ("cn_only", ("OK", "OK", "WARN"), ""),
    ("wildcard", ("OK", "OK", "OK"), ""),
    ("missing_intermediate", ("OK", "FAIL", "OK"), "no intermediate certificate"),
    ("none", ("FAIL", "NOT TESTED", "NOT TESTED"), "does not offer STARTTLS"),
]


@pytest.mark.parametrize(("kind", "statuses", "words"), CERTIFICATES, ids=[row[0] for row in CERTIFICATES])
def test_certificates(
    server: tuple[Lab, PostfixMachine], kind: str, statuses: tuple[str, ...], words: str
) -> None:
    lab, machine = server
    lab.conbool.certificate = kind
    try:
        found = check(lab, machine, expect=3 if "FAIL" in statuses else 0)
    finally:
        lab.conbool.certificate = "good"
    assert tuple(found[name]["status"] for name in TLS) == statuses
    assert words in " ".join(finding["summary"] for finding in found.values() if finding["status"] == "FAIL")
    # Postfix's own TLS client comes to the same result with every certificate.
    assert found["smart-host.second-opinion"]["status"] == "OK", found["smart-host.second-opinion"]


OWN_CERTIFICATES = [
    ("good", "OK", "shows a certificate: mx1.example.com, issued by Conbool laboratory"),
    ("wrong_name", "WARN", "is not for mx1.example.com: wrong-name.invalid"),
    ("expired", "WARN", "has expired: mx1.example.com"),
    ("soon", "WARN", "expires soon: mx1.example.com"),
    ("not_yet_valid", "WARN", "not valid before"),
    ("self_signed", "WARN", "signed by itself"),
    ("untrusted", "WARN", "Nobody's authority"),
    ("cn_only", "WARN", "common name only"),
    ("wildcard", "OK", "*.example.com, issued by"),
    ("missing_intermediate", "WARN", "sends no intermediate certificate"),
]


def test_own_certificates(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    kept = {name: machine.read(name) for name in (CERTIFICATE, KEY)}
    try:
        for kind, status, words in OWN_CERTIFICATES:
            pair = lab.authority.issue("mx1.example.com", kind)
            machine.write(CERTIFICATE, pair.certificate)
            machine.write(KEY, pair.key)
            machine.shell("postfix reload")
            finding = check(lab, machine, expect=0)["smtp.certificate"]
            assert (finding["status"], words in finding["summary"]) == (status, True), (kind, finding)
    finally:
        for name, data in kept.items():
            machine.write(name, data)
        machine.shell("postfix reload")


def test_client_certificate_is_shown(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    pair = lab.authority.issue("mx1.example.com")
    machine.write("/etc/client.pem", pair.certificate)
    machine.write("/etc/client.key", pair.key, 0o600)
    lab.forget()
    smart_host = {"client_certificate": "/etc/client.pem", "client_key": "/etc/client.key"}
    found = check(lab, machine, expect=0, smart_host=smart_host)
    assert found["client-certificate"]["status"] == "OK"
    shown = [connection.tls.client_name for connection in lab.conbool.connections if connection.tls]
    # Ours, and posttls-finger's.
    assert shown == ["mx1.example.com"] * 2
    # As Postfix does: a server with several certificates must show the same one to both.
    assert [connection.tls.sni for connection in lab.conbool.connections if connection.tls] == [None] * 2
    assert (
        "It asks for a client certificate; /etc/client.pem was shown"
        in found["smart-host.starttls"]["summary"]
    )


def test_refused_and_unknown(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    found = check(lab, machine, "--smart-host-port", "26", expect=3)
    assert "refuses the connection" in found["smart-host.connect"]["summary"]
    assert found["smart-host.second-opinion"]["status"] == "NOT TESTED"
    found = check(lab, machine, "--smart-host-host", "nothing.conbool.com", expect=3)
    assert found["smart-host.resolve"]["status"] == "FAIL"
    assert found["smtp.reachable"]["status"] == "OK"


def test_second_opinion_differs(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    # Programs see /etc/hosts, Postfix looks up in name service only.
    hosts = machine.read("/etc/hosts")
    lab.provider.certificate = "none"
    machine.write("/etc/hosts", hosts + b"192.0.2.30 mail.conbool.com\n")
    try:
        found = check(lab, machine, expect=3)
    finally:
        machine.write("/etc/hosts", hosts)
        lab.provider.certificate = "good"
    assert found["smart-host.starttls"]["status"] == "FAIL"
    opinion = found["smart-host.second-opinion"]
    assert opinion["status"] == "WARN"
    assert "posttls-finger would deliver" in opinion["summary"]
    assert "does not offer STARTTLS" in opinion["summary"]


def test_filtered_and_dropped(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    spare = "203.0.113.200"
    lab.dns.zone.host("filtered.conbool.com", spare)
    for kind, words in (("prohibit", "is filtered"), ("blackhole", "no answer within 10 seconds")):
        ip_batch([f"route add {kind} {spare}/32 table local"], lab.inet.name)
        try:
            found = check(lab, machine, "--smart-host-host", "filtered.conbool.com", expect=3)
        finally:
            ip_batch([f"route del {kind} {spare}/32 table local"], lab.inet.name)
        assert words in found["smart-host.connect"]["summary"]
        assert found["smtp.reachable"]["status"] == "OK"


def relay_host(lab: Lab, machine: PostfixMachine, name: str, expect: int = 0, public: str = "") -> Found:
    """Check with another name for the Setup Assistant, and perhaps a stated public address."""
    stated = {"public_addresses": [public]} if public else {}
    return check(lab, machine, expect=expect, inbound={"relay_host": name, **stated})


def test_relay_host(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    zone, own4, own6 = lab.dns.zone, machine.place.ipv4, machine.place.ipv6
    found = relay_host(lab, machine, "mx6.example.com", 3)
    assert "no address" in found["smtp.relay-host"]["summary"]
    zone.host("mx7.example.com", own4)
    found = relay_host(lab, machine, "mx7.example.com")
    assert found["smtp.relay-host"]["status"] == "OK"
    assert found["smtp.certificate"]["status"] == "WARN"
    # The name in this server's own /etc/hosts is not what others see.
    zone.set("mx1.example.com", "A")
    zone.set("mx1.example.com", "AAAA", own6)
    try:
        assert own6 in relay_host(lab, machine, "mx1.example.com")["smtp.relay-host"]["summary"]
        zone.add("alias.example.com", "CNAME", "mx1.example.com.")
        found = relay_host(lab, machine, "alias.example.com")
        assert found["smtp.relay-host"]["status"] == "OK"
        assert (
            "alias.example.com is an alias (CNAME) for mx1.example.com" in found["smtp.relay-host"]["detail"]
        )
        zone.add("circle.example.com", "CNAME", "circle.example.com.")
        assert relay_host(lab, machine, "circle.example.com")["smtp.relay-host"]["status"] == "NOT TESTED"
    finally:
        zone.set("mx1.example.com", "A", own4)
    zone.host("mx8.example.com", own4, "203.0.113.20")
    found = relay_host(lab, machine, "mx8.example.com", 3)
    assert "leads to another host too: 203.0.113.20" in found["smtp.relay-host"]["summary"]
    zone.host("mx9.example.com", "203.0.113.20")
    found = relay_host(lab, machine, "mx9.example.com", 3)
    assert "leads to another host: 203.0.113.20" in found["smtp.relay-host"]["summary"]
    lab.dns.trouble("mx9.example.com", "SERVFAIL")
    try:
        assert relay_host(lab, machine, "mx9.example.com")["smtp.relay-host"]["status"] == "NOT TESTED"
    finally:
        lab.dns.repair("mx9.example.com")


def test_public_address(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    lab.dns.zone.host("nat.example.com", "203.0.113.201")
    # Nothing leads back in: what most routers do.
    ip_batch(["route add prohibit 203.0.113.201/32 table local"], lab.inet.name)
    try:
        finding = relay_host(lab, machine, "nat.example.com", public="203.0.113.201")["smtp.relay-host"]
        assert finding["status"] == "NOT TESTED"
        assert "hairpin" in finding["summary"]
    finally:
        ip_batch(["route del prohibit 203.0.113.201/32 table local"], lab.inet.name)
    # Another server answers at the stated address.
    lab.dns.zone.host("balanced.example.com", "203.0.113.20")
    finding = relay_host(lab, machine, "balanced.example.com", 3, public="203.0.113.20")["smtp.relay-host"]
    assert (
        "Another host answers at the public address 203.0.113.20: it greets as mx.outside-b.example"
        in finding["summary"]
    )
    # A port forwarded to this very server: its own greeting and certificate come back.
    assert lab._loop is not None
    forward = Forward(lab._loop, "203.0.113.202", machine.place.ipv4)
    lab.dns.zone.host("forwarded.example.com", "203.0.113.202")
    try:
        finding = relay_host(lab, machine, "forwarded.example.com", public="203.0.113.202")["smtp.relay-host"]
        assert finding["status"] == "OK", finding
        assert "leads to this server" in finding["summary"]
    finally:
        forward.close()


def test_closed_port(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    closed = "permit_mynetworks, permit_sasl_authenticated, reject"
    machine.configure({"smtpd_client_restrictions": closed})
    try:
        found = check(lab, machine, expect=0)
        assert found["smtp.recipient"]["status"] == "NOT TESTED"
        assert "not in mynetworks" in found["smtp.recipient"]["summary"]
        assert found["smtp.relay"]["status"] == "OK"
        assert found["smtp.reachable"]["status"] == "OK"
        machine.configure({"smtpd_delay_reject": "no"})
        found = check(lab, machine, expect=0)
        assert found["smtp.reachable"]["status"] == "NOT TESTED"
        assert found["smtp.relay-host"]["status"] == "OK"
    finally:
        machine.configure({"smtpd_client_restrictions": None, "smtpd_delay_reject": None})
    # TLS is demanded from Conbool once the port is closed: without STARTTLS its mail would be refused.
    machine.configure({"smtpd_tls_security_level": "none"})
    try:
        inbound = {"relay_host": "mx1.example.com", "restrict_port_25": True}
        assert check(lab, machine, expect=3, inbound=inbound)["smtp.starttls"]["status"] == "FAIL"
        assert check(lab, machine, expect=0)["smtp.starttls"]["status"] == "WARN"
    finally:
        machine.configure({"smtpd_tls_security_level": "may"})


def test_closed_by_step_b(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    inbound = {"relay_host": "mx1.example.com", "restrict_port_25": True, "firewall": "none"}
    apply_answers(lab, machine, inbound=inbound)
    try:
        # Without the answers too: what is in master.cf counts.
        for found in (check(lab, machine, expect=0, inbound=inbound), check(lab, machine, expect=0)):
            assert found["smtp.recipient"]["status"] == "NOT TESTED"
            assert "the rule works" in found["smtp.recipient"]["summary"]
            assert found["smtp.reachable"]["status"] == found["smtp.relay-host"]["status"] == "OK"
            assert found["smart-host.second-opinion"]["status"] == "OK"
    finally:
        done = machine.conbool("undo", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr


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
