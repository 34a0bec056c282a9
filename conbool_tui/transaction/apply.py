"""Apply a plan as one transaction."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Sequence
from typing import Optional

from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem, Problem, generate
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from conbool_tui.transaction.guarding import StartGuard, start_process
from conbool_tui.transaction.live import LiveFor, check_rules, judge_rules, real_live
from conbool_tui.transaction.lock import locked, locked_configurations
from conbool_tui.transaction.preflight import entry_for, nothing_changed, require_root
from conbool_tui.transaction.receipts import open_change, overdue
from conbool_tui.transaction.record import FileEntry, Record
from conbool_tui.transaction.signals import deferred
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import Observer, ProblemsError, Tools, Work, mail_files


def apply_plan(
    host: Host,
    state_dir: str,
    system: MailSystem,
    plan: Plan,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
    *,
    live_for: LiveFor = real_live,
    probe_networks: Sequence[str] = (),
    start_guard: StartGuard = start_process,
) -> Receipt:
    """Make the plan's files and firewall rules live, or leave everything as it was.

    A plan with ``confirm_within`` ends in the state UNCONFIRMED: it is live, and a process of its own takes it
    back unless ``confirm_change`` comes in time.

    Args:
        host: the machine; for another root (not live) only files are written.
        state_dir: folder of lock, journal and backups, inside the host's root.
        system: the mail system the plan is for.
        plan: what to do.
        progress: told about each step.
        observer: called around each step with its name (for fault injection).
        live_for: gives the driver of a live target.
        probe_networks: an SMTP connection from one of these (CIDR), served on port 25, confirms too.
        start_guard: starts the process that takes an unconfirmed change back.

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
    tools = Tools(
        host,
        store,
        system,
        progress,
        observer,
        live_for=live_for,
        start_guard=start_guard,
        probe_networks=probe_networks,
    )
    tools.tell(Progress("lock", "Taking the lock.", 0, 1))
    with nothing_changed():
        store.prepare()
    with locked(host, store), locked_configurations(host, plan.target), deferred() as signals:
        store.sweep()
        refuse_unfinished(host, state_dir)
        tools.signals = signals
        with nothing_changed():
            entries, folders = check(tools, plan)
            made = (
                generate(tools.system, mail_files(plan))
                if mail_files(plan) and (host.live or host.is_root)
                else ()
            )
            plan = dataclasses.replace(plan, files=plan.files + made)
            entries += tuple(entry_for(host, item.path, item.before, item.after, item.mode) for item in made)
        record = Record(store.new_id(), plan, entries, folders)
        work = Work(tools, record)
        mail = mail_files(plan)

        def judge() -> list[Problem]:
            return system.judge(plan, mail) if mail and (host.live or host.is_root) else []

        def judge_live() -> list[Problem]:
            files = {target.path: target.after for target in plan.files}
            return [
                problem
                for target in work.rules
                for problem in judge_rules(tools.live(target.name), target, files)
            ]

        return work.run(
            judge=judge,
            judge_rules=judge_live,
            reload=host.live and bool(mail),
            health=lambda: system.health(plan),
            message=lambda: "" if host.live else _skipped(plan),
        )


def _skipped(plan: Plan) -> str:
    """What another root cannot have: rules in a running packet filter."""
    if not plan.live:
        return ""
    names = ", ".join(target.name for target in plan.live)
    return f"This is not the running system: the files are written, the rules are not put in force ({names})."


def check(tools: Tools, plan: Plan) -> tuple[tuple[FileEntry, ...], tuple[str, ...]]:
    """All conditions that can be known before anything is written: the entries and the folders to be created.

    Raises:
        CheckFailedError, HostError, NeedsRootError: one does not hold; nothing was changed.
    """
    host = tools.host
    tools.tell(Progress("check", "Looking whether everything is as planned.", 0, 1))
    if not host.live and not plan.files:
        raise CheckFailedError(
            "This plan only puts firewall rules in force. Nothing was changed.",
            "There is no running packet filter below another root.",
            "Run it on the system itself.",
        )
    if mail_files(plan) and (host.live or host.is_root):
        problems = tools.system.ready(plan)
        if problems:
            error = ProblemsError("The mail system is not ready for a change", problems)
            raise CheckFailedError(f"{error.what} Nothing was changed.", "", "Repair that and run again.")
    for target in plan.live if host.live else ():
        try:
            check_rules(tools.live(target.name), target)
        except CheckFailedError:
            raise
        except ConboolError as error:
            raise CheckFailedError(
                f"The firewall cannot be asked ({target.name}): {error.what} Nothing was changed.",
                error.why,
                error.todo,
            ) from None
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
    unfinished = open_change(host, state_dir)
    if unfinished is None:
        return
    if unfinished.state is ChangeState.UNCONFIRMED:
        raise waits(unfinished, late=overdue(host, state_dir, unfinished.id))
    raise CheckFailedError(
        f"Change {unfinished.id}, begun at {unfinished.started}, is {unfinished.state.value}.",
        "A new change on top of a half done one could not be taken back.",
        "Run `conbool-tui undo` to take it back first.",
    )


def waits(receipt: Receipt, *, late: bool) -> CheckFailedError:
    """The error for whoever wants something else while a change waits for confirmation."""
    if late:
        return CheckFailedError(
            f"Change {receipt.id} was not confirmed in time (until {receipt.confirm_by}) and must be taken back first.",
            "It may be taken back at any moment, and a change on top of it would get into that.",
            f"Run `conbool-tui undo {receipt.id}`, or wait a moment and look with `conbool-tui history`.",
        )
    return CheckFailedError(
        f"Change {receipt.id} waits for confirmation. It is taken back by itself at {receipt.confirm_by}.",
        "Until that is decided, a change on top of it could not be taken back.",
        f"Keep it with `conbool-tui confirm`, or take it back now with `conbool-tui undo {receipt.id}`.",
    )
