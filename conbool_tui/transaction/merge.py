"""Three-way take-back of one file: base (before us), ours (as we left it), now (as it is, with the
admin's later edits).

A key, block or tagged line of ours that still has our value goes back to its base value; everything else stays as it
is now. A key of ours that the admin changed since is a conflict: nothing is written then.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional, Union

from conbool_tui.errors import ConboolError, RollbackIncompleteError
from conbool_tui.firewall import tagged_lines
from conbool_tui.plan import Change, ChangeKind
from conbool_tui.postfix_config import ConfigTextError, MainCf, MasterCf


class TaggedText:
    """A text file in which only the lines with our tag are ours (``firewall.tagged_lines``)."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @classmethod
    def parse(cls, data: bytes) -> TaggedText:
        """Any bytes are such a file."""
        return cls(data)

    def get(self, tag: str) -> Optional[str]:
        """Our lines, None when there are none."""
        return tagged_lines.get(self._data, tag)

    def put(self, tag: str, value: Optional[str]) -> None:
        """Replace our lines."""
        self._data = tagged_lines.put(self._data, tag, value)

    def copy(self) -> TaggedText:
        """An independent copy."""
        return TaggedText(self._data)

    def to_bytes(self) -> bytes:
        """The file's content."""
        return self._data


_Text = Union[MainCf, MasterCf, TaggedText]
_PARSERS: Mapping[ChangeKind, Callable[[bytes], _Text]] = {
    ChangeKind.PARAMETER: MainCf.parse,
    ChangeKind.LINES: TaggedText.parse,
}


@dataclass(frozen=True)
class Conflict:
    """A key both we and the admin changed; an empty ``key`` is the whole file. None: not there."""

    path: str
    key: str
    base: Optional[str]
    ours: Optional[str]
    now: Optional[str]

    def lines(self) -> list[str]:
        """The three versions for people."""
        head = f"{self.path}: {self.key or 'the whole file'}"
        versions = (("before us", self.base), ("ours", self.ours), ("now", self.now))
        return [head, *(f"  {name + ':':<11}{_shown(text)}" for name, text in versions)]


class UndoConflictError(RollbackIncompleteError):
    """Later edits touch what is to be taken back; nothing was changed."""

    def __init__(self, change_id: str, conflicts: Sequence[Conflict]) -> None:
        listing = "\n".join(line for conflict in conflicts for line in conflict.lines())
        super().__init__(
            f"Change {change_id} was not undone: what it had set was edited since. Nothing was changed.",
            listing,
            "Give each of these its value from before us or leave yours, by hand, and run undo again.",
        )
        self.conflicts = tuple(conflicts)


@dataclass(frozen=True)
class Merge:
    """The result for one file: its content (None: removed), or the conflicts."""

    data: Optional[bytes]
    conflicts: tuple[Conflict, ...] = ()


def take_back(
    changes: Sequence[Change], path: str, base: Optional[bytes], ours: Optional[bytes], now: Optional[bytes]
) -> Merge:
    """Take our changes out of ``now``.

    Args:
        changes: the changes of the plan that led from ``base`` to ``ours``; only those of ``path`` count.
        base: content before our change, None for absent.
        ours: content as we wrote it, None when we removed it.
        now: content as it is, None for absent.
    """
    if now == ours:
        return Merge(base)
    if now == base:
        return Merge(now)
    whole = Merge(now, (Conflict(path, "", _text(base), _text(ours), _text(now)),))
    keyed = [
        change
        for change in changes
        if change.path == path and change.kind not in (ChangeKind.FILE, ChangeKind.FIREWALL)
    ]
    if not keyed or ours is None or now is None:
        return whole
    if base is None:
        return _out_of_new_file(keyed, whole, ours, now)
    parse = _PARSERS.get(keyed[0].kind, MasterCf.parse)
    try:
        before, applied, current = parse(base), parse(ours), parse(now)
        conflicts = []
        wanted: list[tuple[Change, Optional[str]]] = []
        for change in keyed:
            old, new, value = (_get(text, change) for text in (before, applied, current))
            if value == old:
                continue
            if value != new:
                conflicts.append(Conflict(path, change.key, old, new, value))
            else:
                wanted.append((change, old))
        if conflicts:
            return Merge(now, tuple(conflicts))
        reference = current.copy()
        for change, old in reversed(wanted):
            _put(reference, change, old)
        if any(_get(reference, change) != old for change, old in wanted):
            return whole
    except ConfigTextError:
        return whole
    exact = _line_merge(ours, base, now)
    if exact is not None and _meaning(parse(exact), keyed) == _meaning(reference, keyed):
        return Merge(exact)
    return Merge(reference.to_bytes())


