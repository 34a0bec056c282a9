"""Is this instance running, and with which master(8) process?"""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from detectors.postfix.parameters import Tools


def master_pid(host: Host, tools: Tools, queue_directory: str) -> Optional[int]:
    """The process id of the instance's master(8), None when it does not run or cannot be found.

    The queue's pid file and the process table tell. Where the pid file is closed to this user, a running
    master(8) counts when it is the only one; where there is no process table, ``postfix status`` is asked,
    which tries the lock (as root). Another root than ``/`` has nothing running.
    """
    if not host.live:
        return None
    recorded = _recorded_pid(host, f"{queue_directory}/pid/master.pid")
    if recorded == 0:
        return None
    try:
        masters = [item for item in host.processes() if item.name == "master"]
        table = True
    except (ConboolError, OSError, RuntimeError, LookupError):
        masters, table = [], False
    if not table:
        return recorded if host.is_root and _says_running(tools) else None
    if recorded is not None:
        return next((item.pid for item in masters if item.pid == recorded), None)
    postfix = [item.pid for item in masters if item.command and "postfix" in item.command[0]]
    return postfix[0] if len(postfix) == 1 else None


def _recorded_pid(host: Host, path: str) -> Optional[int]:
    """The number in the pid file; 0 when there is no such file (never started), None when it cannot be
    read."""
    try:
        if not host.exists(path):
            return 0
        return int(host.read_text(path).split()[0])
    except (ConboolError, OSError, ValueError, IndexError):
        return None


def _says_running(tools: Tools) -> bool:
    """What ``postfix status`` says with its exit status; its text may go to the log only."""
    try:
        return tools.run("postfix", "status").ok
    except ConboolError:
        return False
