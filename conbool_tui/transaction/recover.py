"""Finish the rollback of a change that a crash cut off."""

from __future__ import annotations

from typing import Callable, Optional

from conbool_tui.errors import RollbackIncompleteError
from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem, MailTarget
from conbool_tui.receipt import ProgressSink, Receipt
from conbool_tui.transaction import record as records
from conbool_tui.transaction.journal import Journal, Kind
from conbool_tui.transaction.lock import locked, locked_configuration
from conbool_tui.transaction.preflight import require_root
from conbool_tui.transaction.receipts import find_unfinished, receipt_of
from conbool_tui.transaction.signals import deferred
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import LIVE_KINDS, Observer, RollBack, Tools, Work

SystemFor = Callable[[MailTarget], MailSystem]


def recover(
    host: Host,
    state_dir: str,
    system_for: SystemFor,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
    *,
    accept: bool = False,
) -> Optional[Receipt]:
    """Bring back the state before a change that was begun and never ended; None when there is none.

    Args:
        system_for: gives the mail system a change belongs to.
        accept: take files edited meanwhile, and the mail system, as they are now, and close the change.

    Raises:
        NeedsRootError, LockedError: it cannot begin.
        RollbackIncompleteError: not everything could be brought back; it says what and how to do it by hand.
    """
    if find_unfinished(host, state_dir) is None:
        return None
    require_root(host)
    store = Store(host, state_dir)
    store.prepare()
    found: Optional[Receipt] = None
    while True:
        with locked(host, store), deferred() as signals:
            # Looked at again under the lock: the run that seemed to have crashed may just have ended.
            unfinished = find_unfinished(host, state_dir)
            if unfinished is None:
                return found
            first = Journal(host, store.folder(unfinished.id)).read()[0]
            target = MailTarget(first["system"], first["instance"], first["config_directory"])
            with locked_configuration(host, target.config_directory):
                tools = Tools(host, store, system_for(target), progress, observer, signals)
                found = _recover(tools, state_dir, unfinished, accept=accept)


def _recover(tools: Tools, state_dir: str, unfinished: Receipt, *, accept: bool) -> Receipt:
    journal = Journal(tools.host, tools.store.folder(unfinished.id))
    entries = journal.read()
    if not any(entry["do"] in LIVE_KINDS for entry in entries):
        for path in [path for entry in entries if entry["do"] == Kind.STAGE for path in entry["temporary"]]:
            if tools.host.lstat(path) is not None:
                tools.host.remove(path)
        message = "It was interrupted before anything was changed."
        journal.append(Kind.ROLLED_BACK, "Nothing was changed.", message=message)
        return receipt_of(tools.host, state_dir, unfinished.id)
    record = records.load(tools.store, unfinished.id)
    work = Work(tools, record)
    reason = unfinished.message or "It was interrupted."
    error = RollBack(
        work, reason, running=tools.host.live and bool(entries[0].get("reloads")), accept=accept
    ).after_failure()
    if isinstance(error, RollbackIncompleteError):
        raise error
    return receipt_of(tools.host, state_dir, unfinished.id)
