"""Keep firewall rules taken back while commands of a killed process may still be under way."""

from __future__ import annotations

from functools import partial
from typing import Callable

from conbool_tui.errors import LockedError
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import record as records
from conbool_tui.transaction.journal import Journal, Kind
from conbool_tui.transaction.live import LiveFor, announced, put_back
from conbool_tui.transaction.lock import locked
from conbool_tui.transaction.receipts import list_changes
from conbool_tui.transaction.store import Store


def hold_rules(host: Host, store: Store, change_id: str, live_for: LiveFor) -> list[str]:
    """Put the rules from before in force again where a change that was rolled back has others there once more.

    Nothing is done once a newer change was begun: then other rules may be wanted.

    Returns:
        the names of the targets that were put back.

    Raises:
        ConboolError: it cannot be told, or did not work.
    """
    journal = Journal(host, store.folder(change_id))
    targets = announced(journal.read(), records.load(store, change_id).plan.live)
    wrong = [target for target in targets if live_for(host, target.name).read() != target.before]
    if not wrong:
        return []
    try:
        with locked(host, store):
            newest = list_changes(host, store.path)[0]
            if newest.id != change_id or newest.state is not ChangeState.ROLLED_BACK:
                return []
            for target in wrong:
                announce = partial(_announce, journal, target.name)
                put_back(live_for(host, target.name), target, half=True, announce=announce)
    except LockedError:
        return []
    return [target.name for target in wrong]


def _announce(journal: Journal, name: str, effect: Callable[[], None]) -> None:
    journal.append(Kind.PUT_BACK, "Put the old rules in force once more.", path=name)
    effect()
    journal.append(Kind.IN_FORCE, "The old rules are in force.", path=name)
