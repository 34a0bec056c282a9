"""Keep a change that waits for confirmation."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    LockedError,
    RollbackIncompleteError,
    RolledBackError,
    UsageError,
)
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction.journal import Journal, Kind
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.lock import locked
from conbool_tui.transaction.preflight import require_root
from conbool_tui.transaction.receipts import awaited, list_changes, overdue, receipt_of
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.store import Store

_PATIENCE = 10.0
_AGAIN = "Run conbool-tui again, and confirm within the time."


def confirm_change(
    host: Host,
    state_dir: str,
    change_id: Optional[str] = None,
    *,
    by: str = "command",
    system_for: Optional[SystemFor] = None,
    live_for: LiveFor = real_live,
) -> Receipt:
    """Keep the change that waits for confirmation.

    The lock decides between two confirmations, and between a confirmation and the end of the countdown: the
    first one counts.

    Args:
        change_id: the change; the one that waits when None.
        by: who confirms: ``command``, or a noun phrase for the record.
        system_for: gives the mail system, to take the change back when its time is over.
        live_for: gives the driver of a live target, for the same.

    Raises:
        NeedsRootError, LockedError: it cannot begin.
        UsageError: no change waits, or not this one, or it is confirmed already.
        CheckFailedError: it could not be recorded.
        RolledBackError: too late, it is taken back.
        RollbackIncompleteError: too late, and taking it back did not work completely.
    """
    if not list_changes(host, state_dir):
        raise _nothing()
    require_root(host)
    store = Store(host, state_dir)
    store.prepare()
    with locked(host, store, _PATIENCE):
        receipt = _chosen(host, state_dir, change_id)
        if not overdue(host, state_dir, receipt.id):
            who = "the command conbool-tui confirm" if by == "command" else by
            message = f"{receipt.message} Confirmed by {who}.".strip()
            try:
                Journal(host, store.folder(receipt.id)).append(
                    Kind.COMMIT, "Somebody confirmed it.", message=message
                )
            except ConboolError as error:
                raise CheckFailedError(
                    f"The confirmation of change {receipt.id} could not be recorded: {error.what}",
                    f"Without a record the change is taken back at {receipt.confirm_by}.",
                    error.todo or "Run conbool-tui confirm again.",
                ) from None
            return receipt_of(host, state_dir, receipt.id)
    return _too_late(host, state_dir, receipt, system_for, live_for)


def _chosen(host: Host, state_dir: str, change_id: Optional[str]) -> Receipt:
    """The change that waits. Raises UsageError, RolledBackError."""
    changes = list_changes(host, state_dir)
    for receipt in changes:
        if receipt.state is ChangeState.UNCONFIRMED and change_id in (None, receipt.id):
            return receipt
    named = [receipt for receipt in changes if change_id in (None, receipt.id)]
    if change_id is not None and not named:
        raise UsageError(
            f"There is no change {change_id}.", "", "`conbool-tui history` lists the changes and their ids."
        )
    if not named or awaited(host, state_dir, named[0].id) is None:
        raise _nothing()
    newest = named[0]
    if newest.state in (ChangeState.APPLIED, ChangeState.UNDONE):
        done = "" if newest.state is ChangeState.APPLIED else f" It is {newest.state.value} since."
        raise UsageError(f"Change {newest.id} is confirmed already.{done}", newest.message, "")
    raise _late(newest)


def _too_late(
    host: Host, state_dir: str, receipt: Receipt, system_for: Optional[SystemFor], live_for: LiveFor
) -> Receipt:
    """Take back what nobody confirmed in time. Raises RolledBackError whatever comes of it."""
    if system_for is None:
        raise RolledBackError(
            f"The confirmation came too late: change {receipt.id} is being taken back.",
            f"It had to be confirmed until {receipt.confirm_by}.",
            f"`conbool-tui history` shows the outcome, `conbool-tui undo {receipt.id}` does it now. {_AGAIN}",
        )
    try:
        recover(host, state_dir, system_for, live_for=live_for, only=receipt.id)
    except LockedError:
        # The guard is at it: its outcome is the one to tell.
        with locked(host, Store(host, state_dir), _PATIENCE):
            pass
    raise _late(receipt_of(host, state_dir, receipt.id))


def _late(receipt: Receipt) -> ConboolError:
    if receipt.state is not ChangeState.ROLLED_BACK:
        return RollbackIncompleteError(
            f"The confirmation came too late, and change {receipt.id} is {receipt.state.value}. {receipt.message}",
            "Port 25 or the firewall may not be as they were before.",
            f"Run `conbool-tui undo {receipt.id}`.",
        )
    return RolledBackError(
        f"The confirmation came too late: change {receipt.id} is {receipt.state.value}. {receipt.message}".rstrip(),
        "Port 25 and the firewall are as they were before.",
        _AGAIN,
    )


def _nothing() -> UsageError:
    return UsageError(
        "No change waits for confirmation.", "", "`conbool-tui history` lists the changes and how they stand."
    )
