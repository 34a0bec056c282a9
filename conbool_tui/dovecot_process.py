"""Dovecot's master process."""

from __future__ import annotations

import posixpath
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host


def master_pid(host: Host, base_directory: str) -> Optional[int]:
    """Its process id (master.pid in base_dir), None when it does not run or cannot be found."""
    for folder in dict.fromkeys((base_directory, "/run/dovecot", "/var/run/dovecot")):
        try:
            pid = int(host.read_text(posixpath.join(folder, "master.pid")).split()[0])
        except (ConboolError, ValueError, IndexError):
            continue
        if host.process_name(pid) == "dovecot":
            return pid
    try:
        found = [one for one in host.processes() if one.name == "dovecot"]
    except (ConboolError, OSError, RuntimeError, LookupError):
        return None
    return found[0].pid if len(found) == 1 else None
