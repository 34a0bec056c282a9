"""What Postfix daemons complain about in the log from a moment on: file by maillog_file, syslog's files,
systemd's journal.
"""

from __future__ import annotations

import re
import time

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

_FILES = ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail/mail.log")
_LIMIT = 4 * 1024 * 1024
_LINE = re.compile(r"(\S+)/([A-Za-z0-9_.-]+)\[\d+\]: (fatal|panic|error): (.*)")
# Commands people and programs run; their failures say nothing about the running system.
_COMMANDS = frozenset(
    [
        "postalias",
        "postcat",
        "postconf",
        "postdrop",
        "postfix",
        "postfix-script",
        "postkick",
        "postlock",
        "postlog",
    ]
    + ["postmap", "postmulti", "postqueue", "postsuper", "sendmail"]
)


class PostfixLog:
    """Watches the log of one Postfix instance.

    Args:
        host: the machine.
        maillog_file: the expanded parameter of that name (Postfix >= 3.4), empty for syslog.
        syslog_name: the expanded parameter of that name; it starts the tag of every line of this instance.
    """

    def __init__(self, host: Host, maillog_file: str, syslog_name: str) -> None:
        self._host = host
        self._name = syslog_name or "postfix"
        own = (maillog_file,) if maillog_file.startswith("/") else ()
        self._files = tuple(dict.fromkeys(own + _FILES))
        self._marks: dict[str, tuple[int, int]] = {}
        self._known: set[str] = set()
        self._since = time.time()
        self.mark()

    def mark(self) -> None:
        """From now on only newer lines count."""
        self._since = time.time()
        self._marks = {}
        for path in self._files:
            try:
                info = self._host.stat(path)
            except ConboolError:
                continue
            self._marks[path] = (info.st_ino, info.st_size)

    def complaints(self) -> list[str]:
        """Lines with ``fatal:``, ``panic:`` or ``error:`` of daemons since the mark, each text once.

        A daemon that cannot open a table goes on with ``error:`` in the log and answers "451 server
        configuration error" to whoever needs the table. Errors that were there at ``learn`` do not count.
        """
        lines: list[str] = []
        for path in self._files:
            lines += self._new_lines(path)
        if self._host.has_systemd():
            lines += self._journal_lines()
        found = []
        for line in lines:
            match = _LINE.search(line)
            if match is None or match.group(2) in _COMMANDS:
                continue
            if match.group(1) == self._name or match.group(1).startswith(self._name + "/"):
                found.append(f"{match.group(2)}: {match.group(3)}: {match.group(4).strip()}")
        return [text for text in dict.fromkeys(found) if text not in self._known]

    def learn(self) -> None:
        """Errors logged since the mark are old ones: from now on they do not count. Fatal ones always do."""
        self._known.update(text for text in self.complaints() if ": error: " in text)

    def _new_lines(self, path: str) -> list[str]:
        try:
            info = self._host.stat(path)
            inode, size = self._marks.get(path, (info.st_ino, 0))
            start = size if inode == info.st_ino and info.st_size >= size else 0
            data = self._host.read_from(path, start, _LIMIT)
        except ConboolError:
            return []
        return data.decode("utf-8", "replace").split("\n")

    def _journal_lines(self) -> list[str]:
        # 2 is syslog's facility "mail".
        since = f"--since=@{self._since:.3f}"
        argv = ["journalctl", "-q", "--no-pager", "-o", "short", since, "SYSLOG_FACILITY=2"]
        try:
            return self._host.run(argv, timeout=15).text().split("\n")
        except ConboolError:
            return []
