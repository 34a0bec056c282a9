"""The sub-command ``accept``: what differs from what was applied is the admin's from now on."""

from __future__ import annotations

from conbool_tui import log, render
from conbool_tui.commands import finishing
from conbool_tui.commands.context import Context
from conbool_tui.errors import ExitCode


def accept(context: Context) -> int:
    """Show what differs, ask, record it."""
    session = context.session
    session.require_root("Accepting what differs")
    # What a cut-off change left half written is nobody's wish.
    finishing.finish(context)
    found = session.drift()
    names = [f"{item.path}: {item.key}" if item.key else item.path for item in found]
    if not found:
        context.say("Nothing differs from what was applied.")
    for name in names:
        context.say(render.paragraph(f"differs: {name}", 0, 2))
    if found and not context.options.yes and not context.confirmed("Keep all of it as it is now?", "--yes"):
        context.say("Nothing was recorded.")
        return ExitCode.PENDING
    if found:
        session.accept_drift(found)
        log.record(session.host, "accept: " + ", ".join(names))
        context.say("Recorded: checks are content with it, and an undo leaves it as it is.")
    if context.wants_json:
        context.data_json({"accepted": [{"path": item.path, "key": item.key} for item in found]})
    return ExitCode.DONE
