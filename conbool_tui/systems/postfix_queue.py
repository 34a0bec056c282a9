"""Mail in the queue that was filed for a transport of ours which is gone.

A FILTER action is stored with the message. qmgr(8) defers such a message again and again when the transport is taken back ("mail transport
unavailable") until it bounces. Putting it into the queue anew (postsuper(1), ``-r``) forgets the filter, and it goes the way that
the present configuration says.
"""

from __future__ import annotations

import posixpath
import time

from conbool_tui.host import Host
from conbool_tui.postfix_config import MasterCf
from conbool_tui.queue_files import TRANSPORTS, filed_for

_MOVING = ("incoming", "active")
_PATIENCE = 15.0
_PAUSE = 0.2


def put_in_again(host: Host, config_directory: str, queue_directory: str) -> int:
    """Put the messages into the queue anew whose transport is gone: how many. Raises ConboolError.

    Those that are on their way are waited for, at most 15 seconds: only a message that rests may be touched. Mail on hold is left alone.
    """
    services = host.run(["postconf", "-c", config_directory, "-M"])
    text = services.text().encode("utf-8", "surrogateescape")
    there = {service.name for service in MasterCf.parse(text).services()}
    gone = frozenset(name.encode() for name in TRANSPORTS if name not in there)
    if not services.ok or not queue_directory or not gone:
        return 0
    deadline = time.monotonic() + _PATIENCE
    while any(filed_for(host, posixpath.join(queue_directory, queue), gone) for queue in _MOVING):
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE)
    found = filed_for(host, posixpath.join(queue_directory, "deferred"), gone)
    if found:
        names = "".join(f"{name}\n" for name in found).encode("ascii")
        host.run(["postsuper", "-c", config_directory, "-r", "-"], stdin=names)
    return len(found)
