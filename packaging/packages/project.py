"""What the packages say about the project, each thing from the one place where it is kept."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from vendored import BuildError

ROOT = Path(__file__).resolve().parents[2]
NAME = "conbool-tui"
MAINTAINER = "conbool-tui authors <conbool-tui@conbool.com>"
HOMEPAGE = "https://conbool.com"
SUMMARY = "route a mail server's mail through Conbool, with proof and undo"
DESCRIPTION = (
    "Terminal wizard and command line for administrators of Postfix servers. It reads the mail system's configuration, shows"
    " every change before it is made, makes it as a transaction with backups, proves the new way of the mail, and takes"
    " everything back with one command.",
    "All libraries are inside; any Python from 3.9 runs it.",
)


@dataclass(frozen=True)
class Release:
    """One version in CHANGELOG.md: its number, its day (None: not released yet) and its lines."""

    version: str
    day: datetime | None
    lines: tuple[str, ...]


def version() -> str:
    """The program's version, from ``conbool_tui/__init__.py``."""
    text = (ROOT / "conbool_tui" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', text, re.MULTILINE)
    if found is None:
        raise BuildError('conbool_tui/__init__.py has no line such as __version__ = "1.2.3".')
    return found[1]


def releases() -> list[Release]:
    """The versions of CHANGELOG.md, newest first. Raises BuildError: the first is not the program's version."""
    found: list[Release] = []
    lines: list[str] = []

    def close(heading: re.Match[str] | None) -> None:
        if heading is not None:
            day = (
                None
                if heading[2] == "unreleased"
                else datetime.fromisoformat(heading[2]).replace(tzinfo=timezone.utc)
            )
            found.append(Release(heading[1], day, tuple(_items(lines))))
        lines.clear()

    current = None
    for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines():
        heading = re.fullmatch(r"## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2}|unreleased)", line)
        if heading:
            close(current)
            current = heading
        else:
            lines.append(line)
    close(current)
    if not found or found[0].version != version():
        raise BuildError(f"CHANGELOG.md does not begin with version {version()}.")
    return found


def _items(lines: list[str]) -> list[str]:
    """The list items among Markdown lines, each as one line of plain text."""
    items: list[str] = []
    for line in lines:
        if line.startswith("- "):
            items.append(line[2:].strip())
        elif items and line.startswith("  ") and line.strip():
            items[-1] += " " + line.strip()
    return [item.replace("`", "").replace("**", "") for item in items]


def source_date() -> int:
    """The moment every file of the packages is dated to, in seconds since 1970: SOURCE_DATE_EPOCH, else the commit's, else the
    release's. Raises BuildError: there is none of them.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        return int(given)
    argv = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError:
        done = None
    if done is not None and done.returncode == 0 and done.stdout.strip().isdigit():
        return int(done.stdout)
    day = releases()[0].day
    if day is None:
        raise BuildError(
            "This is no git checkout and CHANGELOG.md names no day for this version: set SOURCE_DATE_EPOCH."
        )
    return int(day.timestamp())
