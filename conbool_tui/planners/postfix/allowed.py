"""Who may connect to port 25 under the answers, as plain networks: for the firewall and the mail log's report."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.facts import PostfixFacts, Service
from conbool_tui.networks import Network, covers, merged
from conbool_tui.planners.postfix.lists import split_list

_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|\((\w+)\))")
_LOOPBACK_NAMES = ("127.", "localhost:", "[::1]:", "ip6-localhost:")
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class OwnNetworks:
    """What mynetworks names.

    ``listed``: its networks, less the addresses that a ``!`` entry before them takes out. ``unlisted``: entries that
    name no network by themselves (files, tables, forms that Postfix would not match either), as written.
    """

    listed: tuple[Network, ...]
    unlisted: tuple[str, ...]


def allowed_networks(facts: PostfixFacts, answers: Answers) -> tuple[str, ...]:
    """Every network that may connect to port 25 when it is restricted: Conbool's, the extra ones, and mynetworks.

    Canonical CIDR, IPv4 before IPv6, sorted, overlaps merged; loopback is left out. Never more than Postfix itself
    lets in: what ``mynetworks`` excludes, or names in a table, is not among them (``unlisted_networks``).
    """
    found = [_network(one) for one in (*answers.conbool_networks, *answers.inbound.extra_networks)]
    wanted = [one for one in found if one is not None]
    for value in _own_values(facts):
        wanted += own_networks(value).listed
    return tuple(str(one) for one in merged(one for one in wanted if not _is_loopback(one)))


def unlisted_networks(facts: PostfixFacts) -> tuple[str, ...]:
    """Entries of mynetworks whose addresses cannot be listed: Postfix lets them in at port 25, a firewall made from
    ``allowed_networks`` does not.
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


def _network(text: str) -> Optional[Network]:
    """``192.0.2.0/24``, ``192.0.2.1``, ``[2001:db8::]/32`` (postconf(5), mynetworks); None for anything else."""
    try:
        return ipaddress.ip_network(text.replace("[", "").replace("]", ""))
    except ValueError:
        return None


def _is_loopback(network: Network) -> bool:
    return any(covers(loopback, network) for loopback in _LOOPBACK)


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
