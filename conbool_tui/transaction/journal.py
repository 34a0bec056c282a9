"""The write-ahead journal of one change: append-only, one JSON object per line, on disk before the effect
it announces.

Every line has ``n`` (counting from 1), ``time``, ``do`` (the kind) and ``text`` (for people). The first
line has ``format``. A line cut off by a crash announces an effect that never began, so it is skipped. Only
who holds the lock writes.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.transaction.store import utc_now

FORMAT = 1
NAME = "journal.jsonl"

Entry = Mapping[str, Any]


class Kind:
    """The kinds of journal lines."""

    BEGIN = "begin"
    BACKED_UP = "backed up"
    JUDGED = "judged"
    STAGE = "stage"
    FOLDER = "create folder"
    WRITE = "write"
    REMOVE = "remove"
    RELOAD = "reload"
    GUARD = "guard"
    PUT = "put rules"
    IN_FORCE = "rules in force"
    HEALTH = "health"
    AWAIT = "await confirmation"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    PUT_BACK = "put rules back"
    ROLLED_BACK = "rolled back"
    INCOMPLETE = "incomplete"


class Journal:
    """The journal in one change's folder."""

    def __init__(self, host: Host, folder: str) -> None:
        self._host = host
        self.path = posixpath.join(folder, NAME)

    def read(self) -> list[Entry]:
        """All complete lines, oldest first.

        Raises:
            ConboolError: it was written by a newer version of this program.
        """
        if not self._host.is_file(self.path):
            return []
        entries: list[Entry] = []
        for line in self._host.read_bytes(self.path).split(b"\n"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("do"), str):
                entries.append(entry)
        if entries and int(entries[0].get("format", 0)) > FORMAT:
            raise ConboolError(
                f"{self.path} has format {entries[0]['format']}; this version of conbool-tui knows {FORMAT}.",
                "A newer version made this change.",
                "Use that version to undo it.",
            )
        return entries

    def append(self, do: str, text: str, **fields: Any) -> None:
        """Add one line and wait until it is on disk. Raises HostError."""
        raw = self._host.read_bytes(self.path) if self._host.is_file(self.path) else b""
        count = sum(1 for line in raw.split(b"\n") if line.strip())
        record = {"n": count + 1, "time": utc_now(), "do": do, "text": text, **fields}
        line = json.dumps(record, ensure_ascii=True).encode("ascii") + b"\n"
        if raw and not raw.endswith(b"\n"):
            line = b"\n" + line
        self._host.append_synced(self.path, line)
        if not raw:
            self._host.sync_folder(posixpath.dirname(self.path))
