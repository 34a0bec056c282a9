"""Networks as Sendmail can look them up: it knows no masks, only leading octets of an address, or leading groups of an IPv6 address.

Source: cf/README, "the left hand side of an entry in the access map" (``IPv6:2002:c0a8:51d2``); ``anynet_ntop`` in lib/libsmutil.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_LIMIT = 4096


class TooManyPrefixesError(ValueError):
    """A network whose border lies so far inside an octet or group that it would be thousands of entries."""


def prefixes(network: str, *, full: bool = True) -> list[str]:
    """The leading parts that stand for a network: ``198.51.100.0/23`` is ``198.51.100`` and ``198.51.101``.

    Args:
        network: CIDR.
        full: Sendmail writes IPv6 addresses with all groups (compile flag IPV6_FULL); else single addresses are written short.

    Raises:
        TooManyPrefixesError: more than 4096.
    """
    parsed = ipaddress.ip_network(network)
    size = 8 if isinstance(parsed, ipaddress.IPv4Network) else 16
    length = parsed.prefixlen
    border = max(size, -(-length // size) * size)
    if border - length > 12:
        raise TooManyPrefixesError(f"{network} is {2 ** (border - length)} prefixes, more than {_LIMIT}")
    return [
        _written(int(one.network_address), border, parsed.version, full) for one in _split(parsed, border)
    ]


def _split(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, border: int
) -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return network.subnets(new_prefix=border)


def _written(address: int, length: int, version: int, full: bool) -> str:
    if version == 4:
        octets = [str(address >> shift & 0xFF) for shift in (24, 16, 8, 0)]
        return ".".join(octets[: length // 8])
    if length == 128 and not full:
        return f"IPv6:{ipaddress.IPv6Address(address)}"
    groups = [format(address >> shift & 0xFFFF, "x") for shift in range(112, -1, -16)]
    return "IPv6:" + ":".join(groups[: length // 16])
