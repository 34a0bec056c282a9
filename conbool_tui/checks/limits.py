"""How long a check may take, and the way to end it early: no step waits for ever, and neither does the whole."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Callable

STEP = 10.0
TOTAL = 90.0
# Servers that make strangers wait before the greeting do so for up to half a minute (RFC 5321 allows five minutes).
_GREETING = 3.0


class CancelledError(Exception):
    """The admin ended the check."""


def _never() -> bool:
    return False


@dataclass
class Limits:
    """The time a check has; it begins to run when this object is made.

    Attributes:
        step: seconds for one step: resolving, connecting, one reply, the TLS handshake.
        total: seconds for all steps together.
        cancelled: asked several times a second while the check waits.
    """

    step: float = STEP
    total: float = TOTAL
    cancelled: Callable[[], bool] = _never
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.total

    def allowance(self, greeting: bool = False) -> float:
        """Seconds the next step may take; a greeting may take three times as long. Raises CancelledError."""
        self.go_on()
        wanted = self.step * (_GREETING if greeting else 1.0)
        return max(0.0, min(wanted, self._end - time.monotonic()))

    def go_on(self) -> None:
        """Raises CancelledError when the check was ended."""
        if self.cancelled():
            raise CancelledError

    @property
    def slow(self) -> float:
        """Seconds after which a greeting is called slow."""
        return self.step / 2

    @classmethod
    def of_steps(cls, step: float) -> Limits:
        """Only the single steps are limited."""
        return cls(step=step, total=math.inf)
