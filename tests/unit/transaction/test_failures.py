"""A failure, a signal and a kill -9 at every single step of apply, undo and recovery."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conbool_tui.errors import ConboolError, RolledBackError
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import find_unfinished, list_changes
from tests.unit.transaction.rig import MAIN_BEFORE, STATE, Rig


def steps_of(action: str) -> list[str]:
    """The names of all steps of an undisturbed run."""
    steps: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder, "root"))
        if action == "undo":
            rig.apply()
            rig.undo(observer=steps.append)
        else:
            rig.apply(observer=steps.append)
    return steps


APPLY = steps_of("apply")
UNDO = steps_of("undo")


class At:
    """Does something at the n-th step."""

    def __init__(self, number: int, do: Callable[[], None]) -> None:
        self.left = number
        self.do = do

    def __call__(self, step: str) -> None:
        if self.left == 0:
            self.left = -1
            self.do()
        elif self.left > 0:
            self.left -= 1


def fail() -> None:
    raise OSError("injected")


def interrupt() -> None:
    raise KeyboardInterrupt


def content(tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """Everything but the times."""
    return {path: item[:4] for path, item in tree.items()}


def test_there_are_steps_around_every_effect() -> None:
    assert len(APPLY) > 40
    assert {step.split(" ")[0] for step in APPLY} == {"before", "announced", "done"}


@pytest.mark.parametrize("error", [fail, interrupt], ids=["error", "ctrl-c"])
@pytest.mark.parametrize("number", range(len(APPLY)), ids=lambda n: f"{n}-{APPLY[n].replace('/', '.')}")
def test_apply_failing_at_any_step_leaves_the_old_state(
    rig: Rig, number: int, error: Callable[[], None]
) -> None:
    before = rig.tree()
    if APPLY[number] in ("announced commit", "done commit"):
        assert rig.apply(observer=At(number, error)).state is ChangeState.APPLIED
        return
    with pytest.raises(RolledBackError):
        rig.apply(observer=At(number, error))
    assert rig.tree() == before
    assert rig.system.loaded == MAIN_BEFORE
    assert find_unfinished(rig.host, STATE) is None
    assert all(item.state is ChangeState.ROLLED_BACK for item in list_changes(rig.host, STATE))
    # The way is free again.
    assert rig.apply().state is ChangeState.APPLIED


@pytest.mark.parametrize("number", range(len(UNDO)), ids=lambda n: f"{n}-{UNDO[n].replace('/', '.')}")
def test_undo_failing_at_any_step_leaves_the_applied_state(rig: Rig, number: int) -> None:
    rig.apply()
    applied = rig.tree()
    if UNDO[number] in ("announced commit", "done commit"):
        rig.undo(observer=At(number, fail))
        return
    with pytest.raises(RolledBackError):
        rig.undo(observer=At(number, fail))
    assert rig.tree() == applied
    assert rig.system.loaded == rig.data("/etc/postfix/main.cf")
    rig.undo()
    assert rig.data("/etc/postfix/main.cf") == MAIN_BEFORE


def in_child(action: Callable[[], object]) -> int:
    """Run in a process that may die at any moment; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("number", range(len(APPLY)), ids=lambda n: f"{n}-{APPLY[n].replace('/', '.')}")
def test_apply_killed_at_any_step_is_old_or_new_after_the_next_start(rig: Rig, number: int) -> None:
    before = rig.tree()
    assert in_child(lambda: rig.apply(observer=At(number, die))) == -signal.SIGKILL
    receipt = rig.recover()
    assert rig.recover() is None
    if APPLY[number] in ("announced commit", "done commit"):
        assert receipt is None
        assert list_changes(rig.host, STATE)[0].state is ChangeState.APPLIED
        rig.undo()
    assert rig.tree() == before
    assert rig.system.loaded == MAIN_BEFORE
    assert rig.apply().state is ChangeState.APPLIED
    rig.undo()
    assert rig.tree() == before


@pytest.mark.parametrize("number", range(len(UNDO)), ids=lambda n: f"{n}-{UNDO[n].replace('/', '.')}")
def test_undo_killed_at_any_step_is_applied_or_undone_after_the_next_start(rig: Rig, number: int) -> None:
    before = rig.tree()
    rig.apply()
    applied = rig.tree()
    assert in_child(lambda: rig.undo(observer=At(number, die))) == -signal.SIGKILL
    rig.recover()
    if UNDO[number] in ("announced commit", "done commit"):
        assert rig.tree() == before
    else:
        assert rig.tree() == applied
        rig.undo()
        assert rig.tree() == before


