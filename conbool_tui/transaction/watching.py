"""The caller's side of the worker: hand the work over, watch, tell how it ended, and bring things in order when the worker dies.

The worker (``conbool_tui.worker``) goes on without its caller. So a caller whose terminal goes away (SIGHUP) or that is told to end (SIGTERM)
just leaves; one that is interrupted from the keyboard asks the worker to stop, which puts everything back, and waits for that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Callable, Optional

from conbool_tui import detached, log
from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    HostError,
    LockedError,
    RollbackIncompleteError,
    RolledBackError,
)
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from conbool_tui.transaction.jobs import CALLER, WORKER, Job, sweep
from conbool_tui.transaction.orders import RECOVER, Order, Outcome
from conbool_tui.transaction.preflight import nothing_changed, require_root
from conbool_tui.transaction.receipts import OPEN_STATES, list_changes, open_change
from conbool_tui.transaction.seen import mark_seen
from conbool_tui.transaction.store import Store

MODULE = "conbool_tui.worker"
_PAUSE = 0.05
_LONG_PAUSE = 0.25
_LOOK = 0.5  # seconds between two looks whether the worker lives
_READY = 30.0  # seconds a worker may take to begin
_STILL = 10.0  # seconds without news after which the caller says that it still waits
_SETTLE = 90.0  # seconds in which another process (the guard) may take back what a dead worker left

StartWorker = Callable[[Host, str, str], None]
"""Starts the worker for a state directory and a job's id."""


def start_process(host: Host, state_dir: str, job_id: str) -> None:
    """Start the worker detached from this process. Raises HostError."""
    if host.root != "/":
        raise HostError(f"The worker only works on the running system, not below {host.root}.")
    argv = detached.python_command(MODULE, state_dir, job_id)
    detached.spawn(host, argv, unit=f"conbool-tui-worker-{job_id}")


