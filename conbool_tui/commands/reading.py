"""The sub-commands that only look: detect, plan, check, history, answers."""

from __future__ import annotations

import datetime

from conbool_tui import __version__, answers_file, answers_schema, log, plan_script, render
from conbool_tui.commands import finishing
from conbool_tui.commands.context import Context, answers_given, required_answers
from conbool_tui.errors import ExitCode, UsageError
from conbool_tui.findings import Status


def detect(context: Context) -> int:
    """Print what was found."""
    finishing.tell(context)
    facts = context.session.detect(context.options.instance)
    if context.wants_json:
        context.data_json(render.facts_json(facts))
    else:
        context.data(render.detect_text(facts))
    return ExitCode.DONE


def plan(context: Context) -> int:
    """Print what would be done; 2 when there is something to do."""
    finishing.tell(context)
    answers = required_answers(context)
    made = context.session.plan(answers)
    if context.wants_json:
        context.data_json(render.plan_json(made))
    elif context.options.diff:
        context.data_bytes(render.plan_diff(made))
    elif context.options.script:
        context.data(plan_script.plan_script(made))
    else:
        context.data(render.plan_text(made))
    return ExitCode.DONE if made.empty else ExitCode.PENDING


def check(context: Context) -> int:
    """Print what the checks found; 3 when one failed."""
    finishing.tell(context)
    started = datetime.datetime.now(datetime.timezone.utc)
    findings = context.session.check(answers_given(context), context.progress)
    if context.options.transcript is not None:
        from conbool_tui.checks.transcript import transcript_text

        text = transcript_text(findings, started=started, version=__version__)
        context.session.save_text(text, context.options.transcript)
    if context.wants_json:
        context.data_json({"findings": render.json_value(findings)})
    else:
        context.data(render.findings_text(findings))
    failed = any(finding.status is Status.FAIL for finding in findings)
    return ExitCode.CHECK_FAILED if failed else ExitCode.DONE


def history(context: Context) -> int:
    """Print all recorded changes, newest first, or the journal of one."""
    finishing.tell(context)
    if context.options.show is not None:
        context.data(render.printable(context.session.journal(context.options.show), keep="\n"))
        return ExitCode.DONE
    if context.options.prune:
        return _prune(context)
    receipts = context.session.history()
    if context.wants_json:
        context.data_json({"changes": render.json_value(list(receipts))})
    else:
        context.data(render.history_text(receipts))
    return ExitCode.DONE


def _prune(context: Context) -> int:
    """Show which records would go, ask, remove them."""
    session, keep = context.session, context.options.keep
    session.require_root("Removing records")
    if keep < 0:
        raise UsageError(f"--keep {keep} is no number of records.", "", "Give 0 or more.")
    found = session.prunable(keep)
    context.say(render.history_text(found) if found else "There is no record that is not needed any more.")
    if found and not context.options.yes:
        question = f"Remove these {len(found)} records with their backups for good?"
        if not context.confirmed(question, "--yes"):
            context.say("Nothing was removed.")
            return ExitCode.PENDING
    removed = session.prune(keep) if found else []
    if removed:
        log.record(session.host, "prune: " + ", ".join(receipt.id for receipt in removed))
    if context.wants_json:
        context.data_json({"removed": [receipt.id for receipt in removed]})
    return ExitCode.DONE


def answers(context: Context) -> int:
    """Print an example answers file, or its JSON schema."""
    if context.options.schema:
        context.data_json(answers_schema.json_schema())
    else:
        context.data(answers_file.example())
    return ExitCode.DONE
