"""Change a list value without disturbing its layout: an admin's line breaks, indentation and commas stay where they are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from conbool_tui.planners.postfix.lists import SEPARATORS


class _Word(NamedTuple):
    start: int
    end: int
    text: str


def _words(value: str) -> list[_Word]:
    found: list[_Word] = []
    start, depth = -1, 0
    for index, char in enumerate(value):
        if depth == 0 and char in SEPARATORS:
            if start >= 0:
                found.append(_Word(start, index, value[start:index]))
            start = -1
            continue
        if start < 0:
            start = index
        depth = max(0, depth + {"{": 1, "}": -1}.get(char, 0))
    if start >= 0:
        found.append(_Word(start, len(value), value[start:]))
    return found


def with_items(value: str, items: Sequence[str]) -> str:
    """The list ``value`` changed so that its words are those of ``items``, touching only what differs.

    New words are written with a comma before the next old word, or behind the last one; a word that goes takes the separator after it along.

    Args:
        value: the present text.
        items: the wanted entries; an entry may be several words (``check_client_access cidr:/x``).
    """
    old = _words(value)
    wanted = [word for item in items for word in _entry_words(item)]
    matcher = difflib.SequenceMatcher(
        a=[word.text for word in old], b=[word for word, _ in wanted], autojunk=False
    )
    text, position = "", 0
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            continue
        start = old[old_from].start if old_from < len(old) else (old[-1].end if old else len(value))
        end = start
        if old_to > old_from:
            end = old[old_to].start if old_to < len(old) else old[old_to - 1].end
        if old_to >= len(old) and old_from > 0 and old_to > old_from:
            start = old[old_from - 1].end
        inserted = _written(wanted[new_from:new_to], at_end=old_to >= len(old), first=old_from == 0)
        text += value[position:start] + inserted
        position = end
    return text + value[position:]


def _entry_words(item: str) -> list[tuple[str, bool]]:
    """The words of one entry, each with whether it ends the entry."""
    words = [word.text for word in _words(item)]
    return [(word, index == len(words) - 1) for index, word in enumerate(words)]


def _written(words: Sequence[tuple[str, bool]], *, at_end: bool, first: bool) -> str:
    if not words:
        return ""
    text = ""
    for index, (word, ends) in enumerate(words):
        last = index == len(words) - 1
        text += word + ("" if last else ", " if ends else " ")
    if at_end:
        return text if first else ", " + text
    return text + (", " if words[-1][1] else " ")
