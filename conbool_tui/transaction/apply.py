"""Apply a plan as one transaction."""

from __future__ import annotations

import posixpath
from typing import Optional

from conbool_tui.errors import CheckFailedError
from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem, Problem
from conbool_tui.plan import Plan
from conbool_tui.receipt import Progress, ProgressSink, Receipt
from conbool_tui.transaction.lock import locked, locked_configuration
from conbool_tui.transaction.preflight import entry_for, nothing_changed, require_root
from conbool_tui.transaction.receipts import find_unfinished
from conbool_tui.transaction.record import FileEntry, Record
from conbool_tui.transaction.signals import deferred
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import Observer, ProblemsError, Tools, Work


def apply_plan(
    host: Host,
    state_dir: str,
    system: MailSystem,
    plan: Plan,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
) -> Receipt:
    """Make the plan's files live, or leave everything as it was.

    Args:
        host: the machine; for another root (not live) only files are written.
        state_dir: folder of lock, journal and backups, inside the host's root.
        system: the mail system the plan is for.
        plan: what to do.
        progress: told about each step.
        observer: called around each step with its name (for fault injection).

    Raises:
        NeedsRootError, LockedError: it cannot begin.
        CheckFailedError: something forbids it (a changed file, a refused configuration, no room, …);
        nothing was changed. RolledBackError: it failed and the old state is back.
        RollbackIncompleteError: it failed and the old state is not completely back.
    """
    require_root(host)
    if plan.empty:
        raise CheckFailedError(
            "There is nothing to apply.", "The mail system is already configured like this.", ""
        )
    store = Store(host, state_dir)
    tools = Tools(host, store, system, progress, observer)
    tools.tell(Progress("lock", "Taking the lock.", 0, 1))
    with nothing_changed():
        store.prepare()
    with locked(host, store), locked_configuration(host, plan.config_directory), deferred() as signals:
        store.sweep()
        refuse_unfinished(host, state_dir)
        tools.signals = signals
        with nothing_changed():
            entries, folders = check(tools, plan)
        record = Record(store.new_id(), plan, entries, folders)

        def judge() -> list[Problem]:
            if not host.live and not host.is_root:
                return []
            return system.judge(plan, {target.path: target.after for target in plan.files})

        return Work(tools, record).run(judge=judge, reload=host.live, health=lambda: system.health(plan))


def check(tools: Tools, plan: Plan) -> tuple[tuple[FileEntry, ...], tuple[str, ...]]:
    """All conditions that can be known before anything is written: the entries and the folders to be created.

    Raises:
        CheckFailedError, HostError, NeedsRootError: one does not hold; nothing was changed.
    """
    host = tools.host
    tools.tell(Progress("check", "Looking whether everything is as planned.", 0, 1))
    if host.live or host.is_root:
        problems = tools.system.ready(plan)
        if problems:
            error = ProblemsError("The mail system is not ready for a change", problems)
            raise CheckFailedError(f"{error.what} Nothing was changed.", "", "Repair that and run again.")
    entries = tuple(entry_for(host, item.path, item.before, item.after, item.mode) for item in plan.files)
    resolved = [entry.resolved for entry in entries]
    for path in resolved:
        if resolved.count(path) > 1:
            raise CheckFailedError(
                f"Two paths of the plan lead to the same file {path}.", "", "Look at the symbolic links."
            )
    return entries, missing_folders(host, entries)


def missing_folders(host: Host, entries: tuple[FileEntry, ...]) -> tuple[str, ...]:
    """Folders the entries need that are not there, outermost first."""
    missing: list[str] = []
    for entry in entries:
        folder = posixpath.dirname(entry.resolved)
        while entry.after is not None and not host.is_dir(folder):
            if folder not in missing:
                missing.append(folder)
            folder = posixpath.dirname(folder)
    return tuple(sorted(missing, key=len))


def refuse_unfinished(host: Host, state_dir: str) -> None:
    """Raise CheckFailedError when an older change is neither done nor taken back."""
    unfinished = find_unfinished(host, state_dir)
    if unfinished is not None:
        raise CheckFailedError(
            f"Change {unfinished.id}, begun at {unfinished.started}, is {unfinished.state.value}.",
            "A new change on top of a half done one could not be taken back.",
            "Run `conbool-tui undo` to take it back first.",
        )
