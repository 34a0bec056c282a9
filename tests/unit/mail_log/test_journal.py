"""The systemd journal, where there is no file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conbool_tui.errors import HostError
from conbool_tui.mail_log import journal
from conbool_tui.runner import CommandResult

from .rig import NOW, LogHost, line, numbers, put, read


class Journal:
    """Answers like ``journalctl -o short-iso``: the last ``-n`` lines between both times."""

    def __init__(self, entries: list[tuple[float, str]]) -> None:
        self.entries = sorted(entries)
        self.largest = 0

    def __call__(self, argv: list[str]) -> CommandResult:
        words = " ".join(argv)
        since, until = (float(re.search(rf"--{name}=@([\d.]+)", words)[1]) for name in ("since", "until"))  # type: ignore[index]
        tags = re.findall(r"SYSLOG_IDENTIFIER=(\S+)", words)
        found = [
            text
            for moment, text in self.entries
            if since <= moment <= until and any(f" {tag}[" in text for tag in tags)
        ]
        found = found[-int(argv[argv.index("-n") + 1]) :]
        self.largest = max(self.largest, len(found))
        return CommandResult(tuple(argv), 0 if found else 1, "".join(found).encode(), b"")


def entry(age_hours: float, address: str, tag: str = "postfix/smtpd") -> tuple[float, str]:
    import time

    moment = NOW - age_hours * 3600
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(moment))
    return moment, line(f"4F1A2B3C4D: client=unknown[{address}]", when=when, tag=tag)


def test_read_when_there_is_no_file(tmp_path: Path) -> None:
    entries = [entry(0.5, "203.0.113.1"), entry(100, "203.0.113.1"), entry(1, "203.0.113.2")]
    entries += [entry(200, "203.0.113.3"), entry(1, "203.0.113.4", "postfix/submission/smtpd")]
    report = read(tmp_path, host=LogHost(tmp_path, Journal(entries)))
    assert numbers(report) == {"203.0.113.1": 2, "203.0.113.2": 1}
    assert report.sources == ("systemd journal",)
    assert report.days == pytest.approx(99.5 / 24, abs=0.01)
    assert report.note == ""


def test_a_file_comes_first(tmp_path: Path) -> None:
    put(tmp_path, "/var/log/mail.log", line("4F1A2B3C4D: client=unknown[203.0.113.9]"))
    host = LogHost(tmp_path, Journal([entry(1, "203.0.113.1")]))
    assert numbers(read(tmp_path, host=host)) == {"203.0.113.9": 1}
    assert host.commands == []


def test_every_line_once_and_never_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LINES", 50)
    many = [entry(0.001 * number, "203.0.113.1") for number in range(1, 900)]
    many += [entry(float(hour), "203.0.113.2") for hour in range(2, 168)]
    answers = Journal(many)
    report = read(tmp_path, host=LogHost(tmp_path, answers))
    assert numbers(report) == {"203.0.113.1": 899, "203.0.113.2": 166}
    assert report.note == ""
    assert answers.largest <= 50


def test_too_many_lines_for_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LINES", 50)
    report = read(tmp_path, host=LogHost(tmp_path, Journal([entry(1, "203.0.113.1")] * 100)))
    assert numbers(report) == {"203.0.113.1": 50}
    assert "more lines for one moment" in report.note


def test_journalctl_fails(tmp_path: Path) -> None:
    def failing(argv: list[str]) -> CommandResult:
        return CommandResult(
            tuple(argv), 1, b"", b"Hint: x\nNo journal files were opened due to insufficient permissions.\n"
        )

    note = read(tmp_path, host=LogHost(tmp_path, failing)).note
    assert "insufficient permissions." in note
    assert "present senders are unknown" in note

    def missing(argv: list[str]) -> CommandResult:
        raise HostError("journalctl did not finish within 60 seconds and was ended.")

    assert "did not finish" in read(tmp_path, host=LogHost(tmp_path, missing)).note


def test_cancel(tmp_path: Path) -> None:
    host = LogHost(tmp_path, Journal([entry(1, "203.0.113.1")]))
    calls = iter([False, True])
    report = read(tmp_path, host=host, cancelled=lambda: next(calls))
    assert len(host.commands) == 1
    assert "stopped" in report.note
