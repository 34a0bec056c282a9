"""A change that waits for confirmation: who may do what meanwhile, and how it ends."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable

import pytest

from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    HostError,
    LockedError,
    RollbackIncompleteError,
    RolledBackError,
    UsageError,
)
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction import confirm_change, find_unconfirmed, find_unfinished, guarding, list_changes
from conbool_tui.transaction.deadline import Deadline
from conbool_tui.transaction.store import Store
from tests.unit.transaction.rig import RULES, RULES_BEFORE, STATE, LiveHost, Rig
from tests.unit.transaction.test_failures import At, die, in_child


@pytest.fixture
def waiting(rig: Rig) -> Rig:
    """A machine with a change that waits, and a guard that does nothing."""
    rig.guard = rig.no_guard
    assert rig.apply(rig.live_plan(60)).state is ChangeState.UNCONFIRMED
    return rig


def newest(rig: Rig) -> Receipt:
    return list_changes(rig.host, STATE)[0]


def test_it_is_live_and_waits(rig: Rig) -> None:
    rig.guard = rig.no_guard
    early = datetime.datetime.now(datetime.timezone.utc)
    receipt = rig.apply(rig.live_plan(60))
    until = datetime.datetime.fromisoformat(receipt.confirm_by.replace("Z", "+00:00"))
    assert 58 <= (until - early).total_seconds() <= 90
    assert (receipt.state, receipt.finished, rig.rules()) == (ChangeState.UNCONFIRMED, "", RULES)
    assert find_unconfirmed(rig.host, STATE) == receipt
    assert find_unfinished(rig.host, STATE) is None
    assert rig.recover() is None
    assert rig.rules() == RULES


def test_confirmed_once(waiting: Rig) -> None:
    receipt = waiting.confirm()
    assert (receipt.state, receipt.confirm_by, waiting.rules()) == (ChangeState.APPLIED, "", RULES)
    assert receipt.message == "Confirmed by the command conbool-tui confirm."
    waiting.move_time(1000)
    assert waiting.recover() is None
    for name in (None, receipt.id):
        with pytest.raises(UsageError, match="confirmed already"):
            waiting.confirm(name)
    waiting.undo()
    assert waiting.rules() == RULES_BEFORE
    with pytest.raises(UsageError):
        waiting.confirm()


def test_nothing_to_confirm(rig: Rig) -> None:
    with pytest.raises(UsageError, match="No change waits"):
        rig.confirm()
    rig.apply()
    with pytest.raises(UsageError, match="No change waits"):
        rig.confirm()
    with pytest.raises(UsageError, match="There is no change 20200101"):
        rig.confirm("20200101-000000-abcd")


def test_everything_else_is_refused_meanwhile(rig: Rig) -> None:
    plan = rig.live_plan(60)
    older = rig.apply()
    rig.guard = rig.no_guard
    receipt = rig.apply(dataclasses.replace(plan, files=(), changes=()))
    actions: list[Callable[[], Receipt]] = [lambda: rig.apply(plan), lambda: rig.undo(older.id)]
    for action in actions:
        with pytest.raises(CheckFailedError) as caught:
            action()
        text = " ".join(caught.value.lines())
        assert "conbool-tui confirm" in text
        assert f"taken back by itself at {receipt.confirm_by}" in text
    rig.move_time(61)
    with pytest.raises(CheckFailedError, match="was not confirmed in time"):
        rig.apply(plan)
    rig.recover()
    assert rig.undo(older.id).state is ChangeState.APPLIED


@pytest.mark.parametrize("by", ["undo", "recover"])
def test_taken_back_early_on_request(waiting: Rig, by: str) -> None:
    receipt = waiting.undo() if by == "undo" else waiting.recover(now=True)
    assert receipt is not None
    assert (receipt.state, waiting.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)
    assert receipt.message == "It was taken back before it was confirmed."
    with pytest.raises(RolledBackError, match="too late"):
        waiting.confirm()
    with pytest.raises(UsageError, match="no applied change"):
        waiting.undo()


def test_the_next_start_takes_back_what_is_late(waiting: Rig) -> None:
    waiting.move_time(59)
    assert waiting.recover() is None
    waiting.move_time(61)
    late = find_unfinished(waiting.host, STATE)
    assert late is not None
    assert late.state is ChangeState.UNFINISHED
    assert find_unconfirmed(waiting.host, STATE) is None
    receipt = waiting.recover()
    assert receipt is not None
    assert (receipt.state, waiting.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)
    assert receipt.message == late.message == "Nobody confirmed the change within 60 seconds."


def test_a_restart_of_the_system_ends_the_wait(waiting: Rig) -> None:
    waiting.reboot()
    receipt = waiting.recover()
    assert receipt is not None
    assert "started anew before anybody confirmed" in receipt.message
    assert waiting.rules() == RULES_BEFORE


def test_confirmed_too_late_takes_back(waiting: Rig) -> None:
    waiting.move_time(61)
    with pytest.raises(RolledBackError, match=r"too late.*Nobody confirmed") as caught:
        waiting.confirm()
    assert caught.value.exit_code == 4
    assert (newest(waiting).state, waiting.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)


def test_confirmed_too_late_and_the_way_back_fails(waiting: Rig) -> None:
    waiting.move_time(61)
    waiting.wish("open fails")
    for _ in range(2):
        with pytest.raises(RollbackIncompleteError):
            waiting.confirm()
    waiting.grant("open fails")
    assert waiting.undo().state is ChangeState.ROLLED_BACK
    assert waiting.rules() == RULES_BEFORE


def test_confirmed_too_late_without_means_to_take_back(waiting: Rig) -> None:
    waiting.move_time(61)
    with pytest.raises(RolledBackError, match="is being taken back"):
        confirm_change(waiting.host, STATE)
    assert newest(waiting).state is ChangeState.UNCONFIRMED


def test_a_confirmation_that_cannot_be_recorded_does_not_count(
    waiting: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Host, path: str, data: bytes, mode: int = 0o600) -> None:
        raise HostError("No space left on device.")

    monkeypatch.setattr(LiveHost, "append_synced", full)
    with pytest.raises(CheckFailedError, match="could not be recorded"):
        waiting.confirm()
    monkeypatch.undo()
    assert newest(waiting).state is ChangeState.UNCONFIRMED
    assert waiting.confirm().state is ChangeState.APPLIED


@pytest.mark.parametrize("late", [False, True])
def test_taking_back_with_a_full_disk_below_the_journal(
    waiting: Rig, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late, it must happen whatever can be recorded; early, a confirmation after it would call gone things applied."""

    def full(self: Host, path: str, data: bytes, mode: int = 0o600) -> None:
        raise HostError("No space left on device.")

    waiting.move_time(61 if late else 0)
    monkeypatch.setattr(LiveHost, "append_synced", full)
    with pytest.raises(ConboolError):
        waiting.recover(now=True)
    monkeypatch.undo()
    assert waiting.rules() == (RULES_BEFORE if late else RULES)
    if late:
        with pytest.raises(RolledBackError):
            waiting.confirm()
    else:
        assert waiting.confirm().state is ChangeState.APPLIED


