"""Is an address in one of many networks? Answered for single log lines, so it must be quick."""

from __future__ import annotations

import bisect
import ipaddress
import socket
from collections.abc import Iterable
from typing import Optional

from conbool_tui.networks import Network, merged

_LOOPBACK4 = b"\x7f"
_LOOPBACK6 = b"\0" * 15 + b"\x01"
_MAPPED = b"\0" * 10 + b"\xff\xff"


def packed(address: bytes) -> Optional[bytes]:
    """An address as 4 or 16 bytes, None when it is none; IPv4 in IPv6 clothes is IPv4."""
    text = address.decode("ascii", "replace")
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        found = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    return found[12:] if found.startswith(_MAPPED) else found


def is_loopback(address: bytes) -> bool:
    """True for an address (packed) of 127.0.0.0/8 and for ::1."""
    return address == _LOOPBACK6 if len(address) == 16 else address.startswith(_LOOPBACK4)


class Networks:
    """A set of networks.

    Args:
        texts: networks as CIDR or plain addresses; what is neither is kept in ``unknown``.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.unknown: list[str] = []
        found: list[Network] = []
        for text in texts:
            try:
                # Postfix writes [2001:db8::]/32.
                found.append(ipaddress.ip_network(text.replace("[", "").replace("]", ""), strict=False))
            except ValueError:
                self.unknown.append(text)
        ends: dict[int, list[tuple[bytes, bytes]]] = {4: [], 16: []}
        for network in merged(found):
            first = network.network_address.packed
            ends[len(first)].append((first, network.broadcast_address.packed))
        self._starts = {size: [first for first, _ in pairs] for size, pairs in ends.items()}
        self._ends = {size: [last for _, last in pairs] for size, pairs in ends.items()}

    def __contains__(self, address: bytes) -> bool:
        """Whether an address (packed) is in one of them."""
        starts = self._starts[len(address)]
        place = bisect.bisect_right(starts, address) - 1
        return place >= 0 and address <= self._ends[len(address)][place]
