"""Changes as transactions: apply, confirm, undo, history, recovery."""

from __future__ import annotations

from conbool_tui.transaction.accepted import accept
from conbool_tui.transaction.apply import apply_plan
from conbool_tui.transaction.asked import Asked, asked_about
from conbool_tui.transaction.confirm import confirm_change
from conbool_tui.transaction.live import LiveFor
from conbool_tui.transaction.merge import KEEP, PUT_BACK, Choices, Conflict, UndoConflictError
from conbool_tui.transaction.receipts import find_unconfirmed, find_unfinished, list_changes
from conbool_tui.transaction.record import load_plan
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.story import journal_text
from conbool_tui.transaction.undo import find_conflicts, undo_change

__all__ = [
    "KEEP",
    "PUT_BACK",
    "Asked",
    "Choices",
    "Conflict",
    "LiveFor",
    "SystemFor",
    "UndoConflictError",
    "accept",
    "apply_plan",
    "asked_about",
    "confirm_change",
    "find_conflicts",
    "find_unconfirmed",
    "find_unfinished",
    "journal_text",
    "list_changes",
    "load_plan",
    "recover",
    "undo_change",
]
