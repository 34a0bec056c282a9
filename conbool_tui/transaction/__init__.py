"""Changes as transactions: apply, undo, history, recovery."""

from __future__ import annotations

from conbool_tui.transaction.apply import apply_plan
from conbool_tui.transaction.merge import Conflict, UndoConflictError
from conbool_tui.transaction.receipts import find_unfinished, list_changes
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.undo import undo_change

__all__ = [
    "Conflict",
    "SystemFor",
    "UndoConflictError",
    "apply_plan",
    "find_unfinished",
    "list_changes",
    "recover",
    "undo_change",
]
