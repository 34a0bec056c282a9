"""Change a list value without disturbing its layout: an admin's line breaks, indentation and commas stay
where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Optional

from conbool_tui.postfix_config.value_lists import SEPARATORS, split_list, splitter

Split = Callable[[str], Sequence[str]]


class _Entry(NamedTuple):
    """One entry as it stands in a value, with its words."""

    start: int
    end: int
    words: tuple[str, ...]


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def _words(value: str) -> list[_Entry]:
    found: list[_Entry] = []
    start, depth = -1, 0
    for index, char in enumerate(value):
        if depth == 0 and char in SEPARATORS:
            if start >= 0:
                found.append(_Entry(start, index, (value[start:index],)))
            start = -1
            continue
        if start < 0:
            start = index
        depth = max(0, depth + {"{": 1, "}": -1}.get(char, 0))
    if start >= 0:
        found.append(_Entry(start, len(value), (value[start:],)))
    return found


def _entries(value: str, split: Split) -> list[_Entry]:
    words = _words(value)
    found: list[_Entry] = []
    at = 0
    for item in split(value):
        count = len(split_list(item))
        group = words[at : at + count]
        found.append(_Entry(group[0].start, group[-1].end, tuple(word.words[0] for word in group)))
        at += count
    return found


def stages(value: str, items: Sequence[str], split: Split = split_list) -> Iterator[str]:
    """The way from ``value`` to a list of ``items``, one coherent place a stage and the last place first.

    An editor that rewrites only the bytes that differ, as ``MainCf.set`` does, thus leaves the lines between
    two places alone. New entries are written with a comma before the next old entry, or behind the last one;
    an entry that goes takes the separator after it along.

    Args:
        value: the present text.
        items: the wanted entries; an entry may be several words (``check_client_access cidr:/x``).
        split: how the value falls into entries.
    """
    old = _entries(value, split)
    new = [(item, tuple(split_list(item))) for item in items]
    for edit in reversed(list(_edits(value, old, new))):
        value = value[: edit.start] + edit.text + value[edit.end :]
        yield value.strip(SEPARATORS.replace(",", ""))


def with_items(value: str, items: Sequence[str], split: Split = split_list) -> str:
    """The list ``value`` changed so that its entries are ``items``, touching only what differs; see
    ``stages``.
    """
    return [value, *stages(value, items, split)][-1]


def stages_of(name: str, before: Optional[str], after: str) -> list[str]:
    """The values to write one after the other to the parameter ``name`` until it means ``after``.

    None when it means that already; one where there is no layout to keep.
    """
    split = splitter(name)
    if split is None or before is None:
        same = before is not None and before.split() == after.split()
        return [] if same else [after]
    return [stage for stage in stages(before, split(after), split) if stage != before]


def _edits(value: str, old: Sequence[_Entry], new: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[_Edit]:
    kept = _common([entry.words for entry in old], [words for _, words in new])
    old_at = new_at = 0
    for old_to, new_to in [*kept, (len(old), len(new))]:
        gone = old[old_at:old_to]
        text = ", ".join(item for item, _ in new[new_at:new_to])
        if gone and text:
            yield _Edit(gone[0].start, gone[-1].end, text)
        elif gone and old_to < len(old):
            yield _Edit(gone[0].start, old[old_to].start, "")
        elif gone:
            yield _Edit(old[old_at - 1].end if old_at else gone[0].start, gone[-1].end, "")
        elif text and old_to < len(old):
            yield _Edit(old[old_to].start, old[old_to].start, text + ", ")
        elif text:
            end = old[-1].end if old else len(value)
            yield _Edit(end, end, (", " if old else "") + text)
        old_at, new_at = old_to + 1, new_to + 1


def _common(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Index pairs of a longest common subsequence: as many old entries as possible stay untouched."""
    length = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            length[i][j] = (
                length[i + 1][j + 1] + 1 if old[i] == new[j] else max(length[i + 1][j], length[i][j + 1])
            )
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif length[i + 1][j] >= length[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
