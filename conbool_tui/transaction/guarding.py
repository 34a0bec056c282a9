"""The worker's side of the guard: a separate process that takes a change back when this one dies, or when nobody confirms.

The guard (``conbool_tui.guard``) holds a lock of its own in the change's folder as long as it lives, and says in a file there that it is
ready, or why it cannot be. It writes the journal only while it holds the state directory's lock, like everybody else.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

from conbool_tui import detached
from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.host import Host
from conbool_tui.transaction.store import Store

LOCK = "guard"
WORD = "guard.json"
MODULE = "conbool_tui.guard"
_PATIENCE = 30.0
_PAUSE = 0.05

StartGuard = Callable[[Host, str, str], None]
"""Starts the guard for a state directory and a change's id."""


def start_process(host: Host, state_dir: str, change_id: str) -> None:
    """Start the guard detached from this process. Raises HostError."""
    # A second guard for the same change needs another name: the first unit may still be going down.
    unit = f"conbool-tui-guard-{change_id}-{time.monotonic_ns() % 1_000_000:06d}"
    detached.spawn(host, detached.python_command(MODULE, state_dir, change_id), unit=unit)


class Guard:
    """The guard of one change.

    Args:
        start: starts it.
        check: raises when the work is to be stopped; called while waiting.
    """

    def __init__(
        self, host: Host, store: Store, change_id: str, start: StartGuard, check: Callable[[], None]
    ) -> None:
        self._host = host
        self._store = store
        self._id = change_id
        self._start = start
        self._check = check

    def _path(self, name: str) -> str:
        return posixpath.join(self._store.folder(self._id), name)

    def start(self, patience: float = _PATIENCE) -> int:
        """Start it and wait until it is ready; its process id.

        Raises:
            CheckFailedError: it cannot be started.
        """
        why = "Without it nobody would take the change back if this process or this connection ended."
        with contextlib.suppress(ConboolError):
            self._host.remove(self._path(WORD))
        try:
            self._start(self._host, self._store.path, self._id)
            said = self._wait(patience)
        except ConboolError as error:
            raise _refused(error.what, why, error.todo) from None
        if said is None:
            raise _refused(f"It was not ready within {patience:g} seconds.", why, "")
        if said.get("error"):
            raise _refused(str(said["error"]), why, "")
        return int(said.get("pid", 0))

    def _wait(self, patience: float) -> Optional[Mapping[str, Any]]:
        until = time.monotonic() + patience
        while True:
            self._check()
            if self._host.is_file(self._path(WORD)):
                said = json.loads(self._host.read_bytes(self._path(WORD)))
                return said if isinstance(said, dict) else {}
            if time.monotonic() > until:
                return None
            time.sleep(_PAUSE)

    def alive(self) -> bool:
        """Whether it holds its lock, which no dead process does."""
        try:
            handle = self._host.lock(self._path(LOCK))
        except BlockingIOError:
            return True
        except ConboolError:
            return False
        self._host.unlock(handle)
        return False


def _refused(reason: str, why: str, todo: str) -> CheckFailedError:
    return CheckFailedError(
        f"The process that takes an unconfirmed change back could not be started. {reason}",
        why,
        todo or "Look at the log (/var/log/conbool-tui) and at the system's messages (dmesg), and run again.",
    )
