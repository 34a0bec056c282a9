"""What an undo does about later edits: asked on the terminal for each, or given as flags."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from conbool_tui import render
from conbool_tui.commands.context import Context, reads_stdin
from conbool_tui.errors import UsageError
from conbool_tui.transaction import KEEP, PUT_BACK, UndoConflictError

if TYPE_CHECKING:
    from conbool_tui.receipt import Receipt
    from conbool_tui.transaction import Conflict

Chosen = dict[tuple[str, str], str]
_ALL = ""
_FLAGS = (("--keep-mine", "keep_mine", KEEP), ("--put-back", "put_back", PUT_BACK))


def undo(context: Context, change_id: str, choices: Chosen, asked: Sequence[Conflict]) -> Receipt:
    """Take a change back. What was edited again since somebody chose about it is asked about again, on a terminal.

    Args:
        choices: by path and key.
        asked: the conflicts that were shown; the choices about others stand for whatever is there.

    Raises:
        ConboolError: as Session.undo.
    """
    shown = {conflict.at: conflict for conflict in asked}
    while True:
        try:
            return context.session.undo(
                change_id, context.progress, choices=choices, asked=tuple(shown.values())
            )
        except UndoConflictError as error:
            unanswered = any(item.at in shown and item.at not in choices for item in error.conflicts)
            if unanswered or not may_ask(context):
                raise
            context.say("\nSomething was edited again since you chose. Nothing was changed so far.")
            shown.update((conflict.at, conflict) for conflict in error.conflicts)
            again = {conflict.at for conflict in error.conflicts}
            choices = ask(
                context,
                error.conflicts,
                {at: choice for at, choice in choices.items() if at not in again},
            )


def ask(context: Context, conflicts: Sequence[Conflict], given: Chosen) -> Chosen:
    """The choices about the conflicts: those given, and on a terminal what the admin says about the others.

    Without a terminal, or with ``--yes``, a conflict nobody chose about stays one: the undo then stops and lists it.
    """
    found = dict(given)
    for number, conflict in enumerate(conflicts, 1):
        if conflict.at in found or not may_ask(context):
            continue
        context.say(f"\nEdited since, {number} of {len(conflicts)}:")
        for line in conflict.lines():
            context.say(render.printable(line))
        while conflict.at not in found:
            answer = context.typed(
                "(k)eep it as it is now, or (p)ut back the value from before us? [k/p]"
            ).lower()
            if answer in ("k", "keep"):
                found[conflict.at] = KEEP
            elif answer in ("p", "put back", "put"):
                found[conflict.at] = PUT_BACK
            elif not answer:
                return found
    return found


def given(context: Context, conflicts: Sequence[Conflict]) -> Chosen:
    """The choices given as flags.

    Raises:
        UsageError: a flag names something that was not edited since, or flags contradict each other.
    """
    known = {_name(conflict): conflict.at for conflict in conflicts}
    found: Chosen = {}
    for_all = [choice for _, dest, choice in _FLAGS if _ALL in (getattr(context.options, dest) or ())]
    if len(for_all) > 1:
        raise UsageError(
            "--keep-mine and --put-back both stand for everything.", "", "Give one of them FILE:KEY."
        )
    for flag, dest, choice in _FLAGS:
        for name in getattr(context.options, dest) or ():
            if name == _ALL:
                continue
            at = known.get(name)
            if at is None:
                listed = ", ".join(known) or "nothing was edited since"
                raise UsageError(
                    f"{flag} {name}: this was not edited since, so there is nothing to choose.",
                    f"Edited since: {listed}.",
                    "Give FILE:KEY as listed; the id of the change comes first.",
                )
            if found.setdefault(at, choice) != choice:
                raise UsageError(f"{name} is to be kept and put back.", "", "Choose one of the two.")
    if for_all:
        found = {**dict.fromkeys(known.values(), for_all[0]), **found}
    return found


def _name(conflict: Conflict) -> str:
    """How a flag names it."""
    return f"{conflict.path}:{conflict.key}" if conflict.key else conflict.path


def may_ask(context: Context) -> bool:
    """Whether there is somebody to ask."""
    return (
        not context.options.yes
        and sys.stdin is not None
        and sys.stdin.isatty()
        and not reads_stdin(context.options)
    )
