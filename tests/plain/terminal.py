"""A program that asks in lines, on a pseudo-terminal of 80x24."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
PROMPT = "\n> "
_KEPT_OUT = ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES", "TERM", "CONBOOL_PLAIN", "ACCESSIBLE")


class Terminal:
    """The program on a terminal of 80x24; what it writes is kept as it is."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {key: value for key, value in os.environ.items() if key not in _KEPT_OUT}
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**env, "PYTHONUTF8": "1", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.raw = b""
        self._seen = 0

    def read(self, seconds: float) -> bool:
        """Read what comes within this time; False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        return bool(data)

    @property
    def text(self) -> str:
        """Everything so far."""
        return self.raw.decode("utf-8").replace("\r\n", "\n")

    def until(self, words: str) -> str:
        """Read until the words came after what was looked at before; what came."""
        end = time.monotonic() + PATIENCE
        while words not in self.text[self._seen :]:
            assert time.monotonic() < end, f"{words!r} does not come:\n{self.text}"
            alive = self.read(0.2)
            assert alive or words in self.text[self._seen :], f"the program ended:\n{self.text}"
        found = self.text[self._seen :].partition(words)[0] + words
        self._seen += len(found)
        return found

    def answer(self, *lines: str) -> None:
        """Answer the questions as they come; of long texts all is read."""
        for line in lines:
            while self.until(PROMPT).endswith(f"s: no more.{PROMPT}"):
                self.send("a\n")
            self.send(f"{line}\n")

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def end(self) -> int:
        """Exit code, once it has ended by itself."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.text}"
            self.read(0.1)
        while self.read(0.2) and select.select([self.master], [], [], 0.1)[0]:
            pass
        return self.process.returncode

    def hang_up(self) -> None:
        """Take the terminal away."""
        os.close(self.master)

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)
