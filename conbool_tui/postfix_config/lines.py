"""Logical lines over bytes, read as Postfix reads them.

Postfix joins physical lines to logical ones before it looks at their meaning (postconf(5) and master(5),
"general format"):

* Only LF ends a line; CR, VT and FF are white space, every other byte is data.
* Empty lines, white-space-only lines and lines whose first other byte is ``#`` do not exist for the reader,
  wherever they stand: inside a value, even inside braces, they do not end it.
* A line that starts with white space continues the text before it; its indentation is part of the joined
  text.
* White space before the first text of a file continues nothing: Postfix warns and skips that text.
* The joined text is a C string: a NUL byte and everything after it is invisible.

An edit therefore happens in joined coordinates and is carried back to the physical lines, so that comments
between the lines of a value stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.postfix_config.errors import ConfigTextError

WHITESPACE = b" \t\r\v\f"
"""The bytes Postfix trims and treats as the start of a continuation line (LF apart)."""

LF = b"\n"
CRLF = b"\r\n"


def split_physical(data: bytes) -> list[bytes]:
    """Cut ``data`` into physical lines with their LF, which only the last may lack."""
    # bytes.splitlines() would also end a line at a lone CR, which is data for Postfix.
    parts = data.split(LF)
    lines = [part + LF for part in parts[:-1]]
    if parts[-1]:
        lines.append(parts[-1])
    return lines


def content(line: bytes) -> bytes:
    """The physical line without its LF; a CR before the LF is content."""
    return line[:-1] if line.endswith(LF) else line


def is_skipped(line: bytes) -> bool:
    """Whether Postfix passes over this physical line: empty, white space only, or a comment."""
    text = content(line).lstrip(WHITESPACE)
    return not text or text.startswith(b"#")


def starts_with_space(line: bytes) -> bool:
    """Whether the physical line starts with white space, i.e. can only continue earlier text."""
    return line[:1] != b"" and line[:1] in WHITESPACE


def line_end_style(lines: Sequence[bytes]) -> bytes:
    """The line end most lines of the file use: CRLF or LF (LF when undecided).

    To Postfix the CR of a CRLF file is white space at the end of the line: trimmed, or a separator inside a
    list.
    """
    ended = [line for line in lines if line.endswith(LF)]
    with_cr = sum(1 for line in ended if line.endswith(CRLF))
    return CRLF if with_cr * 2 > len(ended) else LF


def end_line(line: bytes, style: bytes) -> bytes:
    """Give an unterminated last line a line end such that :func:`unend_line` gives exactly ``line`` back."""
    # After a trailing CR a bare LF would read as CRLF, and taking that off again would lose the CR.
    return line + (CRLF if style == CRLF or line.endswith(b"\r") else LF)


def unend_line(line: bytes) -> bytes:
    """Take the line end (CRLF or LF) off a line."""
    if line.endswith(CRLF):
        return line[:-2]
    return content(line)


def decode(raw: bytes) -> str:
    """Bytes of the file as text; bytes that are no UTF-8 become surrogate escapes."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str, what: str) -> bytes:
    """Text as bytes of the file, the inverse of :func:`decode`.

    Raises:
        ConfigTextError: the text has no such bytes (``what`` names it in the message).
    """
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = b""
    if decode(raw) != text:
        raise ConfigTextError(
            f"The {what} contains characters that cannot be stored as UTF-8.",
            "It would read back as something else.",
            "Remove the unusual characters.",
        )
    return raw


@dataclass(frozen=True)
class LogicalLine:
    """One logical line: where its text stands and what it says.

    Attributes:
        pieces: indexes of the physical lines that carry text, ascending; skipped lines between them are not
            listed.
        joined: the text of these lines, joined without their LF.
    """

    pieces: tuple[int, ...]
    joined: bytes

    @property
    def text(self) -> bytes:
        """The joined text up to a NUL byte, which is all Postfix sees."""
        return self.joined.partition(b"\0")[0]

    @property
    def ignored(self) -> bool:
        """Whether Postfix skips this text with a warning because it continues nothing."""
        return self.joined[:1] in WHITESPACE


def logical_lines(lines: Sequence[bytes]) -> list[LogicalLine]:
    """Group physical lines into logical lines, in file order."""
    groups: list[list[int]] = []
    for index, line in enumerate(lines):
        if is_skipped(line):
            continue
        if groups and starts_with_space(line):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [LogicalLine(tuple(group), b"".join(content(lines[i]) for i in group)) for group in groups]


