"""Networks as regular expressions over addresses in text, for filters that cannot compare networks."""

from __future__ import annotations

import ipaddress
from typing import Optional


def pattern(network: str) -> Optional[str]:
    """A pattern (Perl) for the addresses of a network as text; None where that cannot be written down safely.

    IPv6 addresses are text with zeros left out, so only networks whose prefix is whole groups of which none is zero can be told.
    """
    one = ipaddress.ip_network(network)
    if isinstance(one, ipaddress.IPv4Network):
        return _ipv4(one)
    groups = [int(group, 16) for group in one.network_address.exploded.split(":")][: one.prefixlen // 16]
    if one.prefixlen % 16 or not groups or 0 in groups:
        return None
    text = ":".join(f"{group:x}" for group in groups)
    return text if one.prefixlen == 128 else text + ":[0-9a-f:]*"


def _ipv4(network: ipaddress.IPv4Network) -> str:
    whole, bits = divmod(network.prefixlen, 8)
    octets = list(network.network_address.packed)
    parts = [str(octet) for octet in octets[:whole]]
    if bits:
        first = octets[whole]
        parts.append(f"(?:{'|'.join(str(first + more) for more in range(1 << (8 - bits)))})")
    parts += [r"\d+"] * (4 - len(parts))
    return r"\.".join(parts)
