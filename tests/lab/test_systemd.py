"""A real systemd as process 1: the worker and the guard are transient units, our rules come back at boot, and what nobody confirmed does not."""

from __future__ import annotations

import json
import socket
import time
from typing import Callable

import pytest

from . import messages
from .lab import CONBOOL_NETWORK4, CONBOOL_NETWORK6, STRANGER, STRANGER6, Lab
from .product import apply_answers, write_answers
from .releases import ONE
from .snapshot import differences
from .systemd import SystemdMachine, server

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("systemd")]
OUT = "friend@outside-a.example"
TABLE = "nft list table inet conbool"
PATIENCE = 60.0


@pytest.fixture
def machine(lab: Lab) -> SystemdMachine:
    return server(lab, ONE)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


def connects(lab: Lab, machine: SystemdMachine, family: int) -> bool:
    """Whether a stranger gets a connection to port 25."""
    source, server = (STRANGER, machine.place.ipv4) if family == 4 else (STRANGER6, machine.place.ipv6)

    def attempt() -> bool:
        try:
            socket.create_connection((server, 25), 2, (source, 0)).close()
        except OSError:
            return False
        return True

    return lab.inet.call(attempt)


def goes_to(lab: Lab, machine: SystemdMachine, place: str) -> None:
    message = messages.plain()
    assert lab.send(machine, message, OUT).accepted
    lab.expect(message, place)


def state(machine: SystemdMachine) -> str:
    """How the newest change stands, empty when there is none."""
    changes = json.loads(machine.conbool("history", "--json").stdout)["changes"]
    return str(changes[0]["state"]) if changes else ""


def closing(lab: Lab, machine: SystemdMachine) -> str:
    """Answers that close port 25 and leave time for everything before they must be confirmed."""
    inbound = {"restrict_port_25": True, "confirm_within": 600, "close_despite_mx": True}
    networks = [CONBOOL_NETWORK4, CONBOOL_NETWORK6]
    return write_answers(lab, machine, conbool_networks=networks, inbound=inbound)


def test_a_session_that_is_ended_as_a_whole(lab: Lab, machine: SystemdMachine) -> None:
    """What logind does with KillUserProcesses=yes: every process of the scope is killed; the worker is a unit of the manager."""
    before = machine.snapshot("/etc/postfix")
    answers = write_answers(lab, machine)
    # The worker stands still where it is when the session ends.
    machine.shell(
        "systemctl edit --full --force --runtime --stdin x.service >/dev/null 2>&1 < /dev/null || true"
    )
    caller = machine.popen(
        [
            "systemd-run",
            "--scope",
            "--quiet",
            "--unit=session-1",
            "conbool-tui",
            "apply",
            "--yes",
            "--answers",
            answers,
        ]
    )
    until(
        lambda: "conbool-tui-worker-" in machine.shell("systemctl list-units --no-legend --all"), "the unit"
    )
    worker = machine.shell(
        "systemctl list-units --no-legend --all | grep -o 'conbool-tui-worker-[0-9a-f]*.service'"
    ).split()[0]
    group = machine.shell(f"systemctl show --property=ControlGroup --value {worker}").strip()
    assert group in ("", f"/system.slice/{worker}")
    machine.shell("systemctl kill --signal=KILL session-1.scope || true")
    caller.wait(PATIENCE)
    until(lambda: state(machine) == "applied", "the change")
    goes_to(lab, machine, "conbool")
    assert machine.shell("systemctl is-active postfix").strip() == "active"
    assert machine.shell("systemctl list-units --no-legend --all 'conbool-tui*'") == "", "units are collected"
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stderr
    goes_to(lab, machine, "outside_a")
    assert differences(before, machine.snapshot("/etc/postfix"), ignore_mtime=(".",)) == []
    assert machine.shell("systemctl is-active postfix").strip() == "active"


def test_the_rules_come_back_at_boot_and_go_with_an_undo(lab: Lab, machine: SystemdMachine) -> None:
    assert [connects(lab, machine, family) for family in (4, 6)] == [True, True]
    done = machine.conbool("apply", "--yes", "--answers", closing(lab, machine))
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.conbool("confirm").returncode == 0
    rules = machine.shell(TABLE)
    machine.reboot()
    machine.wait_port()
    assert machine.shell(TABLE) == rules
    assert [connects(lab, machine, family) for family in (4, 6)] == [False, False]
    goes_to(lab, machine, "conbool")
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stderr
    assert machine.conbool("confirm").returncode in (0, 64)
    assert machine.run(TABLE.split()).returncode != 0
    machine.reboot()
    machine.wait_port()
    assert machine.run(TABLE.split()).returncode != 0
    assert machine.shell("find /etc/systemd -name '*conbool*'") == ""


def test_what_nobody_confirmed_is_taken_back_by_a_restart(lab: Lab, machine: SystemdMachine) -> None:
    before = machine.snapshot("/etc/postfix")
    done = machine.conbool("apply", "--yes", "--answers", closing(lab, machine))
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.run(TABLE.split()).returncode == 0
    assert "conbool-tui-guard" in machine.shell("systemctl list-units --no-legend")
    machine.reboot()
    machine.wait_port()
    assert machine.run(TABLE.split()).returncode != 0
    assert differences(before, machine.snapshot("/etc/postfix"), ignore_mtime=(".",)) == []
    assert state(machine) == "rolled back"
    goes_to(lab, machine, "outside_a")


def test_after_a_power_cut_the_next_start_takes_it_back(lab: Lab, machine: SystemdMachine) -> None:
    done = machine.conbool("apply", "--yes", "--answers", closing(lab, machine))
    assert done.returncode == 0, done.stdout + done.stderr
    machine.power_cut()
    machine.wait_port()
    apply_answers(lab, machine)
    assert machine.run(TABLE.split()).returncode != 0
    goes_to(lab, machine, "conbool")
