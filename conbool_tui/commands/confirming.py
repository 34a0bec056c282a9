"""Keeping a change of port 25 or the firewall: the sub-command ``confirm``, and the question after an apply."""

from __future__ import annotations

import time

from conbool_tui import render
from conbool_tui.commands.context import Context
from conbool_tui.errors import ExitCode, RolledBackError
from conbool_tui.receipt import ChangeState, Receipt, time_left

_POLL = 0.5
_GRACE = 15.0
"""Seconds after the deadline in which the guard process takes the change back; then this one does it."""


def confirm(context: Context) -> int:
    """Keep the change that waits for confirmation."""
    context.report(context.session.confirm(context.options.id), "confirm")
    return ExitCode.DONE


def after_apply(context: Context, receipt: Receipt) -> Receipt:
    """Ask whether a change that is live shall stay, or say how to keep it.

    Returns:
        the receipt as it stands afterwards.

    Raises:
        RolledBackError: it was taken back, because the admin said so or nobody confirmed it in time.
    """
    left = time_left(receipt.confirm_by, time.time())
    context.say(
        render.paragraph(
            f"Change {receipt.id} is live. It is taken back by itself in {left:.0f} seconds unless it is kept: "
            "look whether mail and your login still work."
        )
    )
    if not context.options.yes:
        deadline = time.monotonic() + left
        answer = context.typed_until("Keep it? [y/N]", deadline)
        if answer is not None and answer.lower() in ("y", "yes"):
            return context.session.confirm(receipt.id)
        if answer is not None:
            context.session.recover(context.progress, now=True)
        return _outcome(context, receipt)
    if getattr(context.options, "wait", False):
        return _outcome(context, receipt)
    context.say(
        render.paragraph(
            "conbool-tui confirm keeps it; so does an SMTP connection from one of the networks in the answers."
        )
    )
    return receipt


def _outcome(context: Context, receipt: Receipt) -> Receipt:
    """Wait until the change waits no more. Raises RolledBackError."""
    late = time.monotonic() + time_left(receipt.confirm_by, time.time()) + _GRACE
    while context.session.unconfirmed() is not None or context.session.unfinished() is not None:
        time.sleep(_POLL)
        if time.monotonic() > late:
            context.session.recover(context.progress)
    for found in context.session.history():
        if found.id == receipt.id:
            receipt = found
    if receipt.state is not ChangeState.APPLIED:
        raise RolledBackError(
            f"Change {receipt.id} was taken back. {receipt.message}".rstrip(),
            "Port 25 and the firewall are as they were before.",
            "Run again, and keep the change within the time.",
        )
    return receipt
