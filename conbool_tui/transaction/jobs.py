"""Work that is handed over to a process of its own: the files through which it and its caller know of each other.

Below the state directory, all of it for root only (folders 0700, files 0600)::

    jobs/<ID>/order.json      what to do; whoever takes it away decides whether it is done
    jobs/<ID>/worker          flock(2) of the worker as long as it lives
    jobs/<ID>/caller          flock(2) of who waits for the outcome
    jobs/<ID>/worker.json     the worker's process id
    jobs/<ID>/progress.jsonl  its steps
    jobs/<ID>/outcome.json    how it ended
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from conbool_tui.errors import ConboolError, HostError
from conbool_tui.host import is_temporary
from conbool_tui.receipt import Progress
from conbool_tui.transaction.orders import (
    Order,
    Outcome,
    order_from_json,
    order_to_json,
    outcome_from_json,
    outcome_to_json,
    progress_from_json,
    progress_to_json,
)
from conbool_tui.transaction.store import Store

ORDER, WORD, PROGRESS, OUTCOME = "order.json", "worker.json", "progress.jsonl", "outcome.json"
WORKER, CALLER = "worker", "caller"
_ID = re.compile(r"[0-9a-f]{16}")
_MOMENT = 0.3
_PAUSE = 0.02
_FORGOTTEN = 3600.0  # seconds after which a folder in which nobody ever was is of no use
_CHUNK = 1 << 20


class Job:
    """One piece of work that is handed over.

    Args:
        store: the state directory.
        job_id: its id.
    """

    def __init__(self, store: Store, job_id: str) -> None:
        self.id = job_id
        self.folder = posixpath.join(store.jobs, job_id)
        self._host = store.host
        self._read = 0

    @classmethod
    def create(cls, store: Store) -> Job:
        """A new folder for it. Raises HostError, CheckFailedError."""
        store.private_folder(store.jobs)
        job = cls(store, secrets.token_hex(8))
        store.private_folder(job.folder)
        return job

    def path(self, name: str) -> str:
        """The path of one of its files."""
        return posixpath.join(self.folder, name)

    def remove(self) -> None:
        """Remove it with all its files; no error when that does not work."""
        with contextlib.suppress(ConboolError):
            self._host.remove_tree(self.folder)

    # --- locks -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold one of its two locks. Raises BlockingIOError: somebody else does."""
        handle = self._taken(name)
        try:
            yield
        finally:
            self._host.unlock(handle)

    def _taken(self, name: str) -> int:
        until = time.monotonic() + _MOMENT
        while True:
            try:
                return self._host.lock(self.path(name))
            except BlockingIOError:
                # Who only looks (``free``) holds it for a moment.
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)

    def free(self, name: str) -> bool:
        """Whether nobody holds that lock."""
        try:
            handle = self._host.lock(self.path(name))
        except BlockingIOError:
            return False
        self._host.unlock(handle)
        return True

    # --- the caller's side -----------------------------------------------------------------------------

    def give(self, order: Order) -> None:
        """Lay down what is to be done. Raises HostError."""
        self._save(ORDER, order_to_json(order))

    def withdraw(self) -> bool:
        """Take the order back when no worker took it yet; False when one did."""
        try:
            with self.held(WORKER):
                if not self._host.is_file(self.path(ORDER)):
                    return False
                self._host.remove(self.path(ORDER))
                return True
        except BlockingIOError:
            return False

    def pid(self) -> Optional[int]:
        """The worker's process id, None when there is no worker yet."""
        said = self._load(WORD)
        return None if said is None else int(said["pid"])

    def news(self) -> list[Progress]:
        """The steps since the last call."""
        if not self._host.is_file(self.path(PROGRESS)):
            return []
        found: list[Progress] = []
        data = self._host.read_from(self.path(PROGRESS), self._read, _CHUNK)
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError, TypeError):
                found.append(progress_from_json(json.loads(line)))
        return found

    def ended(self) -> bool:
        """Whether the outcome is there."""
        return self._host.is_file(self.path(OUTCOME))

    def outcome(self) -> Outcome:
        """How it ended. Raises HostError: it cannot be read."""
        try:
            document = self._load(OUTCOME)
            if document is not None:
                return outcome_from_json(document)
        except (ValueError, KeyError, TypeError):
            pass
        raise HostError(f"{self.path(OUTCOME)} cannot be understood.", "", "Look with `conbool-tui history`.")

    # --- the worker's side -----------------------------------------------------------------------------

    def take(self, pid: int) -> Optional[Order]:
        """Take the order, while the worker's lock is held; None when it was withdrawn.

        Raises:
            HostError: it cannot be read, or the other side cannot be told.
        """
        try:
            document = self._load(ORDER)
            order = None if document is None else order_from_json(document)
        except (ValueError, KeyError, TypeError) as error:
            raise HostError(f"{self.path(ORDER)} cannot be understood: {error}.", "", "Run again.") from None
        if order is not None:
            # The word comes first: a caller who knows no worker and finds no order to withdraw would wait for ever.
            self._save(WORD, {"pid": pid})
            # It holds contents of files, and nobody else may take it.
            self._host.remove(self.path(ORDER))
        return order

    def tell(self, progress: Progress) -> None:
        """Note one step. Raises HostError."""
        line = json.dumps(progress_to_json(progress), ensure_ascii=True).encode("ascii") + b"\n"
        self._host.append_synced(self.path(PROGRESS), line)

    def end(self, outcome: Outcome) -> None:
        """Note how it ended. Raises HostError."""
        self._save(OUTCOME, outcome_to_json(outcome))

    # --- details ---------------------------------------------------------------------------------------

    def _save(self, name: str, document: Mapping[str, Any]) -> None:
        data = json.dumps(document, ensure_ascii=True).encode("ascii")
        self._host.write_atomic(self.path(name), data, mode=0o600)

    def _load(self, name: str) -> Optional[Any]:
        if not self._host.is_file(self.path(name)):
            return None
        return json.loads(self._host.read_bytes(self.path(name)))

    def deserted(self) -> bool:
        """Whether nobody works on it, and nobody waits for it."""
        if not (self.free(CALLER) and self.free(WORKER)):
            return False
        # Callers and workers write under their locks only: what is half written with both free is of one that died at it.
        used = any(name in (WORD, OUTCOME) or is_temporary(name) for name in self._host.listdir(self.folder))
        info = self._host.lstat(self.folder)
        return used or (info is not None and time.time() - info.st_mtime > _FORGOTTEN)


def sweep(store: Store) -> None:
    """Remove what callers left behind that went away before the outcome."""
    for name in store.host.listdir(store.jobs):
        if _ID.fullmatch(name):
            with contextlib.suppress(ConboolError):
                job = Job(store, name)
                if job.deserted():
                    job.remove()
