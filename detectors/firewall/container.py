"""Is this a container whose packet filter belongs to the outside? Read only."""

from __future__ import annotations

import re
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallFacts, FirewallOwner
from conbool_tui.host import Host

_CAP_NET_ADMIN = 12  # linux/capability.h
_OUTSIDE = (
    "Close port 25 where the packets come in: on the container's host, in the port mapping, or in the provider's firewall. "
    "Postfix' own rule protects in any case."
)


def find_container(host: Host) -> Optional[FirewallFacts]:
    """Facts for an application container (docker, podman, Kubernetes), and for any place where root may not set rules; else None.

    A system container (LXC, systemd-nspawn) that may set rules has a packet filter of its own and counts as a host.
    """
    if not host.live:
        return None
    kind = _application_container(host)
    if kind:
        return _facts(
            f"this is a {kind} container",
            f"This is a {kind} container: its packet filter belongs to the outside and is gone with the container.",
        )
    if not host.is_root:
        return None
    if not _may_administer(host):
        return _facts(
            "root has no right to set firewall rules here (CAP_NET_ADMIN)",
            "Root has no right to set firewall rules here (CAP_NET_ADMIN), as in most containers.",
        )
    refused = _refused(host)
    if refused:
        return _facts(
            f"the kernel lets nobody set rules here: {refused}",
            f"The kernel lets nobody set rules here: {refused}.",
        )
    return None


def _facts(evidence: str, unusable: str) -> FirewallFacts:
    return FirewallFacts(FirewallOwner.CONTAINER, evidence, unusable=unusable, remedy=_OUTSIDE)


def _application_container(host: Host) -> str:
    if host.exists("/.dockerenv"):
        return "docker"
    if host.exists("/run/.containerenv"):
        return "podman"
    for path in ("/run/systemd/container", "/proc/1/environ"):
        try:
            text = host.read_text(path) if host.exists(path) else ""
        except ConboolError:
            continue
        match = re.search(r"(?:^|\0)(?:container=)?(docker|podman|oci|kubernetes)\s*(?:\0|$)", text)
        if match:
            return match.group(1)
    return ""


def _may_administer(host: Host) -> bool:
    """Whether this process has CAP_NET_ADMIN (proc(5), CapEff); True when it cannot be told."""
    try:
        status = host.read_text("/proc/self/status")
    except ConboolError:
        return True
    match = re.search(r"^CapEff:\s*([0-9a-fA-F]+)", status, re.MULTILINE)
    return match is None or bool(int(match.group(1), 16) >> _CAP_NET_ADMIN & 1)


def _refused(host: Host) -> str:
    """What nft says when the kernel refuses to show rules for lack of rights; empty when it does not."""
    if host.which("nft") is None:
        return ""
    try:
        result = host.run(["nft", "list", "tables"])
    except ConboolError:
        return ""
    said = result.error_text()
    if result.ok or not re.search("Operation not permitted|Permission denied", said):
        return ""
    return said.splitlines()[0].rstrip(".")
