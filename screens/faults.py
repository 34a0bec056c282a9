"""Errors that come out of work in threads."""

from __future__ import annotations

from conbool_tui.errors import ConboolError


class CancelledError(ConboolError):
    """The admin stopped waiting; raised inside the work at its next report of progress."""


def unexpected(raised: BaseException) -> ConboolError:
    """An error nobody foresaw, in the three parts the admin gets of every error."""
    error = ConboolError(
        f"Unexpected: {type(raised).__name__}: {raised}",
        "This is a fault of the program, not of your server.",
        "Please report it with the output of: conbool-tui detect --json",
    )
    error.__cause__ = raised
    return error
