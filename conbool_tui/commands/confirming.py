"""Keeping a change of port 25 or the firewall: the sub-command ``confirm``, and the question after an apply."""

from __future__ import annotations

import datetime
import time

from conbool_tui import log, render
from conbool_tui.commands.context import Context
from conbool_tui.errors import ExitCode, RolledBackError
from conbool_tui.receipt import ChangeState, Receipt

_POLL = 0.5
_GRACE = 15.0
"""Seconds after the deadline in which the guard process takes the change back; then this one does it."""


def confirm(context: Context) -> int:
    """Keep the change that waits for confirmation."""
    receipt = context.session.confirm(context.options.id)
    log.record(context.session.host, f"confirm: {receipt.id} {receipt.state.value}")
    if context.wants_json:
        context.data_json({"changed": True, "receipt": render.json_value(receipt)})
    else:
        context.data(render.receipt_text(receipt))
    return ExitCode.DONE


def after_apply(context: Context, receipt: Receipt) -> Receipt:
    """Ask whether a change that is live shall stay, or say how to keep it.

    Returns:
        the receipt as it stands afterwards.

    Raises:
        RolledBackError: it was taken back, because the admin said so or nobody confirmed it in time.
    """
    left = seconds_left(receipt)
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


def seconds_left(receipt: Receipt) -> float:
    """Seconds until the change is taken back."""
    until = datetime.datetime.fromisoformat(receipt.confirm_by.replace("Z", "+00:00"))
    return max(0.0, (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


def _outcome(context: Context, receipt: Receipt) -> Receipt:
    """Wait until the change waits no more. Raises RolledBackError."""
    late = time.monotonic() + seconds_left(receipt) + _GRACE
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
