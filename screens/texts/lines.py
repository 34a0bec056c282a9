"""A line of text with its kind, and wrapping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding, Status
from screens import glyphs

STATUS_KIND = {Status.OK: "ok", Status.WARN: "warn", Status.FAIL: "fail", Status.NOT_TESTED: "note"}


@dataclass(frozen=True)
class Line:
    """One line; ``kind`` picks the colour: plain, title, head, add, del, ok, warn, fail, note, dim, bar.
    The text says it too.
    """

    text: str
    kind: str = "plain"
    hang: int = -1
    """Column where a wrapped line goes on; -1: below its first word."""


def wrap(lines: Iterable[Line], width: int, continued: str) -> list[Line]:
    """Break lines at blanks where they have them; what continues is indented below, with a mark in lines of
    a difference.
    """
    wrapped: list[Line] = []
    for line in lines:
        text = printable(line.text)
        if len(text) <= width:
            wrapped.append(Line(text, line.kind))
            continue
        indent = " " * min(line.hang if line.hang >= 0 else _indent(text), width // 3)
        prefix = f"{continued} " if line.kind in ("add", "del") else indent
        wrapped.extend(Line(part, line.kind) for part in _break(text, width, prefix))
    return wrapped


def printable(text: str) -> str:
    """The text with tabs as blanks and every character a terminal could act on made visible. A terminal for ASCII alone
    gets other characters by their numbers (a backslash, x or u, and the number).
    """
    if glyphs.current() is glyphs.ASCII and not text.isascii():
        text = text.replace("\u2026", "...").encode("ascii", "backslashreplace").decode("ascii")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char == "\t" else "?" for char in text)


def _indent(text: str) -> int:
    bare = text.lstrip(" ")
    indent = len(text) - len(bare)
    first, blank, _ = bare.partition(" ")
    return indent + (2 if blank and len(first) == 1 else 0)


def _break(text: str, width: int, prefix: str) -> list[str]:
    width = max(4, width)
    parts = []
    lead = ""
    while len(lead + text) > width:
        room = width - len(lead)
        cut = text.rfind(" ", 0, room + 1)
        if not text[: max(cut, 0)].strip():
            cut = room
        parts.append(lead + text[:cut].rstrip(" "))
        text = text[cut:].lstrip(" ")
        lead = prefix
    if text:
        parts.append(lead + text)
    return parts


def error_lines(error: ConboolError) -> list[Line]:
    """An error as the admin reads it: what happened, why it matters, what to do."""
    mark = glyphs.status_mark(Status.FAIL)
    lines = [Line(f"{mark}  {error.what}", "fail", len(mark) + 2)]
    for part, lead in ((error.why, ""), (error.todo, "What to do: ")):
        lines.extend(Line(f"  {text}") for text in f"{lead}{part}".split("\n") if part)
    return lines


def finding_lines(finding: Finding, *, with_detail: bool = False) -> list[Line]:
    """A finding: status word and symbol, summary, remedy, and the transcript when wanted."""
    lines = [
        Line(f"{glyphs.status_mark(finding.status):<13} {finding.summary}", STATUS_KIND[finding.status], 14)
    ]
    if finding.remedy:
        lines.append(Line(f"{'':<13} What to do: {finding.remedy}", hang=14))
    if with_detail and finding.detail:
        lines.extend(Line(f"    {part}", "dim") for part in finding.detail.splitlines())
    return lines


def status_line(status: Status, text: str) -> Line:
    """One line with a status in front."""
    mark = glyphs.status_mark(status)
    return Line(f"{mark}  {text}", STATUS_KIND[status], len(mark) + 2)
