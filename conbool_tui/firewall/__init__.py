"""Our rules in the host's packet filter: what they say, and one driver for each owner of the rule set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallOwner
from conbool_tui.firewall.rules import live_name

if TYPE_CHECKING:
    from conbool_tui.firewall.driver import LiveRules
    from conbool_tui.host import Host


def make_live(host: Host, name: str) -> LiveRules:
    """The driver for a ``LiveTarget``'s name, ``firewall:`` and the owner's word.

    Raises:
        ConboolError: no driver has that name.
    """
    if name == live_name(FirewallOwner.NFTABLES):
        from conbool_tui.firewall.nftables import NftRules

        return NftRules(host)
    if name == live_name(FirewallOwner.NOTHING):
        from conbool_tui.firewall.nothing import NothingRules

        return NothingRules(host)
    if name == live_name(FirewallOwner.IPTABLES):
        from conbool_tui.firewall.iptables import IptablesRules

        return IptablesRules(host)
    if name == live_name(FirewallOwner.UFW):
        from conbool_tui.firewall.ufw import UfwRules

        return UfwRules(host)
    if name == live_name(FirewallOwner.FIREWALLD):
        from conbool_tui.firewall.firewalld import FirewalldRules

        return FirewalldRules(host)
    raise ConboolError(
        f"This version cannot drive {name}.",
        "So its rules can be neither put in force nor taken back here.",
        "Use the version of conbool-tui that made the change.",
    )