class Noted:
    """Signals that came while a caller waits."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.leave: Optional[int] = None

    def note(self, number: int, frame: Optional[FrameType]) -> None:
        """The handler."""
        if number == signal.SIGINT:
            self.interrupts += 1
        else:
            self.leave = number


@contextlib.contextmanager
def _noted() -> Iterator[Noted]:
    """Note SIGINT, SIGTERM and SIGHUP; only the main thread can, and what is ignored (nohup) stays ignored."""
    noted = Noted()
    old: dict[signal.Signals, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    old[number] = signal.signal(number, noted.note)
        yield noted
    finally:
        for number, handler in old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def hand_over(
    host: Host,
    state_dir: str,
    order: Order,
    progress: Optional[ProgressSink] = None,
    start: StartWorker = start_process,
) -> Optional[Receipt]:
    """Have a process of its own do the work, and wait for its outcome.

    Args:
        progress: told about each step. Once it fails with OSError it is told nothing more; any other error of it stops the work.
        start: starts the worker.

    Raises:
        NeedsRootError, LockedError, UsageError, CheckFailedError: it cannot begin; nothing was changed.
        RolledBackError, RollbackIncompleteError: it failed, was stopped, or the worker died.
        KeyboardInterrupt: interrupted a second time; the worker still ends it by itself.
        SystemExit: told to end, or the terminal went away; the worker goes on by itself.
    """
    require_root(host)
    store = Store(host, state_dir)
    with nothing_changed():
        store.prepare()
        mark_seen(host, state_dir, first=True)
        sweep(store)
    with _noted() as noted:
        return _Watch(host, store, order, progress, start, noted).run()


class _Watch:
    """One wait for one worker."""

    def __init__(
        self,
        host: Host,
        store: Store,
        order: Order,
        progress: Optional[ProgressSink],
        start: StartWorker,
        noted: Noted,
    ) -> None:
        self._host = host
        self._store = store
        self._order = order
        self._progress = progress
        self._start = start
        self._noted = noted
        self._stop = False
        self._unheard = False
        self._asked = False
        self._before = noted.interrupts
        self._last = Progress("lock", "Starting the process that does the work.", 0, 1)
        self._known = frozenset(store.ids())
        found = open_change(host, store.path)
        self._open = "" if found is None else found.id

    def run(self) -> Optional[Receipt]:
        """Hand over, wait, tell. Raises as ``hand_over``."""
        try:
            ended, outcome = self._once()
            if not ended:
                outcome = self._aftermath()
        except ConboolError:
            self._mark_seen()
            raise
        self._mark_seen()
        if isinstance(outcome, ConboolError):
            raise outcome
        return outcome

    def _mark_seen(self) -> None:
        # Whoever lost its terminal has nobody to tell: the next start does.
        if not self._unheard:
            mark_seen(self._host, self._store.path)

    def _once(self) -> tuple[bool, Outcome]:
        """Hand over and wait: whether there is an outcome (else the worker died), and which. Raises as ``_wait``."""
        with nothing_changed():
            job = Job.create(self._store)
        with job.held(CALLER):
            try:
                with nothing_changed():
                    job.give(self._order)
                    self._start(self._host, self._store.path, job.id)
                found = (True, job.outcome()) if self._wait(job) else (False, None)
            except ConboolError:
                job.remove()
                raise
            job.remove()
        return found

    # --- waiting ---------------------------------------------------------------------------------------

    def _wait(self, job: Job) -> bool:
        """Wait for the outcome; False when the worker died without one. Raises CheckFailedError, RolledBackError: it never began."""
        began = news = look = time.monotonic()
        pid: Optional[int] = None
        while True:
            self._leave()
            ended = job.ended()
            steps = job.news()
            for step in steps:
                self._tell(step)
            if ended:
                return True
            pid = pid or job.pid()
            now = time.monotonic()
            if pid is None:
                self._not_begun(job, now - began)
            else:
                self._ask_to_stop(pid, job)
            if steps:
                news = now
            elif now - news > _STILL:
                news = now
                waited = f"{self._last.text} (still at it, {now - began:.0f} s)"
                self._tell(dataclasses.replace(self._last, text=waited), still=True)
            if pid is not None and now - look > _LOOK:
                look = now
                if job.free(WORKER):
                    return job.ended()
            time.sleep(_PAUSE if now - began < _STILL else _LONG_PAUSE)

    def _not_begun(self, job: Job, waited: float) -> None:
        stopped = self._to_stop()
        if (stopped or waited > _READY) and job.withdraw():
            if stopped:
                raise RolledBackError(
                    "The change did not begin: it was stopped from the keyboard. Nothing was changed.",
                    "",
                    "Run again when you like.",
                )
            raise CheckFailedError(
                f"The process that does the work did not begin within {_READY:g} seconds. Nothing was changed.",
                "The work is done by a process of its own, so that a lost connection cannot cut it off.",
                "Look at the log (/var/log/conbool-tui) and at the system's messages (dmesg), and run again.",
            )

    def _to_stop(self) -> bool:
        """Whether the work is to be stopped; bringing an old state back is not."""
        return self._order.do != RECOVER and (self._stop or self._presses() > 0)

    def _presses(self) -> int:
        return self._noted.interrupts - self._before

    def _ask_to_stop(self, pid: int, job: Job) -> None:
        """Have the worker stop. Raises KeyboardInterrupt: asked for a second time."""
        if self._presses() > 1:
            raise KeyboardInterrupt
        if not self._asked and self._to_stop() and not job.free(WORKER):
            self._asked = True
            self._host.interrupt(pid)
            text = "Stopping: what was done so far is put back. Ctrl-C once more leaves it alone to do that."
            self._tell(dataclasses.replace(self._last, phase="rollback", text=text))

    def _leave(self) -> None:
        """Go away when told to. Raises SystemExit."""
        number = self._noted.leave
        if number is not None:
            name = signal.Signals(number).name
            log.record(
                self._host,
                f"{self._order.do}: the program was ended by {name}; its worker goes on by itself, "
                "conbool-tui history shows the outcome",
            )
            raise SystemExit(128 + number)

    def _tell(self, progress: Progress, *, still: bool = False) -> None:
        if not still:
            self._last = progress
        if self._progress is not None:
            try:
                self._progress(progress)
            except OSError:
                self._progress = None
                self._unheard = True
            except Exception:  # noqa: BLE001 - nobody waits any more: the outcome is what counts
                self._progress = None
                self._stop = True

    # --- the worker died -------------------------------------------------------------------------------

    def _aftermath(self) -> Optional[Receipt]:
        """What a worker left that died without a word, brought in order as the next start would."""
        found = self._change()
        what = "The process that worked on it ended without a word (killed, or no memory or no disk space was left)."
        log.record(self._host, f"{self._order.do}: {what}")
        if found is None:
            if self._order.do == RECOVER:
                return None
            raise RolledBackError(
                "The process that does the work ended without a word before it began. Nothing was changed.",
                "It was killed, or no memory or no disk space was left.",
                "Look at the free space (df) and the system's messages (dmesg), and run again.",
            )
        found = self._settled(found)
        backward = self._order.do == RECOVER or found.id == self._open
        if found.state in OPEN_STATES and found.state is not ChangeState.UNCONFIRMED:
            raise RollbackIncompleteError(
                f"{what} Change {found.id} is {found.state.value}.",
                found.message,
                f"Run `conbool-tui undo {found.id}`.",
            )
        if found.state is ChangeState.ROLLED_BACK and not backward:
            raise RolledBackError(
                f"{what} Change {found.id} is taken back and the old state is back.",
                "The mail system works as before.",
                "Look at the free space (df) and the system's messages (dmesg), and run again.",
            )
        return found

    def _change(self) -> Optional[Receipt]:
        """The change the worker worked on, None when it had not begun one."""
        for receipt in list_changes(self._host, self._store.path):
            if receipt.id not in self._known or (receipt.id == self._open and self._concerns_open()):
                return receipt
        return None

    def _concerns_open(self) -> bool:
        return self._order.do == RECOVER or self._order.change_id in (None, self._open)

    def _settled(self, found: Receipt) -> Receipt:
        """Have it taken back unless it has an end, by another worker or whoever is at it already. Raises RollbackIncompleteError."""
        until = time.monotonic() + _SETTLE
        tries = 0
        while found.state is ChangeState.UNFINISHED and time.monotonic() < until and tries < 3:
            self._leave()
            self._tell(Progress("rollback", f"The worker died; change {found.id} is taken back.", 0, 1))
            order = Order(RECOVER)
            again = _Watch(self._host, self._store, order, self._progress, self._start, self._noted)
            ended, outcome = again._once()
            tries += 1
            if isinstance(outcome, RollbackIncompleteError):
                raise outcome
            if ended and isinstance(outcome, ConboolError):
                # Its guard is at it, or another start of the program.
                tries -= isinstance(outcome, LockedError)
                time.sleep(_LOOK)
            found = next(item for item in list_changes(self._host, self._store.path) if item.id == found.id)
        return found
