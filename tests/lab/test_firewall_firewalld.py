"""firewalld for real: our rich rules beside an admin's, runtime and permanent, proven by packets and by what the daemon then lists."""

from __future__ import annotations

import time
from typing import Any, Optional

import pytest

from conbool_tui.firewall.firewalld import ACCEPT_PRIORITY, REFUSE_PRIORITY
from conbool_tui.firewall.rules import EDITED, rules

from .firewall import (
    CLOSED,
    LISTED_RULES,
    NETWORKS,
    OPEN,
    Driver,
    apply_plan,
    expected,
    firewall_facts,
    firewall_machine,
    picture,
    probe,
    product,
    watching,
)
from .lab import CONBOOL_NETWORK4, CONBOOL_NETWORK6, Lab
from .machine import Machine
from .releases import in_turns, one_release

pytestmark = pytest.mark.lab

NAME = "firewall:firewalld"
# One rule that only the running daemon knows, one that waits for a reload.
ADMIN = (
    "firewall-cmd --zone=public --add-port=9999/tcp",
    "firewall-cmd --permanent --zone=public --add-port=8888/tcp",
    'firewall-cmd --zone=public --add-rich-rule=\'rule priority="-5" family="ipv4" source address="203.0.113.200" drop\'',
)
OPENINGS = ("--add-service=smtp", "--add-port=587/tcp")


def start_bus(machine: Machine) -> None:
    """Start the message bus firewalld is asked over."""
    machine.shell("mkdir -p /run/dbus; dbus-uuidgen --ensure")
    bus = machine.popen(["dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address"], stderr=-3)
    assert bus.stdout is not None
    assert bus.stdout.readline()


def start_daemon(machine: Machine) -> None:
    """Start firewalld and wait until it answers."""
    machine.popen(
        ["sh", "-c", "echo $$ > /run/daemon.pid; exec firewalld --nofork --nopid"], stdout=-3, stderr=-3
    )
    _wait(machine, 0)


def stop_daemon(machine: Machine) -> None:
    """End firewalld as its service does and wait until it is gone."""
    machine.shell(
        "kill $(cat /run/daemon.pid); while [ -d /proc/$(cat /run/daemon.pid) ]; do sleep 0.05; done"
    )


def _wait(machine: Machine, status: int) -> None:
    deadline = time.monotonic() + 120
    while machine.run(["firewall-cmd", "--state"]).returncode != status:
        assert time.monotonic() < deadline, "firewalld does not answer"


def restart(machine: Machine) -> None:
    """What a restart of the server does to firewalld."""
    stop_daemon(machine)
    start_daemon(machine)


def firewalld_machine(lab: Lab, suite: str, *setup: str, openings: tuple[str, ...] = OPENINGS) -> Machine:
    """A machine with listeners and firewalld running, ``openings`` in its default zone and ``setup`` done after that."""
    machine = firewall_machine(lab, suite, ("dbus", "firewalld"))
    # What is permanent when the daemon starts is in force from then on.
    machine.shell("\n".join(f"firewall-offline-cmd {word}" for word in openings) or "true")
    start_bus(machine)
    start_daemon(machine)
    machine.shell("\n".join(setup) or "true")
    return machine


def listed(machine: Machine, *, ours: bool = False) -> list[list[str]]:
    """All zones, runtime and permanent, without our rules (or our rules only)."""
    marks = (f'priority="{ACCEPT_PRIORITY}"', f'priority="{REFUSE_PRIORITY}"')
    found = []
    for side in ("", "--permanent"):
        lines = machine.shell(f"firewall-cmd {side} --list-all-zones").splitlines()
        found.append([line for line in lines if any(mark in line for mark in marks) == ours])
    return found


def facts(machine: Machine) -> Optional[dict[str, Any]]:
    found = product(
        machine,
        "from detectors.firewall.firewalld import find\n"
        "facts = find(host)\n"
        "result = facts and dict(owner=facts.owner.value, rules=facts.rules, unusable=facts.unusable, remedy=facts.remedy,\n"
        "    details=dict(facts.details), tools=dict(facts.tools))",
    )
    assert found is None or isinstance(found, dict)
    return found


