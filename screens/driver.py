"""Textual's driver for this terminal, made to bear what real terminals send and to keep to what they can show."""

from __future__ import annotations

import codecs
import functools
import sys
from typing import Any

from rich.cells import cell_len
from textual.drivers import linux_driver

_ERRORS = "conbool-tui-cells"


class TerminalDriver(linux_driver.LinuxDriver):
    """Textual decodes keys strictly: one byte that is not UTF-8 (an umlaut of an ISO-8859-1 terminal, noise on a serial
    line) would end the program. Here such bytes are passed over.
    """

    def start_application_mode(self) -> None:
        """Begin, or go on after Ctrl-Z: the terminal shows something else then."""
        painter = getattr(self._app, "painter", None)
        if painter is not None:
            painter.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def run_input_thread(self) -> None:
        """Read keys until the end."""
        linux_driver.getincrementaldecoder = _lenient  # type: ignore[attr-defined]
        super().run_input_thread()


def _lenient(encoding: str) -> Any:
    return functools.partial(codecs.getincrementaldecoder(encoding), errors="ignore")


def _question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "?" * cell_len(error.object[error.start : error.end]), error.end


def write_only_ascii() -> None:
    """From now on every other character goes to the terminal as question marks of the same width."""
    codecs.register_error(_ERRORS, _question_marks)
    if sys.__stderr__ is not None:
        sys.__stderr__.reconfigure(encoding="ascii", errors=_ERRORS)
