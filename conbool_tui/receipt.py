"""What a transaction did, as shown by apply, undo and history."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable


class ChangeState(str, enum.Enum):
    """How a recorded change stands."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled back"
    UNDONE = "undone"
    UNFINISHED = "unfinished"
    INCOMPLETE = "rollback incomplete"
    UNCONFIRMED = "waiting for confirmation"


@dataclass(frozen=True)
class Receipt:
    """One recorded change. ``started`` and ``finished`` are UTC in ISO 8601; ``undo_of`` names the change an undo took back.

    ``confirm_by``: until when (UTC, ISO 8601) a change that waits for confirmation must be confirmed.
    """

    id: str
    system: str
    state: ChangeState
    started: str
    finished: str
    titles: tuple[str, ...]
    files: tuple[str, ...]
    undo_of: str = ""
    message: str = ""
    confirm_by: str = ""


@dataclass(frozen=True)
class Progress:
    """One step of a running transaction: ``phase`` is lock, check, backup, stage, judge, write, reload, health, done or rollback."""

    phase: str
    text: str
    done: int
    total: int


ProgressSink = Callable[[Progress], None]
