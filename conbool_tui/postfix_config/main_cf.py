"""main.cf: read one parameter, change one parameter, leave every other byte alone.

How a change looks in the file:

* A parameter that is there is changed where its last definition stands (of duplicates Postfix uses the last).
  Only the bytes of the value that differ are rewritten, so a list that gains an element keeps its lines.
  Comments and blank lines between the lines of a value stay; when a value shrinks to fewer lines they follow
  its last changed line and are still comments.
* A parameter that is not there is written into one marked block at the end of the file.
* A value is never folded: it is one line, however long (Postfix has no limit on the length of a line).

Sources: postconf(5), "main.cf file format"; the reading rules are in :mod:`conbool_tui.postfix_config.lines`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from conbool_tui.postfix_config.blocks import append_block, cut_block, find_block
from conbool_tui.postfix_config.errors import ConfigTextError
from conbool_tui.postfix_config.lines import (
    LF,
    WHITESPACE,
    LogicalLine,
    NameValue,
    Span,
    decode,
    encode,
    is_skipped,
    line_end_style,
    logical_lines,
    smallest_change,
    splice,
    split_name_value,
    split_physical,
    starts_with_space,
)


@dataclass(frozen=True)
class Occurrence:
    """One definition of a parameter.

    Attributes:
        value: the value of this definition, as Postfix would see it.
        line: number of the physical line it starts in, from 1.
        raw: the bytes from its first to its last line of text, comments between them included.
    """

    value: str
    line: int
    raw: bytes


@dataclass(frozen=True)
class _Parameter:
    logical: LogicalLine
    text: NameValue


class MainCf:
    """The text of a main.cf, editable per parameter.

    Any bytes can be parsed; what Postfix would refuse is kept and listed by :meth:`problems`.
    """

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._parameters: Optional[list[_Parameter]] = None

    @classmethod
    def parse(cls, data: bytes) -> MainCf:
        """Read the bytes of a main.cf. Never raises; ``parse(data).to_bytes() == data``."""
        return cls(split_physical(data))

    def to_bytes(self) -> bytes:
        """The file with the changes made so far."""
        return b"".join(self._lines)

    def copy(self) -> MainCf:
        """An independent copy, for "before and after"."""
        return MainCf(list(self._lines))

    def get(self, name: str) -> Optional[str]:
        """The value Postfix uses, or None when the file does not set the parameter.

        Lines are joined with their indentation, comments and blank lines inside the value are left out, of
        duplicates the last one counts. ``$name`` is not expanded. Bytes that are no UTF-8 come as surrogate
        escapes.
        """
        found = self._effective(name)
        return None if found is None else decode(found.text.value)

    def names(self) -> tuple[str, ...]:
        """The names of all parameters set in the file, each once, in the order of their first definition."""
        return tuple(dict.fromkeys(decode(p.text.name) for p in self._all()))

    def occurrences(self, name: str) -> tuple[Occurrence, ...]:
        """All definitions of the parameter in file order; the last one is in effect."""
        result = []
        for parameter in self._all():
            if decode(parameter.text.name) == name:
                pieces = parameter.logical.pieces
                raw = b"".join(self._lines[pieces[0] : pieces[-1] + 1])
                result.append(Occurrence(decode(parameter.text.value), pieces[0] + 1, raw))
        return tuple(result)

    def problems(self) -> tuple[str, ...]:
        """What Postfix would refuse or skip in this file, and damaged marker lines; one sentence each."""
        result = []
        for logical in logical_lines(self._lines):
            where = f"line {logical.pieces[0] + 1}"
            if logical.ignored:
                result.append(f"{where}: indented text that continues nothing is ignored by Postfix")
            elif split_name_value(logical.text) is None:
                result.append(f"{where}: not of the form 'name = value'")
        try:
            block = find_block(self._lines, None)
            if block is not None:
                self._check_nothing_continues(block.end)
        except ConfigTextError as error:
            result.append(error.what)
        return tuple(result)

    def set(self, name: str, value: str, comment: Optional[str] = None) -> None:
        """Make ``value`` the value of the parameter.

        Args:
            name: the parameter.
            value: one line without white space around it; may be empty.
            comment: for a parameter that is not in the file yet, a comment line above it (written as ``#
                name: comment``, so that :meth:`remove` knows it again). Not used when the parameter is there
                    already.

        Raises:
            ConfigTextError: name, value or comment would break the file, or the parameter is new and our
                block's markers are damaged.
        """
        raw_name = check_parameter_name(name)
        raw_value = check_value(value, f"value of {name}")
        raw_comment = None if comment is None else _check_comment(comment)
        found = self._effective(name)
        if found is None:
            self._append(raw_name, raw_value, raw_comment)
        elif found.text.value != raw_value:
            self._replace_lines(_rewrite(self._lines, found, raw_value).apply(self._lines))

    def remove(self, name: str) -> None:
        """Take every definition of the parameter out of the file; nothing happens when there is none.

        All its lines of text go, continuation lines included; comments and blank lines between them stay. In
        our block the comment line that :meth:`set` wrote above the parameter goes too, and with its last
        parameter the block itself. Damaged markers are left as they are.
        """
        pieces = [p.logical.pieces for p in self._all() if decode(p.text.name) == name]
        doomed = {i for group in pieces for i in group}
        try:
            block = find_block(self._lines, None)
        except ConfigTextError:
            block = None
        own_comment = b"# " + name.encode("utf-8", "surrogateescape") + b": "
        ours = [group[0] for group in pieces if block is not None and block.covers(group[0])]
        doomed.update(i - 1 for i in ours if self._lines[i - 1].startswith(own_comment))
        kept = [line for i, line in enumerate(self._lines) if i not in doomed]
        if ours:
            left = find_block(kept, None)
            if left is not None and not any(line.strip() for line in kept[left.begin + 1 : left.end]):
                kept = cut_block(kept, left)
        self._replace_lines(kept)

    def _append(self, name: bytes, value: bytes, comment: Optional[bytes]) -> None:
        style = line_end_style(self._lines)
        body = [] if comment is None else [b"# " + name + b": " + comment]
        body.append(name + b" =" + (b" " + value if value else b""))
        block = find_block(self._lines, None)
        if block is None:
            self._replace_lines(append_block(self._lines, None, body, style))
        else:
            self._check_nothing_continues(block.end)
            new = [line + style for line in body]
            self._replace_lines([*self._lines[: block.end], *new, *self._lines[block.end :]])

    def _check_nothing_continues(self, end: int) -> None:
        # The END marker is a comment and ends no value: an indented line below it would join a new parameter above.
        for index in range(end + 1, len(self._lines)):
            if is_skipped(self._lines[index]):
                continue
            if starts_with_space(self._lines[index]):
                raise ConfigTextError(
                    f"Line {index + 1} of main.cf, below the block of conbool-tui, is indented.",
                    "It would become part of the value of a parameter added to that block.",
                    "Move the line to the parameter it belongs to, or remove it.",
                )
            return

    def _all(self) -> list[_Parameter]:
        if self._parameters is None:
            self._parameters = []
            for logical in logical_lines(self._lines):
                text = None if logical.ignored else split_name_value(logical.text)
                if text is not None:
                    self._parameters.append(_Parameter(logical, text))
        return self._parameters

    def _effective(self, name: str) -> Optional[_Parameter]:
        for parameter in reversed(self._all()):
            if decode(parameter.text.name) == name:
                return parameter
        return None

    def _replace_lines(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._parameters = None


def main_cf_changes(before: MainCf, after: MainCf) -> dict[str, tuple[Optional[str], Optional[str]]]:
    """The parameters whose value in effect differs, sorted by name: (old, new), None where not set."""
    names = sorted(set(before.names()) | set(after.names()))
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def check_parameter_name(name: str) -> bytes:
    """The name as bytes.

    Raises:
        ConfigTextError: empty, or with characters that end a name or turn the line into something else.
    """
    printable = all("!" <= char <= "~" for char in name)
    if not name or not printable or "=" in name or name.startswith("#"):
        raise ConfigTextError(
            f"{name!r} cannot be the name of a Postfix parameter.",
            "Written to the file it would be read as something else.",
            "Use printable ASCII characters without blanks, '=' and a leading '#'.",
        )
    return name.encode("ascii")


def check_value(value: str, what: str) -> bytes:
    """The value as bytes.

    Raises:
        ConfigTextError: with a line end or NUL (would end the value), or with white space around it (would be
            trimmed).
    """
    raw = encode(value, what)
    if LF in raw or b"\0" in raw:
        raise ConfigTextError(
            f"The {what} contains a line end or a NUL character.",
            "Postfix would end the value there and read the rest as something else.",
            "Give the value as one line.",
        )
    if raw != raw.strip(WHITESPACE):
        raise ConfigTextError(
            f"The {what} starts or ends with white space.",
            "Postfix trims it, so the file would not say what was asked for.",
            "Remove the white space around the value.",
        )
    return raw


def _check_comment(comment: str) -> bytes:
    raw = encode(comment, "comment")
    if LF in raw or b"\0" in raw or b"\r" in raw or not raw.strip(WHITESPACE):
        raise ConfigTextError(
            "The comment is empty or contains a line end or a NUL character.",
            "What follows the line end would be read as configuration.",
            "Give the comment as one line of text.",
        )
    return raw


def _rewrite(lines: list[bytes], parameter: _Parameter, value: bytes) -> Span:
    """The smallest rewrite of the parameter's lines that makes ``value`` its value."""
    logical, text = parameter.logical, parameter.text
    if text.value:
        candidates = [smallest_change(lines, logical, text.start, text.end, value)]
    else:
        candidates = [_fill_empty(logical.joined, text.equals, value)]
    # Text that would start a continuation line with "#" would be a comment; then the value moves to the line
    # of the "=".
    end = len(logical.joined)
    candidates.append(
        (text.equals + 1, end, b" " + value + (b"\r" if logical.joined.endswith(b"\r") else b""))
    )
    for start, stop, new in candidates:
        span = splice(lines, logical, start, stop, new)
        if _says(span.apply(lines), logical.pieces[0], parameter.text.name, value):
            return span
    raise ConfigTextError(
        f"The value of {decode(text.name)} cannot be written in place.",
        "The file would be read as something else.",
        f"Change line {logical.pieces[0] + 1} by hand.",
    )


def _fill_empty(joined: bytes, equals: int, value: bytes) -> tuple[int, int, bytes]:
    """Put a value behind ``name =``, with a blank where the line has one before the ``=``."""
    rest = joined[equals + 1 :]
    gap = len(rest) - len(rest.lstrip(b" \t"))
    wants_blank = gap == 0 and joined[:equals].endswith((b" ", b"\t"))
    at = equals + 1 + gap
    return at, at, (b" " if wants_blank else b"") + value


def _says(lines: list[bytes], first: int, name: bytes, value: bytes) -> bool:
    """Whether the logical line that starts at the physical line ``first`` now sets ``name`` to ``value``."""
    stop = first + 1
    while stop < len(lines) and (is_skipped(lines[stop]) or starts_with_space(lines[stop])):
        stop += 1
    found = logical_lines(lines[first:stop])
    if len(found) != 1 or found[0].ignored or found[0].pieces[0] != 0:
        return False
    text = split_name_value(found[0].text)
    return text is not None and (text.name, text.value) == (name, value)
