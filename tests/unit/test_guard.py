"""The guard process: worker killed, guard killed, both; countdown, probe, signals. Guards here are real processes with fake systems."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui import guard
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction import find_unfinished, list_changes
from conbool_tui.transaction.store import Store
from tests.unit.transaction.rig import FIREWALL, RULES, RULES_BEFORE, STATE, FakeRules, Rig
from tests.unit.transaction.test_failures import At, die, in_child

PATIENCE = 30.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "root")
    yield made
    made.end_guards()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"never came: {what}")
        time.sleep(0.02)


def newest(rig: Rig) -> Receipt:
    return list_changes(rig.host, STATE)[0]


def ended(rig: Rig) -> bool:
    return newest(rig).state in (ChangeState.APPLIED, ChangeState.ROLLED_BACK)


def guard_gone(rig: Rig, change_id: str = "") -> bool:
    """Whether no guard holds its lock on a change (the newest)."""
    place = f"{Store(rig.host, STATE).folder(change_id or newest(rig).id)}/guard"
    try:
        rig.host.unlock(rig.host.lock(place))
    except BlockingIOError:
        return False
    return True


def end_of_guard(rig: Rig, change_id: str = "") -> None:
    """Let time run until the guard has nothing left to wait for."""
    seconds = 1000

    def gone() -> bool:
        nonlocal seconds
        seconds += 10
        rig.move_time(seconds)
        return guard_gone(rig, change_id)

    until(gone, "the guard's end")


def watcher(rig: Rig, told: Optional[guard.Told] = None) -> guard.Guard:
    """A guard of the newest change in this process."""
    return guard.Guard(rig.host, STATE, newest(rig).id, rig.system_for, FakeRules, told, lambda _: None)


def kill_guards(rig: Rig) -> None:
    for pid in rig.guard_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: guard_gone(rig), "end of the killed guard")


def steps() -> list[str]:
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder, "root"))
        rig.guard = rig.no_guard
        rig.apply(rig.live_plan(60), found.append)
    return found


STEPS = steps()
GUARDED = STEPS.index("before guard")
AWAITED = STEPS.index("announced await confirmation")


def test_nobody_confirms(rig: Rig) -> None:
    before = rig.tree()
    assert rig.apply(rig.live_plan(60)).state is ChangeState.UNCONFIRMED
    rig.move_time(59)
    assert rig.rules() == RULES
    rig.move_time(61)
    until(lambda: ended(rig), "the way back")
    rig.reap()
    receipt = newest(rig)
    assert (receipt.state, rig.rules(), rig.tree()) == (ChangeState.ROLLED_BACK, RULES_BEFORE, before)
    assert receipt.message == "Nobody confirmed the change within 60 seconds."
    assert rig.apply(rig.live_plan()).state is ChangeState.APPLIED


def test_confirmed(rig: Rig) -> None:
    rig.apply(rig.live_plan(60))
    rig.confirm()
    rig.reap()
    rig.move_time(1000)
    assert (newest(rig).state, rig.rules()) == (ChangeState.APPLIED, RULES)


def test_taken_back_by_somebody_else(rig: Rig) -> None:
    rig.apply(rig.live_plan(60))
    assert rig.undo().state is ChangeState.ROLLED_BACK
    rig.reap()
    assert rig.puts() == ["put closed", "put open"]


def test_a_change_that_fails_by_itself_leaves_no_guard(rig: Rig) -> None:
    rig.wish("closed fails")
    with contextlib.suppress(Exception):
        rig.apply(rig.live_plan(60))
    rig.reap()
    assert newest(rig).state is ChangeState.ROLLED_BACK


@pytest.mark.parametrize(
    "number", range(GUARDED, len(STEPS)), ids=lambda n: f"{n}-{STEPS[n].replace('/', '.')}"
)
def test_the_worker_is_killed_and_nobody_starts_anything(rig: Rig, number: int) -> None:
    before = rig.tree()
    assert in_child(lambda: rig.apply(rig.live_plan(60), At(number, die))) == -signal.SIGKILL
    if number >= AWAITED:
        assert (newest(rig).state, rig.rules()) == (ChangeState.UNCONFIRMED, RULES)
        rig.move_time(61)
    until(lambda: ended(rig), "the way back")
    assert (newest(rig).state, rig.rules(), rig.tree()) == (ChangeState.ROLLED_BACK, RULES_BEFORE, before)
    end_of_guard(rig)


def test_confirmed_after_the_worker_was_killed(rig: Rig) -> None:
    in_child(lambda: rig.apply(rig.live_plan(60), At(AWAITED, die)))
    rig.confirm()
    until(lambda: guard_gone(rig), "the guard's end")
    assert (newest(rig).state, rig.rules()) == (ChangeState.APPLIED, RULES)


def test_killed_with_half_of_the_rules_in_force(rig: Rig) -> None:
    rig.wish("dies")
    in_child(lambda: rig.apply(rig.live_plan(60)))
    until(lambda: ended(rig), "the way back")
    assert rig.rules() == RULES_BEFORE


def test_a_command_of_the_killed_worker_that_ends_late_does_not_close_again(rig: Rig) -> None:
    number = STEPS.index(f"announced put rules {FIREWALL}")
    in_child(lambda: rig.apply(rig.live_plan(60), At(number, die)))
    until(lambda: ended(rig), "the way back")
    assert rig.rules() == RULES_BEFORE
    (rig.firewall / "rules").write_text(RULES)
    until(lambda: rig.rules() == RULES_BEFORE, "the second way back")
    end_of_guard(rig)
    assert newest(rig).state is ChangeState.ROLLED_BACK


def test_a_newer_change_is_left_alone_after_a_crash(rig: Rig) -> None:
    number = STEPS.index("done health")
    in_child(lambda: rig.apply(rig.live_plan(60), At(number, die)))
    until(lambda: ended(rig), "the way back")
    old = newest(rig).id
    assert rig.apply(rig.live_plan()).state is ChangeState.APPLIED
    end_of_guard(rig, old)
    assert rig.rules() == RULES


@pytest.mark.parametrize("moment", ["before", "after"])
def test_worker_and_guard_are_killed(rig: Rig, moment: str) -> None:
    before = rig.tree()
    if moment == "before":

        def both(step: str) -> None:
            if step == "done health":
                kill_guards(rig)
                die()

        in_child(lambda: rig.apply(rig.live_plan(60), both))
        assert rig.rules() == RULES
    else:
        in_child(lambda: rig.apply(rig.live_plan(60), At(AWAITED, die)))
        kill_guards(rig)
        assert rig.recover() is None
        rig.move_time(61)
    assert find_unfinished(rig.host, STATE) is not None
    receipt = rig.recover()
    assert receipt is not None
    assert (receipt.state, rig.rules(), rig.tree()) == (ChangeState.ROLLED_BACK, RULES_BEFORE, before)


def test_a_guard_killed_on_the_way_is_replaced(rig: Rig) -> None:
    def observe(step: str) -> None:
        if step == "done reload":
            kill_guards(rig)

    assert rig.apply(rig.live_plan(60), observe).state is ChangeState.UNCONFIRMED
    assert len(rig.guard_pids()) == 2
    rig.move_time(61)
    until(lambda: ended(rig), "the way back")
    assert rig.rules() == RULES_BEFORE


def test_a_way_back_that_fails_is_tried_again(rig: Rig) -> None:
    rig.apply(rig.live_plan(60))
    rig.wish("open fails")
    rig.move_time(61)
    until(lambda: newest(rig).state is ChangeState.INCOMPLETE, "the failed way back")
    rig.grant("open fails")
    until(lambda: ended(rig), "the way back")
    assert (newest(rig).state, rig.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)


def test_the_own_clock_of_the_guard_is_a_bound(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the record says."""
    monkeypatch.setattr("conbool_tui.transaction.deadline.Deadline.over", lambda self, host: False)
    rig.guard = rig.no_guard
    rig.apply(rig.live_plan(60))
    rig.move_time(1000)
    look = watcher(rig)._look
    for seconds in (1000, 1059):
        rig.move_time(seconds)
        look()
        assert rig.rules() == RULES
    rig.move_time(1061)
    look()
    assert rig.rules() == RULES_BEFORE


