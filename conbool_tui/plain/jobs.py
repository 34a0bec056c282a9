"""Looking at something in a thread while the terminal is told that it goes on, and Ctrl-C stops it.

Only for what changes nothing: a change is watched by the main thread itself (``Run.write``), which signals reach.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, Optional, TypeVar

from conbool_tui.errors import ConboolError
from conbool_tui.plain.console import Console
from conbool_tui.plain.keyboard import GoneError, Keyboard
from conbool_tui.receipt import Progress
from screens.faults import CancelledError, unexpected
from screens.texts import actions

FIRST_WORD = 1.0
"""Seconds before it is said that something takes time."""
NEXT_WORD = 15.0
"""Seconds between two such lines."""
_POLL = 0.2
Result = TypeVar("Result")


class StoppedError(Exception):
    """The admin stopped it."""


class Reporter:
    """What running work says. Called as a progress sink it ends work that was given up."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.stopped = False

    def __call__(self, progress: Progress) -> None:
        """Say how far the work is. Raises CancelledError: nobody waits for it any more."""
        if self.stopped:
            raise CancelledError("Stopped waiting.")
        self.tell(progress)

    def tell(self, progress: Progress) -> None:
        """Say how far the work is, for work that asks ``cancelled`` itself."""
        self.events.put(("progress", progress))

    def item(self, item: Any) -> None:
        """Hand over one piece of the result; from any thread."""
        self.events.put(("item", item))

    def cancelled(self) -> bool:
        """True when nobody waits for the result any more."""
        return self.stopped


class Jobs:
    """Runs work for one terminal."""

    def __init__(self, console: Console, keyboard: Keyboard) -> None:
        self._console = console
        self._keyboard = keyboard
        self.seconds = 0
        """How long the last work took, in whole seconds."""

    def run(
        self,
        text: str,
        call: Callable[[Reporter], Result],
        *,
        stop: str = "",
        on_item: Optional[Callable[[Any], None]] = None,
        on_progress: Optional[Callable[[Progress], None]] = None,
        waiting: Optional[Callable[[int], str]] = None,
        tick: Optional[Callable[[], None]] = None,
    ) -> Result:
        """Do it and return its result.

        Args:
            text: what is said while it goes on.
            stop: what stopping it by Ctrl-C is called; empty when Ctrl-C ends the program.
            on_item: given each piece of the result as it comes.
            on_progress: given each step.
            waiting: makes the line that says it goes on from the seconds; else it is made of ``text``.
            tick: called all the time; whatever it raises ends the waiting.

        Raises:
            ConboolError: the work failed.
            StoppedError: stopped by Ctrl-C.
            GoneError: nobody is there any more.
        """
        report = Reporter()
        thread = threading.Thread(target=_work, args=(report, call), name=text or "work", daemon=True)
        started = time.monotonic()
        word = started + FIRST_WORD
        hint = f". Ctrl-C: {stop}" if stop else ""
        try:
            thread.start()
            while True:
                try:
                    kind, value = report.events.get(timeout=_POLL)
                except queue.Empty:
                    kind, value = "", None
                now = time.monotonic()
                self.seconds = int(now - started)
                if kind == "done":
                    result: Result = value
                    return result
                if kind == "failed":
                    raise value
                if kind == "item" and on_item is not None:
                    on_item(value)
                elif kind == "progress" and on_progress is not None:
                    on_progress(value)
                if tick is not None:
                    tick()
                if not kind and self._keyboard.lost():
                    raise GoneError
                if text and now >= word:
                    word = now + NEXT_WORD
                    said = waiting(self.seconds) if waiting else f"{text} ({self.seconds} s)"
                    self._console.say(said + hint)
                    hint = ""
        except KeyboardInterrupt:
            if stop:
                raise StoppedError from None
            raise
        finally:
            report.stopped = True


def _work(report: Reporter, call: Callable[[Reporter], Any]) -> None:
    try:
        event: tuple[str, Any] = ("done", call(report))
    except ConboolError as error:
        event = ("failed", error)
    # The thread's edge: an unforeseen error becomes a message, never a traceback.
    except Exception as error:  # noqa: BLE001
        event = ("failed", unexpected(error))
    report.events.put(event)


STOP, CANCEL = actions.STOP, actions.CANCEL
