"""Does the nftables service own the packet filter? Read only."""

from __future__ import annotations

import json
import re
from typing import Any, Optional

from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall import nft_text
from conbool_tui.firewall.nftables import CONFIGURATIONS, NftRules
from conbool_tui.host import Host
from detectors.firewall.files import file_texts
from detectors.firewall.services import active, enabled, programs, unit_text

SERVICE = "nftables"
OUR_FILES = (nft_text.RULES_FILE, nft_text.UNIT_FILE)

# Tables and chains that other programs keep beside the owner's: they never decide who may reach port 25.
_GUEST_TABLES = re.compile(r"^(f2b-table|docker.*|netavark|libvirt.*|kube.*|crowdsec.*|conbool)$")
_GUEST_JUMPS = re.compile(r"^(f2b-|DOCKER|LIBVIRT_|KUBE-|ts-|NETAVARK|CNI-|CROWDSEC)")


def find(host: Host) -> Optional[FirewallFacts]:
    """The nftables service as it is; None when it neither comes up at boot, nor runs, nor loaded what is in force.

    ``details``: ``configuration``, the service's file; ``at boot``, yes or no.

    Raises:
        ConboolError: nft or a file cannot be read.
    """
    path = configuration(host)
    at_boot = enabled(host, SERVICE)
    loaded = host.live and host.is_file(path) and _loaded(host, path)
    if at_boot:
        evidence = f"the service {SERVICE} is enabled ({path})"
    elif active(host, SERVICE):
        evidence = f"the service {SERVICE} is active ({path})"
    elif loaded:
        evidence = f"what is in force is what {path} holds"
    else:
        return None
    unusable = remedy = ""
    if not host.is_file(path):
        unusable = f"The service {SERVICE} is enabled, but its configuration {path} is missing."
        remedy = f"Write {path} or run `systemctl disable {SERVICE}`, then run again."
    elif host.which("nft") is None:
        unusable = f"The service {SERVICE} is enabled, but the program nft is missing."
        remedy = "Install the package nftables, then run again."
    return FirewallFacts(
        owner=FirewallOwner.NFTABLES,
        evidence=evidence,
        rules=NftRules(host).read(),
        files=file_texts(host, (path, *OUR_FILES)),
        tools=programs(host, "nft", "systemctl"),
        unusable=unusable,
        remedy=remedy,
        details=(("configuration", path), ("at boot", "yes" if at_boot else "no")),
    )


def configuration(host: Host) -> str:
    """The file the service loads: the one its unit names, else the one that is there, else Debian's."""
    unit = unit_text(host, SERVICE) or ""
    match = re.search(r"^ExecStart=\S*nft\s+(?:-\S+\s+)*-f\s+(\S+)", unit, re.MULTILINE)
    if match:
        return match.group(1)
    return next((path for path in CONFIGURATIONS if host.is_file(path)), CONFIGURATIONS[-1])


def tables(host: Host) -> list[tuple[str, str]]:
    """Family and name of every table in force; empty without nft or when it does not tell."""
    return [(item["family"], item["name"]) for item in _list(host, "tables", "table")]


def unowned(host: Host) -> str:
    """What is in force at the hook input and belongs to no program known for its own rules; empty when there is nothing."""
    chains = {}
    found = []
    for item in _list(host, "ruleset", None):
        if "chain" in item:
            chain = item["chain"]
            if chain.get("hook") == "input" and chain.get("type") == "filter":
                key = (chain["family"], chain["table"], chain["name"])
                chains[key] = chain
                if chain.get("policy") == "drop":
                    found.append(key)
        elif "rule" in item:
            rule = item["rule"]
            key = (rule["family"], rule["table"], rule["chain"])
            jumps = [part["jump"]["target"] for part in rule.get("expr", []) if "jump" in part]
            if key in chains and not (jumps and _GUEST_JUMPS.match(jumps[0])):
                found.append(key)
    named = [" ".join(key) for key in dict.fromkeys(found) if not _GUEST_TABLES.match(key[1])]
    return ", ".join(named)


def _loaded(host: Host, path: str) -> bool:
    """True when every table that the configuration declares is in force, and it declares one that is not ours."""
    declared = []
    for line in host.read_text(path).splitlines():
        match = re.match(r"\s*(?:add\s+)?table\s+(?:(ip|ip6|inet|arp|bridge|netdev)\s+)?([\w-]+)", line)
        if match:
            declared.append((match.group(1) or "ip", match.group(2)))
    others = [table for table in declared if table != ("inet", nft_text.TABLE)]
    return bool(others) and set(others) <= set(tables(host))


def _list(host: Host, what: str, kind: Optional[str]) -> list[Any]:
    if not host.live or host.which("nft") is None:
        return []
    result = host.run(["nft", "-j", "list", what])
    if not result.ok:
        return []
    try:
        items = json.loads(result.text())["nftables"]
        return [item[kind] for item in items if kind in item] if kind else list(items)
    except (ValueError, KeyError, TypeError):
        return []