def commands(machine: Machine, before: Optional[str], after: Optional[str]) -> list[str]:
    return list(
        product(
            machine,
            "from detectors.firewall.firewalld import find\n"
            "from conbool_tui.firewall.firewalld import commands\n"
            "result = commands(argument[0], argument[1], find(host))",
            [before, after],
        )
    )


def test_packets_before_after_and_after_removal(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite, *ADMIN)
    live = Driver(machine, NAME)
    admin = listed(machine)
    assert picture(lab, machine) == OPEN
    assert live.read() is None
    assert live.judge(LISTED_RULES) == []
    assert listed(machine) == admin

    with watching(lab, machine) as seen:
        assert live.put(LISTED_RULES) == []
    assert not seen.failures
    assert picture(lab, machine) == CLOSED
    assert live.read() == LISTED_RULES
    assert listed(machine) == admin
    assert "9999/tcp" in machine.shell("firewall-cmd --zone=public --list-ports")
    assert "8888/tcp" not in machine.shell("firewall-cmd --zone=public --list-ports")

    put = listed(machine, ours=True)
    assert live.put(LISTED_RULES) == []
    assert listed(machine, ours=True) == put
    assert len(put[0]) == len(put[1]) == len(NETWORKS) + 2

    with watching(lab, machine) as seen:
        assert live.put(None) == []
    assert not seen.failures
    assert picture(lab, machine) == OPEN
    assert live.read() is None
    assert listed(machine) == admin
    assert listed(machine, ours=True) == [[], []]


@in_turns
def test_rules_last_over_a_restart(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite)
    live = Driver(machine, NAME)
    assert live.put(LISTED_RULES) == []
    restart(machine)
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    machine.shell("firewall-cmd --reload")
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    assert live.put(None) == []
    restart(machine)
    assert live.read() is None
    assert picture(lab, machine) == OPEN


@in_turns
def test_reload_would_drop_what_only_the_daemon_knows(lab: Lab, suite: str) -> None:
    """Why the driver never reloads, and uses no ipset: both facts about firewalld itself."""
    machine = firewalld_machine(lab, suite, *ADMIN)
    machine.shell("firewall-cmd --permanent --new-ipset=probe --type=hash:net")
    assert "probe" not in machine.shell("firewall-cmd --get-ipsets")
    assert "probe" in machine.shell("firewall-cmd --permanent --get-ipsets")
    assert "9999/tcp" in machine.shell("firewall-cmd --zone=public --list-ports")
    machine.shell("firewall-cmd --reload")
    assert "9999/tcp" not in machine.shell("firewall-cmd --zone=public --list-ports")


@one_release
def test_default_zone_that_lets_no_mail_in(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite, openings=("--add-port=587/tcp",))
    live = Driver(machine, NAME)
    before = picture(lab, machine)
    assert before[("conbool", 25, 4)] != "open"
    assert before[("stranger", 25, 6)] != "open"
    assert live.put(LISTED_RULES) == []
    assert picture(lab, machine) == CLOSED
    assert live.put(None) == []
    assert picture(lab, machine) == before


@one_release
def test_listed_networks_are_never_refused_while_rules_come_change_and_go(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite)
    live = Driver(machine, NAME)
    fewer = rules([CONBOOL_NETWORK4, CONBOOL_NETWORK6]).text()
    with watching(lab, machine, "conbool", ports=(25, 22)) as seen:
        assert live.put(LISTED_RULES) == []
        assert live.put(fewer) == []
        assert live.read() == fewer
        assert picture(lab, machine) == expected("refused", listed="refused")
        assert live.put(LISTED_RULES) == []
        assert picture(lab, machine) == CLOSED
        assert live.put(None) == []
    assert not seen.failures


