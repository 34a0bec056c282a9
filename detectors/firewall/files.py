"""Files a firewall plan may edit, as data."""

from __future__ import annotations

import stat
from collections.abc import Iterable

from conbool_tui.facts import FileText
from conbool_tui.host import Host


def file_texts(host: Host, paths: Iterable[str]) -> dict[str, FileText]:
    """Those of ``paths`` that are there. Raises HostError, NeedsRootError."""
    found = {}
    for path in paths:
        if host.is_file(path):
            info = host.stat(path)
            found[path] = FileText(
                path, host.read_bytes(path), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid
            )
    return found
