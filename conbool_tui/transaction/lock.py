"""One run at a time: a lock on the state directory and one on the configuration directory itself.

The second one stops two runs that use different state directories. flock(2) locks vanish with the process
that holds them, so a crash leaves no stale lock.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator
from typing import Callable

from conbool_tui.errors import CheckFailedError, ConboolError, HostError, LockedError
from conbool_tui.host import Host
from conbool_tui.plan import MailTarget
from conbool_tui.transaction.store import Store

_PAUSE = 0.05
# Who only looks whether a run is under way (``busy``) holds the lock for a moment.
_MOMENT = 0.3


@contextlib.contextmanager
def locked(host: Host, store: Store, patience: float = _MOMENT) -> Iterator[None]:
    """Hold the state directory's lock while the block runs.

    Args:
        patience: seconds to wait for another run to end.

    Raises:
        LockedError: another run works on this host.
        CheckFailedError: the lock's file cannot be opened.
    """
    with _held(host, lambda: host.lock(store.lock_file), patience, store.lock_file):
        yield


def told_holder(host: Host, store: Store) -> tuple[str, str]:
    """Who works on this host, and what to do about it: as sentences without and with a full stop; empty when that cannot be told."""
    return _told_holder(host, store.lock_file)


def _told_holder(host: Host, file: str) -> tuple[str, str]:
    holder = host.lock_holder(file) if file else None
    if holder is None:
        return "", ""
    since = datetime.datetime.fromtimestamp(holder.since, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    who = f"process {holder.pid}, started at {since}"
    if not holder.stopped:
        return who, ""
    return f"{who}, which is stopped (SIGSTOP)", f"Let it go on: kill -CONT {holder.pid}."


def _busy(host: Host, file: str) -> LockedError:
    who, todo = _told_holder(host, file)
    return LockedError(
        f"Another run of conbool-tui is changing this host{f': {who}' if who else ''}.",
        "Two changes at the same time could mix.",
        todo or "Wait until it has finished; `conbool-tui history` shows the outcome.",
    )


def busy(host: Host, store: Store) -> bool:
    """Whether another run holds the state directory's lock now; False where nobody could (read-only)."""
    try:
        handle = host.lock(store.lock_file)
    except BlockingIOError:
        return True
    except ConboolError:
        return False
    host.unlock(handle)
    return False


@contextlib.contextmanager
def locked_configurations(host: Host, target: MailTarget) -> Iterator[None]:
    """Hold the locks of the configuration directories of all mail systems that a change concerns. Raises as ``locked_configuration``."""
    with contextlib.ExitStack() as stack:
        # Always in the same order, so that two runs cannot wait for each other.
        for folder in sorted({one.config_directory for one in target.all}):
            stack.enter_context(locked_configuration(host, folder))
        yield


@contextlib.contextmanager
def locked_configuration(host: Host, config_directory: str) -> Iterator[None]:
    """Hold the lock of a mail system's configuration directory while the block runs; nothing to lock when
    it is gone.

    Raises:
        LockedError: another run works on this configuration.
    """
    if not host.is_dir(config_directory):
        yield
        return
    with _held(host, lambda: host.lock_folder(config_directory)):
        yield


@contextlib.contextmanager
def _held(host: Host, take: Callable[[], int], patience: float = 0.0, file: str = "") -> Iterator[None]:
    until = time.monotonic() + patience
    while True:
        try:
            handle = take()
            break
        except HostError as error:
            raise CheckFailedError(
                f"{error.what} Nothing was changed.",
                "Without it two runs could change this host at the same time.",
                error.todo,
            ) from None
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_PAUSE)
                continue
            raise _busy(host, file) from None
    try:
        yield
    finally:
        host.unlock(handle)
