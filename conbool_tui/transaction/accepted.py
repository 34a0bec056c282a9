"""Drift that the admin accepted: keys of a change that are the admin's from now on, with the value they had then.

A check compares them with that value, and an undo of the change leaves them alone.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.transaction.key_values import Key
from conbool_tui.transaction.lock import locked
from conbool_tui.transaction.preflight import nothing_changed, require_root
from conbool_tui.transaction.store import Store

NAME = "accepted.json"

Accepted = Mapping[Key, Optional[str]]
"""Keys and their accepted values; None: that it is not there."""


def load_accepted(store: Store, change_id: str) -> dict[Key, Optional[str]]:
    """What was accepted of a change. Raises ConboolError: it cannot be read."""
    path = posixpath.join(store.folder(change_id), NAME)
    if not store.host.is_file(path):
        return {}
    try:
        items = json.loads(store.host.read_bytes(path))["accepted"]
        return {(item["path"], item["key"]): item["value"] for item in items}
    except (ValueError, KeyError, TypeError):
        raise ConboolError(
            f"{path} is damaged.", "It says which settings are yours.", f"Look at it, or remove it: rm {path}"
        ) from None


def accept(host: Host, state_dir: str, found: Mapping[str, Accepted]) -> None:
    """Record accepted values, added to those accepted earlier.

    Args:
        found: by the id of the change that had set them.

    Raises:
        NeedsRootError, LockedError: it cannot begin.
        CheckFailedError: it cannot be recorded.
    """
    require_root(host)
    store = Store(host, state_dir)
    with nothing_changed():
        store.prepare()
    with locked(host, store), nothing_changed():
        for change_id, values in found.items():
            merged = {**load_accepted(store, change_id), **values}
            document = {
                "accepted": [
                    {"path": path, "key": key, "value": value}
                    for (path, key), value in sorted(merged.items())
                ]
            }
            data = json.dumps(document, indent=1, ensure_ascii=True).encode("ascii") + b"\n"
            store.save(change_id, NAME, data)
