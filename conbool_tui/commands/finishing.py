"""Unfinished work is dealt with first: taken back before anything new begins, or at least told."""

from __future__ import annotations

import contextlib
from typing import Optional

from conbool_tui import log, render
from conbool_tui.commands import choosing
from conbool_tui.commands.context import Context
from conbool_tui.errors import ConboolError, RollbackIncompleteError
from conbool_tui.receipt import ChangeState, Receipt


def tell(context: Context) -> None:
    """Say what is half done; for commands that only look."""
    with contextlib.suppress(ConboolError):
        text = context.session.half_done()
        if text:
            context.say(render.paragraph(text))


def finish(context: Context) -> None:
    """Bring a change that was cut off (power, kill) to its end. Raises as Session.recover."""
    found = context.session.unfinished()
    if found is None:
        return
    tell(context)
    if found.state is not ChangeState.RUNNING:
        context.say("An earlier change was not finished; it is taken back first.")
    try:
        receipt: Optional[Receipt] = context.session.recover(context.progress)
    except RollbackIncompleteError as error:
        command = f"conbool-tui undo {found.id} --accept"
        if context.options.yes or not choosing.may_ask(context):
            by_hand = f"{error.todo}\nOr leave what was edited as it is and close the change: {command}"
            raise RollbackIncompleteError(error.what, error.why, by_hand) from None
        context.say(render.error_lines(error))
        if not context.confirmed("Leave what was edited as it is now, and close that change?", command):
            raise
        receipt = context.session.recover(context.progress, accept=True)
    if receipt is not None:
        log.record(context.session.host, f"recover: {receipt.id} {receipt.state.value}")
        context.say(f"Change {receipt.id}: {receipt.state.value}. {receipt.message}".rstrip())
