"""Which outcome somebody was told: what ended while nobody watched is said at the next start, once."""

from __future__ import annotations

import contextlib
import json
import posixpath
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction.receipts import list_changes, overdue
from conbool_tui.transaction.store import Store

NAME = "seen.json"


def unseen(host: Host, state_dir: str) -> Optional[Receipt]:
    """The newest change when it ended, or began to wait for confirmation, while nobody watched.

    None for one that is under way or unfinished (``find_unfinished``), and before the first mark. Raises as list_changes.
    """
    store = Store(host, state_dir)
    if not store.present():
        return None
    mark = _mark(store)
    if mark is None:
        return None
    newest = next(iter(list_changes(host, state_dir)), None)
    if newest is None or newest.state is ChangeState.UNFINISHED or _word(newest) == mark:
        return None
    if newest.state is ChangeState.UNCONFIRMED and overdue(host, state_dir, newest.id):
        return None
    return newest


def mark_seen(host: Host, state_dir: str, *, first: bool = False) -> None:
    """Note that the newest change was told as it stands; not being able to is no reason to stop.

    Args:
        first: only when nothing was ever noted.
    """
    with contextlib.suppress(ConboolError):
        store = Store(host, state_dir)
        if not store.present() or (first and _mark(store) is not None):
            return
        word = _word(next(iter(list_changes(host, state_dir)), None))
        if word != _mark(store):
            data = json.dumps(word, ensure_ascii=True).encode("ascii")
            host.write_atomic(posixpath.join(store.path, NAME), data, mode=0o600)


def _word(receipt: Optional[Receipt]) -> dict[str, str]:
    return {} if receipt is None else {"id": receipt.id, "state": receipt.state.value}


def _mark(store: Store) -> Optional[dict[str, str]]:
    path = posixpath.join(store.path, NAME)
    if not store.host.is_file(path):
        return None
    try:
        mark = json.loads(store.host.read_bytes(path))
    except ValueError:
        return {}
    return mark if isinstance(mark, dict) else {}
