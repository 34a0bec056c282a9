"""Sets of networks: what all parts that handle lists of them share. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Address space of one's own: RFC 1918, carrier-grade NAT (RFC 6598), unique local IPv6 (RFC 4193)."""


def merged(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Each address once: overlaps and neighbours joined, IPv4 before IPv6, sorted."""
    found = list(networks)
    four = ipaddress.collapse_addresses(one for one in found if isinstance(one, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(one for one in found if isinstance(one, ipaddress.IPv6Network))
    return (*four, *six)


def covers(outer: Network, inner: Network) -> bool:
    """True when every address of ``inner`` is in ``outer``."""
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)
