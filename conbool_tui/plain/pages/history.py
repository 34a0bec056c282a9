"""History: every recorded change, its journal, undo, and removing old records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conbool_tui.errors import ConboolError
from conbool_tui.plain.fields import picked
from conbool_tui.plain.pages import confirm, conflicts
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.receipt import ChangeState, Progress, Receipt
from screens.texts import actions, asked
from screens.texts.countdown import outcome_line
from screens.texts.history import (
    ALL_NEEDED,
    LOOKING_AT_EDITS,
    LOOKING_FOR_OLD,
    NO_CHANGES,
    READING,
    REMOVING,
    again_id,
    journal_lines,
    journal_title,
    receipt_lines,
    removed_line,
    row,
    undoing_text,
    undone_lines,
    why_not,
)
from screens.texts.lines import Line, error_lines
from screens.undoing import Undo

_HINT = "A number says more about a change and takes it back, r removes old ones, Enter goes back."


def history(run: Run) -> None:
    """The list of changes, as often as it is wanted; returns to the step."""
    topic, run.talk.topic = run.talk.topic, "history"
    try:
        while True:
            run.talk.topic = "history"
            run.talk.heading(actions.HISTORY)
            receipts = _read(run)
            if not receipts:
                return
            typed = run.talk.rows([], [row(receipt) for receipt in receipts], _HINT)
            if not typed:
                return
            if typed.lower() in ("r", actions.REMOVE_OLD.lower()):
                _prune(run)
                continue
            for place in picked(run, typed, len(receipts), _HINT)[:1]:
                _one(run, receipts[place], receipts)
    except BackError:
        return
    finally:
        run.talk.topic = topic


def _read(run: Run) -> Sequence[Receipt]:
    session = run.session
    try:
        receipts = run.jobs.run(READING, lambda report: list(session.history()))
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return ()
    if not receipts:
        run.talk.say(NO_CHANGES)
    return receipts


def _one(run: Run, receipt: Receipt, receipts: Sequence[Receipt]) -> None:
    """One change, and what can be done with it."""
    run.talk.say("", actions.DETAILS)
    run.talk.page(receipt_lines(receipt))
    again = again_id(receipt, receipts)
    options = (
        Option("back", actions.BACK),
        Option("undo", actions.IN_FORCE_AGAIN if again else actions.UNDO_THIS, why_not(receipt)),
        Option("journal", actions.JOURNAL),
        Option("prune", actions.REMOVE_OLD),
    )
    while True:
        try:
            chosen = run.talk.menu(options, enter="back")
        except BackError:
            return
        if chosen == "journal":
            _journal(run, receipt)
            continue
        if chosen == "undo":
            _undo(run, receipt, again)
        elif chosen == "prune":
            _prune(run)
        return


def _journal(run: Run, receipt: Receipt) -> None:
    session = run.session
    run.talk.heading(journal_title(receipt.id))
    try:
        text = run.jobs.run("Reading", lambda report: session.journal(receipt.id))
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return
    run.talk.page(journal_lines(text))


# --- undo


def _undo(run: Run, receipt: Receipt, again: str) -> None:
    """Ask about each edit, then whether, then take it back; what was edited meanwhile is asked about again."""
    from conbool_tui.transaction import UndoConflictError

    session = run.session
    try:
        found = run.jobs.run(LOOKING_AT_EDITS, lambda report: session.conflicts(receipt.id))
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return
    undo = Undo(receipt, tuple(found))
    while True:
        if undo.conflicts:
            choices = conflicts.decide(run, undo)
            if choices is None:
                return
            undo = replace(undo, choices=choices)
        if not run.talk.asked(asked.undo(receipt, again, undo.conflicts, undo.choices)):
            return
        run.talk.say(undoing_text(receipt, again))
        try:
            ended = session.undo(
                receipt.id, run.teller(_step_line), choices=undo.choices, asked=undo.conflicts
            )
        except UndoConflictError as error:
            if error.conflicts:
                undo = undo.edited_again(error.conflicts)
                continue
            _failed(run, error)
            return
        except ConboolError as error:
            _failed(run, error)
            return
        break
    run.state.changed_host(ended, in_force_again=again)
    run.state.findings = None
    if ended.state is ChangeState.UNCONFIRMED:
        # Bringing a change into force again may have to be confirmed like the change itself.
        run.talk.say(outcome_line(confirm.confirm(run, ended, run.state.start_answers)))
        return
    run.talk.say(*undone_lines(ended, again))


def _failed(run: Run, error: ConboolError) -> None:
    run.state.failure = error
    run.talk.say(*error_lines(error))


def _step_line(progress: Progress) -> Line:
    return Line(f"  {progress.phase}: {progress.text}")


# --- old records


def _prune(run: Run) -> None:
    """Say which records could go, ask, remove them."""
    session = run.session
    try:
        found, total = run.jobs.run(
            LOOKING_FOR_OLD, lambda report: (session.prunable(), len(session.history()))
        )
        if not found:
            run.talk.say(ALL_NEEDED)
            return
        if not run.talk.asked(asked.prune(found, total)):
            return
        run.talk.say(f"{REMOVING} ...")
        removed = session.prune()
    except ConboolError as error:
        _failed(run, error)
        return
    run.talk.say(removed_line(len(removed)))
