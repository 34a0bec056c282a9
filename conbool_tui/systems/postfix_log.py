"""What Postfix daemons say in the log from a moment on, complaints and finished SMTP sessions: file by
maillog_file, syslog's files, systemd's journal.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

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

# smtpd(8): `connect from name[address]`, and since Postfix 3.0 counts of commands at `disconnect from`; x/y is x of y accepted.
_SESSION = re.compile(
    r"(\S+)/smtpd\[(\d+)\]: (connect|disconnect) from \S*\[([0-9A-Fa-f:.]+)\](?::\d+)?((?: [a-z]+=\d+(?:/\d+)?)*)\s*$"
)


@dataclass(frozen=True)
class SmtpSession:
    """A finished connection. ``well``: the client said EHLO or HELO, and everything it asked for was accepted."""

    pid: int
    address: str
    well: bool


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
        self._marks = self._ends()

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

    def complaints(self) -> list[str]:
        """Lines with ``fatal:``, ``panic:`` or ``error:`` of daemons since the mark, each text once.

        A daemon that cannot open a table goes on with ``error:`` in the log and answers "451 server
        configuration error" to whoever needs the table. Errors that were there at ``learn`` do not count.
        """
        lines: list[str] = []
        for path in self._files:
            lines += self._new_lines(path)
        if self._host.has_systemd():
            lines += self._journal_lines(self._since)
        found = []
        for line in lines:
            match = _LINE.search(line)
            if match is None or match.group(2) in _COMMANDS:
                continue
            if self._is_ours(match.group(1)):
                found.append(f"{match.group(2)}: {match.group(3)}: {match.group(4).strip()}")
        return [text for text in dict.fromkeys(found) if text not in self._known]

    def moment(self) -> str:
        """The ends of the logs now, for ``sessions``."""
        return json.dumps({"since": round(time.time(), 3), "ends": self._ends()})

    def sessions(self, moment: str) -> list[SmtpSession]:
        """The connections to smtpd(8) processes of this instance that began and ended after ``moment``, each once.

        A log that was rotated since counts from the start of the new file.
        """
        try:
            known = json.loads(moment)
            since = float(known["since"])
            marks = {str(path): (int(end[0]), int(end[1])) for path, end in known["ends"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return []
        found: list[SmtpSession] = []
        for path in self._files:
            found += self._sessions(self._new_lines(path, marks))
        if self._host.has_systemd():
            found += self._sessions(self._journal_lines(since))
        return list(dict.fromkeys(found))

    def _sessions(self, lines: Iterable[str]) -> list[SmtpSession]:
        begun: dict[int, str] = {}
        found = []
        for line in lines:
            match = _SESSION.search(line)
            if match is None or not self._is_ours(match.group(1)):
                continue
            pid, verb, address, counts = int(match.group(2)), match.group(3), match.group(4), match.group(5)
            if verb == "connect":
                begun[pid] = address
            elif begun.pop(pid, "") == address and _is_address(address):
                found.append(SmtpSession(pid, address, _all_accepted(counts)))
        return found

    def learn(self) -> None:
        """Errors logged since the mark are old ones: from now on they do not count. Fatal ones always do."""
        self._known.update(text for text in self.complaints() if ": error: " in text)

    def _is_ours(self, tag: str) -> bool:
        return tag == self._name or tag.startswith(self._name + "/")

    def _new_lines(self, path: str, marks: Optional[Mapping[str, tuple[int, int]]] = None) -> list[str]:
        try:
            info = self._host.stat(path)
            inode, size = (self._marks if marks is None else marks).get(path, (info.st_ino, 0))
            start = size if inode == info.st_ino and info.st_size >= size else 0
            data = self._host.read_from(path, start, _LIMIT)
        except ConboolError:
            return []
        return data.decode("utf-8", "replace").split("\n")

    def _journal_lines(self, since: float) -> list[str]:
        # 2 is syslog's facility "mail".
        begin = f"--since=@{since:.3f}"
        argv = ["journalctl", "-q", "--no-pager", "-o", "short", begin, "SYSLOG_FACILITY=2"]
        try:
            return self._host.run(argv, timeout=15).text().split("\n")
        except ConboolError:
            return []


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _all_accepted(counts: str) -> bool:
    """Whether counts like ``ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4`` say that a client was greeted and nothing was refused."""
    found = {}
    for item in counts.split():
        name, _, number = item.partition("=")
        accepted, _, all_of_them = number.partition("/")
        if all_of_them and accepted != all_of_them:
            return False
        found[name] = int(accepted)
    return found.get("ehlo", 0) + found.get("helo", 0) > 0
