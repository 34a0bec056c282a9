"""Mail in the queue that is filed for a transport of ours: a FILTER action is stored with the message."""

from __future__ import annotations

import posixpath
import re

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

TRANSPORTS = ("conbool-direct", "conbool-reinject", "conbool-smarthost")
"""The transports of ours that a FILTER action can name."""
QUEUES = ("incoming", "active", "deferred")
"""The queues that mail passes through by itself; what is on hold is the admin's."""
# The record of a filter in a queue file: type, length, transport and next hop (rec_type.h, REC_TYPE_FILT). It stands in the first
# segment of the file or in the last one.
_FILTER = re.compile(rb"L[\x01-\x7f](conbool-[a-z]+):")
_SEGMENT = 16384


def filed_for(host: Host, queue: str, transports: frozenset[bytes]) -> list[str]:
    """The ids of the messages below a queue's folder whose filter is one of these transports."""
    found = []
    for path in host.walk(queue):
        try:
            if not host.is_file(path):
                continue
            size = host.stat(path).st_size
            data = host.read_from(path, 0, 2 * _SEGMENT)
            if size > 2 * _SEGMENT:
                data += b"\n" + host.read_from(path, size - _SEGMENT, _SEGMENT)
        except ConboolError:
            # It was delivered meanwhile.
            continue
        if any(match in transports for match in _FILTER.findall(data)):
            found.append(posixpath.basename(path))
    return found
