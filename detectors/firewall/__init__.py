"""Who owns the packet filter of this host. Read only."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall import iptables_text, nft_text
from conbool_tui.firewall.driver import LiveRules
from conbool_tui.firewall.firewalld import FirewalldRules
from conbool_tui.firewall.iptables import IptablesRules
from conbool_tui.firewall.nftables import NftRules
from conbool_tui.firewall.rules import live_name
from conbool_tui.firewall.ufw import UfwRules
from conbool_tui.host import Host
from detectors.firewall import firewalld, iptables, nftables, nothing, ufw
from detectors.firewall.container import find_container
from detectors.firewall.files import file_texts
from detectors.firewall.services import active, enabled

_BY_HAND = "Close port 25 to everybody but Conbool and the listed networks with your firewall's own tool."

# Programs that write the rule set anew whenever they run: what another tool adds to it would be lost.
_OTHER_MANAGERS = (
    ("shorewall", "Shorewall", "/etc/shorewall/rules"),
    ("shorewall6", "Shorewall", "/etc/shorewall6/rules"),
    ("ferm", "ferm", "/etc/ferm/ferm.conf"),
    ("csf", "ConfigServer Firewall", "/etc/csf/csf.allow"),
    ("firehol", "FireHOL", "/etc/firehol/firehol.conf"),
    ("arno-iptables-firewall", "Arno's firewall", "/etc/arno-iptables-firewall/firewall.conf"),
    ("vuurmuur", "Vuurmuur", "/etc/vuurmuur"),
    ("pve-firewall", "Proxmox VE's firewall", "/etc/pve/firewall"),
    ("imunify360", "Imunify360", ""),
)

_OWNERS: tuple[Callable[[Host], Optional[FirewallFacts]], ...] = (
    firewalld.find,
    ufw.find,
    lambda host: _other_manager(host),
    nftables.find,
    iptables.find,
    nothing.find,
)


def find_firewall(host: Host) -> FirewallFacts:
    """Who owns the rules, and our own rules as they are in force. Never raises: what cannot be told is in the result.

    In this order: a container without the right to set rules, firewalld, ufw, other managers of whole rule sets, the nftables service,
    iptables-persistent, nothing.
    """
    try:
        found = find_container(host)
        for find in _OWNERS:
            found = found or find(host)
        assert found is not None
        found = _left_over(host, found)
    except ConboolError as error:
        return _unknown(error.what, error.todo or _BY_HAND)
    except Exception as error:  # noqa: BLE001 - a defect here must not hide what else was found on the host
        return _unknown(
            f"The search for the firewall failed ({type(error).__name__}: {error}).",
            f"Nothing was changed. Please report this. {_BY_HAND}",
        )
    if not host.live and not found.unusable:
        return replace(
            found,
            rules=None,
            unusable="This system is not running, so firewall rules can be neither put in force nor proven.",
            remedy="Start it and run conbool-tui there.",
        )
    if not host.is_root and not found.unusable:
        return replace(found, unusable="Only root can see and set firewall rules.", remedy="Run with sudo.")
    return found


def _unknown(why: str, remedy: str) -> FirewallFacts:
    return FirewallFacts(FirewallOwner.UNKNOWN, why, unusable=why, remedy=remedy)


def _other_manager(host: Host) -> Optional[FirewallFacts]:
    for service, name, place in _OTHER_MANAGERS:
        if enabled(host, service) or active(host, service):
            return _unknown(
                f"{name} owns the firewall (service {service}); this program does not know how to work with it.",
                f"Allow port 25 only from Conbool and the listed networks in {name}"
                + (f" ({place})." if place else "."),
            )
    return None


def _left_over(host: Host, found: FirewallFacts) -> FirewallFacts:
    """Add what is ours with a former owner: a list replaced with the new one would not reach it."""
    if not host.live or not host.is_root or found.unusable:
        return found
    left_over, files = [], dict(found.files)
    if found.owner not in (FirewallOwner.NFTABLES, FirewallOwner.NOTHING):
        rules = _read(NftRules(host))
        ours = file_texts(host, (nftables.configuration(host), *nftables.OUR_FILES))
        if rules is not None or nft_text.RULES_FILE in ours:
            left_over.append((live_name(FirewallOwner.NFTABLES), rules or ""))
            files.update(ours)
    if found.owner is not FirewallOwner.IPTABLES:
        ours = file_texts(host, (*iptables.DEBIAN, *iptables.RED_HAT))
        ours = {path: file for path, file in ours.items() if iptables_text.CHAIN.encode() in file.data}
        if ours:
            left_over.append((live_name(FirewallOwner.IPTABLES), _read(IptablesRules(host)) or ""))
            files.update(ours)
    for owner, driver in (
        (FirewallOwner.UFW, UfwRules(host)),
        (FirewallOwner.FIREWALLD, FirewalldRules(host)),
    ):
        rules = None if found.owner is owner else _read(driver)
        if rules is not None:
            left_over.append((live_name(owner), rules))
    return replace(found, left_over=tuple(left_over), files=files)


def _read(driver: LiveRules) -> Optional[str]:
    """A former owner's rules; None also when its tool does not work (any more): then it is not in the way."""
    try:
        return driver.read()
    except ConboolError:
        return None