def test_told_to_end_it_takes_back_first(rig: Rig) -> None:
    told = guard.Told()
    rig.guard = rig.no_guard
    rig.apply(rig.live_plan(60))
    rig.system.runs = False
    told.note(signal.SIGTERM, None)
    watcher(rig, told).watch()
    assert (newest(rig).state, rig.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)
    assert "told to end" in newest(rig).message
    # The system goes down: what is stopped stays so.
    assert "start" not in rig.system.calls


def test_hangup_and_interrupt_do_not_end_it() -> None:
    """What a closed terminal sends."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with contextlib.suppress(Exception):
                guard.main(["/nowhere", "20200101-000000-abcd"])
            ignored = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)]
            code = 0 if ignored == [signal.SIG_IGN, signal.SIG_IGN] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_second_guard_ends_at_once(rig: Rig) -> None:
    rig.apply(rig.live_plan(60))
    watcher(rig).serve()
    assert newest(rig).state is ChangeState.UNCONFIRMED


def test_a_guard_that_cannot_drive_the_firewall_says_so(rig: Rig) -> None:
    def no_driver(*_: object) -> FakeRules:
        raise UsageError("No driver has that name.", "", "")

    def start(host: Host, state_dir: str, change_id: str) -> None:
        guard.Guard(host, state_dir, change_id, rig.system_for, no_driver).serve()

    rig.guard = start
    with pytest.raises(CheckFailedError, match="No driver has that name"):
        rig.apply(rig.live_plan(60))
    assert rig.rules() == RULES_BEFORE


# --- confirmed by a connection -----------------------------------------------------------------------------


def test_a_connection_from_a_listed_network_confirms(rig: Rig) -> None:
    rig.guard = rig.no_guard
    rig.apply(rig.live_plan(60), probe_networks=("198.51.100.0/24", "2001:db8:c::/48"))
    (rig.root / "served").write_text("203.0.113.9 127.0.0.1")
    look = watcher(rig)._look
    assert look() is False
    assert newest(rig).state is ChangeState.UNCONFIRMED
    (rig.root / "served").write_text("203.0.113.9 2001:db8:c::25")
    assert look() is False
    assert look() is True
    receipt = newest(rig)
    assert (receipt.state, rig.rules()) == (ChangeState.APPLIED, RULES)
    assert receipt.message == "Confirmed by an SMTP connection from 2001:db8:c::25."


def test_without_listed_networks_only_a_command_confirms(rig: Rig) -> None:
    rig.guard = rig.no_guard
    (rig.root / "served").write_text("198.51.100.25")
    rig.apply(rig.live_plan(60))
    assert watcher(rig)._look() is False
    assert newest(rig).state is ChangeState.UNCONFIRMED


def test_a_log_that_cannot_be_read_does_not_stop_the_countdown(rig: Rig) -> None:
    (rig.root / "served").mkdir()
    rig.apply(rig.live_plan(60), probe_networks=("198.51.100.0/24",))
    rig.move_time(61)
    until(lambda: ended(rig), "the way back")
    assert rig.rules() == RULES_BEFORE


@pytest.mark.parametrize(
    ("address", "counts"),
    [
        ("198.51.100.25", True),
        ("::ffff:198.51.100.25", True),
        ("2001:db8:c::25", True),
        ("203.0.113.9", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
    ],
)
def test_who_is_listed(address: str, counts: bool) -> None:
    networks = [
        ipaddress.ip_network(text)
        for text in ("198.51.100.0/24", "2001:db8:c::/48", "127.0.0.0/8", "::1/128")
    ]
    assert guard.listed(address, networks) is counts
