"""Does ufw own the packet filter? Read only."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError, NeedsRootError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall.ufw import CONFIGURATION, UfwRules, enabled, live_rules, uses_ipv6
from conbool_tui.firewall.ufw_files import FAMILIES, IPV4, Family, entries
from conbool_tui.host import Host
from detectors.firewall.services import programs

_PROGRAMS = ("ufw", "iptables", "iptables-restore", "ip6tables", "ip6tables-restore")


def find(host: Host) -> Optional[FirewallFacts]:
    """How ufw is: None when it is not installed or switched off. Never raises.

    ``details``: ``ipv6`` yes or no (ufw then lets no IPv6 in at all); ``rules4`` and ``rules6``, the number of the admin's rules;
    ``same``, the sources of those that differ from rules of ours in nothing but action and comment.
    """
    try:
        if host.which("ufw") is None or not enabled(host):
            return None
        return _look(host)
    except NeedsRootError:
        return _facts(
            host, unusable="ufw's rules can be read by root only.", remedy="Run the same command with sudo."
        )
    except ConboolError as error:
        return _facts(host, unusable=error.what, remedy=error.todo)


def _look(host: Host) -> FirewallFacts:
    if not host.is_root:
        raise NeedsRootError("ufw's rules can be read by root only.")
    missing = [name for name in _PROGRAMS if host.which(name) is None]
    if missing:
        return _facts(
            host,
            unusable=f"ufw is switched on, but {missing[0]} is missing.",
            remedy="Install the package iptables.",
        )
    ipv6 = uses_ipv6(host)
    details = [("ipv6", "yes" if ipv6 else "no")]
    same: list[str] = []
    for family in FAMILIES:
        others = [entry for entry in entries(_text(host, family)) if not entry.ours]
        details.append((f"rules{family.number}", str(len(others))))
        rules = [entry.rule for entry in others if entry.rule is not None]
        same += [rule.source for rule in rules if rule.destination == family.everybody]
    details.append(("same", " ".join(same)))
    for family in FAMILIES:
        if host.live and (family is IPV4 or ipv6) and live_rules(host, family) is None:
            return _facts(
                host,
                unusable=f"ufw is switched on, but its rules for IPv{family.number} are not in force.",
                remedy="Run `ufw reload` (or restart the server when that does not help), then start again.",
            )
    return _facts(host, rules=UfwRules(host).read(), details=tuple(details))


def _text(host: Host, family: Family) -> str:
    return host.read_text(family.path) if host.exists(family.path) else ""


def _facts(
    host: Host,
    *,
    rules: Optional[str] = None,
    unusable: str = "",
    remedy: str = "",
    details: tuple[tuple[str, str], ...] = (),
) -> FirewallFacts:
    return FirewallFacts(
        owner=FirewallOwner.UFW,
        evidence=f"ufw is switched on ({CONFIGURATION})",
        rules=rules,
        tools=programs(host, *_PROGRAMS, "systemctl"),
        unusable=unusable,
        remedy=remedy,
        details=details,
    )
