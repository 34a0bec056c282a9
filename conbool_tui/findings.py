"""What a check found, in words an admin can act on. "Could not test" is never "failed"."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(str, enum.Enum):
    """The four status words; each is also shown with a symbol and a colour."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    NOT_TESTED = "NOT TESTED"


@dataclass(frozen=True)
class Finding:
    """The result of one check. ``id`` is stable for scripts, ``detail`` may hold a transcript (lines), ``remedy`` says what to do."""

    id: str
    status: Status
    summary: str
    detail: str = ""
    remedy: str = ""
