"""ufw for real: our rules beside an admin's, proven by packets, and what becomes of them when ufw itself goes on working."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from conbool_tui.firewall.rules import EDITED, rules
from conbool_tui.firewall.ufw_files import IPV4, IPV6, entries

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
from .releases import one_release, spread

pytestmark = pytest.mark.lab

NAME = "firewall:ufw"
# The file's own names for what would be loaded into the kernel at start-up; the lab's kernel has it all built in.
NO_MODULES = "sed -i 's/^IPT_MODULES=.*/IPT_MODULES=\"\"/' /etc/default/ufw"
ADMIN = (
    "ufw limit 2222/tcp comment 'back door'",
    "ufw allow 22/tcp",
    "ufw allow 25/tcp comment 'mail é'",
    "ufw allow 587",
    "ufw allow from 203.0.113.5 to any port 993 proto tcp",
    "ufw deny out 26/tcp",
)


def ufw_machine(
    lab: Lab, suite: str, *, admin: tuple[str, ...] = ADMIN, legacy: bool = False, before: str = ""
) -> Machine:
    """A machine with listeners and ufw switched on, with an admin's rules in it."""
    machine = firewall_machine(lab, suite, ("ufw",))
    machine.shell(NO_MODULES)
    if legacy:
        for program in ("iptables", "ip6tables"):
            machine.shell(f"update-alternatives --set {program} /usr/sbin/{program}-legacy")
    machine.shell("\n".join([before or "true", *admin, "ufw --force enable"]))
    return machine


def files(machine: Machine) -> tuple[bytes, bytes]:
    return machine.read(IPV4.path), machine.read(IPV6.path)


def others(machine: Machine) -> list[list[tuple[str, ...]]]:
    """The admin's rules in their order, IPv4 and IPv6."""
    return [
        [(*entry.words, entry.comment) for entry in entries(data.decode()) if not entry.ours]
        for data in files(machine)
    ]


def facts(machine: Machine) -> Optional[dict[str, Any]]:
    found = product(
        machine,
        "from detectors.firewall.ufw import find\n"
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
            "from detectors.firewall.ufw import find\n"
            "from conbool_tui.firewall.ufw import commands\n"
            "result = commands(argument[0], argument[1], find(host))",
            [before, after],
        )
    )


@pytest.mark.parametrize("legacy", [False, True], ids=["nft", "legacy"])
def test_packets_before_after_and_after_removal(lab: Lab, suite: str, legacy: bool) -> None:
    machine = ufw_machine(lab, suite, legacy=legacy)
    live = Driver(machine, NAME)
    untouched, admin = files(machine), others(machine)
    assert picture(lab, machine) == OPEN
    assert live.read() is None
    assert live.judge(LISTED_RULES) == []
    assert files(machine) == untouched

    with watching(lab, machine) as seen:
        assert live.put(LISTED_RULES) == []
    assert not seen.failures
    assert picture(lab, machine) == CLOSED
    assert live.read() == LISTED_RULES
    assert others(machine) == admin
    status = machine.shell("ufw status")
    for network in NETWORKS:
        assert any(network in line and "conbool-tui" in line for line in status.splitlines()), status

    ours = files(machine)
    assert live.put(LISTED_RULES) == []
    assert files(machine) == ours

    machine.shell("/lib/ufw/ufw-init restart")
    assert picture(lab, machine) == CLOSED
    assert live.read() == LISTED_RULES
    machine.shell("ufw --force disable; ufw --force enable")
    assert picture(lab, machine) == CLOSED
    assert live.read() == LISTED_RULES

    with watching(lab, machine) as seen:
        assert live.put(None) == []
    assert not seen.failures
    assert picture(lab, machine) == OPEN
    assert live.read() is None
    assert files(machine) == untouched
    machine.shell("/lib/ufw/ufw-init restart")
    assert picture(lab, machine) == OPEN


@spread("policy,meets", [("deny", "filtered"), ("reject", "refused"), ("allow", "open")])
def test_default_policy_decides_before_and_after(lab: Lab, suite: str, policy: str, meets: str) -> None:
    machine = ufw_machine(
        lab, suite, admin=("ufw allow 22/tcp", "ufw allow 587/tcp"), before=f"ufw default {policy} incoming"
    )
    live = Driver(machine, NAME)
    alone = expected(meets, conbool=meets, listed=meets)
    assert picture(lab, machine) == alone
    assert live.put(LISTED_RULES) == []
    assert picture(lab, machine) == CLOSED
    assert live.put(None) == []
    assert picture(lab, machine) == alone


