"""The one kind of line that counts, found in large pieces of a log without looking at the others.

smtpd(8) logs ``QUEUEID: client=name[address]`` when it takes the first recipient of a message, and ``NOQUEUE: client=`` when a proxy
filter gets it. Everything a client can choose (HELO, sender, subject) stands behind that or in lines that begin otherwise, so a line
is taken only when it has this form from its first byte on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Optional

from conbool_tui.mail_log import stamps

_MARK = b": client="
# Short queue IDs are hexadecimal; long ones (enable_long_queue_ids) are base 52, digits and consonants.
_QUEUE_ID = rb"(?:[0-9A-F]{5,25}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,40}|NOQUEUE)"


Accepted = tuple[bytes, bytes, Optional[bytes], bytes, bytes]
"""One message a client handed over: time, host that logged it, how often the syslog daemon saw the line again, the client's name, its
address. A plain tuple, because there are millions.
"""


def line_pattern(tag: bytes, reentry: bool) -> re.Pattern[bytes]:
    """What the line about a message of an unauthenticated client looks like; its groups are an ``Accepted``.

    Args:
        tag: pattern of the program names that count.
        reentry: lines with a forwarded client (XFORWARD) are mail that comes back from a content filter, and do not count.
    """
    refused = rb"sasl_method=|sasl_username=" + (rb"|orig_queue_id=|orig_client=" if reentry else b"")
    return re.compile(
        rb"(?:<\d{1,3}>)?("
        + stamps.PATTERN
        + rb") ([^\s\[\]:]{1,255}|[0-9A-Fa-f.:]{2,45}) "
        + tag
        + rb"\[\d{1,10}\]: (?:message repeated (\d{1,9}) times: \[ )?"
        + _QUEUE_ID
        + _MARK
        + rb"([^\s\[\],=]{1,255})\[([0-9A-Fa-f.:]{2,45})\](?::\d{1,5})?"
        rb"(?:\r?$|, (?!" + refused + rb")|\]\r?$)",
        re.MULTILINE,
    )


def accepted(block: bytes, pattern: re.Pattern[bytes]) -> Iterator[Accepted]:
    """The messages in a block of whole lines, with a pattern from ``line_pattern``."""
    find, back, match = block.find, block.rfind, pattern.match
    at = find(_MARK)
    while at >= 0:
        found = match(block, back(b"\n", 0, at) + 1)
        if found is not None:
            yield found.groups()  # type: ignore[misc]
        end = find(b"\n", at)
        if end < 0:
            return
        at = find(_MARK, end)


def first_stamp(block: bytes) -> bytes:
    """The time of the first line that has one, empty when none of the first lines does."""
    return _stamp_of(block[:8192].split(b"\n")[:40])


def last_stamp(block: bytes) -> bytes:
    """The time of the last line that has one, empty when none of the last lines does."""
    tail = block[-8192:].split(b"\n")
    # The first piece is a whole line only when the block is no longer than the tail.
    whole = tail if len(block) <= 8192 else tail[1:]
    return _stamp_of(whole[::-1][:40])


_AT_START = re.compile(rb"(?:<\d{1,3}>)?(" + stamps.PATTERN + rb") ")


def _stamp_of(lines: list[bytes]) -> bytes:
    for line in lines:
        found = _AT_START.match(line)
        if found is not None:
            return found.group(1)
    return b""
