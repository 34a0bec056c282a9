"""Remove records that nothing can be taken back from any more, on request only."""

from __future__ import annotations

from conbool_tui.host import Host
from conbool_tui.receipt import Receipt
from conbool_tui.transaction.lineage import prunable
from conbool_tui.transaction.lock import locked
from conbool_tui.transaction.preflight import require_root
from conbool_tui.transaction.receipts import list_changes
from conbool_tui.transaction.store import Store


def prune(host: Host, state_dir: str, keep: int = 0) -> list[Receipt]:
    """Remove the ``prunable`` records, the oldest of a chain first: cut off anywhere, what is left is understood.

    Args:
        keep: the newest so many records stay, whatever they are.

    Returns:
        what was removed, newest first.

    Raises:
        NeedsRootError, LockedError: it cannot begin.
        HostError: a record cannot be removed.
    """
    require_root(host)
    store = Store(host, state_dir)
    if not store.present():
        return []
    with locked(host, store):
        found = prunable(list_changes(host, state_dir), keep)
        # A change without its undo would seem to be in force, so it goes first.
        for receipt in sorted(found, key=lambda item: item.id):
            store.discard(receipt.id)
        return found
