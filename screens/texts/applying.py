"""The transaction in words: the question before it, its phases, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conbool_tui.errors import ConboolError, RollbackIncompleteError, RolledBackError
from conbool_tui.findings import Status
from screens.texts.countdown import outcome_line
from screens.texts.inbound import countdown_text, live_name
from screens.texts.lines import Line, error_lines, status_line

if TYPE_CHECKING:
    from conbool_tui.plan import Plan
    from conbool_tui.receipt import Progress, Receipt

WRITING = "Applying"
LOOK_AGAIN = "Go back to Review to look at the plan again."
FIRST_REVIEW = "go back to Review first: the plan is worked out again there"


def question_lines(plan: Plan | None) -> list[Line]:
    """What is about to be done."""
    if plan is None:
        return [Line("There is nothing to apply.")]
    places = [f"{len(plan.files)} files"] if plan.files else []
    places.extend(f"the {live_name(target.name).lower()}" for target in plan.live)
    reload = ", then a reload" if plan.reload else ""
    again = [Line(f"! {plan.ask_again}", "warn"), Line("")] if plan.ask_again else []
    wait = [Line(countdown_text(plan)), Line("")] if plan.confirm_within else []
    return [
        Line("Nothing has been changed yet.", "title"),
        Line(""),
        Line(f"Apply now: {len(plan.changes)} changes in {' and '.join(places)}{reload}."),
        Line(""),
        *again,
        *wait,
        *(Line(f"  {number}. {change.title}") for number, change in enumerate(plan.changes, 1)),
        Line(""),
        Line("Backups are made first. If a test or the reload fails, everything is put back at once."),
        Line("Mail keeps flowing: the mail system is reloaded, not stopped."),
    ]


def phase_line(progress: Progress) -> Line:
    """One phase of the transaction."""
    return Line(f"  {progress.done:>2} of {progress.total}  {progress.phase:<9} {progress.text}")


def applied_line(receipt: Receipt) -> Line:
    """It is in force."""
    return status_line(Status.OK, f"Applied as change {receipt.id}.")


def applied_lines(receipt: Receipt) -> list[Line]:
    """What it wrote, and how to take it back."""
    return [
        Line(""),
        *(Line(f"  {path}") for path in receipt.files),
        Line(""),
        Line(f"Take it back at any time: conbool-tui undo {receipt.id}"),
    ]


def taken_back_since(receipt: Receipt) -> Line:
    """It was taken back from the History."""
    return status_line(Status.WARN, f"Change {receipt.id} was taken back since.")


def taken_back_lines(receipt: Receipt) -> list[Line]:
    """It was not kept."""
    message = [Line(receipt.message)] if receipt.message else []
    return [outcome_line(receipt), *message, Line(LOOK_AGAIN)]


def failure_line(error: ConboolError) -> Line:
    """How a failed change left the server."""
    if isinstance(error, RollbackIncompleteError):
        return status_line(Status.FAIL, "FAILED, and not everything could be put back. Read this:")
    if isinstance(error, RolledBackError):
        return status_line(Status.WARN, "ROLLED BACK: the change failed and the old state is back.")
    return status_line(Status.FAIL, "NOT APPLIED: nothing was changed.")


def failure_lines(error: ConboolError) -> list[Line]:
    """The same with what happened and what to do."""
    return [failure_line(error), Line(""), *error_lines(error)]
