"""Take one change back, keeping whatever was edited since."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Callable, Optional

from conbool_tui.errors import CheckFailedError, ConboolError, UsageError
from conbool_tui.host import FileState, Host
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Plan
from conbool_tui.postfix_config.value_lists import splitter
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from conbool_tui.transaction import record as records
from conbool_tui.transaction.accepted import load_accepted
from conbool_tui.transaction.apply import waits
from conbool_tui.transaction.asked import Asked, still_meant
from conbool_tui.transaction.generated import generated_paths, take_back_generated
from conbool_tui.transaction.guarding import StartGuard, start_process
from conbool_tui.transaction.key_values import values_of
from conbool_tui.transaction.lineage import bases_instead, set_by_later, set_later, shared_keys
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.lock import locked, locked_configurations
from conbool_tui.transaction.merge import (
    KEEP,
    PUT_BACK,
    Choices,
    Conflict,
    Merge,
    UndoConflictError,
    Wishes,
    check_choices,
    take_back,
)
from conbool_tui.transaction.preflight import entry_for, nothing_changed, require_root
from conbool_tui.transaction.receipts import OPEN_STATES, list_changes, receipt_of
from conbool_tui.transaction.record import FileEntry, Record
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.references import dangling
from conbool_tui.transaction.signals import deferred
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.system_state import SystemState
from conbool_tui.transaction.work import Observer, Tools, Work, reason_of

if TYPE_CHECKING:
    from conbool_tui.firewall.driver import LiveRules


def undo_change(
    host: Host,
    state_dir: str,
    system_for: SystemFor,
    change_id: Optional[str] = None,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
    *,
    choices: Optional[Choices] = None,
    asked: Optional[Asked] = None,
    live_for: LiveFor = real_live,
    start_guard: StartGuard = start_process,
) -> Receipt:
    """Take a change back; it works whether or not the configuration is valid and the mail system runs.

    A file that is as we left it gets its old bytes and times back. In one edited since, only our keys, blocks
    and lines go back. Firewall rules go back first; a firewall that cannot be asked does not keep the files
    from coming back. An unfinished change, and one that waits for confirmation, is taken back by rolling it
    back. An undo is a change too and can itself be undone; where the first change had to be confirmed, that
    has to be, too.

    Changes can be taken back in any order. What only this change set goes back; a key that a later change set,
    too, is a conflict, and the error names that change: it is to be taken back first, unless the admin chooses.
    Where the change that had set a base value was taken back meanwhile, the value before that one comes back, so
    that nothing of ours is left after the last undo. Keys whose drift was accepted are the admin's and stay.

    Args:
        system_for: gives the mail system a change belongs to.
        change_id: the change; the newest applied one that is no undo when None.
        choices: for conflicts, by path and key: "keep" what is there now or "put back" the value from before us.
        asked: the values that were seen when choosing; a choice about a value that is not there any more does not count.
        live_for: gives the driver of a live target.
        start_guard: starts the process that takes an unconfirmed change back.

    Raises:
        UsageError: no such change, it is not applied, or a choice is none.
        CheckFailedError: another change waits for confirmation, or what stays would refer to a file or service that
            goes away; nothing was changed.
        NeedsRootError, LockedError: it cannot begin.
        UndoConflictError: later edits touch the same keys, with those that nobody chose about as they are now; nothing
            was changed.
        CheckFailedError, RolledBackError, RollbackIncompleteError: as apply_plan.
    """
    check_choices(choices or {})
    chosen = _choose(list_changes(host, state_dir), change_id)
    require_root(host)
    if chosen.state in OPEN_STATES:
        receipt = recover(
            host, state_dir, system_for, progress, observer, live_for=live_for, now=True, only=chosen.id
        )
        receipt = receipt or receipt_of(host, state_dir, chosen.id)
        if receipt.state is not ChangeState.APPLIED:
            return receipt
        # It was confirmed a moment ago: now it is a change like any other.
    store = Store(host, state_dir)
    with nothing_changed():
        store.prepare()
    with locked(host, store):
        store.sweep()
        chosen = _choose(list_changes(host, state_dir), chosen.id)
        record = records.load(store, chosen.id)
        with locked_configurations(host, record.target), deferred() as signals:
            tools = Tools(
                host,
                store,
                system_for(record.target),
                progress,
                observer,
                signals,
                live_for,
                start_guard,
            )
            tools.tell(Progress("check", f"Looking at what change {record.id} left.", 0, 1))
            return _take_back(tools, record, choices or {}, asked or {})


def find_conflicts(
    host: Host,
    state_dir: str,
    change_id: Optional[str] = None,
    *,
    live_for: LiveFor = real_live,
    system_for: Optional[SystemFor] = None,
) -> tuple[Conflict, ...]:
    """What an undo would have to ask about; read only. Nothing is asked about a change without an end: it is rolled back.

    Args:
        live_for: gives the driver of a live target.
        system_for: gives the mail system a change belongs to; without it files that such a system generates are not looked at.

    Raises:
        UsageError: no such change, or it is not applied.
        ConboolError: files or records cannot be read.
    """
    chosen = _choose(list_changes(host, state_dir), change_id)
    if chosen.state in OPEN_STATES:
        return ()
    store = Store(host, state_dir)
    record = records.load(store, chosen.id)
    wishes = _wishes(store, record, {})
    found = [*_Rules(host, record, lambda name: live_for(host, name), wishes).conflicts]
    for item in record.entries:
        if item.path in generated_paths(record):
            continue
        found.extend(_merged(host, record, item, wishes)[1].conflicts)
    if generated_paths(record) and system_for is not None and not found:
        sources, _ = _entries(host, record, wishes)
        found.extend(take_back_generated(host, system_for(record.target), record, sources, wishes)[1])
    return _with_later(store, record, found)


def _choose(receipts: list[Receipt], change_id: Optional[str]) -> Receipt:
    """The change to take back, from the history, newest first."""
    unfinished = next((item for item in receipts if item.state in OPEN_STATES), None)
    if unfinished is not None and change_id in (None, unfinished.id):
        return unfinished
    if unfinished is not None and unfinished.state is ChangeState.UNCONFIRMED:
        raise waits(unfinished, late=False)
    if unfinished is not None:
        raise UsageError(
            f"Change {unfinished.id} is {unfinished.state.value} and must be taken back first.",
            "Another undo on top of a half done change could not be trusted.",
            f"Run `conbool-tui undo {unfinished.id}`.",
        )
    if change_id is None:
        newest = next(
            (item for item in receipts if item.state is ChangeState.APPLIED and not item.undo_of), None
        )
        if newest is None:
            raise UsageError(
                "There is no applied change to undo.", "", "`conbool-tui history` lists what was done."
            )
        return newest
    chosen = next((item for item in receipts if item.id == change_id), None)
    if chosen is None:
        raise UsageError(
            f"There is no change {change_id}.", "", "`conbool-tui history` lists the changes and their ids."
        )
    if chosen.state is not ChangeState.APPLIED:
        raise UsageError(
            f"Change {change_id} is {chosen.state.value}.", "Only an applied change can be undone.", ""
        )
    return chosen


def _take_back(tools: Tools, old: Record, choices: Choices, asked: Asked) -> Receipt:
    with nothing_changed():
        meant = still_meant(tools.host, old, tools.live, choices, asked)
        wishes = _wishes(tools.store, old, meant)
        entries, conflicts = _entries(tools.host, old, wishes)
        made, edited = take_back_generated(tools.host, tools.system, old, entries, wishes)
        entries, conflicts = entries + made, [*conflicts, *edited]
        rules = _Rules(tools.host, old, tools.live, wishes)
        found = _with_later(tools.store, old, [*rules.conflicts, *conflicts])
    if found:
        raise UndoConflictError(old.id, found)
    _refuse_dangling(tools, old, entries)
    plan = _inverse(old.plan, entries, rules.targets, _ports(tools.store, old))
    # Taking back must not be taken back by itself; making a change effective again is a change as it was at first.
    seconds = _first(tools.store, old).plan.confirm_within if old.backward else 0
    plan = dataclasses.replace(plan, confirm_within=seconds if entries or rules.targets else 0)
    record = Record(
        tools.store.new_id(), plan, entries, (), old.id, _own_folders(tools.store, old), not old.backward
    )
    state = SystemState(tools, plan)
    work = Work(tools, record)
    return work.run(
        judge=list,
        reload=state.running,
        health=state.health_after,
        message=lambda: " ".join(filter(None, [state.message(record), *rules.notes])),
    )


def _refuse_dangling(tools: Tools, old: Record, entries: tuple[FileEntry, ...]) -> None:
    """Raise CheckFailedError when what stays would refer to what goes away."""
    receipts = list_changes(tools.host, tools.store.path)
    ours = {path for receipt in receipts for path in receipt.files}
    left = dangling(tools.host, old.plan.config_directory, entries, ours)
    if not left:
        return
    later = sorted(set_by_later(tools.store, receipts, old, left), reverse=True)
    first = f"Take back {' and '.join(later)} first." if later else ""
    raise CheckFailedError(
        f"Change {old.id} was not undone: what stays would refer to what it takes away. Nothing was changed.",
        "\n".join(f"{path}: {key} refers to {name}" for (path, key), name in sorted(left.items())),
        first or "Change these settings, or choose otherwise about what was edited since, and run again.",
    )


def _wishes(store: Store, old: Record, choices: Choices) -> Wishes:
    """The admin's choices, accepted keys among them, and the base values that count now. Raises ConboolError."""
    accepted = dict.fromkeys(load_accepted(store, old.id), KEEP)
    receipts = list_changes(store.host, store.path)
    return Wishes(
        {**accepted, **choices},
        bases_instead(store, receipts, old),
        shared_keys(store, receipts, old),
        frozenset(set_later(store, receipts, old)),
    )


