"""History: how every recorded change stands, read from the journals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.errors import HostError
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction.journal import Entry, Journal, Kind
from conbool_tui.transaction.store import Store

_ENDS = {
    Kind.COMMIT: ChangeState.APPLIED,
    Kind.ROLLED_BACK: ChangeState.ROLLED_BACK,
    Kind.INCOMPLETE: ChangeState.INCOMPLETE,
}
OPEN_STATES = (ChangeState.UNFINISHED, ChangeState.INCOMPLETE)


def list_changes(host: Host, state_dir: str) -> list[Receipt]:
    """All recorded changes, newest first; empty when there is no state directory.

    Raises:
        NeedsRootError, HostError: the state directory cannot be read.
        CheckFailedError: the state directory is not ours.
    """
    return list(reversed(_standing(Store(host, state_dir))))


def find_unfinished(host: Host, state_dir: str) -> Optional[Receipt]:
    """The newest change that was begun and neither finished nor rolled back, None when there is none.
    Raises as list_changes.
    """
    for receipt in list_changes(host, state_dir):
        if receipt.state in OPEN_STATES:
            return receipt
    return None


def receipt_of(host: Host, state_dir: str, change_id: str) -> Receipt:
    """How one change stands. Raises HostError when there is no such change, else as list_changes."""
    for receipt in list_changes(host, state_dir):
        if receipt.id == change_id:
            return receipt
    raise HostError(f"There is no recorded change {change_id}.", "", "`conbool-tui history` lists them.")


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
    return [_with_state(item, ChangeState.UNDONE) if item.id in undone else item for item in found]


def _receipt(change_id: str, entries: Sequence[Entry]) -> Receipt:
    first = entries[0]
    state, finished, message = ChangeState.UNFINISHED, "", ""
    for entry in entries:
        if entry["do"] in _ENDS:
            state = _ENDS[entry["do"]]
            finished, message = str(entry["time"]), str(entry.get("message", ""))
        elif entry["do"] == Kind.ROLLBACK:
            state, finished, message = ChangeState.UNFINISHED, "", str(entry.get("reason", ""))
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
    )


def _with_state(receipt: Receipt, state: ChangeState) -> Receipt:
    return Receipt(
        receipt.id,
        receipt.system,
        state,
        receipt.started,
        receipt.finished,
        receipt.titles,
        receipt.files,
        receipt.undo_of,
        receipt.message,
    )
