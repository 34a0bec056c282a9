"""Work in threads: the result comes back as a message, so that nothing on the screen ever waits.

The threads are daemons of our own and not Textual's workers: leaving the program must not wait for a probe
on the network. The one
piece of work that must not be cut, a change being written, says so with ``shielded``; ``conbool_tui.app``
waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from textual.message import Message

from conbool_tui.errors import ConboolError
from conbool_tui.receipt import Progress
from screens.faults import CancelledError, unexpected

if TYPE_CHECKING:
    from textual.message_pump import MessagePump


@dataclass(eq=False)
class Job:
    """One piece of work under way."""

    name: str
    text: str
    started: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    shielded: bool = False
    thread: Optional[threading.Thread] = None

    @property
    def elapsed(self) -> int:
        """Whole seconds since it began."""
        return int(time.monotonic() - self.started)


class JobProgress(Message):
    """A running job has got on."""

    def __init__(self, job: Job, progress: Progress) -> None:
        super().__init__()
        self.job = job
        self.progress = progress


class JobItem(Message):
    """A running job has one more piece of its result."""

    def __init__(self, job: Job, item: Any) -> None:
        super().__init__()
        self.job = job
        self.item = item


class JobDone(Message):
    """A job has ended, with a result or an error."""

    def __init__(self, job: Job, result: Any, error: Optional[ConboolError]) -> None:
        super().__init__()
        self.job = job
        self.result = result
        self.error = error


class Reporter:
    """What running work says to its screen. Called as a progress sink it ends work that was given up."""

    def __init__(self, job: Job, owner: MessagePump) -> None:
        self._job = job
        self._owner = owner

    def __call__(self, progress: Progress) -> None:
        """Say how far the work is. Raises CancelledError: nobody waits for it any more."""
        if self.cancelled():
            raise CancelledError("Stopped waiting.")
        self.tell(progress)

    def tell(self, progress: Progress) -> None:
        """Say how far the work is, for work that asks ``cancelled`` itself."""
        if not self.cancelled():
            _post(self._owner, JobProgress(self._job, progress))

    def item(self, item: Any) -> None:
        """Hand over one piece of the result; from any thread."""
        if not self.cancelled():
            _post(self._owner, JobItem(self._job, item))

    def cancelled(self) -> bool:
        """True when nobody waits for the result any more."""
        return self._job.cancelled


def start(job: Job, owner: MessagePump, work: Callable[[Reporter], Any]) -> Job:
    """Run ``work`` in a thread and post ``JobProgress``, ``JobItem`` and ``JobDone`` to ``owner``; a cancelled
    job posts nothing more.
    """
    report = Reporter(job, owner)

    def run() -> None:
        result: Any = None
        error: Optional[ConboolError] = None
        try:
            result = work(report)
        except ConboolError as raised:
            error = raised
        # The thread's edge: an unforeseen error becomes a message, never a traceback.
        except Exception as raised:  # noqa: BLE001
            error = unexpected(raised)
        if not job.cancelled:
            _post(owner, JobDone(job, result, error))

    job.thread = threading.Thread(target=run, name=job.name, daemon=not job.shielded)
    job.thread.start()
    return job


def _post(owner: MessagePump, message: Message) -> None:
    try:
        owner.post_message(message)
    except RuntimeError:
        # The screens are gone (the terminal was closed); the work itself goes on and the journal has its
        # outcome.
        return