def _out_of_new_file(keyed: Sequence[Change], whole: Merge, ours: bytes, now: bytes) -> Merge:
    """Take our tagged lines out of a file that we created and somebody wrote into since."""
    if any(change.kind is not ChangeKind.LINES for change in keyed):
        return whole
    applied, current = TaggedText.parse(ours), TaggedText.parse(now)
    for change in keyed:
        value = current.get(change.key)
        if value is None:
            continue
        if value != applied.get(change.key):
            return whole
        current.put(change.key, None)
    return Merge(current.to_bytes() or None)


def _get(text: _Text, change: Change) -> Optional[str]:
    if isinstance(text, (MainCf, TaggedText)):
        return text.get(change.key)
    if change.kind is ChangeKind.SERVICE_BLOCK:
        return text.block(change.key)
    name, kind, option = change.key.rsplit("/", 2)
    service = text.service(name, kind)
    return None if service is None else service.option(option)


def _put(text: _Text, change: Change, value: Optional[str]) -> None:
    if isinstance(text, TaggedText):
        text.put(change.key, value)
        return
    if isinstance(text, MainCf):
        if value is None:
            text.remove(change.key)
        else:
            text.set(change.key, value)
        return
    if change.kind is ChangeKind.SERVICE_BLOCK:
        if value is None:
            text.remove_block(change.key)
        elif text.block(change.key) is None:
            text.add_block(change.key, value)
        else:
            text.replace_block(change.key, value)
        return
    name, kind, option = change.key.rsplit("/", 2)
    if text.service(name, kind) is None:
        return
    if value is None:
        text.remove_option(name, kind, option)
    else:
        text.set_option(name, kind, option, value)


def _meaning(text: _Text, keyed: Sequence[Change]) -> object:
    """What its reader takes from the file, in a form that can be compared."""
    if isinstance(text, TaggedText):
        rest = text.copy()
        for change in keyed:
            rest.put(change.key, None)
        return [text.get(change.key) for change in keyed], rest.to_bytes()
    if isinstance(text, MainCf):
        return {name: text.get(name) for name in text.names()}
    try:
        blocks = {name: text.block(name) for name in text.block_ids()}
    except ConboolError:
        return None
    services = [
        (s.name, s.type, s.private, s.unpriv, s.chroot, s.wakeup, s.maxproc, s.command, s.args)
        for s in text.services()
    ]
    return services, blocks


def _line_merge(ours: bytes, base: bytes, now: bytes) -> Optional[bytes]:
    """Apply the line changes from ours to base onto now; None where both touch the same lines."""
    origin = _lf_lines(ours)
    edits = [*_edits(origin, _lf_lines(base)), *_edits(origin, _lf_lines(now))]
    edits.sort(key=lambda edit: (edit[0], edit[1]))
    for (_, stop, _), (start, _, _) in zip(edits, edits[1:]):
        if start < stop:
            return None
    for (start, stop, _), (other_start, other_stop, _) in zip(edits, edits[1:]):
        if (start, stop) == (other_start, other_stop):
            return None
    for start, stop, lines in reversed(edits):
        origin[start:stop] = lines
    return b"".join(origin)


def _edits(origin: Sequence[bytes], other: Sequence[bytes]) -> list[tuple[int, int, list[bytes]]]:
    matcher = difflib.SequenceMatcher(None, origin, other, autojunk=False)
    return [(i1, i2, list(other[j1:j2])) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"]


def _lf_lines(data: bytes) -> list[bytes]:
    """Lines with their LF; only LF ends a line for Postfix."""
    parts = data.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return lines if not parts[-1] else [*lines, parts[-1]]


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _shown(text: Optional[str]) -> str:
    if text is None:
        return "(not there)"
    clean = "".join(char if char.isprintable() else " " for char in text).strip()
    return clean if len(clean) <= 200 else clean[:200] + f"… ({len(text)} characters)"
