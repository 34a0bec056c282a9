"""Nobody confirms, and the program is gone: every kind of firewall and Postfix come back by themselves; SSH answers all the time."""

from __future__ import annotations

import json
import time
from typing import Callable

import pytest

from . import test_firewall, test_firewall_firewalld, test_firewall_ufw
from .firewall import SOURCES, listen, probe
from .lab import Lab
from .postfix import PostfixMachine
from .product import write_answers
from .releases import one_release
from .test_step_b import CLOSED, OPEN, SHUT, view

pytestmark = pytest.mark.lab


def nftables(machine: PostfixMachine) -> str:
    machine.write("/etc/nftables.conf", test_firewall.CONFS["default-drop"] or "", 0o755)
    machine.shell("nft -f /etc/nftables.conf")
    return "nft list ruleset"


def iptables(back_end: str) -> Callable[[PostfixMachine], str]:
    def set_up(machine: PostfixMachine) -> str:
        test_firewall.use_back_end(machine, back_end)
        machine.write("/etc/iptables/rules.v4", test_firewall.RULES_V4, 0o640)
        machine.write("/etc/iptables/rules.v6", test_firewall.RULES_V6, 0o640)
        machine.shell("netfilter-persistent start")
        return "(iptables-save; ip6tables-save) | sed 's/ *\\[[0-9:]*\\] *//; /^#/d'"

    return set_up


def ufw(machine: PostfixMachine) -> str:
    machine.shell("\n".join([test_firewall_ufw.NO_MODULES, *test_firewall_ufw.ADMIN, "ufw --force enable"]))
    return "ufw status; cat /etc/ufw/user.rules /etc/ufw/user6.rules"


def firewalld(machine: PostfixMachine) -> str:
    test_firewall_firewalld.start_bus(machine)
    test_firewall_firewalld.start_daemon(machine)
    for word in test_firewall_firewalld.OPENINGS:
        machine.shell(f"firewall-cmd {word}; firewall-cmd --permanent {word}")
    return "firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones"


OWNERS = {
    "nftables": (test_firewall.NFT, nftables),
    "iptables-nft": (test_firewall.IPTABLES, iptables("nft")),
    "iptables-legacy": (test_firewall.IPTABLES, iptables("legacy")),
    "ufw": (("ufw",), ufw),
    "firewalld": (("dbus", "firewalld"), firewalld),
}


def newest(machine: PostfixMachine) -> str:
    """How the newest change stands."""
    changes = json.loads(machine.conbool("history", "--json").stdout)["changes"]
    return str(changes[0]["state"]) if changes else ""


@one_release
@pytest.mark.parametrize("owner", OWNERS)
def test_nobody_confirms_and_the_program_is_killed(lab: Lab, suite: str, owner: str) -> None:
    packages, set_up = OWNERS[owner]
    machine = lab.postfix(suite, extra_packages=packages)
    listen(machine, (22,))
    shown = set_up(machine)
    rules, main_cf = machine.shell(shown), machine.read("/etc/postfix/main.cf")
    assert view(lab, machine) == OPEN

    answers = write_answers(lab, machine, inbound={**CLOSED, "confirm_within": 20})
    command = ["conbool-tui", "apply", "--answers", answers, "--yes", "--wait"]
    program = machine.popen(command, stdin=-3, stdout=-3, stderr=-3)
    deadline = time.monotonic() + 120
    while newest(machine) != "waiting for confirmation":
        assert program.poll() is None, newest(machine)
        assert time.monotonic() < deadline
        time.sleep(0.3)
    machine.kill(program)
    assert view(lab, machine) == SHUT
    deadline = time.monotonic() + 120
    while newest(machine) != "rolled back":
        for source in SOURCES:
            assert probe(lab, machine, source, 22, 4) == probe(lab, machine, source, 22, 6) == "open"
        assert time.monotonic() < deadline, newest(machine)
        time.sleep(0.3)
    assert view(lab, machine) == OPEN
    assert machine.shell(shown) == rules
    assert machine.read("/etc/postfix/main.cf") == main_cf
