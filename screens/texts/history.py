"""Recorded changes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.findings import Status
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.wizard_state import clock_time
from screens.texts.countdown import outcome_line
from screens.texts.lines import Line, status_line
from screens.texts.versions import visible

READING = "Reading the journal"
LOOKING_AT_EDITS = "Looking at what was edited since"
LOOKING_FOR_OLD = "Looking for records that are not needed any more"
REMOVING = "Removing records"
NO_CHANGES = "nothing has been changed on this server by this program"
ALL_NEEDED = "All records are still needed: something may be taken back from each."
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


def missed_lines(receipt: Receipt) -> list[Line]:
    """How the newest change ended, or began to wait, while nobody watched."""
    name, when = f"change {receipt.id}", f"on {_when(receipt.finished)} UTC"
    if receipt.state is ChangeState.UNCONFIRMED:
        until = clock_time(receipt.confirm_by)
        told = f"{name} went live and waits for confirmation until {until}."
    elif receipt.state is ChangeState.INCOMPLETE:
        told = f"{name} could not be taken back completely."
    elif receipt.undo_of and receipt.state is ChangeState.APPLIED:
        told = f"change {receipt.undo_of} was taken back {when}, recorded as {receipt.id}."
    elif receipt.state is ChangeState.ROLLED_BACK:
        told = f"{name} was taken back {when}: the old state is in place."
    elif receipt.state is ChangeState.APPLIED:
        told = f"{name} was applied {when} and is in force."
    else:
        told = f"{name} was {receipt.state.value} {when}."
    head = status_line(_STATUS[receipt.state], f"While you were away: {told}")
    return [head, *message_lines(receipt), Line("")]


def ended_lines(receipt: Receipt) -> list[Line]:
    """How a change ended that was under way a moment ago."""
    told = {
        ChangeState.APPLIED: "is in force",
        ChangeState.ROLLED_BACK: "was taken back: the old state is in place",
        ChangeState.UNFINISHED: "was cut off",
    }.get(receipt.state, f"ended: {receipt.state.value}")
    name = f"Change {receipt.id}"
    if receipt.undo_of and receipt.state is ChangeState.APPLIED:
        name, told = f"Change {receipt.undo_of}", f"was taken back, recorded as {receipt.id}"
    return [status_line(_STATUS[receipt.state], f"{name} {told}."), *message_lines(receipt)]


def message_lines(receipt: Receipt) -> list[Line]:
    """What was recorded about how it ended."""
    return [Line(f"  {part}") for part in receipt.message.split("\n") if part]


def again_id(receipt: Receipt, receipts: Sequence[Receipt]) -> str:
    """The change that comes into force again when ``receipt`` is taken back; empty when none does."""
    by_id = {item.id: item for item in receipts}
    links, root = 0, receipt
    while root.undo_of:
        links += 1
        if root.undo_of not in by_id:
            return root.undo_of if links % 2 else ""
        root = by_id[root.undo_of]
    return root.id if links % 2 else ""


def undo_question(receipt: Receipt, again: str, *, edited: bool = False) -> tuple[str, list[str]]:
    """The last question before an undo, and what it means. ``edited``: what was chosen about edits is said after it."""
    if again:
        question = f"Put change {again} in force again?"
        does = "Its changes are made again in these files, and the mail system is reloaded:"
    else:
        question = f"Take back change {receipt.id}?"
        does = "Its changes are taken out of these files, and the mail system is reloaded:"
    stays = (
        "What else you edited since then stays." if edited else "What you edited yourself since then stays."
    )
    return question, [does, *(f"  {path}" for path in receipt.files), stays]


def why_not(receipt: Optional[Receipt]) -> str:
    """Why a change cannot be taken back here, empty when it can."""
    if receipt is None:
        return "no change is marked"
    if receipt.state is ChangeState.UNCONFIRMED:
        return "it waits for confirmation; search again on the Welcome screen to keep it or take it back"
    if receipt.state in (ChangeState.UNFINISHED, ChangeState.INCOMPLETE):
        return f"it is {receipt.state.value}; choose Recover on the Welcome screen"
    if receipt.state is not ChangeState.APPLIED:
        return f"it is {receipt.state.value} already"
    return ""


def undoing_text(receipt: Receipt, again: str) -> str:
    """What is being done."""
    return f"Putting change {again} in force again" if again else f"Taking back change {receipt.id}"


def undone_lines(receipt: Receipt, again: str) -> list[Line]:
    """The undo's own end, or how the change ended that it took back by rolling it back."""
    if receipt.state is ChangeState.APPLIED and again:
        told = status_line(Status.OK, f"Change {again} is in force again.")
    elif receipt.state is ChangeState.APPLIED:
        told = status_line(Status.OK, f"Change {receipt.undo_of or receipt.id} was taken back.")
    else:
        told = outcome_line(receipt)
    return [told, *message_lines(receipt)]


def journal_title(change_id: str) -> str:
    """Whose journal."""
    return f"Journal of change {change_id}"


def journal_lines(text: str) -> list[Line]:
    """A journal as it was recorded."""
    return [Line(visible(row), hang=8) for row in text.rstrip("\n").split("\n")]


def removed_line(count: int) -> Line:
    """Old records are gone."""
    return status_line(Status.OK, f"Removed: {count} old records.")


def prune_lines(found: Sequence[Receipt], total: int) -> list[str]:
    """What removing old records means."""
    kept = total - len(found)
    return [
        f"{_records(len(found))} of {total} can go: nothing can be taken back from them any more.",
        f"The oldest is from {_when(found[-1].started)} UTC, the newest from {_when(found[0].started)} UTC.",
        f"{_records(kept)} {'stays' if kept == 1 else 'stay'}: what is in force, and what its undo may need.",
        "Their journals and backups are removed for good. Mail, files and settings stay as they are.",
        "",
        *(f"  {row(item)}" for item in found),
    ]


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


def receipt_lines(receipt: Receipt) -> list[Line]:
    """Everything recorded about one change."""
    lines = [status_line(_STATUS[receipt.state], f"{receipt.id}: {receipt.state.value}")]
    if receipt.confirm_by and receipt.state is ChangeState.UNCONFIRMED:
        lines.append(Line(f"  Taken back by itself at {clock_time(receipt.confirm_by)} unless it is kept."))
    if receipt.undo_of:
        lines.append(Line(f"  Takes back change {receipt.undo_of}."))
    lines.extend(message_lines(receipt))
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
