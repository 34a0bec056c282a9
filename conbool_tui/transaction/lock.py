"""One run at a time: a lock on the state directory and one on the configuration directory itself.

The second one stops two runs that use different state directories. flock(2) locks vanish with the process
that holds them, so a crash leaves no stale lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable

from conbool_tui.errors import LockedError
from conbool_tui.host import Host
from conbool_tui.transaction.store import Store


@contextlib.contextmanager
def locked(host: Host, store: Store) -> Iterator[None]:
    """Hold the state directory's lock while the block runs.

    Raises:
        LockedError: another run works on this host.
    """
    with _held(host, lambda: host.lock(store.lock_file)):
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
def _held(host: Host, take: Callable[[], int]) -> Iterator[None]:
    try:
        handle = take()
    except BlockingIOError:
        raise LockedError(
            "Another run of conbool-tui is changing this host.",
            "Two changes at the same time could mix.",
            "Wait until it has finished; `conbool-tui history` shows the outcome.",
        ) from None
    try:
        yield
    finally:
        host.unlock(handle)