def _with_later(store: Store, old: Record, conflicts: list[Conflict]) -> tuple[Conflict, ...]:
    """The conflicts, each with the later change of ours that it comes from."""
    if not conflicts:
        return ()
    later = set_later(store, list_changes(store.host, store.path), old)
    found = []
    for conflict in conflicts:
        change_id, value = later.get(conflict.at, ("", None))
        # What is left of a list that somebody edited since may still be what the later change needs.
        concerned = value == conflict.now or splitter(conflict.key.rsplit("/", 1)[-1]) is not None
        found.append(dataclasses.replace(conflict, later=change_id) if concerned else conflict)
    return tuple(found)


class _Rules:
    """The firewall rules to be put back, from what is in force now: a firewall that is gone is no reason to refuse an undo."""

    def __init__(self, host: Host, old: Record, driver: Callable[[str], LiveRules], wishes: Wishes) -> None:
        self.targets: tuple[LiveTarget, ...] = ()
        self.conflicts: list[Conflict] = []
        self.notes: list[str] = []
        for target in reversed(old.plan.live):
            if not host.live:
                self.notes.append(f"This is not the running system: {target.name} was not looked at.")
                continue
            try:
                now = driver(target.name).read()
            except ConboolError as error:
                self.notes.append(
                    f"The firewall rules were not looked at ({target.name}): {reason_of(error)}"
                )
                continue
            before = wishes.instead.get((target.name, ""), target.before)
            wanted = dataclasses.replace(target, before=before)
            self._decide(wanted, now, wishes.choices.get((target.name, "")))

    def _decide(self, target: LiveTarget, now: Optional[str], choice: Optional[str]) -> None:
        if now == target.before:
            if now != target.after:
                self.notes.append(f"The firewall rules ({target.name}) were as before already.")
        elif choice == KEEP:
            self.notes.append(f"The firewall rules ({target.name}) were left as they are.")
        elif now in (target.after, None) or choice == PUT_BACK:
            self.targets += (LiveTarget(target.name, now, target.before),)
        else:
            self.conflicts.append(Conflict(target.name, "", target.before, target.after, now))


