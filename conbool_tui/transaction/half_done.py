"""What is half done: a change that is under way, was cut off, or could not be taken back completely, in sentences."""

from __future__ import annotations

from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction.journal import Journal, Kind
from conbool_tui.transaction.lock import told_holder
from conbool_tui.transaction.store import Store

_TOUCHED = (Kind.WRITE, Kind.REMOVE, Kind.PUT)
_LISTED = 6


def half_done_text(host: Host, state_dir: str, receipt: Receipt) -> str:
    """How an unfinished change stands, what it had touched, and what to do. Raises ConboolError: it cannot be read.

    Args:
        receipt: from ``find_unfinished``.
    """
    store = Store(host, state_dir)
    if receipt.state is ChangeState.RUNNING:
        who, todo = told_holder(host, store)
        by = f" by {who}" if who else ""
        return f"Change {receipt.id} is being worked on{by}. {todo}".rstrip()
    entries = Journal(host, store.folder(receipt.id)).read()
    touched = list(dict.fromkeys(str(entry["path"]) for entry in entries if entry["do"] in _TOUCHED))
    more = f" and {len(touched) - _LISTED} more" if len(touched) > _LISTED else ""
    what = (
        f"It had begun to change {', '.join(touched[:_LISTED])}{more}."
        if touched
        else "It had changed nothing yet."
    )
    if receipt.state is ChangeState.INCOMPLETE:
        how = f"Change {receipt.id}, begun at {receipt.started}, could not be taken back completely. {receipt.message}"
    else:
        why = receipt.message or "It was cut off."
        how = f"Change {receipt.id}, begun at {receipt.started}, is half done. {why} {what}"
    return f"{how.rstrip()} Run `conbool-tui undo {receipt.id}` to take it back."
