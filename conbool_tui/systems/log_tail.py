"""The lines that a mail system has logged since a moment: from the usual files, and from the journal where there is systemd."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

FILES = ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail/mail.log")
_LIMIT = 4 * 1024 * 1024


class LogTail:
    """New lines of the mail log.

    Args:
        host: the machine.
        files: the paths where they may be.
    """

    def __init__(self, host: Host, files: Sequence[str] = FILES) -> None:
        self._host = host
        self._files = tuple(files)
        self._moment = self.moment()

    def mark(self) -> None:
        """From now on only newer lines count."""
        self._moment = self.moment()

    def moment(self) -> str:
        """The ends of the logs now, as a text that another process can use."""
        return json.dumps({"since": round(time.time(), 3), "ends": self._ends()})

    def lines(self, moment: str = "") -> list[str]:
        """What was logged since a moment (the mark by default); empty for a text that is none."""
        try:
            known = json.loads(moment or self._moment)
            since = float(known["since"])
            ends = {str(path): (int(end[0]), int(end[1])) for path, end in known["ends"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return []
        found: list[str] = []
        for path in self._files:
            found += self._new(path, ends)
        if self._host.has_systemd():
            found += self._journal(since)
        return found

    def _ends(self) -> dict[str, tuple[int, int]]:
        """Inode and size (bytes) of every log file that is there."""
        ends: dict[str, tuple[int, int]] = {}
        for path in self._files:
            try:
                info = self._host.stat(path)
            except ConboolError:
                continue
            ends[path] = (info.st_ino, info.st_size)
        return ends

    def _new(self, path: str, ends: Mapping[str, tuple[int, int]]) -> list[str]:
        """A log that was rotated since counts from the start of the new file."""
        try:
            info = self._host.stat(path)
            inode, size = ends.get(path, (info.st_ino, 0))
            start = size if inode == info.st_ino and info.st_size >= size else 0
            data = self._host.read_from(path, start, _LIMIT)
        except ConboolError:
            return []
        return data.decode("utf-8", "replace").split("\n")

    def _journal(self, since: float) -> list[str]:
        # 2 is syslog's facility "mail".
        argv = ["journalctl", "-q", "--no-pager", "-o", "short", f"--since=@{since:.3f}", "SYSLOG_FACILITY=2"]
        try:
            return self._host.run(argv, timeout=15).text().split("\n")
        except ConboolError:
            return []
