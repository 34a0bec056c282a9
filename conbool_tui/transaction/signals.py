"""Signals during a transaction: noted, and acted on between two steps, never in the middle of one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Optional

_NOTED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Stopped in the middle it would hold the lock, and nobody could take the change back.
_IGNORED = (signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN)


class Stopped(Exception):  # noqa: N818 - it is a request, not an error
    """Somebody asked this process to end while a change was under way."""


class Signals:
    """The signals noted so far."""

    def __init__(self) -> None:
        self.noted: Optional[int] = None

    def note(self, number: int, frame: Optional[FrameType]) -> None:
        """The handler: remember the first signal."""
        if self.noted is None:
            self.noted = number

    def check(self) -> None:
        """Raise Stopped when a signal was noted."""
        if self.noted is not None:
            raise Stopped(f"it was stopped by {signal.Signals(self.noted).name}")


@contextlib.contextmanager
def deferred() -> Iterator[Signals]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying of them, and do not let a terminal stop the work;
    only the main thread can, elsewhere nothing is changed.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    old: dict[signal.Signals, Any] = {}
    try:
        for number in _NOTED:
            # A signal that is ignored (nohup) stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                old[number] = signal.signal(number, signals.note)
        for number in _IGNORED:
            old[number] = signal.signal(number, signal.SIG_IGN)
        yield signals
    finally:
        for number, handler in old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
