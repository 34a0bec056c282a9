"""Three-way take-back of one file: base (before us), ours (as we left it), now (as it is, with the
admin's later edits).

A key, block or tagged line of ours that still has our value goes back to its base value; everything else stays as it
is now. Out of a list that somebody else edited, too, only our entries go. A key of ours that the admin changed since
is a conflict: nothing is written until somebody chooses, for each, to keep it or to put the base value back.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

from conbool_tui.errors import ConboolError, RollbackIncompleteError, UsageError
from conbool_tui.plan import Change, ChangeKind
from conbool_tui.postfix_config import ConfigTextError, MainCf
from conbool_tui.postfix_config.layout import stages_of
from conbool_tui.postfix_config.value_lists import splitter
from conbool_tui.transaction.key_values import (
    BlockText,
    Key,
    TaggedText,
    Text,
    bytes_of,
    key_of,
    parser_of,
    same_meaning,
    value_of,
)
from conbool_tui.transaction.key_values import text_of as _text
from conbool_tui.transaction.value_merge import without_ours

KEEP, PUT_BACK = "keep", "put back"
Choices = Mapping[Key, str]
"""What to do where later edits touch what is to be taken back: ``keep`` what is there now, or ``put back`` the base value."""


@dataclass(frozen=True)
class Conflict:
    """A key both we and the admin changed; an empty ``key`` is the whole file. None: not there.

    ``later`` is the id of a later change of ours that set it too, empty when it was somebody else.
    """

    path: str
    key: str
    base: Optional[str]
    ours: Optional[str]
    now: Optional[str]
    later: str = ""

    @property
    def at(self) -> Key:
        """What a choice names."""
        return self.path, self.key

    def lines(self) -> list[str]:
        """The three versions for people."""
        head = f"{self.path}: {self.key or 'the whole file'}"
        versions = (("before us", self.base), ("ours", self.ours), ("now", self.now))
        found = [head, *(f"  {name + ':':<11}{self._told(text)}" for name, text in versions)]
        return found if not self.later else [*found, f"  set by change {self.later}"]

    def _told(self, text: Optional[str]) -> str:
        if text is None or self.key or not self.path.startswith("/"):
            return _shown(text)
        # A whole file may hold passwords, and this text also goes to the log.
        return f"a file of {len(text.splitlines())} lines, {len(text)} characters"


class UndoConflictError(RollbackIncompleteError):
    """Later edits touch what is to be taken back; nothing was changed."""

    def __init__(self, change_id: str, conflicts: Sequence[Conflict]) -> None:
        listing = "\n".join(line for conflict in conflicts for line in conflict.lines())
        later = list(dict.fromkeys(conflict.later for conflict in conflicts if conflict.later))
        first = f"Take back {' and '.join(sorted(later, reverse=True))} first, or choose: " if later else ""
        super().__init__(
            f"Change {change_id} was not undone: what it had set was edited since. Nothing was changed.",
            listing,
            f"{first}`conbool-tui undo {change_id}` on a terminal asks for each; --keep-mine leaves all as they are "
            "now, --put-back gives all their values from before us, and both take FILE:KEY for a single one.",
        )
        self.conflicts = tuple(conflicts)


@dataclass(frozen=True)
class Merge:
    """The result for one file: its content (None: removed), or the conflicts."""

    data: Optional[bytes]
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What an undo is told beside the three versions.

    Attributes:
        choices: what to do about conflicts.
        instead: other base values, where the change that had set the base was taken back meanwhile.
        shared: keys that later changes of ours set, too: those may have taken entries of a list away.
        needed: keys that later changes in force set, too: they may need the very same value, or entries of the list.
    """

    choices: Choices = field(default_factory=dict)
    instead: Mapping[Key, Optional[str]] = field(default_factory=dict)
    shared: frozenset[Key] = frozenset()
    needed: frozenset[Key] = frozenset()

    def concern(self, path: str) -> bool:
        """Whether there is a wish about the file."""
        return any(at[0] == path for at in (*self.choices, *self.instead, *self.needed))


NO_WISHES = Wishes()


def check_choices(choices: Choices) -> None:
    """Raise UsageError for a choice that is neither ``keep`` nor ``put back``."""
    for (path, key), choice in choices.items():
        if choice not in (KEEP, PUT_BACK):
            raise UsageError(
                f"{choice!r} is no choice for {path}: {key}.", "", f"Choose {KEEP!r} or {PUT_BACK!r}."
            )


def take_back(
    changes: Sequence[Change],
    path: str,
    base: Optional[bytes],
    ours: Optional[bytes],
    now: Optional[bytes],
    wishes: Wishes = NO_WISHES,
) -> Merge:
    """Take our changes out of ``now``.

    Args:
        changes: the changes of the plan that led from ``base`` to ``ours``; only those of ``path`` count.
        base: content before our change, None for absent.
        ours: content as we wrote it, None when we removed it.
        now: content as it is, None for absent.
        wishes: choices about conflicts, and other base values.
    """
    if (path, "") in wishes.instead:
        base = bytes_of(wishes.instead[path, ""])
    elif not wishes.concern(path) and now == ours:
        return Merge(base)
    if now == base and not wishes.concern(path):
        return Merge(now)
    whole = _chosen_whole(path, base, ours, now, wishes.choices)
    keyed = [
        change
        for change in changes
        if change.path == path and change.kind not in (ChangeKind.FILE, ChangeKind.FIREWALL)
    ]
    if not keyed:
        return Merge(base) if now == ours and (path, "") not in wishes.needed else whole
    if now == base:
        return Merge(now)
    if ours is None or now is None:
        return whole
    try:
        if base is None:
            return Merge(base) if now == ours else _out_of_new_file(keyed, whole, ours, now)
        merged = _by_key(keyed, base, ours, now, wishes)
    except ConfigTextError:
        merged = None
    return whole if merged is None else merged


