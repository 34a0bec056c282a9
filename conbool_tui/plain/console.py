"""Lines to the terminal: ASCII only, wrapped, and nothing that moves the cursor or erases."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Callable, Union

from conbool_tui.plain.keyboard import GoneError
from screens import glyphs
from screens.texts.lines import Line, wrap
from screens.texts.versions import visible

_WIDTH = 80
_NARROWEST = 20
_TWINS = str.maketrans(
    {
        "\u2026": "...",
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00a0": " ",
    }
)

Text = Union[str, Line]


def ascii_text(text: str) -> str:
    r"""The text in ASCII: what a terminal would act on, and every other character, is written out as in ``\x1b``."""
    return visible(text.translate(_TWINS)).encode("ascii", "backslashreplace").decode("ascii")


def terminal_width() -> int:
    """Columns of the terminal: COLUMNS, else as it says itself, else 80."""
    text = os.environ.get("COLUMNS", "")
    columns = int(text) if text.isdecimal() else 0
    if not columns:
        try:
            columns = os.get_terminal_size(2).columns
        except (OSError, ValueError):
            columns = 0
    return max(_NARROWEST, columns or _WIDTH)


class Console:
    """What is said.

    Args:
        write: writes text as it is, by default to standard error. Raises OSError: the terminal is gone.
        width: the columns there are now.
    """

    def __init__(
        self, write: Union[Callable[[str], None], None] = None, width: Callable[[], int] = terminal_width
    ) -> None:
        self._write = write or _to_stderr
        self._width = width

    def say(self, *lines: Text) -> None:
        """Say lines. Raises GoneError."""
        self.say_all(lines)

    def say_all(self, lines: Iterable[Text]) -> None:
        """Say lines. Raises GoneError."""
        self._out("".join(f"{text}\n" for text in self.wrapped(lines)))

    def ask(self, text: str) -> None:
        """Say what stands before the answer, in the same line. Raises GoneError."""
        self._out(ascii_text(text))

    def wrapped(self, lines: Iterable[Text]) -> list[str]:
        """The lines as they would be said."""
        # The last column stays free: some terminals begin a line of their own after it.
        width = self._width() - 1
        made = [line if isinstance(line, Line) else Line(line) for line in lines]
        plain = [Line(ascii_text(line.text), line.kind, line.hang) for line in made]
        return [line.text.rstrip() for line in wrap(plain, width, glyphs.ASCII.continued)]

    def _out(self, text: str) -> None:
        try:
            self._write(text)
        except (OSError, ValueError, AttributeError):
            raise GoneError from None


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
