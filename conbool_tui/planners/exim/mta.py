"""The neutral half of an Exim's facts: what firewall, checks and screens need to know."""

from __future__ import annotations

import re

from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts import Capability, MtaFacts
from conbool_tui.facts_exim import PLAIN, EximFacts
from conbool_tui.planners.exim import names
from conbool_tui.planners.exim.own import (
    Route,
    maildir_router,
    old_smart_hosts,
    own_value,
    remote_router,
    route,
    sender_routes,
)


def mta_of(facts: EximFacts) -> MtaFacts:
    """What every mail transfer agent tells alike, of this Exim."""
    ports = split_list(facts.options.get("daemon_smtp_ports", ""))
    return MtaFacts(
        title="Exim",
        version=facts.version,
        running=facts.running,
        config_directory=facts.config_directory,
        host_name=facts.host_name,
        domains=facts.domains,
        listeners=facts.listeners,
        port_25_owner=facts.port_25_owner,
        route=_route(facts),
        sender_routes=bool(sender_routes(facts)),
        filters=_filters(facts),
        submission=tuple(
            f"port {port}" for port in ports if port in ("587", "465", "submission", "smtps", "submissions")
        ),
        own_networks=facts.own_networks,
        unlisted_networks=tuple(f"relay_from_hosts ({item})" for item in facts.unlisted_networks),
        families=_families(facts),
        system_ca_file=facts.system_ca_file,
        closed="hostlist conbool_extra_hosts" in present_main(facts),
        capabilities=_capabilities(facts),
        warnings=facts.warnings,
    )


def present_main(facts: EximFacts) -> str:
    """Our part of the main section as it is now, empty when there is none."""
    if facts.layout != PLAIN and not facts.config_file:
        text = facts.files.get(f"{facts.config_directory}/{names.SPLIT_FILES[names.MAIN]}")
        return text.data.decode("utf-8", "surrogateescape") if text else ""
    text = facts.files.get(facts.config_file)
    whole = text.data.decode("utf-8", "surrogateescape") if text else ""
    found = re.search(
        rf"^# BEGIN conbool-tui {names.MAIN}\b.*?^# END conbool-tui {names.MAIN}\b",
        whole,
        re.MULTILINE | re.DOTALL,
    )
    return found.group() if found else ""


def _route(facts: EximFacts) -> str:
    kind, router = route(facts), remote_router(facts)
    if kind is Route.NOWHERE or router is None:
        return "nowhere: mail to remote domains is not delivered"
    if kind is Route.MX:
        return "each recipient's MX"
    return ", ".join(old_smart_hosts(facts)) or f"as router {router.name} says"


def _filters(facts: EximFacts) -> tuple[str, ...]:
    """Routers that hand mail to a pipe whatever its domain: scanners of old that put it in again."""
    found = []
    for router in facts.routers:
        transport = facts.transport(router.get("transport"))
        pipes = transport is not None and transport.get("driver") == "pipe"
        if pipes and not router.get("domains") and not router.is_set("check_local_user"):
            found.append(f"{router.name} (pipe)")
    return tuple(found)


def _families(facts: EximFacts) -> tuple[int, ...]:
    interfaces = split_list(facts.options.get("local_interfaces", ""))
    if not interfaces:
        return (4, 6)
    found = {6 if one.count(":") > 1 or one.startswith("[") else 4 for one in interfaces}
    return tuple(sorted(found))


def _capabilities(facts: EximFacts) -> tuple[Capability, ...]:
    asks = own_value(facts, "tls_try_verify_hosts", ("+conbool_hosts",))
    require = asks in ("", "*")
    maildirs = maildir_router(facts) is not None
    return (
        Capability(
            "inbound.peer_certificate: require",
            require,
            ""
            if require
            else f"tls_try_verify_hosts is {asks}, so Conbool would not be asked for a certificate",
        ),
        Capability(
            "spam.action: folder",
            True,
            "for mail of local users, which Exim files into their maildirs; all other mail gets X-Spam-Flag: YES"
            if maildirs
            else "Exim files no mail into maildirs here: flagged mail gets X-Spam-Flag: YES for a Sieve filter",
        ),
        Capability(
            "calendar parts",
            True,
            ""
            if facts.content_scanning
            else "in the first 256K of a message only: this daemon has no content scanning",
        ),
        Capability(
            "smart_host.tls_name",
            "Event" in facts.features,
            "" if "Event" in facts.features else "this Exim is built without events",
        ),
    )