def test_undo_needs_no_confirmation_and_its_undo_does(waiting: Rig) -> None:
    waiting.confirm()
    undone = waiting.undo()
    assert undone.state is ChangeState.APPLIED
    again = waiting.undo(undone.id)
    assert (again.state, waiting.rules()) == (ChangeState.UNCONFIRMED, RULES)
    waiting.move_time(61)
    assert waiting.recover() is not None
    assert waiting.rules() == RULES_BEFORE
    assert {item.id: item.state for item in list_changes(waiting.host, STATE)}[
        undone.id
    ] is ChangeState.APPLIED


def test_under_way_in_another_process(rig: Rig) -> None:
    rig.guard = rig.no_guard
    in_child(lambda: rig.apply(rig.live_plan(60), At(30, die)))
    cut_off = find_unfinished(rig.host, STATE)
    assert cut_off is not None
    assert cut_off.state is ChangeState.UNFINISHED
    handle = rig.host.lock(Store(rig.host, STATE).lock_file)
    running = find_unfinished(rig.host, STATE)
    assert running is not None
    assert (running.state, running.id) == (ChangeState.RUNNING, cut_off.id)
    with pytest.raises(LockedError):
        rig.recover()
    rig.host.unlock(handle)
    assert rig.recover() is not None


# --- the guard cannot be had -------------------------------------------------------------------------------


def unable(host: Host, state_dir: str, change_id: str) -> None:
    raise HostError("No more processes.", "", "Look at ulimit.")


def says_no(host: Host, state_dir: str, change_id: str) -> None:
    Store(host, state_dir).save(change_id, "guard.json", b'{"error": "The firewall cannot be driven."}')


def silent(host: Host, state_dir: str, change_id: str) -> None:
    pass