def test_listed_networks_are_never_refused_while_rules_come_change_and_go(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite)
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


def test_admins_rule_that_is_like_ours_stays_and_ours_hold(lab: Lab, suite: str) -> None:
    own = (
        f"ufw allow proto tcp from {CONBOOL_NETWORK4} to any port 25",
        f"ufw allow proto tcp from {CONBOOL_NETWORK6} to any port 25 comment 'partner'",
        "ufw reject proto tcp from 128.0.0.0/1 to any port 25",
    )
    machine = ufw_machine(lab, suite, admin=(*ADMIN, *own))
    live = Driver(machine, NAME)
    untouched, admin = files(machine), others(machine)
    assert live.put(LISTED_RULES) == []
    assert picture(lab, machine) == CLOSED
    assert live.read() == LISTED_RULES
    assert others(machine) == admin
    machine.shell(f"ufw delete {own[0][4:]}")
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    machine.shell(own[0])
    assert live.put(None) == []
    assert others(machine) == [[*admin[0][:-2], admin[0][-1], admin[0][-2]], admin[1]]
    assert len(untouched) == 2


def test_admin_goes_on_working_with_ufw(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite)
    live = Driver(machine, NAME)
    assert live.put(LISTED_RULES) == []
    machine.shell(
        "ufw allow 993/tcp; ufw delete allow 25/tcp; ufw allow 25/tcp; ufw insert 1 deny from 203.0.113.200;"
        "ufw insert 1 deny proto tcp from 203.0.113.201 to any port 25; ufw logging medium; ufw reload"
    )
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    admin = others(machine)
    assert ("allow", "tcp", "993", "0.0.0.0/0", "any", "0.0.0.0/0", "in", "") in admin[0]
    assert live.put(None) == []
    assert others(machine) == admin
    assert picture(lab, machine) == OPEN
    assert probe(lab, machine, "203.0.113.200", 25, 4) == "filtered"


@one_release
@pytest.mark.parametrize(
    "edit",
    [
        f"ufw delete allow proto tcp from {CONBOOL_NETWORK4} to any port 25",
        f"ufw delete allow proto tcp from {CONBOOL_NETWORK6} to any port 25",
        "ufw delete reject proto tcp from 8000::/1 to any port 25",
        "ufw prepend allow 25/tcp",
        f"ufw deny proto tcp from {CONBOOL_NETWORK4} to any port 25 comment conbool-tui",
        f"iptables -D ufw-user-input -s {CONBOOL_NETWORK4} -p tcp --dport 25 -j ACCEPT",
        "iptables -I ufw-user-input -p tcp --dport 25 -j ACCEPT",
        "ip6tables -F ufw6-user-input",
        "iptables -F INPUT",
        "sed -i '/conbool\\|636f6e/,+1 s/-s 128.0.0.0/-s 198.0.0.0/' /etc/ufw/user.rules",
    ],
)
def test_rules_edited_by_hand_are_told(lab: Lab, suite: str, edit: str) -> None:
    machine = ufw_machine(lab, suite, admin=("ufw allow 22/tcp", "ufw allow 587/tcp"))
    live = Driver(machine, NAME)
    assert live.put(LISTED_RULES) == []
    machine.shell(edit)
    found = live.read()
    assert found is not None
    assert found != LISTED_RULES
    if edit == "iptables -F INPUT":
        assert "not in force" in live.put(LISTED_RULES)[0]
        return
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    assert picture(lab, machine, sources=("conbool", "listed", "stranger")) == {
        key: state for key, state in CLOSED.items() if key[0] != "local"
    }


