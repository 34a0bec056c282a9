"""A host of plain files with a Postfix whose commands answer from a description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from conbool_tui.errors import HostError
from conbool_tui.facts import Listener
from conbool_tui.host import Host, Process
from conbool_tui.runner import CommandResult

MASTER_CF = """\
smtp      inet  n       -       y       -       -       smtpd
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
smtp      unix  -       -       y       -       -       smtp
"""

DEFAULTS = {
    "alias_maps": "hash:/etc/aliases",
    "compatibility_level": "3.6",
    "config_directory": "/etc/postfix",
    "content_filter": "",
    "default_database_type": "hash",
    "mail_version": "3.7.11",
    "multi_instance_directories": "",
    "mydestination": "$myhostname, localhost.$mydomain, localhost",
    "mydomain": "example.com",
    "myhostname": "mx.example.com",
    "queue_directory": "/var/spool/postfix",
    "relay_domains": "",
    "smtpd_milters": "",
    "transport_maps": "",
    "virtual_alias_domains": "$virtual_alias_maps",
    "virtual_alias_maps": "",
    "virtual_mailbox_domains": "$virtual_mailbox_maps",
    "virtual_mailbox_maps": "",
}

TYPES = "btree cidr fail hash inline lmdb ldap mysql pcre pipemap proxy regexp static tcp texthash unionmap"


@dataclass
class Answers:
    """What the fake Postfix says.

    Attributes:
        settings: main.cf, over ``DEFAULTS``.
        tables: what ``postmap -s`` prints, by ``type:name``; others fail.
        catch_all: what ``postmap -q '*'`` prints, by ``type:name``.
        failing: standard error by the joined command without ``-c DIR``; such a command exits 1.
        warning: a line on standard error of every postconf.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    catch_all: Mapping[str, str] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""


class FakeHost(Host):
    """A host below a temporary folder; its commands are answered, never started."""

    def __init__(self, root: Path, answers: Optional[Answers] = None, *, installed: bool = True) -> None:
        super().__init__(str(root))
        self.answers = answers or Answers()
        self.installed = installed
        self.commands: list[tuple[str, ...]] = []
        self.sockets: tuple[Listener, ...] = ()
        self.running: tuple[Process, ...] = ()
        self.acts_live = False
        self.root_rights = True

    @property
    def live(self) -> bool:
        return self.acts_live

    @property
    def is_root(self) -> bool:
        return self.root_rights

    def put(self, path: str, text: str = "") -> None:
        """Write a file with its folders."""
        target = Path(self.root, path.lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", "surrogateescape"))

    def set_up(self, main_cf: str = "", master_cf: str = MASTER_CF) -> FakeHost:
        """Write a Postfix configuration."""
        text = main_cf or "".join(f"{name} = {value}\n" for name, value in self.answers.settings.items())
        self.put("/etc/postfix/main.cf", text)
        self.put("/etc/postfix/master.cf", master_cf)
        return self

    def which(self, name: str) -> Optional[str]:
        return f"/usr/sbin/{name}" if self.installed else None

    def listeners(self) -> tuple[Listener, ...]:
        return self.sockets

    def processes(self) -> tuple[Process, ...]:
        return self.running

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        self.commands.append(tuple(argv))
        words = list(argv)
        if "-c" in words:
            at = words.index("-c")
            del words[at : at + 2]
        line = " ".join(words)
        if line in self.answers.failing:
            error = self.answers.failing[line]
            if error == "timeout":
                raise HostError(
                    f"{line} did not finish within {timeout:g} seconds.", "It hangs.", "Run it by hand."
                )
            return CommandResult(tuple(argv), 1, b"", error.encode())
        if words[0] == "postconf":
            return self._result(argv, self._postconf(words[1:]))
        if words[:2] == ["postmap", "-s"]:
            return self._postmap_s(argv, words[2])
        if words[:3] == ["postmap", "-q", "*"]:
            found = self.answers.catch_all.get(words[3])
            return CommandResult(tuple(argv), 1 if found is None else 0, (found or "").encode(), b"")
        if words[:2] == ["postmap", "-q"]:
            return self._result(argv, "yes\n")
        if words == ["postfix", "status"]:
            return CommandResult(tuple(argv), 0, b"", b"")
        raise HostError(f"The program {words[0]} was not found.")

    def _result(self, argv: Sequence[str], text: str) -> CommandResult:
        return CommandResult(
            tuple(argv), 0, text.encode("utf-8", "surrogateescape"), self.answers.warning.encode()
        )

    def _postconf(self, flags: Sequence[str]) -> str:
        raw = {**DEFAULTS, **self.answers.settings}
        if flags == ["-m"]:
            return TYPES.replace(" ", "\n") + "\n"
        if flags == ["-M"]:
            return MASTER_CF
        if flags == ["-n"]:
            raw = dict(self.answers.settings)
        elif flags == ["-x"]:
            for _ in range(5):
                raw = {name: _expand(value, raw) for name, value in raw.items()}
        return "".join(f"{name} = {value}\n" for name, value in sorted(raw.items()))

    def _postmap_s(self, argv: Sequence[str], table: str) -> CommandResult:
        keys = self.answers.tables.get(table)
        if keys is None:
            error = f"postmap: fatal: open database {table}: No such file or directory"
            return CommandResult(tuple(argv), 1, b"", error.encode())
        return CommandResult(tuple(argv), 0, "".join(f"{key}\tx\n" for key in keys).encode(), b"")


def _expand(value: str, settings: Mapping[str, str]) -> str:
    for name in sorted(settings, key=len, reverse=True):
        value = value.replace(f"${name}", settings[name])
    return value
