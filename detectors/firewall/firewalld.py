"""Does firewalld own the packet filter? Read only."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall.firewalld import NOT_RUNNING, OFFLINE_TOOL, TOOL, look, mattering, text_of
from conbool_tui.host import Host
from detectors.firewall.services import programs

_OLDEST = (0, 7)
"""Rich rules have priorities since this version."""

_ENABLED = (
    "/etc/systemd/system/multi-user.target.wants/firewalld.service",
    "/etc/systemd/system/dbus-org.fedoraproject.FirewallD1.service",
)


def find(host: Host) -> Optional[FirewallFacts]:
    """How firewalld is: None when it is not installed, or neither runs nor is started at boot. Never raises.

    ``details``: ``version``; ``default``, the default zone; ``zones``, those that our rules are or belong in; ``left``, the active ones that are
    left as they are because whoever is in them is trusted, or shut out anyway.
    """
    try:
        if host.which(TOOL) is None:
            return None
        if not host.live:
            return _stopped(host, "This system is not running, and firewalld's rules belong to its daemon.")
        if not host.is_root:
            return _unless_off(host)
        return _look(host)
    except ConboolError as error:
        return _facts(host, unusable=error.what, remedy=error.todo)


def _look(host: Host) -> Optional[FirewallFacts]:
    state = host.run([TOOL, "--state"])
    if state.returncode == NOT_RUNNING:
        return _stopped(host, "firewalld is started at boot, but it is not running now.")
    if not state.ok:
        told = (state.text() + state.error_text()).strip().splitlines()
        return _facts(
            host,
            unusable=f"firewalld does not work: {told[-1] if told else 'no reason was given'}.",
            remedy="Look at its log (`journalctl -u firewalld`).",
        )
    version = host.run([TOOL, "--version"]).text().strip()
    if _numbers(version) < _OLDEST:
        return _facts(
            host,
            unusable=f"firewalld {version} is too old: its rich rules have no priorities.",
            remedy="Close port 25 by hand, or update firewalld to 0.7 or newer.",
        )
    found = look(host)
    if found is None or found.runtime is None:
        return _stopped(host, "firewalld was just stopped.")
    left = mattering(found.runtime, found.default)[1]
    details = (
        ("version", version),
        ("default", found.default),
        ("zones", " ".join(found.names)),
        ("left", " ".join(left)),
    )
    return _facts(host, rules=text_of(found), details=details, version=version)


def _unless_off(host: Host) -> Optional[FirewallFacts]:
    """What somebody without root's rights can tell."""
    running = any(process.name == "firewalld" for process in host.processes())
    if not running and not _starts_at_boot(host):
        return None
    return _facts(host, unusable="firewalld answers root only.", remedy="Run the same command with sudo.")


def _stopped(host: Host, why: str) -> Optional[FirewallFacts]:
    if not _starts_at_boot(host):
        return None
    remedy = "Run `systemctl start firewalld`, or `systemctl disable firewalld` when it is not wanted."
    return _facts(host, unusable=why, remedy=remedy)


def _starts_at_boot(host: Host) -> bool:
    return any(host.is_link(path) or host.exists(path) for path in _ENABLED)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _facts(
    host: Host,
    *,
    rules: Optional[str] = None,
    unusable: str = "",
    remedy: str = "",
    details: tuple[tuple[str, str], ...] = (),
    version: str = "",
) -> FirewallFacts:
    return FirewallFacts(
        owner=FirewallOwner.FIREWALLD,
        evidence=f"firewalld {version} is running" if version else "firewalld is installed",
        rules=rules,
        tools=programs(host, TOOL, OFFLINE_TOOL, "systemctl"),
        unusable=unusable,
        remedy=remedy,
        details=details,
    )
