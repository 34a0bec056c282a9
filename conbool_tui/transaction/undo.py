"""Take one change back, keeping whatever was edited since."""

from __future__ import annotations

import dataclasses
from typing import Optional

from conbool_tui.errors import ConboolError, UsageError
from conbool_tui.host import FileState, Host
from conbool_tui.mail_system import MailSystem, Problem
from conbool_tui.plan import Change, FileTarget, Plan
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from conbool_tui.transaction import record as records
from conbool_tui.transaction.lock import locked, locked_configuration
from conbool_tui.transaction.merge import Conflict, UndoConflictError, take_back
from conbool_tui.transaction.preflight import entry_for, nothing_changed, require_root
from conbool_tui.transaction.receipts import OPEN_STATES, list_changes
from conbool_tui.transaction.record import FileEntry, Record
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.signals import deferred
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import Observer, Tools, Work, bare, reason_of, sentence


def undo_change(
    host: Host,
    state_dir: str,
    system_for: SystemFor,
    change_id: Optional[str] = None,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
) -> Receipt:
    """Take a change back; it works whether or not the configuration is valid and the mail system runs.

    A file that is as we left it gets its old bytes and times back. In one edited since, only our keys and
    blocks go back. An unfinished change is taken back by finishing its rollback. An undo is a change too
    and can itself be undone.

    Args:
        system_for: gives the mail system a change belongs to.
        change_id: the change; the newest applied one that is no undo when None.

    Raises:
        UsageError: no such change, or it is not applied.
        NeedsRootError, LockedError: it cannot begin.
        UndoConflictError: later edits touch the same keys; nothing was changed.
        CheckFailedError, RolledBackError, RollbackIncompleteError: as apply_plan.
    """
    chosen = _choose(list_changes(host, state_dir), change_id)
    require_root(host)
    if chosen.state in OPEN_STATES:
        receipt = recover(host, state_dir, system_for, progress, observer)
        return receipt if receipt is not None else _choose(list_changes(host, state_dir), chosen.id)
    store = Store(host, state_dir)
    with nothing_changed():
        store.prepare()
    with locked(host, store):
        store.sweep()
        chosen = _choose(list_changes(host, state_dir), chosen.id)
        record = records.load(store, chosen.id)
        with locked_configuration(host, record.plan.config_directory), deferred() as signals:
            tools = Tools(host, store, system_for(record.target), progress, observer, signals)
            tools.tell(Progress("check", f"Looking at what change {record.id} left.", 0, 1))
            return _take_back(tools, record)


def _choose(receipts: list[Receipt], change_id: Optional[str]) -> Receipt:
    """The change to take back, from the history, newest first."""
    unfinished = next((item for item in receipts if item.state in OPEN_STATES), None)
    if unfinished is not None and change_id in (None, unfinished.id):
        return unfinished
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


def _take_back(tools: Tools, old: Record) -> Receipt:
    with nothing_changed():
        entries = _entries(tools.host, old)
    plan = _inverse(old.plan, entries, _ports(tools.store, old))
    record = Record(
        tools.store.new_id(), plan, entries, (), old.id, _own_folders(tools.store, old), not old.backward
    )
    state = _SystemState(tools, plan)
    work = Work(tools, record)
    reload = state.running and bool(entries)
    return work.run(
        judge=list, reload=reload, health=state.health_after, message=lambda: state.message(record)
    )


class _SystemState:
    """How the mail system stood before the undo: what was wrong already is no reason to refuse it."""

    def __init__(self, tools: Tools, plan: Plan) -> None:
        self._system: MailSystem = tools.system
        self._host = tools.host
        self._plan = plan
        self._notes: list[str] = []
        self.running = tools.host.live and self._runs()
        # ready() also remembers what the system says now, for the comparison afterwards.
        self._was_well = self.running and not self._ready() and not self._ask(bare(plan))

    def _runs(self) -> bool:
        try:
            return self._system.running()
        except ConboolError:
            return False

    def _ready(self) -> list[Problem]:
        try:
            return self._system.ready(self._plan)
        except ConboolError as error:
            return [Problem(reason_of(error))]

    def _ask(self, plan: Plan) -> list[Problem]:
        try:
            return self._system.health(plan)
        except ConboolError as error:
            return [Problem(reason_of(error))]

    def health_after(self) -> list[Problem]:
        """Problems that are new; old ones become a note."""
        problems = self._ask(self._plan)
        if problems and not self._was_well:
            self._notes.append(
                "The mail system was not well before and is not now: " + sentence(problems[0].text)
            )
            return []
        return problems

    def message(self, record: Record) -> str:
        """What the admin should know beside the success."""
        notes = list(self._notes)
        if self._host.live and record.entries and not self.running:
            notes.append("The mail system was not running: its files are back, nothing was reloaded.")
        kept = [folder for folder in record.removed_folders if self._host.is_dir(folder)]
        notes.extend(f"{folder} was kept: it holds files that are not ours." for folder in kept)
        merged = [entry.path for entry in record.entries if not entry.keep_times and entry.after is not None]
        notes.extend(f"Later edits in {path} were kept." for path in merged)
        return " ".join(notes)


def _entries(host: Host, old: Record) -> tuple[FileEntry, ...]:
    conflicts: list[Conflict] = []
    entries: list[FileEntry] = []
    for item in old.entries:
        now = host.capture(item.path)
        data = None if now is None else now.data
        base = None if item.before is None else item.before.data
        ours = None if item.after is None else item.after.data
        merged = take_back(old.plan.changes, item.path, base, ours, data)
        conflicts.extend(merged.conflicts)
        if merged.conflicts or merged.data == data:
            continue
        entry = entry_for(host, item.path, data, merged.data, 0o644)
        entries.append(_with_metadata(entry, item, exact=merged.data == base and item.before is not None))
    if conflicts:
        raise UndoConflictError(old.id, conflicts)
    return tuple(entries)


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


def _inverse(plan: Plan, entries: tuple[FileEntry, ...], ports: tuple[int, ...]) -> Plan:
    touched = {entry.path for entry in entries}
    changes = tuple(
        Change(
            change.kind,
            change.step,
            f"Take back: {change.title}" if not change.title.startswith("Take back: ") else change.title[11:],
            "Undo",
            change.path,
            change.key,
            change.after,
            change.before,
            "conbool-tui undo",
        )
        for change in reversed(plan.changes)
        if change.path in touched
    )
    files = tuple(
        FileTarget(
            entry.path,
            None if entry.before is None else entry.before.data,
            None if entry.after is None else entry.after.data,
            0o644 if entry.after is None else entry.after.mode,
        )
        for entry in entries
    )
    return dataclasses.replace(plan, changes=changes, files=files, notices=(), health_ports=ports)


def _ports(store: Store, old: Record) -> tuple[int, ...]:
    """Ports that must answer afterwards: those of the first change of the chain when this makes it
    effective again, else none.
    """
    return _first(store, old).plan.health_ports if old.backward else ()


def _own_folders(store: Store, old: Record) -> tuple[str, ...]:
    """Folders of ours that go when empty: those the first change of the chain created, when this takes it
    back.
    """
    return () if old.backward else _first(store, old).folders


def _first(store: Store, record: Record) -> Record:
    while record.undo_of:
        record = records.load(store, record.undo_of)
    return record
