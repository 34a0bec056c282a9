"""The sub-commands that change the server: apply, networks and undo."""

from __future__ import annotations

import dataclasses

from conbool_tui import log, render
from conbool_tui.answers import Answers
from conbool_tui.commands import choosing, confirming, finishing
from conbool_tui.commands.context import STDIN_NAMES, Context, answers_given, piped, required_answers
from conbool_tui.errors import ConboolError, ExitCode, UsageError
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState


def apply(context: Context) -> int:
    """Plan, show, ask, apply."""
    context.session.require_root("Applying a plan")
    if not context.options.recorded:
        return _plan_and_apply(context, required_answers(context))
    if answers_given(context) is not None:
        raise UsageError(
            "--recorded takes the answers of what is in force, and other answers were given, too.",
            "",
            "Leave out one of the two.",
        )
    return _plan_and_apply(context, context.session.applied_answers())


def networks(context: Context) -> int:
    """Replace Conbool's addresses in the answers of what is in force, and apply that."""
    session = context.session
    session.require_root("Replacing Conbool's addresses")
    found, remarks = _network_list(context)
    for remark in remarks:
        context.say(remark)
    answers = dataclasses.replace(session.applied_answers(), conbool_networks=found)
    return _plan_and_apply(context, answers)


def _network_list(context: Context) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The networks given, and what was noticed in the list. Raises UsageError."""
    name = context.options.list
    if name not in STDIN_NAMES:
        return context.session.read_networks(name)
    from conbool_tui.network_lists import parse_list

    return parse_list(piped(f"{context.options.command} -").decode("utf-8", "replace"), "standard input")


def _plan_and_apply(context: Context, answers: Answers) -> int:
    session = context.session
    finishing.finish(context)
    plan = session.plan(answers)
    context.say(render.plan_text(plan))
    if plan.empty:
        return _nothing(context, ExitCode.DONE)
    if not context.options.yes and not _asked(context, plan):
        context.say("Nothing was changed.")
        return _nothing(context, ExitCode.PENDING)
    touched = [target.path for target in plan.files] + [target.name for target in plan.live]
    log.record(session.host, f"apply: {len(plan.changes)} changes in {', '.join(touched)}")
    try:
        receipt = session.apply(plan, context.progress, by_probe=context.options.yes)
    except ConboolError as error:
        log.record(session.host, "apply failed: " + "\n".join(error.lines()))
        raise
    if receipt.state is ChangeState.UNCONFIRMED:
        receipt = confirming.after_apply(context, receipt)
    context.report(receipt, "apply")
    return ExitCode.DONE


def _asked(context: Context, plan: Plan) -> bool:
    """True when the admin said yes, where needed twice. Raises UsageError: no terminal."""
    if not context.confirmed("Apply this now?", "--yes"):
        return False
    if not plan.ask_again:
        return True
    context.say(render.paragraph(f"! {plan.ask_again}", 0, 2))
    return context.typed("Type close to close port 25 nevertheless:") == "close"


def _nothing(context: Context, code: int) -> int:
    if context.wants_json:
        context.data_json({"changed": False, "receipt": None})
    return code


def undo(context: Context) -> int:
    """Take a change back."""
    session = context.session
    session.require_root("Taking a change back")
    if context.options.accept:
        return _close(context)
    finishing.finish(context)
    found = session.undo_target(context.options.id)
    context.say(render.history_text([found]))
    conflicts = session.conflicts(found.id)
    given = choosing.given(context, conflicts)
    choices = choosing.ask(context, conflicts, given)
    if not context.options.yes and not context.confirmed(f"Take back {found.id} now?", "--yes"):
        context.say("Nothing was changed.")
        return _nothing(context, ExitCode.PENDING)
    log.record(session.host, f"undo: {found.id}")
    try:
        asked = [conflict for conflict in conflicts if conflict.at not in given]
        receipt = choosing.undo(context, found.id, choices, asked)
    except ConboolError as error:
        log.record(session.host, "undo failed: " + "\n".join(error.lines()))
        raise
    if receipt.state is ChangeState.UNCONFIRMED:
        # Taking back an undo may close port 25 again.
        receipt = confirming.after_apply(context, receipt)
    context.report(receipt, "undo")
    return ExitCode.DONE


def _close(context: Context) -> int:
    """Close a change that was cut off, with what was edited meanwhile as it is."""
    session = context.session
    found = session.unfinished()
    if found is None or context.options.id not in (None, found.id):
        raise UsageError(
            "No such change was cut off, so there is none to close.",
            "--accept is about a change that could be neither finished nor taken back.",
            "conbool-tui history lists how all changes stand.",
        )
    context.say(render.history_text([found]))
    question = f"Take back what was not edited meanwhile, leave the rest as it is, and close {found.id}?"
    if not context.options.yes and not context.confirmed(question, "--yes"):
        context.say("Nothing was changed.")
        return _nothing(context, ExitCode.PENDING)
    receipt = session.recover(context.progress, accept=True)
    if receipt is None:
        return _nothing(context, ExitCode.DONE)
    context.report(receipt, "undo --accept")
    return ExitCode.DONE
