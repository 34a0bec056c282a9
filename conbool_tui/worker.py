"""The worker: a process of its own that applies a change or takes one back, whatever becomes of the terminal it was asked from.

``transaction.watching`` starts it (``python -m conbool_tui.worker STATE_DIR JOB_ID``); nobody else needs to. What is to be done lies in the
job's folder in the state directory, and so do its steps and its outcome.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import Optional

from conbool_tui import log
from conbool_tui.errors import ConboolError, HostError, RolledBackError
from conbool_tui.guard import load_everything
from conbool_tui.host import Host
from conbool_tui.receipt import Progress
from conbool_tui.systems import make_system
from conbool_tui.transaction.guarding import StartGuard, start_process
from conbool_tui.transaction.jobs import WORKER, Job
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.orders import RECOVER, Order, Outcome, perform
from conbool_tui.transaction.preflight import nothing_changed
from conbool_tui.transaction.recover import SystemFor
from conbool_tui.transaction.signals import Stopped
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import Observer, reason_of


class Told:
    """Whether somebody asked this process to stop before the transaction took over the signals."""

    def __init__(self) -> None:
        self.number: Optional[int] = None

    def note(self, number: int, frame: Optional[FrameType]) -> None:
        """The signal handler."""
        if self.number is None:
            self.number = number

    def check(self) -> None:
        """Raise Stopped when somebody did."""
        if self.number is not None:
            raise Stopped(f"it was stopped by {signal.Signals(self.number).name}")


class Worker:
    """Does one job.

    Args:
        host: the machine.
        state_dir: folder of lock, journal and backups.
        job_id: the job.
        system_for: gives a mail system.
        live_for: gives the driver of a live target.
        start_guard: starts the process that takes an unconfirmed change back.
        told: whether to stop.
        observer: called around each step with its name (for fault injection).
    """

    def __init__(
        self,
        host: Host,
        state_dir: str,
        job_id: str,
        system_for: SystemFor,
        live_for: LiveFor = real_live,
        start_guard: StartGuard = start_process,
        told: Optional[Told] = None,
        observer: Optional[Observer] = None,
    ) -> None:
        self._host = host
        self._state_dir = state_dir
        self._job = Job(Store(host, state_dir), job_id)
        self._system_for = system_for
        self._live_for = live_for
        self._start_guard = start_guard
        self._told = told or Told()
        self._observer = observer
        self._silent = False

    def serve(self) -> None:
        """Take the order, do it, say how it ended. Nothing happens when the order was withdrawn or another worker has it."""
        with contextlib.suppress(BlockingIOError), self._job.held(WORKER):
            outcome: Outcome
            what = "order"
            try:
                with nothing_changed():
                    order = self._job.take(os.getpid())
                if order is None:
                    return
                what = order.do
                outcome = self._perform(order)
            except ConboolError as error:
                outcome = error
            self._say(what, outcome)
            self._job.end(outcome)

    def _perform(self, order: Order) -> Outcome:
        """Do it. Raises ConboolError."""

        def progress(step: Progress) -> None:
            if order.do != RECOVER:
                self._told.check()
            self._tell(step)

        try:
            return perform(
                self._host,
                self._state_dir,
                order,
                self._system_for,
                progress,
                self._observer,
                live_for=self._live_for,
                start_guard=self._start_guard,
            )
        except (Stopped, KeyboardInterrupt) as error:
            return RolledBackError(
                f"The change did not begin: {reason_of(error)}. Nothing was changed.",
                "",
                "Run again when you like.",
            )
        except ConboolError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of this process: the caller must be told
            details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            path = log.record(self._host, f"unexpected error in the worker ({order.do})\n{details}")
            return ConboolError(
                f"Unexpected error: {type(error).__name__}: {reason_of(error)}",
                "This is a defect in conbool-tui.",
                f"The details are in {path or log.FILE}; please report them. `conbool-tui history` shows how things stand.",
            )

    def _tell(self, step: Progress) -> None:
        """A step that cannot be noted is no reason to stop."""
        if not self._silent:
            try:
                self._job.tell(step)
            except HostError:
                self._silent = True

    def _say(self, what: str, outcome: Outcome) -> None:
        if isinstance(outcome, ConboolError):
            text = "\n".join(outcome.lines())
        elif outcome is None:
            text = "there was nothing to do"
        else:
            text = f"{outcome.id} {outcome.state.value}"
        log.record(self._host, f"worker: {what}: {text}")


def main(argv: Sequence[str]) -> int:
    """Do one job on the running system.

    Args:
        argv: the state directory and the job's id.
    """
    told = Told()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told.note)
    host = Host("/")
    state_dir, job_id = argv
    try:
        # An upgrade may replace the program's files meanwhile.
        load_everything()
        Worker(host, state_dir, job_id, partial(make_system, host), told=told).serve()
    except Exception as error:  # noqa: BLE001 - there is nobody to tell but the log
        log.record(host, f"worker of job {job_id}: {type(error).__name__}: {reason_of(error)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