def _entries(host: Host, old: Record, wishes: Wishes) -> tuple[tuple[FileEntry, ...], list[Conflict]]:
    conflicts: list[Conflict] = []
    entries: list[FileEntry] = []
    generated = generated_paths(old)
    for item in old.entries:
        if item.path in generated:
            continue
        data, merged = _merged(host, old, item, wishes)
        conflicts.extend(merged.conflicts)
        if merged.conflicts or merged.data == data:
            continue
        base = None if item.before is None else item.before.data
        entry = entry_for(host, item.path, data, merged.data, 0o644)
        entries.append(_with_metadata(entry, item, exact=merged.data == base and item.before is not None))
    return tuple(entries), conflicts


def _merged(host: Host, old: Record, item: FileEntry, wishes: Wishes) -> tuple[Optional[bytes], Merge]:
    """A file's content now and without our changes."""
    now = host.capture(item.path)
    data = None if now is None else now.data
    base = None if item.before is None else item.before.data
    ours = None if item.after is None else item.after.data
    return data, take_back(old.plan.changes, item.path, base, ours, data, wishes)


def _with_metadata(entry: FileEntry, old: FileEntry, *, exact: bool) -> FileEntry:
    """Owner, mode and attributes stay as they are now (an edit of them survives); a file that comes back
    brings its own.
    """
    if entry.after is None or not exact or old.before is None:
        return entry
    source: FileState = old.before if entry.before is None else entry.before
    times = (old.before.mtime_ns, old.before.atime_ns)
    after = FileState(
        entry.after.data, source.mode, source.uid, source.gid, times[0], times[1], source.xattrs
    )
    return dataclasses.replace(entry, after=after, keep_times=True)


