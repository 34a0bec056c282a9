"""Lines from the terminal, read straight from it, so that waiting for one can be combined with looking at something else."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
from typing import Optional, Protocol

_HANG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL


class GoneError(Exception):
    """Nobody is at the terminal any more: end of file, or it is lost."""


class Keyboard(Protocol):
    """Where lines come from."""

    def read(self, timeout: Optional[float] = None) -> Optional[str]:
        """The next line without its end; None when none came within ``timeout`` seconds. Raises GoneError."""
        ...

    def more(self, timeout: float) -> bool:
        """Whether another line is there already, or comes within ``timeout`` seconds: several were pasted."""
        ...

    def forget(self) -> None:
        """Drop what was typed ahead."""
        ...

    def lost(self) -> bool:
        """Whether the terminal is lost."""
        ...


class TerminalKeyboard:
    """Lines from an open file, by default standard input."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._held = b""
        self._ended = False

    def read(self, timeout: Optional[float] = None) -> Optional[str]:
        """The next line. Raises GoneError."""
        until = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._held:
            if self._ended:
                if self._held:
                    return self._take(len(self._held))
                raise GoneError
            rest = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._fd], [], [], rest)[0]:
                return None
            self._fill()
        return self._take(self._held.index(b"\n") + 1)

    def more(self, timeout: float) -> bool:
        """Whether another line is there already."""
        if b"\n" in self._held:
            return True
        return not self._ended and bool(select.select([self._fd], [], [], timeout)[0])

    def forget(self) -> None:
        """Drop what was typed ahead."""
        self._held = b""
        with contextlib.suppress(termios.error, OSError):
            termios.tcflush(self._fd, termios.TCIFLUSH)

    def lost(self) -> bool:
        """Whether the terminal is lost."""
        poll = select.poll()
        poll.register(self._fd, 0)
        return any(event & _HANG_UP for _, event in poll.poll(0))

    def _fill(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            data = b""
        self._ended = not data
        self._held += data

    def _take(self, size: int) -> str:
        line, self._held = self._held[:size], self._held[size:]
        return line.decode("utf-8", "replace").rstrip("\r\n")