# Once the commit is announced the change is done and there is nothing to recover.
UNFINISHED = [number for number in range(2, len(APPLY), 5) if not APPLY[number].endswith(" commit")]


@pytest.mark.parametrize("number", UNFINISHED)
def test_recovery_killed_at_any_step_is_finished_by_the_next(rig: Rig, number: int) -> None:
    before = rig.tree()
    in_child(lambda: rig.apply(observer=At(number, die)))
    for step in range(100):
        if in_child(lambda step=step: rig.recover(At(step, die))) == 0:  # type: ignore[misc]
            break
    else:
        pytest.fail("recovery never came to its end")
    assert find_unfinished(rig.host, STATE) is None
    assert rig.tree() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("step", ["done judged", "announced write /etc/postfix/master.cf", "done reload"])
def test_signals_roll_back(rig: Rig, number: signal.Signals, step: str) -> None:
    before = rig.tree()
    default = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL

    def send(now: str) -> None:
        if now == step:
            os.kill(os.getpid(), number)

    # Whoever runs the tests may have them ignore a signal (nohup does), which the product would respect.
    inherited = signal.signal(number, default)
    try:
        with pytest.raises(RolledBackError, match=number.name):
            rig.apply(observer=send)
        assert signal.getsignal(number) is default
    finally:
        signal.signal(number, inherited)
    assert rig.tree() == before


def test_signals_during_rollback_do_not_stop_it(rig: Rig) -> None:
    before = rig.tree()

    def send(now: str) -> None:
        if now == "done write /etc/postfix/main.cf":
            raise OSError("injected")
        if now.startswith("announced restore"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(RolledBackError):
        rig.apply(observer=send)
    assert rig.tree() == before


def test_edit_during_the_crash_is_kept_and_ours_goes(rig: Rig) -> None:
    number = APPLY.index("done write /etc/postfix/main.cf")
    in_child(lambda: rig.apply(observer=At(number, die)))
    place = rig.host.real("/etc/postfix/main.cf")
    place.write_bytes(place.read_bytes().replace(b"biff = no", b"biff = yes"))
    receipt = rig.recover()
    assert receipt is not None
    assert receipt.state is ChangeState.ROLLED_BACK
    assert rig.data("/etc/postfix/main.cf") == MAIN_BEFORE.replace(b"biff = no", b"biff = yes")


def test_apply_waits_for_recovery_and_undo_does_it(rig: Rig) -> None:
    before = rig.tree()
    in_child(lambda: rig.apply(observer=At(APPLY.index("done reload"), die)))
    assert find_unfinished(rig.host, STATE) is not None
    with pytest.raises(ConboolError, match="unfinished"):
        rig.apply()
    assert rig.undo().state is ChangeState.ROLLED_BACK
    assert rig.tree() == before


def test_torn_last_line_of_the_journal(rig: Rig) -> None:
    before = rig.tree()
    in_child(lambda: rig.apply(observer=At(APPLY.index("done reload"), die)))
    unfinished = find_unfinished(rig.host, STATE)
    assert unfinished is not None
    journal = rig.root / STATE.lstrip("/") / "changes" / unfinished.id / "journal.jsonl"
    with journal.open("ab") as stream:
        stream.write(b'{"n": 99, "do": "comm')
    assert rig.recover() is not None
    assert rig.tree() == before


def test_full_disk_below_the_journal_does_not_stop_the_rollback(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rig.tree()
    real = type(rig.host).append_synced
    full = False

    def append(self: object, path: str, data: bytes, mode: int = 0o600) -> None:
        if full:
            raise ConboolError("No space left on device.")
        real(rig.host, path, data, mode)

    def fill(step: str) -> None:
        nonlocal full
        full = full or step == "done write /etc/postfix/main.cf"

    monkeypatch.setattr(type(rig.host), "append_synced", append)
    with pytest.raises(ConboolError):
        rig.apply(observer=fill)
    assert rig.tree() == before
    full = False
    assert rig.recover() is not None
    assert rig.tree() == before


def test_a_terminal_cannot_stop_the_work_in_the_middle(rig: Rig) -> None:
    """Ctrl-Z would leave it half done, with the lock held."""
    before = signal.getsignal(signal.SIGTSTP)
    seen = []

    def send(now: str) -> None:
        if now == "done reload":
            seen.append(signal.getsignal(signal.SIGTSTP))
            os.kill(os.getpid(), signal.SIGTSTP)

    assert rig.apply(observer=send).state is ChangeState.APPLIED
    assert seen == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGTSTP) is before
