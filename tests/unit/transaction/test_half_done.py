"""What is said about work that has no end: who holds the lock, what a cut-off change had touched."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conbool_tui import cli
from conbool_tui.errors import ConboolError, ExitCode, LockedError
from conbool_tui.host import Host
from conbool_tui.session import Session
from conbool_tui.transaction import find_unfinished
from conbool_tui.transaction.journal import Journal
from conbool_tui.transaction.lock import locked
from conbool_tui.transaction.store import Store
from tests.unit.transaction.rig import MAIN, MASTER, STATE, TABLE, Rig

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def cut_off(rig: Rig, moment: str) -> None:
    """Apply in a process that ends at a moment, as kill -9 would."""
    pid = os.fork()
    if pid == 0:

        def observer(step: str) -> None:
            if step == moment:
                os._exit(9)

        try:
            rig.apply(observer=observer)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


@contextmanager
def somebody_else(rig: Rig, *, stopped: bool) -> Iterator[int]:
    """A process that holds the lock, and is stopped."""
    store = Store(rig.host, STATE)
    store.prepare()
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with locked(rig.host, store):
                os.write(told, b"x")
                signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(ready, 1) == b"x"
        if stopped:
            os.kill(pid, signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(told)


@pytest.mark.parametrize("stopped", [False, True])
def test_who_holds_the_lock_is_said(rig: Rig, stopped: bool) -> None:
    with somebody_else(rig, stopped=stopped) as pid:
        with pytest.raises(LockedError) as told:
            rig.apply()
        assert f"process {pid}, started at 20" in told.value.what
        assert ("stopped (SIGSTOP)" in told.value.what) is stopped
        assert (f"kill -CONT {pid}" in told.value.todo) is stopped
        assert told.value.exit_code == ExitCode.LOCKED
    rig.apply()


def test_a_change_under_way_is_told_with_its_process(rig: Rig) -> None:
    cut_off(rig, f"done write {MASTER}")
    session = Session(rig.host, STATE)
    with somebody_else(rig, stopped=True) as pid:
        text = session.half_done()
        assert "is being worked on by process" in text
        assert f"kill -CONT {pid}" in text
    assert "is half done. It was cut off." in session.half_done()


@pytest.mark.parametrize(
    ("moment", "touched"),
    [
        ("done judged", ()),
        (f"announced write {MASTER}", (TABLE, MASTER)),
        (f"done write {MAIN}", (TABLE, MASTER, MAIN)),
    ],
)
def test_what_is_half_done(rig: Rig, moment: str, touched: tuple[str, ...]) -> None:
    session = Session(rig.host, STATE)
    assert session.half_done() == ""
    cut_off(rig, moment)
    found = find_unfinished(rig.host, STATE)
    assert found is not None
    text = session.half_done()
    assert f"Run `conbool-tui undo {found.id}`" in text
    assert f"begun to change {', '.join(touched)}." in text if touched else "changed nothing yet" in text
    rig.recover()
    assert session.half_done() == ""


def test_a_restart_before_anybody_confirmed_is_told(rig: Rig) -> None:
    rig.guard = rig.no_guard
    rig.apply(rig.live_plan(60))
    session = Session(rig.host, STATE)
    assert session.half_done() == ""
    rig.reboot()
    assert (
        "is half done. The system was started anew before anybody confirmed the change."
        in session.half_done()
    )


@pytest.mark.parametrize("command", [["history"], ["history", "--json"], ["detect"]])
def test_commands_that_look_say_it_first(
    tmp_path: Path, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    rig = Rig(tmp_path / "root")
    root = ["--root", str(rig.root)]
    before = cli.main([*root, *command])
    capfd.readouterr()
    cut_off(rig, f"done write {MASTER}")
    assert cli.main([*root, *command]) == before
    told = " ".join(capfd.readouterr().err.split())
    assert f"is half done. It was cut off. It had begun to change {TABLE}, {MASTER}." in told


def test_a_journal_of_a_later_version_is_refused_and_nothing_is_touched(rig: Rig) -> None:
    plan = rig.plan()
    receipt = rig.apply(plan)
    place = rig.host.real(Journal(rig.host, Store(rig.host, STATE).folder(receipt.id)).path)
    place.write_bytes(place.read_bytes().replace(b'"format": 1', b'"format": 99', 1))
    before = rig.tree(folder_times=True)
    state = sorted(str(path) for path in (rig.root / STATE.lstrip("/")).rglob("*"))
    for work in (rig.undo, rig.recover, lambda: rig.apply(plan), lambda: rig.undo(receipt.id)):
        with pytest.raises(ConboolError, match="has format 99") as told:
            work()
        assert "that version" in told.value.todo
        assert rig.tree(folder_times=True) == before
    assert sorted(str(path) for path in (rig.root / STATE.lstrip("/")).rglob("*")) == state


def test_a_lock_of_a_dead_process_is_no_lock(rig: Rig) -> None:
    with somebody_else(rig, stopped=False):
        pass
    assert (rig.root / STATE.lstrip("/") / "lock").exists()
    assert Host(str(rig.root)).lock_holder(f"{STATE}/lock") is None
    rig.apply()
