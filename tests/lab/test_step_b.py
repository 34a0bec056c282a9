"""Step B through the program's own commands: name service, mail log, Postfix and nftables together, from the refusal to the undo."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from . import messages
from .firewall import LISTED, LISTED6, LISTED_NETWORK4, LISTED_NETWORK6, SOURCES
from .lab import CONBOOL, CONBOOL6, STRANGER, STRANGER6, Lab
from .postfix import PASSWORD, PostfixMachine, PostfixSite
from .product import apply_answers, plan_answers, write_answers
from .snapshot import differences

pytestmark = pytest.mark.lab

OWN_RULES = """flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif lo accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { 22, 25, 587 } accept
	}
}
"""
CLOSED: dict[str, Any] = {
    "relay_host": "mx1.example.com",
    "restrict_port_25": True,
    "extra_networks": [LISTED_NETWORK4, LISTED_NETWORK6],
}


@pytest.fixture
def server(lab: Lab, suite: str) -> PostfixMachine:
    machine = lab.postfix(suite, PostfixSite(submission=True), extra_packages=("nftables",))
    machine.write("/etc/nftables.conf", OWN_RULES)
    machine.shell("nft -f /etc/nftables.conf")
    return machine


def greeting(lab: Lab, machine: PostfixMachine, source: str, port: int = 25) -> str:
    """What a connection from ``source`` meets: the first word of the greeting, or ``refused``."""
    where = machine.place.ipv6 if ":" in source else machine.place.ipv4
    try:
        with lab.connect(source, where, port) as connection:
            return connection.recv(3).decode()
    except ConnectionRefusedError:
        return "refused"


def view(lab: Lab, machine: PostfixMachine) -> dict[str, str]:
    """Port 25 from everywhere."""
    return {
        name: greeting(lab, machine, source)
        for pair in SOURCES.items()
        if pair[0] != "local"
        for name, source in zip((f"{pair[0]}4", f"{pair[0]}6"), pair[1])
    }


OPEN = dict.fromkeys(("conbool4", "conbool6", "listed4", "listed6", "stranger4", "stranger6"), "220")
SHUT = {**OPEN, "stranger4": "refused", "stranger6": "refused"}


def state(machine: PostfixMachine) -> str:
    """How the newest change stands."""
    changes = json.loads(machine.conbool("history", "--json").stdout)["changes"]
    return str(changes[0]["state"]) if changes else ""


def wait_state(machine: PostfixMachine, wanted: str, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while state(machine) != wanted:
        assert time.monotonic() < deadline, (
            state(machine),
            machine.read_text("/var/log/conbool-tui/conbool-tui.log"),
        )
        time.sleep(0.3)


def test_not_while_mail_comes_here(lab: Lab, server: PostfixMachine) -> None:
    before = server.snapshot("/etc")
    lab.dns.zone.set("example.com", "MX", "10 in.conbool.com.", "20 mx1.example.com.")
    refused = plan_answers(lab, server, inbound=CLOSED)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    told = " ".join(refused.stderr.split())
    assert "example.com: MX mx1.example.com is not Conbool's." in told
    assert "--inbound-close-despite-mx" in told
    assert (
        server.conbool("apply", "--yes", "--answers", write_answers(lab, server, inbound=CLOSED)).returncode
        == 3
    )
    assert not differences(before, server.snapshot("/etc"))

    lab.dns.trouble("example.com", "SERVFAIL")
    unknown = plan_answers(lab, server, inbound=CLOSED)
    assert unknown.returncode == 3
    assert "could not be looked up" in " ".join(unknown.stderr.split())
    lab.dns.repair("example.com")

    despite = plan_answers(lab, server, inbound={**CLOSED, "close_despite_mx": True})
    assert despite.returncode == 2, despite.stderr
    assert "Mail still comes here directly" in " ".join(despite.stdout.split())

    lab.dns.zone.set("example.com", "MX", "10 in.conbool.com.")
    assert plan_answers(lab, server, inbound=CLOSED).returncode == 2


def test_from_open_to_closed_and_back(lab: Lab, server: PostfixMachine) -> None:
    before, rules = server.snapshot("/etc"), server.shell("nft list ruleset")
    assert view(lab, server) == OPEN
    done = apply_answers(lab, server, inbound=CLOSED)
    assert "conbool-tui confirm" in done.stderr
    assert view(lab, server) == SHUT
    assert state(server) == "waiting for confirmation"
    # Another change has to wait for this one.
    again = server.conbool("apply", "--yes", "--answers", write_answers(lab, server))
    assert again.returncode == 3, again.stderr
    assert "conbool-tui confirm" in again.stderr
    assert server.conbool("confirm").returncode == 0
    assert state(server) == "applied"
    assert plan_answers(lab, server, inbound=CLOSED).returncode == 0

    message = messages.plain()
    sent = lab.send(
        server, message, "bob@example.com", sender="x@elsewhere.example", source=CONBOOL, tls=True
    )
    assert sent.accepted
    lab.wait_delivered(message)
    plaintext = lab.send(server, messages.plain(), "bob@example.com", source=CONBOOL6)
    assert (plaintext.accepted, plaintext.code // 100) == (False, 4)
    login = messages.plain()
    submitted = lab.send(
        server,
        login,
        "friend@outside-a.example",
        source=STRANGER,
        port=587,
        tls=True,
        auth=("alice@example.com", PASSWORD),
    )
    assert submitted.accepted
    lab.wait_delivered(login)
    assert lab.where(login) == ["conbool"]

    checked = server.conbool(
        "check",
        "--json",
        "--transcript",
        "/root/dialogs",
        "--answers",
        write_answers(lab, server, inbound=CLOSED),
    )
    failed = [item for item in json.loads(checked.stdout)["findings"] if item["status"] == "FAIL"]
    assert not failed, failed
    assert "EHLO" in server.read_text("/root/dialogs")

    # A new list of Conbool's addresses, without answering everything once more.
    server.write("/root/list", f"# ours\n{STRANGER}/32  {STRANGER6}\n203.0.113.99\n")
    replaced = server.conbool("networks", "/root/list", "--yes")
    assert replaced.returncode == 0, replaced.stderr
    assert greeting(lab, server, STRANGER) == greeting(lab, server, STRANGER6) == "220"
    assert greeting(lab, server, CONBOOL) == "refused"
    assert greeting(lab, server, LISTED) == greeting(lab, server, LISTED6) == "220"
    assert server.conbool("undo", "--yes").returncode == 0
    assert view(lab, server) == SHUT
    assert server.conbool("undo", "--yes").returncode == 0
    assert view(lab, server) == OPEN
    changed = differences(
        before, server.snapshot("/etc"), ignore_mtime=(".", "postfix", "postfix/main.cf", "postfix/master.cf")
    )
    assert not [line for line in changed if "mtime" not in line], changed
    assert server.shell("nft list ruleset") == rules


def test_nobody_confirms(lab: Lab, server: PostfixMachine) -> None:
    rules = server.shell("nft list ruleset")
    apply_answers(lab, server, inbound={**CLOSED, "confirm_within": 20})
    assert view(lab, server) == SHUT
    wait_state(server, "rolled back")
    assert view(lab, server) == OPEN
    assert server.shell("nft list ruleset") == rules
    assert "conbool" not in server.read_text("/etc/postfix/main.cf")


def test_a_connection_from_conbool_confirms(lab: Lab, server: PostfixMachine) -> None:
    apply_answers(lab, server, inbound=CLOSED)
    message = messages.plain()
    lab.send(server, message, "bob@example.com", sender="x@elsewhere.example", source=CONBOOL, tls=True)
    wait_state(server, "applied")
    assert "198.51.100.25" in server.conbool("history").stdout


def test_the_script_does_the_same(lab: Lab, server: PostfixMachine) -> None:
    made = plan_answers(lab, server, "--script", inbound=CLOSED)
    assert made.returncode == 2, made.stderr
    server.write("/root/close.sh", made.stdout, 0o700)
    server.shell("/root/close.sh")
    assert view(lab, server) == SHUT
    assert plan_answers(lab, server, inbound=CLOSED).returncode == 0
