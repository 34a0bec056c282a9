"""Opening the wizard, on the whole screen or in lines: only here, and only when it can work, is Textual loaded."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING

from conbool_tui import site_config
from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError, UsageError
from conbool_tui.host import Host

if TYPE_CHECKING:
    import argparse

    from conbool_tui.session import Session

_CANNOT_PLACE_TEXT = ("", "dumb", "unknown")
_SWITCHES = ("CONBOOL_PLAIN", "ACCESSIBLE")
_NO = ("0", "no", "false", "off")
_INSTEAD = "Log in with ssh -t {host} sudo conbool-tui, or use conbool-tui apply --answers FILE."


def wizard(host: Host, options: argparse.Namespace) -> int:
    """Open the wizard on this terminal.

    Raises:
        UsageError: there is no terminal it could be shown on.
        NeedsRootError: this user is not root.
    """
    instead = _INSTEAD.format(host=os.uname().nodename or "HOST")
    for stream, name in ((sys.stdin, "standard input"), (sys.stderr, "standard error")):
        if stream is None or not stream.isatty():
            raise UsageError(
                f"The wizard needs a terminal, and {name} is none.",
                "It is shown on the terminal and read from it.",
                instead,
            )
    host.require_root("The wizard")
    begin = site_config.answers(host)
    if options.instance is not None:
        begin = dataclasses.replace(begin, instance=options.instance)
    given = None if begin == Answers() else begin

    def open_session() -> Session:
        from conbool_tui.session import Session

        return Session(host, options.state_dir, options.mail_system)

    if in_lines(host, flag=options.plain):
        from conbool_tui.plain.app import run_plain

        return run_plain(open_session, given)
    try:
        from conbool_tui.app import run_wizard
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("textual", "rich"):
            raise
        raise ConboolError(
            f"The wizard cannot be opened: the Python package {error.name} is missing.",
            "Everything else works without it.",
            "Install conbool-tui completely, or use conbool-tui --plain.",
        ) from None
    return run_wizard(open_session, given, ascii=options.ascii)


def in_lines(host: Host, *, flag: bool) -> bool:
    """Whether the wizard asks in lines: told so by the flag, the environment or the site defaults (the former win), or because the terminal
    cannot place text.

    Raises:
        UsageError: the site defaults cannot be used.
    """
    if flag or os.environ.get("TERM", "") in _CANNOT_PLACE_TEXT:
        return True
    for name in _SWITCHES:
        word = os.environ.get(name, "").strip().lower()
        if word:
            return word not in _NO
    return site_config.plain(host)