@dataclass(frozen=True)
class NameValue:
    """Where name and value stand inside a text of the form ``name = value``.

    Attributes:
        name: the name.
        value: the value without white space around it.
        equals: offset of the ``=``.
        start: offset of the first byte of the value (of an empty value: the end of the text).
    """

    name: bytes
    value: bytes
    equals: int
    start: int

    @property
    def end(self) -> int:
        """Offset behind the last byte of the value."""
        return self.start + len(self.value)


def split_name_value(text: bytes) -> Optional[NameValue]:
    """Read ``name = value`` as Postfix does; None when a name or the ``=`` behind it is missing."""
    equals = text.find(b"=")
    if equals < 0:
        return None
    name = text[:equals].strip(WHITESPACE + LF)
    # A name ends at white space, so "a b = c" has no "=" behind its name "a".
    if not name or name.translate(None, WHITESPACE + LF) != name:
        return None
    value = text[equals + 1 :].lstrip(WHITESPACE + LF)
    return NameValue(name, value.rstrip(WHITESPACE + LF), equals, len(text) - len(value))


@dataclass(frozen=True)
class Span:
    """New physical lines for the place from ``first`` up to, not including, ``stop``."""

    first: int
    stop: int
    lines: tuple[bytes, ...]

    def apply(self, lines: Sequence[bytes]) -> list[bytes]:
        """The whole file with this place rewritten."""
        return [*lines[: self.first], *self.lines, *lines[self.stop :]]


def _offsets(lines: Sequence[bytes], logical: LogicalLine) -> list[int]:
    """Joined offset at which each piece starts, and the total length at the end."""
    offsets = [0]
    for index in logical.pieces:
        offsets.append(offsets[-1] + len(content(lines[index])))
    return offsets


def _touched(offsets: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """First and last piece that a change of the joined range touches."""
    # At the seam of two pieces new text goes to the end of the earlier one, where it needs no indentation.
    first = max((k for k in range(len(offsets) - 1) if offsets[k] < start), default=0)
    last = min((k for k in range(first, len(offsets) - 1) if end <= offsets[k + 1]), default=first)
    return first, last


def splice(lines: Sequence[bytes], logical: LogicalLine, start: int, end: int, new: bytes) -> Span:
    """Replace the joined range ``start:end`` of a logical line by ``new``.

    The pieces touched become one physical line at the place of the first of them; skipped lines that stood
    between them follow it unchanged. Pieces outside the range are not touched.
    """
    offsets = _offsets(lines, logical)
    i, j = _touched(offsets, start, end)
    first, last = logical.pieces[i], logical.pieces[j]
    kept = [lines[n] for n in range(first + 1, last) if n not in logical.pieces]
    text = content(lines[first])[: start - offsets[i]] + new + content(lines[last])[end - offsets[j] :]
    # A comment that follows must not be glued to the text, so an unterminated last piece passes its missing
    # LF on only without one.
    ended = lines[first].endswith(LF) if kept else lines[last].endswith(LF)
    return Span(first, last + 1, (text + (LF if ended else b""), *kept))


def smallest_change(
    lines: Sequence[bytes], logical: LogicalLine, start: int, end: int, new: bytes
) -> tuple[int, int, bytes]:
    """Narrow the replacement of ``start:end`` by ``new`` to the bytes that differ.

    Lines of a long value that are equal in both keep their layout. Where the common head and tail overlap (a
    repeated separator) the cut is chosen so that it stays within one physical line and out of its
    indentation.
    """
    offsets = _offsets(lines, logical)
    old = logical.joined[start:end]
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter and old[-1 - tail] == new[-1 - tail]:
        tail += 1

    def cost(cut: int) -> tuple[bool, bool]:
        rest = min(tail, shorter - cut)
        first, last = _touched(offsets, start + cut, end - rest)
        line = content(lines[logical.pieces[first]])
        indent = len(line) - len(line.lstrip(WHITESPACE))
        return first != last, start + cut - offsets[first] < indent

    # One file line can be long, so only the cuts around the overlap are weighed: they are as many as the
    # repeated bytes.
    cuts = range(head, max(0, min(head, shorter - tail)) - 1, -1)
    best = min(cuts, key=cost)
    rest = min(tail, shorter - best)
    return start + best, end - rest, new[best : len(new) - rest]