@spread("lost", ["live", "file", "half"])
def test_what_a_kill_leaves_is_told_and_repaired(lab: Lab, suite: str, lost: str) -> None:
    machine = ufw_machine(lab, suite)
    live = Driver(machine, NAME)
    untouched = files(machine)
    other = rules(["198.51.100.128/25"]).text()
    if lost == "live":  # killed after the files were written
        assert live.put(LISTED_RULES) == []
        written = files(machine)
        assert live.put(None) == []
        machine.write(IPV4.path, written[0])
        machine.write(IPV6.path, written[1])
    elif lost == "file":  # replacing a list, killed after the files were written
        assert live.put(LISTED_RULES) == []
        written = files(machine)
        assert live.put(other) == []
        machine.write(IPV4.path, written[0])
        machine.write(IPV6.path, written[1])
    else:  # killed between the families
        assert live.put(LISTED_RULES) == []
        written = files(machine)
        assert live.put(None) == []
        machine.write(IPV4.path, written[0])
        machine.write(IPV6.path, written[1])
        machine.shell("iptables-restore --noflush < /etc/ufw/user.rules")
    found = live.read()
    assert found is not None
    assert EDITED in found
    if lost != "file":
        assert live.put(None) == []
        assert files(machine) == untouched
        assert picture(lab, machine) == OPEN
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    assert live.put(None) == []
    assert picture(lab, machine) == OPEN


@one_release
def test_two_hundred_networks(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite)
    live = Driver(machine, NAME)
    many = rules(
        [f"10.{number}.0.0/24" for number in range(200)]
        + [f"2001:db8:{number:x}00::/48" for number in range(16, 216)]
        + list(NETWORKS)
    ).text()
    with watching(lab, machine, "conbool", ports=(25, 22)) as seen:
        assert live.put(many) == []
    assert not seen.failures
    assert live.read() == many
    assert picture(lab, machine) == CLOSED
    assert machine.shell("ufw status").count("ALLOW       10.") == 200
    machine.shell("ufw allow 993/tcp")
    assert live.read() == many
    assert live.put(LISTED_RULES) == []
    assert picture(lab, machine) == CLOSED
    assert live.put(None) == []
    assert picture(lab, machine) == OPEN


def test_without_ipv6_in_ufw(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite, before="sed -i s/^IPV6=.*/IPV6=no/ /etc/default/ufw")
    live = Driver(machine, NAME)
    untouched = files(machine)
    assert live.put(LISTED_RULES) == []
    assert live.read() == LISTED_RULES
    assert picture(lab, machine, families=(4,)) == {
        key: state for key, state in CLOSED.items() if key[2] == 4
    }
    assert probe(lab, machine, "conbool", 25, 6) == "filtered"
    machine.shell(
        "sed -i s/^IPV6=.*/IPV6=yes/ /etc/default/ufw; ufw reload; ufw allow proto tcp from any to any port 22"
    )
    assert live.read() == LISTED_RULES
    assert probe(lab, machine, "conbool", 25, 6) == "open"
    assert probe(lab, machine, "stranger", 25, 6) == "refused"
    machine.shell("sed -i s/^IPV6=.*/IPV6=no/ /etc/default/ufw; ufw reload")
    assert live.put(None) == []
    assert len(untouched) == 2
    assert b"636f6e" not in b"".join(files(machine))


def test_shown_commands_are_what_is_done(lab: Lab, suite: str) -> None:
    machine = ufw_machine(
        lab, suite, admin=(*ADMIN, f"ufw allow proto tcp from {CONBOOL_NETWORK4} to any port 25")
    )
    live = Driver(machine, NAME)
    untouched = files(machine)
    come, go = commands(machine, None, LISTED_RULES), commands(machine, LISTED_RULES, None)
    assert live.put(LISTED_RULES) == []
    done = files(machine)
    assert live.put(None) == []
    machine.shell("\n".join(come))
    assert files(machine) == done
    assert live.read() == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    machine.shell("\n".join(go))
    assert files(machine) == untouched
    assert picture(lab, machine) == OPEN

    bare = ufw_machine(lab, suite, admin=())
    bare.shell("\n".join(commands(bare, None, LISTED_RULES)))
    assert Driver(bare, NAME).read() == LISTED_RULES


