"""Reads YAML nodes as ``yaml.compose`` does, only faster where a list has thousands of plain entries.

PyYAML without its C part (which needs a compiler, and is not shipped) takes some 30 µs for each list entry, three seconds for a hundred thousand
senders. Entries that can mean nothing else, one a line, are therefore taken out before parsing and put back as nodes afterwards; the
first and last entry of each run stay and prove, by where the parser finds them, that the run is a list. Whatever else is found, the
whole text is parsed in the ordinary way, so that nothing but the time differs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Optional

import yaml

SHORTEST_RUN = 100
_STRING = "tag:yaml.org,2002:str"
# Plain scalars with an @, or a letter first and a dot inside, are strings under every rule of YAML's schemas.
_ENTRY = r"""(\ *)-\ +(?:
        ([A-Za-z0-9][A-Za-z0-9_+=/.-]*@[A-Za-z0-9_+=/.@-]* | [A-Za-z][A-Za-z0-9_+=/-]*\.[A-Za-z0-9_+=/.-]*)
        | '([A-Za-z0-9_+=/.@-]+)' | "([A-Za-z0-9_+=/.@-]+)"
    )\ *\r?"""
# What PyYAML takes for a line end, or for the start of another encoding, besides LF and CR LF.
_OTHER_LINES = re.compile("\r(?!\n)|[\x85\u2028\u2029\ufeff\x00]")


@dataclass(frozen=True)
class _Run:
    """Entries of one list on successive lines; ``first`` is a line of the shortened text, ``start`` one of the whole text."""

    first: int
    start: int
    entries: tuple[str, ...]


class _Mark(yaml.Mark):
    """As much of a mark as messages need; a whole one takes longer to make than the entry it belongs to."""

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


def compose(data: bytes) -> Optional[yaml.Node]:
    """The one document's node with true line numbers, None for an empty text.

    Raises:
        yaml.YAMLError: it is no YAML.
        RecursionError: it is nested too deeply.
    """
    return _compose_short(data) or _compose(data)


def _compose(data: bytes) -> Optional[yaml.Node]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    try:
        root: Optional[yaml.Node] = loader.get_single_node()
        return root
    finally:
        loader.dispose()


def _compose_short(data: bytes) -> Optional[yaml.Node]:
    """The node by way of the shortened text, None when that is not possible or not certain."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if _OTHER_LINES.search(text):
        return None
    kept, runs = _shorten(text.split("\n"))
    if not runs:
        return None
    try:
        root = _compose("\n".join(kept).encode("utf-8"))
    except (yaml.YAMLError, RecursionError):
        # The ordinary way finds the same fault, with its place in the whole text.
        return None
    return root if root is not None and _lengthen(root, runs) else None


def _shorten(lines: list[str]) -> tuple[list[str], list[_Run]]:
    """The lines without the inner entries of long runs, and these runs."""
    # Compiled here, because most runs of the program read no answers file.
    entry = re.compile(_ENTRY, re.VERBOSE)
    matches = [entry.fullmatch(line) if "- " in line else None for line in lines]
    kept: list[str] = []
    runs: list[_Run] = []
    start = 0
    while start < len(lines):
        match = matches[start]
        end = start + 1
        if match is not None:
            indent = match[1]
            while end < len(lines) and (other := matches[end]) is not None and other[1] == indent:
                end += 1
        if end - start < SHORTEST_RUN:
            kept += lines[start:end]
        else:
            entries = tuple(
                found[2] or found[3] or found[4] for found in matches[start:end] if found is not None
            )
            runs.append(_Run(len(kept), start, entries))
            kept += [lines[start], lines[end - 1]]
        start = end
    return kept, runs


def _lengthen(root: yaml.Node, runs: list[_Run]) -> bool:
    """Put the entries back into the nodes and set all line numbers right; False when a run is not where it should be."""
    lists: dict[int, tuple[yaml.SequenceNode, int]] = {}
    every = _nodes(root)
    for parent in every:
        if isinstance(parent, yaml.SequenceNode) and not parent.flow_style:
            for index, child in enumerate(parent.value):
                if isinstance(child, yaml.ScalarNode):
                    lists[child.start_mark.line] = (parent, index)
    places: list[tuple[yaml.SequenceNode, int, _Run]] = []
    for run in runs:
        found = lists.get(run.first)
        if found is None:
            return False
        node, index = found
        if not _is(node, index, run.entries[0], run.first):
            return False
        if not _is(node, index + 1, run.entries[-1], run.first + 1):
            return False
        places.append((node, index, run))
    _renumber(every, runs)
    # From the back, so that the indexes found stay right.
    for node, index, run in reversed(places):
        column = node.value[index].start_mark.column
        node.value[index + 1 : index + 1] = [
            yaml.ScalarNode(_STRING, entry, _Mark(line, column), None)
            for line, entry in enumerate(run.entries[1:-1], run.start + 1)
        ]
    return True


def _is(node: yaml.SequenceNode, index: int, entry: str, line: int) -> bool:
    """True when the list has this entry at this place, in this line."""
    if index >= len(node.value):
        return False
    child = node.value[index]
    return isinstance(child, yaml.ScalarNode) and (
        child.tag,
        child.value,
        child.start_mark.line,
        child.end_mark.line,
    ) == (_STRING, entry, line, line)


def _nodes(root: yaml.Node) -> list[yaml.Node]:
    """Every node once; aliases make a node appear in several places, even inside itself."""
    seen: set[int] = set()
    found: list[yaml.Node] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found.append(node)
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
    return found


def _renumber(nodes: list[yaml.Node], runs: list[_Run]) -> None:
    """From lines of the shortened text to lines of the whole one."""
    # After the first line of a run, len - 2 lines are missing.
    bounds = [run.first + 1 for run in runs]
    missing = [0, *accumulate(len(run.entries) - 2 for run in runs)]
    for node in nodes:
        mark = node.start_mark
        line = mark.line + missing[bisect_right(bounds, mark.line)]
        node.start_mark = yaml.Mark(mark.name, mark.index, line, mark.column, None, 0)
