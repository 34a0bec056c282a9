"""The command line on real servers: what it prints, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from . import messages
from .lab import Lab
from .machine import Machine
from .postfix import PostfixMachine, PostfixSite
from .product import apply_answers, plan_answers, write_answers
from .releases import spread
from .roots import bare_spec
from .snapshot import differences

SITE = PostfixSite(inet_protocols="ipv4")


@pytest.fixture(scope="module")
def server(lab_ready: None, suite: str) -> Iterator[tuple[Lab, PostfixMachine]]:
    """One server that the tests leave as it was."""
    with Lab() as lab:
        yield lab, lab.postfix(suite, SITE)


@pytest.fixture
def untouched(server: tuple[Lab, PostfixMachine]) -> Iterator[tuple[Lab, PostfixMachine]]:
    """The server, and the promise that /etc/postfix is the same afterwards."""
    before = server[1].snapshot("/etc/postfix")
    yield server
    assert differences(before, server[1].snapshot("/etc/postfix")) == []


def flat(text: str) -> str:
    return " ".join(text.split())


def no_networks6(**changes: Any) -> dict[str, Any]:
    return {"conbool_networks": ["198.51.100.0/24"], **changes}


def test_detect(untouched: tuple[Lab, PostfixMachine]) -> None:
    machine = untouched[1]
    done = machine.conbool("detect")
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    for word in ("postfix: found", "/etc/postfix", "example.com", "example.org", "example.net", "port 25"):
        assert word in done.stdout
    document = json.loads(machine.conbool("detect", "--json").stdout)
    assert document["detections"][0]["postfix"]["config_directory"] == "/etc/postfix"
    assert document["port_25_owner"] == "postfix"


def test_plan_reads_only(untouched: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = untouched
    for flags in ((), ("--json",), ("--diff",), ("--script",)):
        done = plan_answers(lab, machine, *flags, **no_networks6())
        assert done.returncode == 2, done.stderr
        assert "mail.conbool.com" in done.stdout or flags == ("--script",)
    document = json.loads(plan_answers(lab, machine, "--json", **no_networks6()).stdout)
    assert {item["path"] for item in document["files"]} >= {"/etc/postfix/main.cf", "/etc/postfix/master.cf"}
    assert not machine.exists("/var/lib/conbool-tui")


def test_flags_are_enough(untouched: tuple[Lab, PostfixMachine]) -> None:
    done = untouched[1].conbool("plan", "--domains", "example.com", "--conbool-networks", "198.51.100.0/24")
    assert done.returncode == 2, done.stderr


def test_detected_domains_are_the_default(untouched: tuple[Lab, PostfixMachine]) -> None:
    machine = untouched[1]
    done = machine.conbool("plan", "--json", "--conbool-networks", "198.51.100.0/24")
    assert done.returncode == 2, done.stderr
    given = machine.conbool(
        "plan",
        "--json",
        "--domains",
        "example.com,example.org,example.net",
        "--conbool-networks",
        "198.51.100.0/24",
    )
    first, second = json.loads(done.stdout), json.loads(given.stdout)
    for document in (first, second):
        assert document["files"]
    assert first["changes"] == second["changes"]


def test_an_unknown_domain_is_pointed_out(untouched: tuple[Lab, PostfixMachine]) -> None:
    done = untouched[1].conbool("plan", "--domains", "exmaple.com", "--conbool-networks", "198.51.100.0/24")
    assert "exmaple.com: not among the domains hosted" in flat(done.stdout)


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown key": ({"smart_hots": {}}, ["smart_hots: unknown key", "smart_host?"]),
    "misspelt key": ({"scope": {"mod": "domains"}}, ["scope.mod: unknown key", "scope.mode?"]),
    "no domain": ({"domains": ["not a domain"]}, ["domains", '"not a domain"']),
    "wildcard": ({"domains": ["*.example.com"]}, ["wildcards"]),
    "IPv6 on an IPv4 server": (
        {"conbool_networks": ["2001:db8:c::/48"]},
        ["2001:db8:c::/48 is IPv6", "speaks only IPv4", "inet_protocols"],
    ),
    "private": (
        {"conbool_networks": ["10.0.0.0/8"]},
        ["10.0.0.0/8", "private", "--inbound-private-networks"],
    ),
    "everybody": ({"conbool_networks": ["0.0.0.0/0"]}, ["whole Internet"]),
    "everybody on IPv6": ({"conbool_networks": ["::/0"]}, ["whole Internet"]),
    "host bits": ({"conbool_networks": ["198.51.100.7/24"]}, ["198.51.100.0/24"]),
    "networks missing": (
        {"conbool_networks": [], "inbound": {"restrict_port_25": True}},
        ["conbool_networks is missing", "--conbool-networks"],
    ),
    "senders missing": ({"scope": {"mode": "senders"}}, ["scope.senders is missing", "--scope-senders"]),
    "bad port": ({"smart_host": {"port": 99999}}, ["smart_host.port", "65535"]),
    "key missing": (
        {"smart_host": {"client_certificate": "/etc/good.pem"}},
        ["smart_host.client_key is missing", "--smart-host-client-key"],
    ),
    "no such certificate": (
        {"smart_host": {"client_certificate": "/etc/no.pem", "client_key": "/etc/good.key"}},
        ["/etc/no.pem does not exist"],
    ),
    "other key": (
        {"smart_host": {"client_certificate": "/etc/good.pem", "client_key": "/etc/expired.key"}},
        ["/etc/expired.key does not match"],
    ),
    "expired": (
        {"smart_host": {"client_certificate": "/etc/expired.pem", "client_key": "/etc/expired.key"}},
        ["/etc/expired.pem", "expired on"],
    ),
    "no CA": ({"smart_host": {"ca_file": "/etc/no.pem"}}, ["/etc/no.pem does not exist"]),
}


@spread("case", list(BAD))
def test_bad_answers_change_nothing(untouched: tuple[Lab, PostfixMachine], case: str) -> None:
    lab, machine = untouched
    for kind in ("good", "expired"):
        pair = lab.authority.issue("mx1.example.com", kind)
        machine.write(f"/etc/{kind}.pem", pair.certificate)
        machine.write(f"/etc/{kind}.key", pair.key, 0o600)
    changes, words = BAD[case]
    for command in (["plan"], ["apply", "--yes"]):
        done = machine.conbool(*command, "--answers", write_answers(lab, machine, **no_networks6(**changes)))
        assert done.returncode == 64, done.stdout + done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in flat(done.stderr)


def test_not_yaml(untouched: tuple[Lab, PostfixMachine]) -> None:
    machine = untouched[1]
    machine.write("/root/broken.yaml", "domains: [example.com\nscope: {")
    done = machine.conbool("apply", "--yes", "--answers", "/root/broken.yaml")
    assert done.returncode == 64
    assert "no YAML" in flat(done.stderr)
    assert "line" in done.stderr


def test_without_root(untouched: tuple[Lab, PostfixMachine]) -> None:
    machine = untouched[1]
    for args in (["apply", "--yes", "--domains", "example.com"], ["undo", "--yes"]):
        done = machine.run(["conbool-tui", *args], user="nobody", cwd="/")
        assert done.returncode == 77, done.stdout + done.stderr
        assert "sudo" in done.stderr


def test_without_a_terminal(untouched: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = untouched
    done = machine.conbool()
    assert done.returncode == 64
    assert "apply --answers" in flat(done.stderr)
    done = machine.conbool("apply", "--answers", write_answers(lab, machine, **no_networks6()))
    assert done.returncode == 64
    assert "--yes" in done.stderr


def test_no_mail_system(lab: Lab) -> None:
    machine = lab.machine(Machine, bare_spec("bookworm"))
    for args in (
        ["plan", "--domains", "example.com"],
        ["apply", "--yes", "--domains", "example.com"],
        ["check"],
    ):
        done = machine.conbool(*args)
        assert done.returncode == 3, done.stderr
        assert "No mail system found" in done.stderr
    assert machine.conbool("detect").returncode == 0
    assert "no change to take back" in machine.conbool("undo", "--yes").stderr


def test_broken_and_stopped(lab: Lab) -> None:
    machine = lab.postfix("bookworm", SITE)
    answers = write_answers(lab, machine, **no_networks6())
    machine.postfix_stop()
    before = machine.snapshot("/etc/postfix")
    done = machine.conbool("apply", "--yes", "--answers", answers)
    assert done.returncode == 3, done.stdout + done.stderr
    assert differences(before, machine.snapshot("/etc/postfix")) == []
    machine.append("/etc/postfix/master.cf", "this is no service\n")
    before = machine.snapshot("/etc/postfix")
    for command in (["plan"], ["apply", "--yes"]):
        done = machine.conbool(*command, "--answers", answers)
        assert done.returncode == 3, done.stdout + done.stderr
    assert differences(before, machine.snapshot("/etc/postfix")) == []


def test_two_instances(lab: Lab) -> None:
    machine = lab.postfix("bookworm", SITE)
    machine.shell("postmulti -e init >&2; postmulti -I postfix-out -e create >&2")
    answers = write_answers(lab, machine, **no_networks6())
    before = machine.snapshot("/etc/postfix")
    done = machine.conbool("apply", "--yes", "--answers", answers)
    assert done.returncode == 64, done.stdout + done.stderr
    assert "postfix-out" in done.stderr
    assert "--instance" in done.stderr
    assert differences(before, machine.snapshot("/etc/postfix")) == []
    done = machine.conbool("plan", "--instance", "-", "--answers", answers)
    assert done.returncode == 2, done.stderr


def test_apply_history_undo(server: tuple[Lab, PostfixMachine]) -> None:
    lab, machine = server
    before = machine.snapshot("/etc/postfix")
    done = apply_answers(lab, machine, **no_networks6())
    assert "conbool-tui undo" in done.stdout
    assert "Step A" in done.stderr
    again = apply_answers(lab, machine, **no_networks6())
    assert again.stdout == ""
    assert "Nothing to do" in again.stderr
    assert plan_answers(lab, machine, **no_networks6()).returncode == 0
    changes = json.loads(machine.conbool("history", "--json").stdout)["changes"]
    assert [change["state"] for change in changes] == ["applied"]
    assert changes[0]["id"] in machine.conbool("history").stdout
    assert machine.conbool("undo", "20000101-000000-0000", "--yes").returncode == 64
    undone = machine.conbool("undo", changes[0]["id"], "--yes", "--json")
    assert undone.returncode == 0, undone.stderr
    assert json.loads(undone.stdout)["receipt"]["undo_of"] == changes[0]["id"]
    assert differences(before, machine.snapshot("/etc/postfix"), ignore_mtime=(".",)) == []
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 64
    log = machine.path("/var/log/conbool-tui/conbool-tui.log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o750
    assert f"undo: {changes[0]['id']}" in log.read_text()


def test_the_script_does_the_same(lab_ready: None, suite: str) -> None:
    with Lab() as lab:
        machine = lab.postfix(suite, SITE)
        by_hand = plan_answers(lab, machine, "--script", **no_networks6()).stdout
        machine.write("/root/plan.sh", by_hand)
        assert machine.run(["sh", "/root/plan.sh"]).returncode == 0
        assert plan_answers(lab, machine, **no_networks6()).returncode == 0
        message = messages.plain()
        assert lab.send(machine, message, "someone@outside-a.example").accepted
        lab.expect(message, "conbool")
        again = machine.run(["sh", "/root/plan.sh"])
        assert again.returncode == 3
        assert "Nothing was changed" in again.stderr
