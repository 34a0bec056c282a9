"""systemd's journal, asked in stretches of time short enough that no answer gets large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

LINES = 40_000
"""At most so many lines are asked for at once."""

_FIRST_STRETCH = 3600.0
_LONGEST_STRETCH = 43200.0
_SHORTEST_STRETCH = 2.0
_FEW = LINES // 8
_TIMEOUT = 60.0


class JournalError(Exception):
    """The journal did not answer; the text says why, as a sentence."""


def journal_blocks(
    host: Host,
    tags: Sequence[str],
    since: float,
    until: float,
    moved: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Iterator[bytes]:
    """The lines of the programs ``tags`` in the journal, oldest first, as ``journalctl -o short-iso`` writes them.

    Without tags, the lines of facility mail. ``moved`` is told the time up to which it has been read.

    Raises:
        JournalError: journalctl is missing or failed, or one stretch of two seconds holds too many lines.
    """
    matches = [f"SYSLOG_IDENTIFIER={tag}" for tag in tags] or ["SYSLOG_FACILITY=2"]
    start, stretch = since, _FIRST_STRETCH
    while start < until and not cancelled():
        end = min(start + stretch, until)
        # Both ends belong to the answer, so the next stretch begins a microsecond later.
        argv = ["journalctl", "-q", "--no-pager", "-o", "short-iso", "-n", str(LINES)]
        argv += [f"--since=@{start:.6f}", f"--until=@{end - 0.000001:.6f}", *matches]
        try:
            result = host.run(argv, timeout=_TIMEOUT)
        except ConboolError as error:
            raise JournalError(error.what) from None
        if not result.ok and not result.stdout:
            reason = result.error_text().rpartition("\n")[2]
            # An empty journal makes some versions end with 1 and without a word.
            if reason:
                raise JournalError(f"journalctl failed: {reason.rstrip('.')}.")
        number = result.stdout.count(b"\n")
        if number >= LINES and end - start > _SHORTEST_STRETCH:
            stretch = max((end - start) / 2, _SHORTEST_STRETCH)
            continue
        if result.stdout:
            yield result.stdout
        if number >= LINES:
            raise JournalError(
                "The journal holds more lines for one moment than can be read; there are more senders."
            )
        start = end
        moved(start)
        if number < _FEW:
            stretch = min(stretch * 2, _LONGEST_STRETCH)
