"""Values of settings and files as they were at several times, shown in full."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from screens.texts.lines import Line

MAX_LINES = 1000
VERSIONS = "Versions"


def place(path: str, key: str) -> str:
    """What is meant, the key first: it is what differs between neighbours in a list."""
    if not path.startswith("/"):
        return f"firewall rules ({path})"
    return f"{visible(key)}  ({path})" if key else f"{path}  (the whole file)"


def version_lines(versions: Iterable[tuple[str, Optional[str]]]) -> list[Line]:
    """Each version below its name; what is not there and what is empty are said in words."""
    lines: list[Line] = []
    for name, value in versions:
        lines.append(Line(name, "head"))
        lines.extend(_value(value))
    return lines


def _value(value: Optional[str]) -> list[Line]:
    if value is None:
        return [Line("  (not there)", "dim")]
    if not value.strip():
        return [Line("  (empty)", "dim")]
    rows = value.rstrip("\n").split("\n")
    lines = [Line(f"  {visible(row)}", hang=2) for row in rows[:MAX_LINES]]
    if len(rows) > MAX_LINES:
        lines.append(Line(f"  ({len(rows) - MAX_LINES} more lines)", "dim"))
    return lines


def visible(text: str) -> str:
    r"""The text with what a terminal would hide or act on written out, as in ``\x1b``; tabs become blanks."""
    text = text.replace("\t", " ")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
