"""Which networks mynetworks names, and which services of port 25 face the outside."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conbool_tui.allowed import network as _network
from conbool_tui.facts import PostfixFacts, Service
from conbool_tui.networks import Network, covers, merged
from conbool_tui.planners.postfix.lists import split_list

_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|\((\w+)\))")
_LOOPBACK_NAMES = ("127.", "localhost:", "[::1]:", "ip6-localhost:")


@dataclass(frozen=True)
class OwnNetworks:
    """What mynetworks names.

    ``listed``: its networks, less the addresses that a ``!`` entry before them takes out. ``unlisted``: entries that
    name no network by themselves (files, tables, forms that Postfix would not match either), as written.
    """

    listed: tuple[Network, ...]
    unlisted: tuple[str, ...]


def listed_networks(facts: PostfixFacts) -> tuple[Network, ...]:
    """The networks of mynetworks at the services of port 25, merged. What it excludes, or names in a table, is not among them."""
    return merged(one for value in _own_values(facts) for one in own_networks(value).listed)


def unlisted_networks(facts: PostfixFacts) -> tuple[str, ...]:
    """Entries of mynetworks whose addresses cannot be listed: Postfix lets them in at port 25, a firewall made from
    ``listed_networks`` does not.
    """
    return tuple(dict.fromkeys(item for value in _own_values(facts) for item in own_networks(value).unlisted))


def own_networks(value: str) -> OwnNetworks:
    """Read a mynetworks value with its $names resolved (postconf(5): the first match counts, ``!`` excludes)."""
    listed: list[Network] = []
    unlisted: list[str] = []
    excluded: list[Network] = []
    items = split_list(value)
    for position, item in enumerate(items):
        network = _network(item.lstrip("!"))
        if item.startswith("!") and network is None:
            # Whatever follows may be excluded by it.
            unlisted += items[position:]
            break
        if network is None:
            unlisted.append(item)
        elif item.startswith("!"):
            excluded.append(network)
        else:
            listed += _without(network, excluded)
    return OwnNetworks(merged(listed), tuple(unlisted))


def faces_outside(facts: PostfixFacts, service: Service) -> bool:
    """False for a service that listens on a loopback address only, and not for a proxy that passes addresses on."""
    proxied = service.option("smtpd_upstream_proxy_protocol")
    if proxied is None:
        proxied = facts.expanded.get("smtpd_upstream_proxy_protocol", "")
    return bool(proxied.strip()) or not service.name.startswith(_LOOPBACK_NAMES)


def _own_values(facts: PostfixFacts) -> tuple[str, ...]:
    """The mynetworks of each service of port 25, resolved."""
    common = facts.expanded.get("mynetworks", "")
    found = []
    for service in facts.services:
        if service.id in facts.port_25_services and faces_outside(facts, service):
            own = service.option("mynetworks")
            found.append(common if own is None else expand(own, facts))
    return tuple(dict.fromkeys(found)) or (common,)


def expand(value: str, facts: PostfixFacts) -> str:
    """Resolve ``$name``, ``${name}`` and ``$(name)``."""
    return _REFERENCE.sub(
        lambda match: facts.expanded.get(match.group(1) or match.group(2) or match.group(3), ""), value
    )


def _without(network: Network, excluded: list[Network]) -> list[Network]:
    """The network in pieces that touch none of ``excluded``."""
    pieces = [network]
    for hole in excluded:
        kept: list[Network] = []
        for piece in pieces:
            if covers(hole, piece):
                continue
            if covers(piece, hole):
                kept += piece.address_exclude(hole)  # type: ignore[arg-type]
            else:
                kept.append(piece)
        pieces = kept
    return pieces
