"""A change that is live and waits to be kept."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.findings import Finding, Status
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.wizard_state import clock_time
from screens.texts.lines import Line, finding_lines, status_line

QUESTION = "Keep this change?"
BEFORE = "Before you decide"
OVER = "Time is over"
FAILED = "That did not work"
TESTING = "Testing"
KEEPING = "Keeping the change"
TAKING = "Taking the change back"
DECIDE_FIRST = Line(
    "! Decide first: Keep it or Take back now. If you leave (q), it is taken back by itself.", "warn"
)


def count_line(receipt: Receipt, left: int) -> Line:
    """How long there is left."""
    until = clock_time(receipt.confirm_by)
    if left <= 0:
        return status_line(Status.WARN, "The time is over. The old state is being put back ...")
    return status_line(Status.WARN, f"Live now. Taken back in {left} s, at {until}, unless you keep it.")


def waiting_lines(receipt: Receipt) -> list[Line]:
    """What waits, and how to decide."""
    return [
        Line("Find out now, before you keep it:"),
        Line("  - Test now runs the checks from here.", hang=4),
        Line("  - Can you open a second SSH session? Does mail still arrive and leave?", hang=4),
        Line(""),
        Line("Do nothing when you are cut off: it goes back by itself, also without this program."),
        Line("From another terminal: conbool-tui confirm keeps it."),
        Line(""),
        Line(f"Change {receipt.id}", "head"),
        *(Line(f"  {title}") for title in receipt.titles),
    ]


def over_lines(receipt: Receipt) -> list[Line]:
    """Nobody kept it in time."""
    return [
        Line(f"Nobody kept change {receipt.id} in time."),
        Line("The old state is put back without this program; this screen says when that is done."),
    ]


def result_lines(findings: Sequence[Finding]) -> list[Line]:
    """What the test found while the change waits."""
    failed = sum(finding.status is Status.FAIL for finding in findings)
    head = (
        status_line(
            Status.FAIL, f"{failed} of {len(findings)} checks failed. Take it back if you are not sure."
        )
        if failed
        else status_line(Status.OK, "No check failed. Choose Keep it if your own tests are good, too.")
    )
    lines = [head, Line("")]
    for finding in findings:
        lines.extend(finding_lines(finding))
    return lines


def outcome_line(receipt: Receipt) -> Line:
    """How it ended."""
    if receipt.state is ChangeState.APPLIED:
        return status_line(Status.OK, f"Kept: change {receipt.id} stays.")
    if receipt.state is ChangeState.INCOMPLETE:
        return status_line(Status.FAIL, f"Change {receipt.id} could not be taken back completely. Read this:")
    return status_line(Status.WARN, f"TAKEN BACK: change {receipt.id} is gone, and the old state is back.")