def _inverse(
    plan: Plan, entries: tuple[FileEntry, ...], rules: tuple[LiveTarget, ...], ports: tuple[int, ...]
) -> Plan:
    done = Record("", plan, entries, ())
    generated = {target.path for target in plan.files if target.generated}
    changes = []
    for change in reversed(plan.changes):
        if change.kind is ChangeKind.FIREWALL:
            target = next((target for target in rules if target.name == change.path), None)
            before, after = (None, None) if target is None else (target.before, target.after)
        else:
            before, after = values_of(done, change)
        # A key that stays as it is was not taken back, and bringing the change into force again is not about it.
        if before != after:
            changes.append(_inverted(change, before, after))
    files = tuple(
        FileTarget(
            entry.path,
            None if entry.before is None else entry.before.data,
            None if entry.after is None else entry.after.data,
            0o644 if entry.after is None else entry.after.mode,
            entry.path in generated,
        )
        for entry in entries
    )
    return dataclasses.replace(
        plan, changes=tuple(changes), files=files, notices=(), health_ports=ports, live=rules, ask_again=""
    )


def _inverted(change: Change, before: Optional[str], after: Optional[str]) -> Change:
    title = f"Take back: {change.title}" if not change.title.startswith("Take back: ") else change.title[11:]
    return Change(
        change.kind, change.step, title, "Undo", change.path, change.key, before, after, "conbool-tui undo"
    )


def _ports(store: Store, old: Record) -> tuple[int, ...]:
    """Ports that must answer afterwards: those of the first change of the chain when this makes it
    effective again, else none.
    """
    return _first(store, old).plan.health_ports if old.backward else ()


def _own_folders(store: Store, old: Record) -> tuple[str, ...]:
    """Folders of ours that go when empty: those the first change of the chain created, when this takes it
    back, and those of changes taken back earlier that later ones kept files in.
    """
    if old.backward:
        return ()
    found = dict.fromkeys(_first(store, old).folders)
    for receipt in list_changes(store.host, store.path):
        if receipt.state is ChangeState.UNDONE and not receipt.undo_of:
            found.update(dict.fromkeys(records.load(store, receipt.id).folders))
    return tuple(found)


def _first(store: Store, record: Record) -> Record:
    while record.undo_of:
        record = records.load(store, record.undo_of)
    return record