@pytest.mark.parametrize(
    ("start", "words"),
    [(unable, "No more processes"), (says_no, "cannot be driven"), (silent, "not ready within")],
)
def test_without_a_guard_nothing_begins(
    rig: Rig, start: Callable[[Host, str, str], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding.Guard.start, "__defaults__", (0.2,))
    before = rig.tree()
    rig.guard = start
    with pytest.raises(CheckFailedError, match=words):
        rig.apply(rig.live_plan(60))
    assert (rig.tree(), rig.puts(), rig.system.calls) == (before, [], ["ready", "judge"])
    assert newest(rig).state is ChangeState.ROLLED_BACK


def test_a_guard_that_died_is_replaced_before_the_wait(rig: Rig) -> None:
    started = []

    def start(host: Host, state_dir: str, change_id: str) -> None:
        started.append(change_id)
        rig.no_guard(host, state_dir, change_id)

    def observe(step: str) -> None:
        if step == "done health":
            rig.host.unlock(rig.handle)

    rig.guard = start
    rig.apply(rig.live_plan(60), observe)
    assert len(started) == 2
    rig.confirm()


def test_a_guard_that_cannot_be_replaced_takes_the_change_back(rig: Rig) -> None:
    before = rig.tree()
    able = [rig.no_guard, unable]
    rig.guard = lambda host, state_dir, change_id: able.pop(0)(host, state_dir, change_id)

    def observe(step: str) -> None:
        if step == "done health":
            rig.host.unlock(rig.handle)

    with pytest.raises(RolledBackError, match="No more processes"):
        rig.apply(rig.live_plan(60), observe)
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)


def test_nobody_needs_a_guard_without_a_countdown(rig: Rig) -> None:
    rig.guard = unable
    assert rig.apply(rig.live_plan()).state is ChangeState.APPLIED


def test_an_unhealthy_system_does_not_get_to_the_wait(rig: Rig) -> None:
    rig.guard = rig.no_guard
    rig.system.health_problems = [[Problem("unwell")]]
    with pytest.raises(RolledBackError, match="unwell"):
        rig.apply(rig.live_plan(60))
    assert rig.rules() == RULES_BEFORE


# --- two at once -------------------------------------------------------------------------------------------


def at_once(*actions: Callable[[], object]) -> list[int]:
    """Run each in a process of its own, all from the same moment; the exit codes."""
    reading, writing = os.pipe()
    children = []
    for action in actions:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(writing)
                os.read(reading, 1)
                action()
                code = 0
            except ConboolError as error:
                code = error.exit_code
            finally:
                os._exit(code)
        children.append(pid)
    os.close(reading)
    os.close(writing)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def test_one_of_several_confirmations_counts(waiting: Rig) -> None:
    codes = at_once(*[waiting.confirm] * 6)
    assert sorted(codes) == [0] + [64] * 5
    journal = waiting.root / STATE.lstrip("/") / "changes" / newest(waiting).id / "journal.jsonl"
    assert journal.read_text().count('"do": "commit"') == 1


@pytest.mark.parametrize("round_", range(8))
def test_confirmation_against_the_way_back(waiting: Rig, round_: int) -> None:
    """Exactly one of the two happens, and what was said is true."""
    actions = [waiting.confirm, lambda: waiting.recover(now=True)]
    if round_ % 2:
        actions.reverse()
    codes = at_once(*actions)
    confirmed = codes[round_ % 2]
    state = newest(waiting).state
    if confirmed == 0:
        assert (state, waiting.rules()) == (ChangeState.APPLIED, RULES)
    else:
        assert confirmed == 4
        assert (state, waiting.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)


# --- clocks ------------------------------------------------------------------------------------------------


def test_setting_the_clock_does_not_move_the_deadline(rig: Rig) -> None:
    deadline = Deadline.start(rig.host, 60)
    for by in ("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"):
        moved = dataclasses.replace(deadline, by=by)
        assert not moved.over(rig.host)
    rig.move_time(59)
    assert not deadline.over(rig.host)
    rig.move_time(60.5)
    assert dataclasses.replace(deadline, by="2100-01-01T00:00:00Z").over(rig.host)


def test_the_clock_decides_where_the_seconds_since_boot_make_no_sense(rig: Rig) -> None:
    deadline = Deadline.start(rig.host, 60)
    rig.move_time(-5000)
    assert not deadline.over(rig.host)
    assert dataclasses.replace(deadline, by="2000-01-01T00:00:00Z").over(rig.host)
    unknown = dataclasses.replace(deadline, boot="")
    assert not unknown.over(rig.host)
    assert dataclasses.replace(unknown, by="2000-01-01T00:00:00Z").over(rig.host)


def test_a_damaged_countdown_is_over(rig: Rig) -> None:
    fields = Deadline.start(rig.host, 60).fields()
    assert Deadline.of(fields) == dataclasses.replace(Deadline.of(fields))
    assert not Deadline.of(fields).over(rig.host)
    for name in fields:
        assert Deadline.of({key: value for key, value in fields.items() if key != name}).over(rig.host)
