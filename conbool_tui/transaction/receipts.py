"""History: how every recorded change stands, read from the journals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Optional

from conbool_tui.errors import HostError
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction.deadline import Deadline
from conbool_tui.transaction.journal import Entry, Journal, Kind
from conbool_tui.transaction.lock import busy
from conbool_tui.transaction.store import Store

_ENDS = {
    Kind.COMMIT: ChangeState.APPLIED,
    Kind.ROLLED_BACK: ChangeState.ROLLED_BACK,
    Kind.INCOMPLETE: ChangeState.INCOMPLETE,
}
OPEN_STATES = (ChangeState.UNFINISHED, ChangeState.INCOMPLETE, ChangeState.UNCONFIRMED)


def list_changes(host: Host, state_dir: str) -> list[Receipt]:
    """All recorded changes, newest first; empty when there is no state directory.

    Raises:
        NeedsRootError, HostError: the state directory cannot be read.
        CheckFailedError: the state directory is not ours.
    """
    return list(reversed(_standing(Store(host, state_dir))))


def open_change(host: Host, state_dir: str) -> Optional[Receipt]:
    """The newest change without an end: under way, cut off, half taken back or waiting for confirmation.
    Raises as list_changes.
    """
    for receipt in list_changes(host, state_dir):
        if receipt.state in OPEN_STATES:
            return receipt
    return None


def find_unfinished(host: Host, state_dir: str) -> Optional[Receipt]:
    """The change that was begun and neither finished nor rolled back, None when there is none.

    Its state is RUNNING while another process works on it, INCOMPLETE when its rollback needs help, else
    UNFINISHED: it was cut off, or its time to be confirmed is over and nobody took it back yet. A change that
    waits for confirmation is not unfinished (``find_unconfirmed``). Raises as list_changes.
    """
    receipt = open_change(host, state_dir)
    if receipt is None or (
        receipt.state is ChangeState.UNCONFIRMED and not overdue(host, state_dir, receipt.id)
    ):
        return None
    if busy(host, Store(host, state_dir)):
        receipt = open_change(host, state_dir)
        return None if receipt is None else dataclasses.replace(receipt, state=ChangeState.RUNNING)
    # Who held the lock a moment ago may have brought it to its end just now.
    receipt = open_change(host, state_dir)
    if receipt is not None and receipt.state is ChangeState.UNCONFIRMED:
        late = awaited(host, state_dir, receipt.id)
        if late is None or not late.over(host):
            return None
        return dataclasses.replace(receipt, state=ChangeState.UNFINISHED, message=late.reason(host))
    return receipt


def find_unconfirmed(host: Host, state_dir: str) -> Optional[Receipt]:
    """The change that is live and waits for confirmation, until ``confirm_by``; None when there is none or
    its time is over. Raises as list_changes.
    """
    receipt = open_change(host, state_dir)
    if receipt is None or receipt.state is not ChangeState.UNCONFIRMED:
        return None
    return None if overdue(host, state_dir, receipt.id) else receipt


def awaited(host: Host, state_dir: str, change_id: str) -> Optional[Deadline]:
    """The countdown of a change; None when it never waited."""
    entry = last_entry(Journal(host, Store(host, state_dir).folder(change_id)).read(), Kind.AWAIT)
    return None if entry is None else Deadline.of(entry)


def overdue(host: Host, state_dir: str, change_id: str) -> bool:
    """Whether a change waited for confirmation longer than it may."""
    deadline = awaited(host, state_dir, change_id)
    return deadline is not None and deadline.over(host)


def last_entry(entries: Sequence[Entry], do: str) -> Optional[Entry]:
    """The newest line of a kind."""
    return next((entry for entry in reversed(entries) if entry["do"] == do), None)


def receipt_of(host: Host, state_dir: str, change_id: str) -> Receipt:
    """How one change stands. Raises HostError when there is no such change, else as list_changes."""
    for receipt in list_changes(host, state_dir):
        if receipt.id == change_id:
            return receipt
    raise HostError(f"There is no recorded change {change_id}.", "", "`conbool-tui history` lists them.")


def state_of(entries: Sequence[Entry]) -> ChangeState:
    """How a change stands by its journal alone."""
    return _receipt("", entries).state


def _standing(store: Store) -> list[Receipt]:
    if not store.present():
        return []
    found = []
    for change_id in store.ids():
        entries = Journal(store.host, store.folder(change_id)).read()
        if entries:
            found.append(_receipt(change_id, entries))
    undone: set[str] = set()
    # An undo that was itself undone takes nothing back; newer changes decide first.
    for receipt in reversed(found):
        if receipt.undo_of and receipt.state is ChangeState.APPLIED and receipt.id not in undone:
            undone.add(receipt.undo_of)
    return [
        dataclasses.replace(item, state=ChangeState.UNDONE) if item.id in undone else item for item in found
    ]


def _receipt(change_id: str, entries: Sequence[Entry]) -> Receipt:
    first = entries[0]
    state, finished, message, confirm_by = ChangeState.UNFINISHED, "", "", ""
    for entry in entries:
        if entry["do"] in _ENDS:
            state, confirm_by = _ENDS[entry["do"]], ""
            finished, message = str(entry["time"]), str(entry.get("message", ""))
        elif entry["do"] == Kind.ROLLBACK:
            state, finished, message, confirm_by = (
                ChangeState.UNFINISHED,
                "",
                str(entry.get("reason", "")),
                "",
            )
        elif entry["do"] == Kind.AWAIT:
            state, finished, message = ChangeState.UNCONFIRMED, "", str(entry.get("message", ""))
            confirm_by = Deadline.of(entry).by
    return Receipt(
        id=change_id,
        system=str(first.get("system", "")),
        state=state,
        started=str(first["time"]),
        finished=finished,
        titles=tuple(first.get("titles", ())),
        files=tuple(first.get("files", ())),
        undo_of=str(first.get("undo_of", "")),
        message=message,
        confirm_by=confirm_by,
    )
