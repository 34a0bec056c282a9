"""The sub-commands that change the server: apply and undo."""

from __future__ import annotations

from typing import Optional

from conbool_tui import log, render
from conbool_tui.commands.context import Context, required_answers
from conbool_tui.errors import ConboolError, ExitCode
from conbool_tui.receipt import Receipt


def apply(context: Context) -> int:
    """Plan, show, ask, apply."""
    session = context.session
    session.require_root("Applying a plan")
    answers = required_answers(context.options)
    _finish_interrupted(context)
    plan = session.plan(answers)
    if plan.empty:
        context.say(render.plan_text(plan))
        if context.wants_json:
            context.data_json({"changed": False, "receipt": None})
        return ExitCode.DONE
    context.say(render.plan_text(plan))
    if not context.options.yes and not context.confirmed("Apply this now?", "--yes"):
        context.say("Nothing was changed.")
        if context.wants_json:
            context.data_json({"changed": False, "receipt": None})
        return ExitCode.PENDING
    log.record(
        session.host,
        f"apply: {len(plan.changes)} changes in {', '.join(target.path for target in plan.files)}",
    )
    try:
        receipt = session.apply(plan, context.progress)
    except ConboolError as error:
        log.record(session.host, "apply failed: " + "\n".join(error.lines()))
        raise
    _report(context, receipt, "apply")
    return ExitCode.DONE


def undo(context: Context) -> int:
    """Take a change back."""
    session = context.session
    session.require_root("Taking a change back")
    _finish_interrupted(context)
    found = session.undo_target(context.options.id)
    context.say(render.history_text([found]))
    if not context.options.yes and not context.confirmed(f"Take back {found.id} now?", "--yes"):
        context.say("Nothing was changed.")
        if context.wants_json:
            context.data_json({"changed": False, "receipt": None})
        return ExitCode.PENDING
    log.record(session.host, f"undo: {found.id}")
    try:
        receipt = session.undo(found.id, context.progress)
    except ConboolError as error:
        log.record(session.host, "undo failed: " + "\n".join(error.lines()))
        raise
    _report(context, receipt, "undo")
    return ExitCode.DONE


def _finish_interrupted(context: Context) -> None:
    """Bring a change that was cut off (power, kill) to its end before anything new begins. Raises as
    Session.recover.
    """
    if context.session.unfinished() is None:
        return
    context.say("An earlier change was interrupted; it is taken back first.")
    receipt: Optional[Receipt] = context.session.recover(context.progress)
    if receipt is not None:
        log.record(context.session.host, f"recover: {receipt.id} {receipt.state.value}")
        context.say(f"Change {receipt.id}: {receipt.state.value}. {receipt.message}".rstrip())


def _report(context: Context, receipt: Receipt, what: str) -> None:
    log.record(context.session.host, f"{what}: {receipt.id} {receipt.state.value}")
    if context.wants_json:
        context.data_json({"changed": True, "receipt": render.json_value(receipt)})
    else:
        context.data(render.receipt_text(receipt))
