"""Files of the admin at the keyboard: answers, lists, transcripts. They lie on this machine, also when ``--root`` names another system; a
relative path counts from the current folder.
"""

from __future__ import annotations

import os

from conbool_tui.host import Host


def place(path: str) -> tuple[Host, str]:
    """This machine, and the absolute path on it."""
    return Host("/"), os.path.abspath(path)


def read(path: str) -> bytes:
    """The file's content. Raises HostError, NeedsRootError."""
    host, absolute = place(path)
    return host.read_bytes(absolute)


def exists(path: str) -> bool:
    """True when there is something that writing would replace."""
    host, absolute = place(path)
    return host.exists(absolute)


def write(path: str, data: bytes) -> None:
    """Write it for this user alone (mode 0600), also in a folder like /tmp. Raises HostError, NeedsRootError."""
    host, absolute = place(path)
    host.write_guarded(absolute, data)
