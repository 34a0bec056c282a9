"""Terminals that go away without a signal, and callers and workers that are stopped and go on, at each phase of a change and its undo."""

from __future__ import annotations

import os
import time
from typing import Callable

import pytest

from .releases import one_release
from .test_detached import LOG, PHASES, Caller, Rig, until
from .test_detached import callers as callers
from .test_detached import clean as clean
from .test_detached import rig as rig

OURS = "[-]m conbool_tui|conbool_tui[.](worker|guard)"
DEAF = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh"]


def resume(rig: Rig) -> None:
    worker = rig.worker()
    assert worker is not None
    rig.signal(worker, "CONT")


def finished(rig: Rig) -> None:
    """The worker ends, and with it everything of the program."""
    resume(rig)
    all_gone(rig)


def all_gone(rig: Rig) -> None:
    """Wait until no process of the program is left."""
    try:
        until(lambda: not rig.pids(OURS), "the end of every process of the program")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{rig.machine.shell('ps axww -o pid,ppid,stat,args')}") from None


def idle(rig: Rig, pid: int) -> bool:
    """Whether a process uses next to nothing of what one that never rests gets in the same time."""
    process = rig.machine.popen(["/bin/sh", "-c", "echo $$; exec sha256sum /dev/zero"])
    try:
        assert process.stdout is not None
        yardstick = int(process.stdout.readline())
        spent, begun = rig.cpu(pid), time.monotonic()
        until(lambda: rig.cpu(yardstick) >= 100, "one second of work")
        # Looking twenty times a second costs something, too.
        return rig.cpu(pid) - spent < 25 + 10 * (time.monotonic() - begun)
    finally:
        rig.machine.kill(process)


# --- the pty goes away, and no signal comes -----------------------------------------------------------------------


@one_release
@pytest.mark.parametrize("phase", ["begin", "write", "health"])
def test_a_caller_that_is_deaf_to_hangup(clean: Rig, callers: Callable[..., Caller], phase: str) -> None:
    """As after nohup(1): it waits on without its terminal, uses no processor, and ends with the worker."""
    clean.stop_at(phase)
    caller = callers("pty", [*DEAF, *clean.apply])
    clean.stands()
    os.close(caller.master)
    caller.master = -1
    (watcher,) = clean.callers()
    assert idle(clean, watcher)
    assert clean.callers() == [watcher]
    finished(clean)
    # It ended with nobody to tell, so the next start does.
    assert clean.run("history").stderr.startswith("While you were away: change")
    assert clean.newest()["state"] == "applied"
    assert "unexpected error" not in clean.machine.read_text(LOG)


# --- SIGSTOP and SIGCONT ------------------------------------------------------------------------------------------


@one_release
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_caller_and_worker_stopped_at_each_phase(
    clean: Rig, callers: Callable[..., Caller], command: str
) -> None:
    """Both are stopped and go on, the worker at every phase, in one change; whoever else comes is told to wait."""
    before = clean.tree()
    if command == "undo":
        done = clean.machine.run(clean.apply, env=clean.env, timeout=180)
        assert done.returncode == 0, done.stderr
    phases = [phase for phase in PHASES if command == "apply" or phase != "judged"]
    clean.stop_at(phases[0])
    caller = callers("watching", clean.apply if command == "apply" else [*clean.argv, "undo", "--yes"])
    for place, phase in enumerate(phases):
        clean.stands()
        (watcher,) = clean.callers()
        clean.signal(watcher, "STOP")
        stopped = clean.tree()
        for args in (("apply", "--yes", "--answers", clean.answers), ("undo", "--yes")):
            if phase == "write" or (phase == "begin" and args[0] == command):
                other = clean.run(*args)
                assert other.returncode == 75, (phase, other.stderr)
                assert "Another run of conbool-tui" in " ".join(other.stderr.split())
        assert clean.worker_state() == "T"
        assert clean.tree() == stopped, "nobody touched anything meanwhile"
        if place + 1 < len(phases):
            # nsenter(1) stops with its child, and sends it on when it is sent on itself.
            assert caller.process is not None
            caller.process.send_signal(18)
            clean.stop_at(phases[place + 1])
            resume(clean)
    resume(clean)
    until(lambda: clean.worker() is None, "the worker's end")
    assert caller.process is not None
    caller.process.send_signal(18)
    done_ = caller.end()
    assert done_.returncode == 0, done_.stderr
    all_gone(clean)
    newest = clean.newest()
    assert newest["state"] == "applied"
    assert bool(newest["undo_of"]) == (command == "undo")
    if command == "undo":
        clean.same(before)
