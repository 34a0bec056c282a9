"""Marked blocks: the lines between ``# BEGIN conbool-tui …`` and ``# END conbool-tui …`` are ours.

A block is put at the end of a file and taken out again without a trace. A file that ended without a line end
gets one before the block; the BEGIN line says so, and taking the block out takes it away again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.postfix_config.errors import ConfigTextError
from conbool_tui.postfix_config.lines import end_line, unend_line

OWNER = "conbool-tui"
_NOTE = b" (the line above had no line end)"
_MARKER = re.compile(
    rb"# (?P<kind>BEGIN|END) conbool-tui(?: (?P<id>[A-Za-z0-9._-]+))?"
    rb"(?P<note> \(the line above had no line end\))?[ \t\r]*\n?"
)
_BLOCK_ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Block:
    """Where a block stands: line indexes of its two markers."""

    begin: int
    end: int
    line_end_added: bool

    def covers(self, index: int) -> bool:
        """Whether the line lies between the markers."""
        return self.begin < index < self.end


def check_block_id(block_id: str) -> None:
    """Raise ConfigTextError unless the id is one word of letters, digits, dot, underscore and hyphen."""
    if not _BLOCK_ID.fullmatch(block_id):
        raise ConfigTextError(
            f"{block_id!r} cannot name a marked block.",
            "It would not be found again in the marker line.",
            "Use letters, digits, dot, underscore and hyphen only.",
        )


def _label(block_id: Optional[str]) -> str:
    return OWNER if block_id is None else f"{OWNER} {block_id}"


def is_marker(line: bytes) -> bool:
    """Whether the physical line is a marker of any of our blocks."""
    return _MARKER.fullmatch(line) is not None


def block_ids(lines: Sequence[bytes]) -> tuple[str, ...]:
    """The ids in all markers, each once, in file order; blocks with damaged markers included."""
    found = [_MARKER.fullmatch(line) for line in lines]
    return tuple(dict.fromkeys(match["id"].decode() for match in found if match and match["id"]))


def find_block(lines: Sequence[bytes], block_id: Optional[str]) -> Optional[Block]:
    """Find a block; ``None`` as id is the one block of main.cf.

    Returns:
        The block, or None when neither of its markers is in the file.

    Raises:
        ConfigTextError: the markers do not pair up (edited by hand), so what belongs to the block is unknown.
    """
    wanted = None if block_id is None else block_id.encode("ascii")
    begins: list[int] = []
    ends: list[int] = []
    others: list[int] = []
    note = False
    for index, line in enumerate(lines):
        match = _MARKER.fullmatch(line)
        if match is None:
            continue
        if match["id"] != wanted:
            others.append(index)
        elif match["kind"] == b"BEGIN":
            begins.append(index)
            note = match["note"] is not None
        else:
            ends.append(index)
    if not begins and not ends:
        return None
    label = _label(block_id)
    paired = len(begins) == 1 and len(ends) == 1 and begins[0] < ends[0]
    if not paired or any(begins[0] < other < ends[0] for other in others):
        raise ConfigTextError(
            f"The marker lines of the block '{label}' do not pair up "
            f"(BEGIN in line {_numbers(begins)}, END in line {_numbers(ends)}).",
            "It cannot be told which lines belong to the block, so none is touched.",
            f"Put '# BEGIN {label}' above its lines and '# END {label}' below, once each.",
        )
    return Block(begins[0], ends[0], note)


def _numbers(indexes: Sequence[int]) -> str:
    return ", ".join(str(index + 1) for index in indexes) or "none"


def append_block(
    lines: Sequence[bytes], block_id: Optional[str], body: Sequence[bytes], style: bytes
) -> list[bytes]:
    """The file with a new block at its end; ``body`` lines have no line end, ``style`` is put behind each."""
    result = list(lines)
    note = b""
    if result and not result[-1].endswith(b"\n"):
        result[-1] = end_line(result[-1], style)
        note = _NOTE
    label = _label(block_id).encode("ascii")
    result += [text + style for text in (b"# BEGIN " + label + note, *body, b"# END " + label)]
    return result


def cut_block(lines: Sequence[bytes], block: Block) -> list[bytes]:
    """The file without the block and, where the block had brought it, without the line end before it."""
    head = list(lines[: block.begin])
    tail = list(lines[block.end + 1 :])
    # With lines behind the block that line end is needed: without it they would be glued to the line before.
    if block.line_end_added and head and not tail:
        head[-1] = unend_line(head[-1])
    return head + tail
