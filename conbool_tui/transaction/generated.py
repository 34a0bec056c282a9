"""Taking back files that a mail system's tools make from others (sendmail.cf from sendmail.mc, a map from its text).

They have no keys of ours to take out. Where the sources get exactly their old bytes back and nobody made the file anew since, its old
bytes come back as well, for which no tool is needed. Else it is made anew from its sources as they will be. One that is neither ours nor
what its sources give was edited by hand: that is a conflict, as for any file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem, generate
from conbool_tui.transaction.merge import KEEP, PUT_BACK, Conflict, Wishes
from conbool_tui.transaction.preflight import entry_for
from conbool_tui.transaction.record import FileEntry, Record


def generated_paths(record: Record) -> frozenset[str]:
    """The files of a change that were made by the mail system's tools."""
    return frozenset(target.path for target in record.plan.files if target.generated)


def take_back_generated(
    host: Host, system: MailSystem, old: Record, sources: Sequence[FileEntry], wishes: Wishes
) -> tuple[tuple[FileEntry, ...], list[Conflict]]:
    """The entries for them, given those of their sources, and conflicts.

    Raises:
        CheckFailedError: one must be made anew, and its tools refuse.
    """
    paths = generated_paths(old)
    items = [item for item in old.entries if item.path in paths]
    if not items:
        return (), []
    exact = _exact(host, old, sources)
    entries: list[FileEntry] = []
    conflicts: list[Conflict] = []
    anew: list[FileEntry] = []
    for item in items:
        now = host.capture(item.path)
        data = None if now is None else now.data
        base, ours = (None if state is None else state.data for state in (item.before, item.after))
        choice = wishes.choices.get((item.path, ""))
        if exact and data == base:
            continue
        if exact and (data == ours or choice == PUT_BACK):
            entry = entry_for(host, item.path, data, base, 0o644)
            entries.append(_old_metadata(entry, item))
        elif choice == KEEP:
            continue
        elif data not in (ours, base) and item.path in _edited(system) and choice != PUT_BACK:
            conflicts.append(Conflict(item.path, "", _text(base), _text(ours), _text(data)))
        else:
            anew.append(item)
    if anew and not conflicts:
        files = {entry.path: None if entry.after is None else entry.after.data for entry in sources}
        made = {target.path: target for target in generate(system, files)}
        for item in anew:
            target = made.get(item.path)
            if target is not None:
                entries.append(entry_for(host, target.path, target.before, target.after, target.mode))
    return tuple(entries), conflicts


def _exact(host: Host, old: Record, sources: Sequence[FileEntry]) -> bool:
    """Whether all other files of the change will be as they were before it."""
    written: Mapping[str, FileEntry] = {entry.path: entry for entry in sources}
    paths = generated_paths(old)
    for item in old.entries:
        if item.path in paths:
            continue
        if item.path in written:
            state = written[item.path].after
        else:
            state = host.capture(item.path)
        if (None if state is None else state.data) != (None if item.before is None else item.before.data):
            return False
    return True


def _edited(system: MailSystem) -> frozenset[str]:
    """Those that are not what their live sources give."""
    return frozenset(target.path for target in generate(system, {}))


def _old_metadata(entry: FileEntry, item: FileEntry) -> FileEntry:
    if entry.after is None or item.before is None:
        return entry
    source = item.before if entry.before is None else entry.before
    after = dataclasses.replace(
        entry.after,
        mode=source.mode,
        uid=source.uid,
        gid=source.gid,
        xattrs=source.xattrs,
        mtime_ns=item.before.mtime_ns,
        atime_ns=item.before.atime_ns,
    )
    return dataclasses.replace(entry, after=after, keep_times=True)


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")