def _chosen_whole(
    path: str, base: Optional[bytes], ours: Optional[bytes], now: Optional[bytes], choices: Choices
) -> Merge:
    """The result where the file can only be looked at as a whole."""
    choice = choices.get((path, ""))
    if choice == PUT_BACK:
        return Merge(base)
    if choice == KEEP or now == base:
        return Merge(now)
    return Merge(now, (Conflict(path, "", _text(base), _text(ours), _text(now)),))


def _by_key(keyed: Sequence[Change], base: bytes, ours: bytes, now: bytes, wishes: Wishes) -> Optional[Merge]:
    """The result key by key; None where the file cannot be edited that way. Raises ConfigTextError."""
    parse = parser_of(keyed[0].kind)
    before, applied, current = parse(base), parse(ours), parse(now)
    conflicts = []
    wanted: list[tuple[Change, Optional[str]]] = []
    for change in keyed:
        old, new, value = (value_of(text, change) for text in (before, applied, current))
        old = wishes.instead.get(key_of(change), old)
        choice = wishes.choices.get(key_of(change))
        if value == old or old == new or choice == KEEP:
            continue
        needed = key_of(change) in wishes.needed
        if choice == PUT_BACK or (same_meaning(change, value, new) and not needed):
            wanted.append((change, old))
            continue
        if needed:
            conflicts.append(Conflict(change.path, change.key, old, new, value))
            continue
        shared = key_of(change) in wishes.shared
        others = without_ours(change, old, new, value, shared=shared)
        if others is None and key_of(change) in wishes.instead:
            # Taking back the earlier change may have taken its own entries out of the list already.
            others = without_ours(change, value_of(before, change), new, value, shared=shared)
        if others is not None:
            wanted.append((change, others.value))
        else:
            conflicts.append(Conflict(change.path, change.key, old, new, value))
    if conflicts:
        return Merge(now, tuple(conflicts))
    reference = current.copy()
    for change, old in reversed(wanted):
        _put(reference, change, old)
        if (
            isinstance(reference, MainCf)
            and old is not None
            and value_of(current, change) == value_of(applied, change)
        ):
            # Entry by entry keeps the admin's layout, but writes separators of its own.
            reference.set(change.key, old)
    if any(not same_meaning(change, value_of(reference, change), old) for change, old in wanted):
        return None
    exact = _line_merge(ours, base, now)
    if exact is not None and _meaning(parse(exact), keyed) == _meaning(reference, keyed):
        return Merge(exact)
    return Merge(reference.to_bytes())


def _out_of_new_file(keyed: Sequence[Change], whole: Merge, ours: bytes, now: bytes) -> Merge:
    """Take our tagged lines or blocks out of a file that we created and somebody wrote into since. Raises ConfigTextError."""
    kinds = {change.kind for change in keyed}
    applied: Union[TaggedText, BlockText]
    current: Union[TaggedText, BlockText]
    if kinds == {ChangeKind.LINES}:
        applied, current = TaggedText.parse(ours), TaggedText.parse(now)
    elif kinds == {ChangeKind.BLOCK}:
        applied, current = BlockText.parse(ours), BlockText.parse(now)
    else:
        return whole
    for change in keyed:
        value = current.get(change.key)
        if value is None:
            continue
        if value != applied.get(change.key):
            return whole
        current.put(change.key, None)
    return Merge(current.to_bytes() or None)


def _put(text: Text, change: Change, value: Optional[str]) -> None:
    if isinstance(text, (TaggedText, BlockText)):
        text.put(change.key, value)
        return
    if isinstance(text, MainCf):
        if value is None:
            text.remove(change.key)
        else:
            for stage in stages_of(change.key, text.get(change.key), value):
                text.set(change.key, stage)
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


def _meaning(text: Text, keyed: Sequence[Change]) -> object:
    """What its reader takes from the file, in a form that can be compared."""
    if isinstance(text, (TaggedText, BlockText)):
        rest = text.copy()
        for change in keyed:
            rest.put(change.key, None)
        return [text.get(change.key) for change in keyed], rest.to_bytes()
    if isinstance(text, MainCf):
        found = [(name, text.get(name) or "", splitter(name)) for name in text.names()]
        return {name: value if split is None else split(value) for name, value, split in found}
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


def _shown(text: Optional[str]) -> str:
    if text is None:
        return "(not there)"
    clean = "".join(char if char.isprintable() else " " for char in text).strip()
    return clean if len(clean) <= 200 else clean[:200] + f"… ({len(text)} characters)"