@one_release
def test_failures_leave_everything_as_it_was(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite, legacy=True)
    live = Driver(machine, NAME)
    fewer = rules([CONBOOL_NETWORK4, CONBOOL_NETWORK6]).text()
    assert live.put(fewer) == []
    was, seen = files(machine), picture(lab, machine)

    def refused(text: Optional[str]) -> str:
        problems = product(
            machine,
            "import conbool_tui.firewall.ufw as ufw\n"
            "ufw.LOCK_WAIT, ufw.XTABLES_WAIT = 0.1, 1\n"
            "result = [problem.text + ' ' + problem.detail for problem in ufw.UfwRules(host).put(argument)]",
            text,
        )
        assert len(problems) >= 1
        assert files(machine) == was
        assert picture(lab, machine) == seen
        return str(problems[0])

    # Another ufw command at work: ufw locks with lockf(3).
    holder = machine.popen(
        [
            "python3",
            "-c",
            "import fcntl\nf = open('/run/ufw.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()",
        ]
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert "Another ufw command holds /run/ufw.lock" in refused(LISTED_RULES)
    holder.communicate(b"\n")

    # Another program changes iptables' rules.
    holder = machine.popen(["flock", "/run/xtables.lock", "sh", "-c", "echo held; read _"])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert "xtables" in refused(LISTED_RULES)
    assert "xtables" in refused(None)
    holder.communicate(b"\n")

    # The second family cannot be loaded: the first one and the files go back.
    machine.shell(
        "mv /usr/sbin/ip6tables-legacy-restore /usr/sbin/away;"
        "printf '#!/bin/sh\\necho broken >&2; exit 1\\n' > /usr/sbin/ip6tables-legacy-restore; chmod 755 /usr/sbin/ip6tables-legacy-restore"
    )
    assert "broken" in refused(LISTED_RULES)
    assert "broken" in refused(None)
    assert "broken" in live.judge(LISTED_RULES)[0]
    machine.shell("mv /usr/sbin/away /usr/sbin/ip6tables-legacy-restore")

    machine.shell("mount --bind /etc/ufw /etc/ufw; mount -o remount,ro,bind /etc/ufw")
    assert "read-only" in refused(LISTED_RULES).lower()
    assert "read-only" in refused(None).lower()
    assert "read-only" in live.judge(LISTED_RULES)[0].lower()
    machine.shell("umount /etc/ufw")

    assert live.put(LISTED_RULES) == []
    assert picture(lab, machine) == CLOSED


@one_release
def test_ufw_switched_off_or_gone(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite)
    live = Driver(machine, NAME)
    untouched = files(machine)
    found = facts(machine)
    assert found is not None
    assert (found["owner"], found["rules"], found["unusable"]) == ("ufw", None, "")
    assert found["details"]["rules4"] == "6"
    assert live.put(LISTED_RULES) == []
    found = facts(machine)
    assert found is not None
    assert found["rules"] == LISTED_RULES

    machine.shell("iptables -F; iptables -X")
    found = facts(machine)
    assert found is not None
    assert "not in force" in found["unusable"]
    assert "ufw reload" in found["remedy"]
    machine.shell("ufw reload")

    machine.shell("ufw --force disable")
    assert facts(machine) is None
    assert picture(lab, machine) == OPEN
    text = live.read()
    assert text is not None
    assert "switched off" in text
    assert "not in force" in live.put(LISTED_RULES)[0]
    assert live.put(None) == []
    assert files(machine) == untouched
    assert live.read() is None
    machine.shell("ufw --force enable")
    assert picture(lab, machine) == OPEN

    assert live.put(LISTED_RULES) == []
    machine.shell("mv /usr/sbin/ufw /root/ufw")
    assert live.read() == LISTED_RULES
    assert live.put(None) == []
    assert live.read() is None
    assert picture(lab, machine) == OPEN
    machine.shell("rm -r /etc/ufw")
    assert live.read() is None
    assert live.put(None) == []
    assert live.put(LISTED_RULES) != []


@one_release
def test_plan_finds_ufw_and_is_done_once(lab: Lab, suite: str) -> None:
    machine = ufw_machine(lab, suite)
    untouched = files(machine)
    done = apply_plan(machine)
    assert done["problems"] == []
    assert done["live"] == [NAME]
    assert done["files"] == []
    assert done["confirm_within"] == 60
    assert firewall_facts(machine)["rules"] == LISTED_RULES
    assert picture(lab, machine) == CLOSED
    assert apply_plan(machine)["live"] == []
    assert apply_plan(machine, wanted=False)["problems"] == []
    assert files(machine) == untouched
    assert picture(lab, machine) == OPEN
