"""Marked blocks in any text file of somebody else: the lines between ``# BEGIN conbool-tui ID`` and ``# END conbool-tui ID`` are ours.

Pure, and lossless: every byte outside the block stays, and a block that is taken out leaves no trace. The word that begins a comment depends on
the file's language (``#``, ``dnl``, ``--``, ``//``, ``;``); it is read from the markers again. A file that ends without a line end gets one
before the block; the BEGIN line says so, and taking the block out takes it away again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from conbool_tui.postfix_config.blocks import check_block_id
from conbool_tui.postfix_config.errors import ConfigTextError

COMMENTS = ("#", "dnl", "--", "//", ";")
_NOTE = " (the line above had no line end)"
_MARKER = re.compile(
    r"(?P<comment>#|dnl|--|//|;) (?P<kind>BEGIN|END) conbool-tui (?P<id>[A-Za-z0-9._-]+)"
    r"(?P<note> \(the line above had no line end\))?[ \t\r]*\n?"
)


@dataclass(frozen=True)
class _Found:
    """Line indexes of a block's two markers, its comment word and whether it brought a line end."""

    begin: int
    end: int
    comment: str
    line_end_added: bool


def ids(data: bytes) -> tuple[str, ...]:
    """The ids of all blocks, in file order. Raises ConfigTextError: markers do not pair up."""
    return tuple(_blocks(_lines(data)))


def get(data: bytes, block_id: str) -> Optional[str]:
    """A block's lines, each with a line feed; None when it is not there. Raises ConfigTextError: markers do not pair up."""
    lines = _lines(data)
    found = _blocks(lines).get(block_id)
    if found is None:
        return None
    return "".join(f"{_bare(line)}\n" for line in lines[found.begin + 1 : found.end])


def put(
    data: bytes, block_id: str, value: Optional[str], *, comment: str = "#", before: Optional[bytes] = None
) -> bytes:
    """``data`` with exactly the lines of ``value`` in the block (None: without the block). A block that is there keeps its place.

    Args:
        comment: what begins a comment line in that file, for a new block; one of ``COMMENTS``.
        before: a line (without its end) that a new block goes before; the end of the file when it is None or not there.

    Raises:
        ConfigTextError: markers do not pair up, or the id is none.
    """
    check_block_id(block_id)
    if comment not in COMMENTS:
        raise ConfigTextError(
            f"{comment!r} begins no comment that is known here.", "", f"Use one of {COMMENTS}."
        )
    lines = _lines(data)
    found = _blocks(lines).get(block_id)
    style = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if value is None:
        return data if found is None else _bytes(_without(lines, found))
    body = [f"{_bare(line)}{style}" for line in _lines(value.encode("utf-8", "surrogateescape"))]
    if found is not None:
        return _bytes([*lines[: found.begin + 1], *body, *lines[found.end :]])
    place = len(lines)
    if before is not None:
        wanted = before.decode("utf-8", "surrogateescape").rstrip("\r\n")
        place = next((index for index, line in enumerate(lines) if _bare(line) == wanted), place)
    head, tail, note = lines[:place], lines[place:], ""
    if head and not head[-1].endswith("\n"):
        head[-1] += style
        note = _NOTE
    marks = [f"{comment} {word} conbool-tui {block_id}" for word in ("BEGIN", "END")]
    return _bytes([*head, f"{marks[0]}{note}{style}", *body, f"{marks[1]}{style}", *tail])


def _without(lines: list[str], found: _Found) -> list[str]:
    head, tail = lines[: found.begin], lines[found.end + 1 :]
    # With lines behind the block that line end is needed: without it they would be glued to the line before.
    if found.line_end_added and head and not tail:
        head[-1] = _bare(head[-1])
    return [*head, *tail]


def _blocks(lines: list[str]) -> dict[str, _Found]:
    """Every block by its id. Raises ConfigTextError."""
    found: dict[str, _Found] = {}
    opened: Optional[tuple[int, re.Match[str]]] = None
    for index, line in enumerate(lines):
        match = _MARKER.fullmatch(line)
        if match is None:
            continue
        begins = match["kind"] == "BEGIN"
        if begins and opened is None and match["id"] not in found:
            opened = index, match
        elif not begins and opened is not None and opened[1]["id"] == match["id"]:
            begin, first = opened
            found[match["id"]] = _Found(begin, index, first["comment"], first["note"] is not None)
            opened = None
        else:
            raise _unpaired(match["id"], index)
    if opened is not None:
        raise _unpaired(opened[1]["id"], opened[0])
    return found


def _unpaired(block_id: str, index: int) -> ConfigTextError:
    return ConfigTextError(
        f"The marker lines of the block 'conbool-tui {block_id}' do not pair up (line {index + 1}).",
        "It cannot be told which lines belong to the block, so none is touched.",
        f"Put a line 'BEGIN conbool-tui {block_id}' above its lines and 'END conbool-tui {block_id}' below, once each, as comments.",
    )


def _lines(data: bytes) -> list[str]:
    """The lines with their line feeds; str.splitlines would also break at form feeds and the like."""
    return re.findall(r"[^\n]*\n|[^\n]+", data.decode("utf-8", "surrogateescape"))


def _bare(line: str) -> str:
    if line.endswith("\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith("\n") else line


def _bytes(lines: list[str]) -> bytes:
    return "".join(lines).encode("utf-8", "surrogateescape")
