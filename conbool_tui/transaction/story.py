"""The journal of a change as a text for people."""

from __future__ import annotations

from conbool_tui.errors import UsageError
from conbool_tui.host import Host
from conbool_tui.transaction.journal import Journal
from conbool_tui.transaction.receipts import list_changes
from conbool_tui.transaction.store import Store

_OWN = frozenset(("n", "time", "do", "text", "format"))
_SHOWN = 300


def journal_text(host: Host, state_dir: str, change_id: str) -> str:
    """Every line of the journal: number, time (UTC), what, and what belongs to it.

    Raises:
        UsageError: there is no such change.
        ConboolError: its journal cannot be read.
    """
    if all(receipt.id != change_id for receipt in list_changes(host, state_dir)):
        raise UsageError(
            f"There is no change {change_id}.", "", "`conbool-tui history` lists the changes and their ids."
        )
    journal = Journal(host, Store(host, state_dir).folder(change_id))
    lines = [f"{journal.path}"]
    for entry in journal.read():
        lines.append(
            f"{entry.get('n', '?'):>4}  {entry.get('time', '')}  {entry['do']}: {entry.get('text', '')}"
        )
        for name, value in entry.items():
            if name not in _OWN and value not in ("", None, [], False):
                shown = ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
                lines.append(f"        {name}: {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}")
    return "\n".join(lines) + "\n"
