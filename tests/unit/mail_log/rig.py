"""A host with log files, and Postfix facts, for the tests of the mail log."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from conbool_tui.facts import PostfixFacts
from conbool_tui.host import Host
from conbool_tui.mail_log import read_senders
from conbool_tui.present_senders import PresentSender, SenderReport
from conbool_tui.runner import CommandResult
from tests.unit.planners.facts_builder import MAIN, MASTER, facts_for

NOW = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))
ALLOWED = ("192.0.2.0/24", "2001:db8:1::/48")
DAY = 86400.0


def stamp(moment: float) -> str:
    """A traditional time of the local zone."""
    return time.strftime("%b %e %H:%M:%S", time.localtime(moment))


def line(
    text: str, *, age: float = 1.0, tag: str = "postfix/smtpd", host: str = "mx1", when: str = ""
) -> str:
    """A log line; ``age`` in hours before ``NOW``."""
    return f"{when or stamp(NOW - age * 3600)} {host} {tag}[4711]: {text}\n"


class LogHost(Host):
    """A root folder with logs; ``journal`` makes it a running system whose journal answers."""

    def __init__(self, root: Path, journal: Optional[Any] = None) -> None:
        super().__init__(str(root))
        self.journal = journal
        self.commands: list[tuple[str, ...]] = []

    @property
    def live(self) -> bool:
        return self.journal is not None

    def which(self, name: str) -> Optional[str]:
        return "/usr/bin/journalctl" if name == "journalctl" and self.journal is not None else None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        assert self.journal is not None
        self.commands.append(tuple(argv))
        result = self.journal(list(argv))
        assert isinstance(result, CommandResult)
        return result


def put(root: Path, name: str, data: str | bytes, written: float = NOW) -> Path:
    """Write a file below the root, last written at ``written``."""
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.utime(path, (written, written))
    return path


def facts(main: str = MAIN, master: str = MASTER, **more: Any) -> PostfixFacts:
    """Facts of a Postfix instance."""
    return facts_for(main, master, **more)


def read(root: Path, found: Optional[PostfixFacts] = None, **options: Any) -> SenderReport:
    """What the log below ``root`` says, at ``NOW``."""
    host = options.pop("host", None) or LogHost(root)
    options.setdefault("now", NOW)
    return read_senders(host, found or facts(), options.pop("allowed", ALLOWED), **options)


def numbers(report: SenderReport) -> dict[str, int]:
    """Messages by address."""
    return {one.address: one.messages for one in report.senders}


def sender(report: SenderReport, address: str) -> PresentSender:
    """The entry of one address."""
    (found,) = [one for one in report.senders if one.address == address]
    return found
