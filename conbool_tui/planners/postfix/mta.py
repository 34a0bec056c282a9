"""A Postfix in the words that hold for every mail system."""

from __future__ import annotations

from conbool_tui.facts import Capability, MtaFacts, PostfixFacts
from conbool_tui.planners.postfix.allowed import listed_networks, unlisted_networks

NO_REQUIRE = (
    "Postfix can check a client certificate's fingerprint, not its name; the address list protects instead"
)
_SENDER_MAPS = ("sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps")
_FAMILIES = {"ipv4": 4, "ipv6": 6}


def mta_of(facts: PostfixFacts) -> MtaFacts:
    """The neutral half of what is known of a Postfix."""
    expanded = facts.expanded
    return MtaFacts(
        title="Postfix",
        version=facts.version,
        running=facts.running,
        config_directory=facts.config_directory,
        host_name=expanded.get("myhostname", facts.parameters.get("myhostname", "")),
        domains=facts.domains,
        listeners=facts.listeners,
        port_25_owner=facts.port_25_owner,
        route=_route(facts),
        sender_routes=any(expanded.get(name, "").strip() for name in _SENDER_MAPS),
        filters=tuple(item.value for item in facts.content_filters),
        submission=facts.submission_services,
        own_networks=tuple(str(one) for one in listed_networks(facts)),
        unlisted_networks=unlisted_networks(facts),
        families=_families(expanded.get("inet_protocols", "all")),
        system_ca_file=facts.system_ca_file,
        capabilities=(Capability("inbound.peer_certificate: require", False, NO_REQUIRE),),
        warnings=facts.warnings,
    )


def _route(facts: PostfixFacts) -> str:
    """Where mail went so far when no map of senders says otherwise."""
    relayhost = facts.expanded.get("relayhost", "").strip()
    return facts.transport_catch_all or relayhost or "each recipient's MX"


def _families(protocols: str) -> tuple[int, ...]:
    """inet_protocols, postconf(5)."""
    words = protocols.replace(",", " ").lower().split()
    spoken = tuple(sorted({_FAMILIES[word] for word in words if word in _FAMILIES}))
    return (4, 6) if "all" in words or not spoken else spoken
