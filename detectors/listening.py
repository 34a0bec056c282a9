"""Listening sockets and who owns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import Listener
from conbool_tui.host import Host

POSTFIX = "postfix"
UNKNOWN = "unknown"
_POSTFIX_PROCESSES = frozenset({"master", "smtpd", "postscreen"})


def safe_listeners(host: Host) -> tuple[Listener, ...]:
    """The host's listening sockets; empty where the system does not tell (no /proc, another root)."""
    try:
        return host.listeners()
    except (ConboolError, OSError, RuntimeError, ValueError, LookupError):
        return ()


def owner_of_port(listeners: Sequence[Listener], port: int, master_pid: Optional[int] = None) -> str:
    """Who listens on a port.

    Args:
        listeners: all listening sockets.
        port: TCP port.
        master_pid: process id of the master(8) of the Postfix instance in question, None when it does not
            run or is not known.

    Returns:
        Empty when nobody listens; ``postfix`` for that instance; ``postfix (another instance)``; else the
        name of the process, or ``unknown`` when the system does not tell it (that needs root). Several
        owners are joined with a comma, ours first.
    """
    owners: set[str] = set()
    for listener in listeners:
        if listener.port == port:
            owners.add(_owner(listener, master_pid))
    return ", ".join(sorted(owners, key=lambda name: (name != POSTFIX, name)))


def _owner(listener: Listener, master_pid: Optional[int]) -> str:
    """The owner of one socket; smtpd and postscreen inherit the socket that master opened."""
    if listener.process not in _POSTFIX_PROCESSES:
        return listener.process or UNKNOWN
    if master_pid is None or listener.pid == master_pid or listener.process != "master":
        return POSTFIX
    return f"{POSTFIX} (another instance)"
