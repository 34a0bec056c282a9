"""A private copy of a configuration directory that a mail system's own tools can judge."""

from __future__ import annotations

import posixpath
import stat
import time
from collections.abc import Mapping
from typing import Optional

from conbool_tui.host import Host

_LINK_ABOVE = 262144
_SECOND = 1_000_000_000


class StagedCopy:
    """A configuration directory copied to ``path``.

    Symbolic links inside the directory lead to the copied file, links out of it to the file itself; large
    files (tables) are linked, not copied. Nothing below the copy is ever written through a link.

    Args:
        host: the machine.
        directory: the live configuration directory.
        path: where the copy is made; must not exist.
    """

    def __init__(self, host: Host, directory: str, path: str) -> None:
        self._host = host
        self._directory = posixpath.normpath(directory)
        self._resolved = host.resolve(directory)
        self.path = path
        host.make_folder(path, 0o700)
        for found in host.walk(self._resolved):
            self._copy(found)

    def _copy(self, found: str) -> None:
        place = self.path + found[len(self._resolved) :]
        info = self._host.lstat(found)
        if info is None:
            return
        if stat.S_ISLNK(info.st_mode):
            target = self._host.resolve(found)
            inside = target.startswith(self._resolved + "/")
            self._host.make_link(place, self.path + target[len(self._resolved) :] if inside else target)
        elif stat.S_ISDIR(info.st_mode):
            self._host.make_folder(place, 0o700)
        elif stat.S_ISREG(info.st_mode):
            if info.st_size > _LINK_ABOVE:
                self._host.make_link(place, found)
            else:
                self._write(place, self._host.read_bytes(found))

    def place_of(self, path: str) -> Optional[str]:
        """Where a live path is in the copy; None when it is outside the configuration directory."""
        for top in (self._directory, self._resolved):
            if path.startswith(top + "/"):
                return self.path + path[len(top) :]
        return path if path.startswith(self.path + "/") else None

    def lay_over(self, files: Mapping[str, Optional[bytes]]) -> None:
        """Put new contents in (None: remove the file). Files outside the configuration directory are left
        out.
        """
        for path, data in files.items():
            place = self.place_of(posixpath.normpath(path))
            if place is None:
                continue
            missing = []
            folder = posixpath.dirname(place)
            while self._host.lstat(folder) is None:
                missing.append(folder)
                folder = posixpath.dirname(folder)
            for name in reversed(missing):
                self._host.make_folder(name, 0o700)
            if self._host.lstat(place) is not None:
                self._host.remove(place)
            if data is not None:
                self._write(place, data)

    def _write(self, place: str, data: bytes) -> None:
        # Every Postfix program waits a second or more for a main.cf that has just been written.
        long_ago = (time.time_ns() // _SECOND - 3600) * _SECOND
        self._host.write_new(place, data, mode=0o600, times=(long_ago, long_ago))

    def live_text(self, text: str) -> str:
        """Tool output with the copy's path replaced by the live one."""
        return text.replace(self.path, self._directory)