@in_turns
def test_zones_of_interfaces_sources_and_trust(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(
        lab,
        suite,
        "firewall-cmd --zone=external --change-interface=eth0; firewall-cmd --permanent --zone=external --change-interface=eth0",
        "firewall-cmd --zone=external --add-service=smtp; firewall-cmd --permanent --zone=external --add-service=smtp",
        "firewall-cmd --zone=external --add-port=587/tcp; firewall-cmd --permanent --zone=external --add-port=587/tcp",
        "firewall-cmd --zone=work --add-source=203.0.113.99; firewall-cmd --zone=work --add-service=smtp",
        "firewall-cmd --zone=trusted --add-source=203.0.113.150",
        "firewall-cmd --zone=drop --add-source=203.0.113.160",
    )
    live = Driver(machine, NAME)
    found = facts(machine)
    assert found is not None
    assert found["details"]["zones"] == "external public work"
    assert found["details"]["left"] == "drop trusted"
    assert probe(lab, machine, "stranger", 25, 4) == "open"
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    assert picture(lab, machine, ports=(25, 22)) == {
        key: state for key, state in CLOSED.items() if key[1] in (25, 22)
    }
    assert probe(lab, machine, "203.0.113.98", 25, 4) == "refused"
    assert probe(lab, machine, "203.0.113.150", 25, 4) == "open"
    assert probe(lab, machine, "203.0.113.160", 25, 4) == "filtered"

    # A zone that becomes active later has none of our rules: that is told, and putting again mends it.
    machine.shell(
        "firewall-cmd --zone=home --add-source=203.0.113.77; firewall-cmd --zone=home --add-service=smtp"
    )
    text = live.read()
    assert text is not None
    assert "zone home, runtime: without" in text
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    # And one that is active no more keeps them without a difference.
    machine.shell("firewall-cmd --zone=home --remove-source=203.0.113.77")
    assert live.read() == LISTED_RULES
    assert live.put(None) == []
    assert listed(machine, ours=True) == [[], []]


@one_release
@pytest.mark.parametrize(
    "edit",
    [
        f'firewall-cmd --remove-rich-rule=\'rule priority="{REFUSE_PRIORITY}" family="ipv6" port port="25" protocol="tcp" reject type="tcp-reset"\'',
        f'firewall-cmd --permanent --remove-rich-rule=\'rule priority="{ACCEPT_PRIORITY}" family="ipv4" source address="{CONBOOL_NETWORK4}" port port="25" protocol="tcp" accept\'',
        f"firewall-cmd --add-rich-rule='rule priority={ACCEPT_PRIORITY} family=ipv4 source address=203.0.113.99 port port=25 protocol=tcp accept'",
        f"firewall-cmd --add-rich-rule='rule priority={ACCEPT_PRIORITY} family=ipv4 port port=25 protocol=tcp accept'",
        "firewall-cmd --set-default-zone=home; firewall-cmd --zone=home --add-service=smtp; firewall-cmd --zone=home --add-port=587/tcp",
    ],
    ids=["refusal", "permanent", "network", "everybody", "zone"],
)
def test_rules_edited_by_hand_are_told(lab: Lab, suite: str, edit: str) -> None:
    machine = firewalld_machine(lab, suite)
    live = Driver(machine, NAME)
    assert live.put(LISTED_RULES) == []
    machine.shell(edit)
    found = live.read()
    assert found is not None
    assert EDITED in found
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    assert picture(lab, machine, ports=(25, 22)) == {
        key: state for key, state in CLOSED.items() if key[1] in (25, 22)
    }


@one_release
def test_two_hundred_networks(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite, *ADMIN)
    live = Driver(machine, NAME)
    many = rules(
        [f"10.{number}.0.0/24" for number in range(100)]
        + [f"2001:db8:{number:x}00::/48" for number in range(16, 116)]
        + list(NETWORKS)
    ).text()
    with watching(lab, machine, "conbool", ports=(25, 22)) as seen:
        assert live.put(many) == []
    assert not seen.failures
    assert live.read() == many
    assert picture(lab, machine) == CLOSED
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    assert live.put(None) == []
    assert picture(lab, machine) == OPEN


@one_release
def test_shown_commands_are_what_is_done(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite, *ADMIN)
    live = Driver(machine, NAME)
    come, go = commands(machine, None, LISTED_RULES), commands(machine, LISTED_RULES, None)
    assert live.put(LISTED_RULES) == []
    done = listed(machine, ours=True)
    assert live.put(None) == []
    machine.shell("\n".join(come))
    assert listed(machine, ours=True) == done
    assert live.read() == LISTED_RULES
    machine.shell("\n".join(go))
    assert live.read() is None
    assert picture(lab, machine) == OPEN


@one_release
def test_failures_leave_everything_as_it_was(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite, *ADMIN)
    live = Driver(machine, NAME)
    fewer = rules([CONBOOL_NETWORK4, CONBOOL_NETWORK6]).text()
    assert live.put(fewer) == []
    was, ours = listed(machine), listed(machine, ours=True)
    seen = picture(lab, machine)

    def refused(text: Optional[str]) -> str:
        problems = live.put(text)
        assert len(problems) == 1
        assert listed(machine) == was
        assert listed(machine, ours=True) == ours
        assert picture(lab, machine) == seen
        return problems[0]

    machine.shell("mv /usr/bin/firewall-cmd /usr/bin/firewall-cmd.real")
    # The tool fails at the running configuration only, after the permanent one was changed.
    fails = (
        "#!/bin/sh\n"
        'case "$*" in *--permanent*) ;; *-rich-rule=*) if [ -e /run/fail ]; then rm /run/fail; echo "Error: broken" >&2; exit 13; fi;; esac\n'
        'exec /usr/bin/firewall-cmd.real "$@"\n'
    )
    machine.write("/usr/bin/firewall-cmd", fails, 0o755)
    for text in (LISTED_RULES, None):
        machine.shell("touch /run/fail")
        assert "broken" in refused(text)
    # The tool says success and takes only some of the rules, as it does when one of many is bad.
    takes_some = (
        "#!/bin/sh\n"
        'case "$*" in *--permanent*) ;; *--add-rich-rule=*) if [ -e /run/fail ]; then rm /run/fail; exec /usr/bin/firewall-cmd.real "$1" "$2"; fi;; esac\n'
        'exec /usr/bin/firewall-cmd.real "$@"\n'
    )
    machine.write("/usr/bin/firewall-cmd", takes_some, 0o755)
    machine.shell("touch /run/fail")
    assert "did not take all rules" in refused(LISTED_RULES)
    machine.shell("mv /usr/bin/firewall-cmd.real /usr/bin/firewall-cmd")
    assert live.put(LISTED_RULES) == []
    assert picture(lab, machine) == CLOSED


@in_turns
def test_firewalld_stopped_or_gone(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite)
    live = Driver(machine, NAME)
    found = facts(machine)
    assert found is not None
    assert (found["owner"], found["rules"], found["unusable"]) == ("firewalld", None, "")
    assert live.put(LISTED_RULES) == []
    found = facts(machine)
    assert found is not None
    assert found["rules"] == LISTED_RULES

    stop_daemon(machine)
    found = facts(machine)
    assert found is not None
    assert "not running" in found["unusable"]
    assert "systemctl start firewalld" in found["remedy"]
    assert picture(lab, machine) == OPEN
    text = live.read()
    assert text is not None
    assert "not in force" in text
    assert "not running" in live.put(LISTED_RULES)[0]
    assert "not running" in live.judge(LISTED_RULES)[0]
    # Taken back all the same: else the rules would return with the daemon.
    assert live.put(None) == []
    assert live.read() is None
    machine.shell("rm -f /etc/systemd/system/multi-user.target.wants/firewalld.service")
    machine.shell("rm -f /etc/systemd/system/dbus-org.fedoraproject.FirewallD1.service")
    assert facts(machine) is None
    start_daemon(machine)
    assert live.read() is None
    assert picture(lab, machine) == OPEN

    machine.shell("mv /usr/bin/firewall-cmd /root/")
    assert facts(machine) is None
    assert live.read() is None
    assert live.put(None) == []
    assert "not installed" in live.put(LISTED_RULES)[0]


@one_release
def test_plan_finds_firewalld_and_is_done_once(lab: Lab, suite: str) -> None:
    machine = firewalld_machine(lab, suite)
    done = apply_plan(machine)
    assert done["problems"] == []
    assert done["live"] == [NAME]
    assert done["files"] == []
    assert done["confirm_within"] == 60
    assert firewall_facts(machine)["rules"] == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    assert apply_plan(machine)["live"] == []
    assert apply_plan(machine, wanted=False)["problems"] == []
    assert listed(machine, ours=True) == [[], []]
    assert picture(lab, machine) == OPEN
