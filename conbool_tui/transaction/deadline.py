"""Until when a change must be confirmed, in a form that setting the clock or a restart cannot stretch."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conbool_tui.host import Host

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Deadline:
    """The end of a countdown.

    ``by`` is for people (UTC, ISO 8601); what counts is ``up``, the seconds since boot, as long as ``boot`` is the boot we live in.
    """

    by: str
    seconds: int
    boot: str
    up: float

    @classmethod
    def start(cls, host: Host, seconds: int) -> Deadline:
        """A countdown of ``seconds`` from now on."""
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return cls(end.strftime(_FORMAT), seconds, host.boot_id(), host.since_boot() + seconds)

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Deadline:
        """The countdown of a journal line; one that cannot be read is over."""
        try:
            return cls(
                str(entry["confirm_by"]), int(entry["seconds"]), str(entry["boot"]), float(entry["up"])
            )
        except (KeyError, TypeError, ValueError):
            return cls("", 0, "", 0.0)

    def fields(self) -> dict[str, Any]:
        """For the journal line."""
        return {"confirm_by": self.by, "seconds": self.seconds, "boot": self.boot, "up": round(self.up, 3)}

    def other_boot(self, host: Host) -> bool:
        """Whether the system was started anew since; False when that cannot be told."""
        now = host.boot_id()
        return bool(self.boot and now) and self.boot != now

    def over(self, host: Host) -> bool:
        """Whether the time is over: by the seconds since boot, or by the clock where those make no sense (another time namespace)."""
        if self.other_boot(host):
            return True
        left = self.up - host.since_boot()
        if left <= self.seconds and self.boot:
            return left <= 0
        return datetime.datetime.now(datetime.timezone.utc).strftime(_FORMAT) >= self.by

    def reason(self, host: Host) -> str:
        """Why the change is taken back when it is over."""
        if self.other_boot(host):
            return "The system was started anew before anybody confirmed the change."
        return f"Nobody confirmed the change within {self.seconds} seconds."
