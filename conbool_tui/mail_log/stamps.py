"""Times at the beginning of log lines: traditional syslog (RFC 3164, local time and no year) and RFC 3339."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import Optional

PATTERN = (
    rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?"
    rb"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
"""A time as syslog daemons, postlogd(8) and ``journalctl -o short-iso`` write it; no group."""

_FULL = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?:(Z)|([+-])(\d\d):?(\d\d))?\Z"
)
_SHORT = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.\d+)?\Z")
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_DAY = 86400.0
# Between two 29ths of February there are at most eight years.
_YEARS = 9


def seconds(stamp: bytes, newest: float) -> Optional[float]:
    """The time as seconds since 1970, None when there is no such time.

    Args:
        stamp: what ``PATTERN`` matched.
        newest: when the file was written last; a time without a year is the latest one that is not more than a
            day after it.
    """
    full = _FULL.match(stamp)
    try:
        if full is not None:
            year, month, day, hour, minute, second = (int(part) for part in full.group(1, 2, 3, 4, 5, 6))
            # 60 is a leap second.
            second = min(second, 59)
            if full.group(7) is None and full.group(8) is None:
                return _local(year, month, day, hour, minute, second)
            moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc).timestamp()
            if full.group(8) is not None:
                east = int(full.group(9)) * 3600 + int(full.group(10)) * 60
                moment -= east if full.group(8) == b"+" else -east
            return moment
        short = _SHORT.match(stamp)
        if short is None or short.group(1) not in _MONTHS:
            return None
        month, day = _MONTHS[short.group(1)], int(short.group(2))
        hour, minute, second = (int(part) for part in short.group(3, 4, 5))
        limit = newest + _DAY
        last = time.localtime(limit).tm_year
        for year in range(last, last - _YEARS, -1):
            try:
                found = _local(year, month, day, hour, minute, min(second, 59))
            except ValueError:
                continue
            if found <= limit:
                return found
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float:
    """A local time as seconds since 1970. Raises ValueError when the calendar has no such time."""
    datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
