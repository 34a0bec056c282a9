"""A host where no service owns the packet filter: our own table and unit can close port 25. Read only."""

from __future__ import annotations

from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall import nft_text
from conbool_tui.firewall.nothing import NothingRules
from conbool_tui.host import Host
from detectors.firewall.files import file_texts
from detectors.firewall.iptables import legacy_rules
from detectors.firewall.nftables import OUR_FILES, configuration, unowned
from detectors.firewall.services import programs


def find(host: Host) -> FirewallFacts:
    """The host as it is; usable when nft and systemd are there.

    ``details``: ``other rules``, what is in force although no known service loads it.

    Raises:
        ConboolError: nft or a file cannot be read.
    """
    tools = programs(host, "nft", "systemctl")
    unusable = remedy = ""
    if "nft" not in tools:
        unusable = (
            "No firewall service was found, and the program nft, which could close port 25, is missing."
        )
        remedy = "Install the package nftables, then run again."
    elif host.live and (not host.has_systemd() or "systemctl" not in tools):
        unusable = "No firewall service was found, and systemd, which could load our rules at boot, does not run here."
        remedy = "Set up a firewall service (nftables or iptables-persistent), then run again."
    files = file_texts(host, OUR_FILES)
    # The line may be there from the time when the nftables service was in use.
    conf = file_texts(host, (configuration(host),))
    files.update({path: file for path, file in conf.items() if nft_text.INCLUDE.encode() in file.data})
    other = unowned(host) or legacy_rules(host)
    return FirewallFacts(
        owner=FirewallOwner.NOTHING,
        evidence="no firewall service is enabled, active or has loaded rules",
        rules=NothingRules(host).read(),
        files=files,
        tools=tools,
        unusable=unusable,
        remedy=remedy,
        details=(("other rules", other),) if other else (),
    )
