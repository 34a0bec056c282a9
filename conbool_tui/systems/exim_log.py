"""What Exim wrote since a moment: that its daemon started anew, that it is in panic, whom it served (specification, 52 "Log files")."""

from __future__ import annotations

import json
import re
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.exim_config.lists import split_list
from conbool_tui.host import Host

_DEFAULT = "/var/log/exim4/%slog"
_LIMIT = 8_000_000
_SESSION = re.compile(r"conbool-tui: session of \[([0-9a-fA-F.:]+)\] at port 25 ended well")
_ARRIVED = re.compile(r" <= .* H=.*?\[([0-9a-fA-F.:]+)\](?::\d+)? .*\bP=e?smtp")
_STARTED = re.compile(r"\bdaemon started: pid=")


class EximLog:
    """The main and the panic log of one Exim.

    Args:
        host: the machine.
        log_file_path: the option of that name: a list, in which ``%s`` stands for main, reject or panic.
    """

    def __init__(self, host: Host, log_file_path: str = "") -> None:
        self._host = host
        paths = [one for one in split_list(log_file_path) if one.startswith("/") and "%s" in one]
        pattern = paths[0] if paths else _DEFAULT
        self._main, self._panic = pattern.replace("%s", "main"), pattern.replace("%s", "panic")
        self._mark = self._end(self._panic)

    def mark(self) -> None:
        """From now on only what is new in the panic log counts."""
        self._mark = self._end(self._panic)

    def panics(self) -> list[str]:
        """New lines of the panic log, each once."""
        lines = [line.strip() for line in self._since(self._panic, self._mark) if line.strip()]
        return list(dict.fromkeys(lines))

    def size(self) -> int:
        """Size of the main log in bytes, 0 when there is none."""
        return self._end(self._main)[1]

    def started_since(self, size: int) -> bool:
        """Whether a daemon has started since the main log had that size."""
        return any(
            _STARTED.search(line) for line in self._since(self._main, (self._end(self._main)[0], size))
        )

    def moment(self) -> str:
        """The end of the main log now."""
        return json.dumps(self._end(self._main))

    def served(self, moment: str) -> list[str]:
        """Addresses of clients whose session or message ended well after ``moment``."""
        try:
            inode, size = json.loads(moment)
            mark = (int(inode), int(size))
        except (ValueError, TypeError):
            return []
        found = []
        for line in self._since(self._main, mark):
            match = _SESSION.search(line) or _ARRIVED.search(line)
            if match is not None:
                found.append(match.group(1))
        return list(dict.fromkeys(found))

    def _end(self, path: str) -> tuple[int, int]:
        try:
            info = self._host.stat(path)
        except ConboolError:
            return (0, 0)
        return (info.st_ino, info.st_size)

    def _since(self, path: str, mark: Optional[tuple[int, int]]) -> list[str]:
        """The lines after a mark; a log that was rotated since counts from its start."""
        inode, size = self._end(path)
        if not inode:
            return []
        start = mark[1] if mark is not None and mark[0] == inode and mark[1] <= size else 0
        try:
            return self._host.read_from(path, start, _LIMIT).decode("utf-8", "replace").split("\n")
        except ConboolError:
            return []
