"""One run at a time: a lock on the state directory and one on the configuration directory itself.

The second one stops two runs that use different state directories. flock(2) locks vanish with the process
that holds them, so a crash leaves no stale lock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Callable

from conbool_tui.errors import ConboolError, LockedError
from conbool_tui.host import Host
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
    """
    with _held(host, lambda: host.lock(store.lock_file), patience):
        yield


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
def _held(host: Host, take: Callable[[], int], patience: float = 0.0) -> Iterator[None]:
    until = time.monotonic() + patience
    while True:
        try:
            handle = take()
            break
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_PAUSE)
                continue
            raise LockedError(
                "Another run of conbool-tui is changing this host.",
                "Two changes at the same time could mix.",
                "Wait until it has finished; `conbool-tui history` shows the outcome.",
            ) from None
    try:
        yield
    finally:
        host.unlock(handle)
