"""Where things stand in Exim's configuration text: sections, ACL labels, routers (specification, 6 "The runtime configuration file")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

MAIN = "main"
_BEGIN = re.compile(rb"begin[ \t]+([a-z]+)[ \t]*(#.*)?$", re.IGNORECASE)
_LABEL = re.compile(rb"([A-Za-z0-9_-]+)[ \t]*:[ \t]*(#.*)?$")
_IF = re.compile(rb"\.ifn?def\b")
_ENDIF = re.compile(rb"\.endif\b")


def lines_of(data: bytes) -> list[bytes]:
    """The lines with their ends."""
    return data.splitlines(keepends=True)


def section_starts(lines: Sequence[bytes]) -> dict[str, int]:
    """The number of each ``begin`` line by section, in order."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines):
        match = _BEGIN.match(line.strip())
        if match is not None:
            found.setdefault(match.group(1).decode("ascii").lower(), number)
    return found


def section(lines: Sequence[bytes], name: str) -> range:
    """The lines between a section's ``begin`` and the next one, empty when there is no such section; main comes before the first."""
    starts = section_starts(lines)
    marks = sorted([*starts.values(), len(lines)])
    if name == MAIN:
        return range(marks[0])
    if name not in starts:
        return range(0)
    return range(starts[name] + 1, next(mark for mark in marks if mark > starts[name]))


def labels(lines: Sequence[bytes], within: Optional[range] = None) -> dict[str, int]:
    """The number of the line of each ``name:`` among lines: ACLs, routers, transports."""
    found: dict[str, int] = {}
    for number in range(len(lines)) if within is None else within:
        if _continues(lines, number):
            continue
        match = _LABEL.match(lines[number].rstrip())
        if match is not None:
            found.setdefault(match.group(1).decode("ascii"), number)
    return found


def _continues(lines: Sequence[bytes], number: int) -> bool:
    """Whether the line before ends in a backslash."""
    return number > 0 and lines[number - 1].rstrip().endswith(b"\\")


def outermost(lines: Sequence[bytes], number: int, within: range) -> int:
    """The line at which something that stands at ``number`` begins for somebody who puts text in front of it: the outermost ``.ifdef``
    around it, and the comments right above.

    Text in front of that line is read whatever the conditions say.
    """
    open_ones: list[int] = []
    for position in within:
        if position >= number:
            break
        line = lines[position].strip()
        if _IF.match(line):
            open_ones.append(position)
        elif _ENDIF.match(line) and open_ones:
            open_ones.pop()
    start = open_ones[0] if open_ones else number
    while start - 1 in within and lines[start - 1].lstrip().startswith(b"#"):
        start -= 1
    return start


def assigned(lines: Sequence[bytes], name: str) -> Optional[str]:
    """The value in the last line ``name = value`` of the text, as written; None when there is none."""
    pattern = re.compile(rb"[ \t]*" + re.escape(name.encode()) + rb"[ \t]*=[ \t]*(.*?)[ \t]*$")
    value: Optional[str] = None
    for number, line in enumerate(lines):
        match = pattern.match(line.rstrip())
        if match is not None and not _continues(lines, number):
            value = match.group(1).decode("utf-8", "surrogateescape")
    return value
