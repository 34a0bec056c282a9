"""The log of what was done and what went wrong, for root only. Without root there is no log file.

Answers hold no secrets, and contents of files are never written here; what a tool's message or a traceback shows of a password is taken out.
"""

from __future__ import annotations

import datetime
import posixpath
import stat
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.support.credentials import hide_credentials

FOLDER = "/var/log/conbool-tui"
FILE = posixpath.join(FOLDER, "conbool-tui.log")
_LARGEST = 1024 * 1024
_KEPT = 256 * 1024


def record(host: Host, text: str) -> Optional[str]:
    """Add an entry to the log, with the time (UTC) before its first line.

    Returns:
        the path of the log inside the host's root, None when nothing could be written; logging never stops
        the work.
    """
    if not host.is_root:
        return None
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = hide_credentials(text).rstrip("\n").split("\n")
    entry = "".join([f"{stamp} {lines[0]}\n"] + [f"    {line}\n" for line in lines[1:]])
    try:
        if not host.is_dir(FOLDER):
            host.make_folder(FOLDER, 0o750)
        if not _ours(host):
            return None
        if host.is_file(FILE) and host.stat(FILE).st_size > _LARGEST:
            tail = host.read_bytes(FILE)[-_KEPT:]
            host.write_guarded(FILE, tail[tail.find(b"\n") + 1 :])
        host.write_guarded(FILE, entry.encode("utf-8", "backslashreplace"), append=True)
    except (ConboolError, OSError):
        return None
    return FILE


def _ours(host: Host) -> bool:
    """Whether the folder is one, and nobody else can put anything in it: a link there would lead our writes elsewhere."""
    info = host.lstat(FOLDER)
    if info is None or not stat.S_ISDIR(info.st_mode) or host.is_link(FILE):
        return False
    return info.st_uid in (0, host.user_id) and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
