"""Recorded changes in words."""

from __future__ import annotations

from conbool_tui.findings import Status
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.wizard_state import clock_time
from screens.texts.lines import Line, status_line

_STATUS = {
    ChangeState.APPLIED: Status.OK,
    ChangeState.UNDONE: Status.OK,
    ChangeState.ROLLED_BACK: Status.WARN,
    ChangeState.UNFINISHED: Status.FAIL,
    ChangeState.INCOMPLETE: Status.FAIL,
    ChangeState.UNCONFIRMED: Status.WARN,
    ChangeState.RUNNING: Status.WARN,
}


def row(receipt: Receipt) -> str:
    """One change in one line: when, ID, state, what."""
    what = f"undo of {receipt.undo_of}" if receipt.undo_of else f"{len(receipt.titles)} changes"
    return f"{_when(receipt.started)}  {receipt.id}  {receipt.state.value:<11}  {receipt.system}, {what}"


def receipt_lines(receipt: Receipt) -> list[Line]:
    """Everything recorded about one change."""
    lines = [status_line(_STATUS[receipt.state], f"{receipt.id}: {receipt.state.value}")]
    if receipt.confirm_by and receipt.state is ChangeState.UNCONFIRMED:
        lines.append(Line(f"  Taken back by itself at {clock_time(receipt.confirm_by)} unless it is kept."))
    if receipt.undo_of:
        lines.append(Line(f"  Takes back change {receipt.undo_of}."))
    if receipt.message:
        lines.append(Line(f"  {receipt.message}"))
    lines.append(
        Line(
            f"  {receipt.system}, from {_when(receipt.started)} to {_when(receipt.finished) or '(never)'} UTC"
        )
    )
    lines.extend([Line(""), Line("Changes", "head"), *(Line(f"  {title}") for title in receipt.titles)])
    lines.extend([Line(""), Line("Files", "head"), *(Line(f"  {path}") for path in receipt.files)])
    return lines


def _when(moment: str) -> str:
    return moment.replace("T", " ")[:16]
