"""Opening the wizard: only here, and only when it can work, is Textual loaded."""

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
    term = os.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        shown = f"TERM is {term}" if term else "TERM is not set"
        raise UsageError(
            f"The wizard needs a terminal that can place text, and {shown}.",
            "It would paint garbage.",
            instead,
        )
    host.require_root("The wizard")
    try:
        from conbool_tui.app import run_wizard
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("textual", "rich"):
            raise
        raise ConboolError(
            f"The wizard cannot be opened: the Python package {error.name} is missing.",
            "Everything else works without it.",
            "Install conbool-tui completely, or use conbool-tui apply --answers FILE.",
        ) from None

    begin = site_config.answers(host)
    if options.instance is not None:
        begin = dataclasses.replace(begin, instance=options.instance)

    def open_session() -> Session:
        from conbool_tui.session import Session

        return Session(host, options.state_dir, options.mail_system)

    return run_wizard(open_session, None if begin == Answers() else begin, ascii=options.ascii)
