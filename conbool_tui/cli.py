"""The command line: ``conbool-tui`` opens the wizard, its sub-commands do the same work without it."""

from __future__ import annotations

import contextlib
import errno
import json
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Callable, Optional, cast

from conbool_tui.commands.wizard import wizard
from conbool_tui.errors import ConboolError, ExitCode, UsageError
from conbool_tui.host import Host
from conbool_tui.places import DEFAULT_STATE_DIR

if TYPE_CHECKING:
    import argparse

    from conbool_tui.commands.context import Context

_INTERRUPTED = 130
_BROKEN_PIPE = 141


def _later(module: str, name: str) -> Callable[[Context], int]:
    """A sub-command that is loaded when it runs: the wizard's first picture must not wait for it."""

    def run(context: Context) -> int:
        code: int = getattr(import_module(f"conbool_tui.commands.{module}"), name)(context)
        return code

    return run


_COMMANDS: dict[str, Callable[[Context], int]] = {
    "detect": _later("reading", "detect"),
    "plan": _later("reading", "plan"),
    "apply": _later("changing", "apply"),
    "check": _later("reading", "check"),
    "undo": _later("changing", "undo"),
    "accept": _later("accepting", "accept"),
    "confirm": _later("confirming", "confirm"),
    "networks": _later("changing", "networks"),
    "history": _later("reading", "history"),
    "support-bundle": _later("support", "support_bundle"),
    "answers": _later("reading", "answers"),
    "open-xchange": _later("open_xchange", "open_xchange"),
}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments without the program's name; those of this process when not given.

    Returns:
        the exit code (``ExitCode``), 130 when interrupted, 141 when the reader of standard output went away.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    given = list(sys.argv[1:] if argv is None else argv)
    host: Optional[Host] = None
    try:
        try:
            options = _options(given)
            host = _host(options.root)
            code = _run(host, options)
            sys.stdout.flush()
        except ConboolError as error:
            _tell(error, as_json="--json" in given)
            sys.stdout.flush()
            return error.exit_code
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            _unexpected(host, given, error)
            return ExitCode.UNEXPECTED
        # The reader, or the terminal, went away. Closing here keeps the interpreter from complaining about it once more when it ends.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        _say("conbool-tui: interrupted.")
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last net: no traceback reaches the terminal
        _unexpected(host, given, error)
        return ExitCode.UNEXPECTED
    return code


def _options(argv: Sequence[str]) -> argparse.Namespace:
    """The options; the parser is only built when there is something to parse. Raises UsageError."""
    if not argv:
        found = SimpleNamespace(
            command=None,
            root="/",
            state_dir=DEFAULT_STATE_DIR,
            mail_system=None,
            instance=None,
            ascii=False,
            plain=False,
        )
        return cast("argparse.Namespace", found)
    from conbool_tui.commands.parser import parse

    return parse(argv)


def _run(host: Host, options: argparse.Namespace) -> int:
    if not options.command:
        return wizard(host, options)
    from conbool_tui.commands.context import Context
    from conbool_tui.session import Session

    context = Context(Session(host, options.state_dir, options.mail_system), options)
    context.tell_unseen()
    return _COMMANDS[options.command](context)


def _host(root: str) -> Host:
    """The machine below ``root``. Raises UsageError: there is no such folder."""
    try:
        return Host(root)
    except ConboolError as error:
        raise UsageError(error.what, error.why, error.todo) from None


def _tell(error: ConboolError, *, as_json: bool) -> None:
    """An expected failure: for people on standard error, for scripts also on standard output."""
    from conbool_tui import render

    _say(render.error_lines(error))
    if as_json:
        document = {"what": error.what, "why": error.why, "todo": error.todo, "exit_code": error.exit_code}
        sys.stdout.write(json.dumps({"error": render.json_value(document)}, indent=2) + "\n")


def _unexpected(host: Optional[Host], argv: Sequence[str], error: Exception) -> None:
    """A defect: one message, the details in the log."""
    from conbool_tui import log, render
    from conbool_tui.support.credentials import hide_credentials

    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    path = (
        log.record(host, f"unexpected error in: conbool-tui {render.command_text(argv)}\n{details}")
        if host is not None
        else None
    )
    told = ConboolError(
        f"Unexpected error: {type(error).__name__}: {hide_credentials(str(error))}",
        "This is a defect in conbool-tui.",
        f"The details are in {path}; please report them."
        if path
        else f"Run it with sudo to have the details written to {log.FILE}.",
    )
    _say(render.error_lines(told))


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
