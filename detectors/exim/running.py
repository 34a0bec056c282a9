"""Is Exim's daemon running, and which process is it?"""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

NAMES = frozenset(("exim", "exim4"))
_PID_FILES = ("/run/exim4/exim.pid", "/run/exim.pid", "/run/exim/exim.pid", "/var/run/exim.pid")


def daemon_pid(host: Host, pid_file: str = "") -> Optional[int]:
    """The daemon's process: what its pid file names, else the one process that was started with ``-bd``; None when none runs."""
    if not host.live:
        return None
    for path in dict.fromkeys((pid_file, *_PID_FILES)):
        try:
            pid = int(host.read_text(path).split()[0]) if path and host.is_file(path) else 0
        except (ConboolError, OSError, ValueError, IndexError):
            continue
        if pid and host.process_name(pid) in NAMES:
            return pid
    try:
        daemons = [
            one
            for one in host.processes()
            if one.name in NAMES and any(word in ("-bd", "-bdf") for word in one.command)
        ]
    except (ConboolError, OSError, RuntimeError, LookupError):
        return None
    # A connection's process has the same command line; the daemon is the oldest.
    return min((one.pid for one in daemons), default=None)
