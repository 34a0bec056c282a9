"""What a transaction did, as shown by apply, undo and history."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from typing import Callable


class ChangeState(str, enum.Enum):
    """How a recorded change stands.

    RUNNING is only told by ``find_unfinished``: the history calls a change unfinished until its journal has an end.
    """

    APPLIED = "applied"
    ROLLED_BACK = "rolled back"
    UNDONE = "undone"
    UNFINISHED = "unfinished"
    INCOMPLETE = "rollback incomplete"
    UNCONFIRMED = "waiting for confirmation"
    RUNNING = "under way"


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


def time_left(moment: str, now: float) -> float:
    """Seconds from ``now`` (seconds since 1970) to a moment of a receipt (ISO 8601, UTC when it does not say); 0 when it is over or
    cannot be read.
    """
    try:
        until = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, until.timestamp() - now)


@dataclass(frozen=True)
class Progress:
    """One step of a running transaction: ``phase`` is lock, check, backup, judge, stage, confirm (the process that takes an unconfirmed
    change back is started, then: the change waits), write, reload, firewall, health, done or rollback."""

    phase: str
    text: str
    done: int
    total: int


ProgressSink = Callable[[Progress], None]
