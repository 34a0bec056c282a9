"""Does iptables-persistent (netfilter-persistent) or iptables-services own the packet filter? Read only."""

from __future__ import annotations

from typing import Optional

from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.firewall.iptables import IptablesRules
from conbool_tui.host import Host
from detectors.firewall.files import file_texts
from detectors.firewall.nftables import tables
from detectors.firewall.services import active, enabled, programs

DEBIAN = ("/etc/iptables/rules.v4", "/etc/iptables/rules.v6")
RED_HAT = ("/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables")
_PLUGINS = "/usr/share/netfilter-persistent/plugins.d"


def find(host: Host) -> Optional[FirewallFacts]:
    """iptables-persistent or iptables-services as it is; None when nothing loads rules of iptables-save(8) at boot.

    ``details``: ``rules4`` and ``rules6``, the files; ``back end``, nf_tables or legacy; ``ipv6``, off where the kernel has none;
    ``other back end``, what is in force there.

    Raises:
        ConboolError: iptables or a file cannot be read.
    """
    found = _debian(host) or _red_hat(host)
    if found is None:
        return None
    evidence, paths = found
    tools = programs(
        host,
        *("iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save", "netfilter-persistent"),
    )
    ipv6 = not host.live or host.exists("/proc/sys/net/ipv6")
    details = [("rules4", paths[0]), ("rules6", paths[1]), ("ipv6", "on" if ipv6 else "off")]
    unusable = remedy = ""
    needed = ("iptables-restore", "iptables-save") + (("ip6tables-restore", "ip6tables-save") if ipv6 else ())
    missing = [name for name in needed if name not in tools]
    rules = None
    if missing:
        unusable = f"{evidence[0].upper()}{evidence[1:]}, but the program {missing[0]} is missing."
        remedy = "Install the package iptables, then run again."
    elif host.live:
        back_end = _back_end(host)
        details.append(("back end", back_end))
        other = _other_back_end(host, back_end)
        if other:
            details.append(("other back end", other))
        rules = IptablesRules(host).read()
    return FirewallFacts(
        owner=FirewallOwner.IPTABLES,
        evidence=evidence,
        rules=rules,
        files=file_texts(host, paths),
        tools=tools,
        unusable=unusable,
        remedy=remedy,
        details=tuple(details),
    )


def _debian(host: Host) -> Optional[tuple[str, tuple[str, str]]]:
    """netfilter-persistent with the plugin that loads iptables' files."""
    plugin = any(name.endswith("ip4tables") for name in host.listdir(_PLUGINS))
    if host.which("netfilter-persistent") is None or not plugin:
        return None
    present = [path for path in DEBIAN if host.is_file(path)]
    if enabled(host, "netfilter-persistent") or active(host, "netfilter-persistent"):
        return f"iptables-persistent is enabled ({present[0] if present else DEBIAN[0]})", DEBIAN
    if present and not host.has_systemd():
        return f"iptables-persistent is installed and has rules ({present[0]})", DEBIAN
    return None


def _red_hat(host: Host) -> Optional[tuple[str, tuple[str, str]]]:
    """iptables-services: one service for each family."""
    present = [path for path in RED_HAT if host.is_file(path)]
    for name in ("iptables", "ip6tables"):
        if enabled(host, name) or active(host, name):
            return f"the service {name} is enabled ({present[0] if present else RED_HAT[0]})", RED_HAT
    if present and not host.has_systemd():
        return f"iptables-services has rules ({present[0]})", RED_HAT
    return None


def _back_end(host: Host) -> str:
    """nf_tables or legacy; releases before 1.8 have no other than legacy."""
    return "nf_tables" if "nf_tables" in host.run(["iptables-restore", "--version"]).text() else "legacy"


def _other_back_end(host: Host, back_end: str) -> str:
    """What is in force in the back end that ``iptables`` does not show; empty when there is nothing."""
    if back_end == "legacy":
        names = [
            f"{family} {name}"
            for family, name in tables(host)
            if family in ("ip", "ip6") and name == "filter"
        ]
        return f"table {names[0]} in nf_tables" if names else ""
    return legacy_rules(host)


def legacy_rules(host: Host) -> str:
    """What is in force in INPUT of the legacy back end, in words; empty when there is nothing. Asking loads no kernel module."""
    if not host.live or not host.is_root:
        return ""
    for program, path in (
        ("iptables-legacy-save", "/proc/net/ip_tables_names"),
        ("ip6tables-legacy-save", "/proc/net/ip6_tables_names"),
    ):
        if host.exists(path) and "filter" in host.read_text(path).split() and host.which(program):
            lines = host.run([program, "-t", "filter"]).text().splitlines()
            if any(line.startswith(("-A INPUT ", ":INPUT DROP")) for line in lines):
                return f"rules of INPUT in the legacy back end ({program} shows them)"
    return ""
