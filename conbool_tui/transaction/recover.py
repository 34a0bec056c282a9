"""Take back what has no end: a change that a crash cut off, or one that nobody confirmed in time."""

from __future__ import annotations

import contextlib
from typing import Callable, Optional

from conbool_tui.errors import ConboolError, RollbackIncompleteError
from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem, MailTarget
from conbool_tui.receipt import ChangeState, ProgressSink, Receipt
from conbool_tui.transaction import live
from conbool_tui.transaction import record as records
from conbool_tui.transaction.journal import Entry, Journal, Kind
from conbool_tui.transaction.lock import locked, locked_configurations
from conbool_tui.transaction.preflight import require_root
from conbool_tui.transaction.receipts import awaited, open_change, receipt_of
from conbool_tui.transaction.signals import deferred
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import LIVE_KINDS, Observer, RollBack, Tools, Work

SystemFor = Callable[[MailTarget], MailSystem]
EARLY = "It was taken back before it was confirmed."


def recover(
    host: Host,
    state_dir: str,
    system_for: SystemFor,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
    *,
    accept: bool = False,
    live_for: live.LiveFor = live.real_live,
    now: bool = False,
    reason: str = EARLY,
    may_start: bool = True,
    only: Optional[str] = None,
) -> Optional[Receipt]:
    """Bring back the state before a change that was begun and never ended; None when there is none.

    A change that waits for confirmation is left alone until its time is over.

    Args:
        system_for: gives the mail system a change belongs to.
        accept: take files and rules edited meanwhile, and the mail system, as they are now, and close the change.
        live_for: gives the driver of a live target.
        now: take a change that waits for confirmation back at once, for ``reason``.
        may_start: start a mail system that does not run.
        only: leave every other change alone.

    Raises:
        NeedsRootError, LockedError: it cannot begin.
        RollbackIncompleteError: not everything could be brought back; it says what and how to do it by hand.
    """

    def to_do() -> Optional[Receipt]:
        receipt = open_change(host, state_dir)
        if receipt is None or only not in (None, receipt.id):
            return None
        return None if not now and _waits(host, state_dir, receipt) else receipt

    if to_do() is None:
        return None
    require_root(host)
    store = Store(host, state_dir)
    store.prepare()
    found: Optional[Receipt] = None
    while True:
        with locked(host, store), deferred() as signals:
            # What cannot be tidied up must not keep the old state from coming back.
            with contextlib.suppress(ConboolError):
                store.sweep()
            # Looked at again under the lock: the run that seemed to have crashed may just have ended.
            unfinished = to_do()
            if unfinished is None:
                return found
            found = take_back(
                Tools(
                    host, store, _system(store, unfinished, system_for), progress, observer, signals, live_for
                ),
                unfinished,
                accept=accept,
                reason=_reason(host, state_dir, unfinished, reason),
                may_start=may_start,
            )


def take_back(
    tools: Tools, unfinished: Receipt, *, accept: bool = False, reason: str = "", may_start: bool = True
) -> Receipt:
    """Take back an open change whatever its state; only under the lock. Raises as ``recover``."""
    entries = Journal(tools.host, tools.store.folder(unfinished.id)).read()
    with locked_configurations(tools.host, _target(entries[0])):
        return _take_back(tools, unfinished, entries, reason or unfinished.message, accept, may_start)


def _take_back(
    tools: Tools, unfinished: Receipt, entries: list[Entry], reason: str, accept: bool, may_start: bool
) -> Receipt:
    journal = Journal(tools.host, tools.store.folder(unfinished.id))
    if not any(entry["do"] in LIVE_KINDS for entry in entries):
        for path in [path for entry in entries if entry["do"] == Kind.STAGE for path in entry["temporary"]]:
            if tools.host.lstat(path) is not None:
                tools.host.remove(path)
        message = "It was interrupted before anything was changed."
        journal.append(Kind.ROLLED_BACK, "Nothing was changed.", message=message)
        return receipt_of(tools.host, tools.store.path, unfinished.id)
    record = records.load(tools.store, unfinished.id)
    if _waits(tools.host, tools.store.path, unfinished):
        # Without this line on disk a confirmation could still come and call a change applied that is gone.
        journal.append(Kind.ROLLBACK, "It is taken back before its time is over.", reason=reason)
    error = RollBack(
        Work(tools, record),
        reason or "It was interrupted.",
        running=tools.host.live and bool(entries[0].get("reloads")),
        accept=accept,
        may_start=may_start,
    ).after_failure()
    if isinstance(error, RollbackIncompleteError):
        raise error
    return receipt_of(tools.host, tools.store.path, unfinished.id)


def _waits(host: Host, state_dir: str, receipt: Receipt) -> bool:
    if receipt.state is not ChangeState.UNCONFIRMED:
        return False
    deadline = awaited(host, state_dir, receipt.id)
    return deadline is not None and not deadline.over(host)


def _reason(host: Host, state_dir: str, receipt: Receipt, early: str) -> str:
    """Why an unconfirmed change is taken back; empty for one that was cut off."""
    if receipt.state is not ChangeState.UNCONFIRMED:
        return ""
    deadline = awaited(host, state_dir, receipt.id)
    return deadline.reason(host) if deadline is not None and deadline.over(host) else early


def _system(store: Store, receipt: Receipt, system_for: SystemFor) -> MailSystem:
    first = Journal(store.host, store.folder(receipt.id)).read()[0]
    return system_for(_target(first))


def _target(first: Entry) -> MailTarget:
    """The mail system of a change, from its journal's first record."""
    # Records of earlier versions concern one system.
    also = records.targets_from_json(first.get("also", ()))
    return MailTarget(first["system"], first["instance"], first["config_directory"], also)
