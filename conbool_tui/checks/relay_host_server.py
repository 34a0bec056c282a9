"""This server as the relay host check needs to know it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.facts import Listener

_WILDCARDS = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6, "*": socket.AF_INET}
# Addresses for documentation (RFC 5737, 3849): asking the kernel for the route to them sends nothing.
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


@dataclass(frozen=True)
class Server:
    """This server.

    Attributes:
        listeners: its listening sockets.
        domains: hosted domains; the first is asked for its postmaster (RFC 5321, section 4.5.1).
        relay_host: the name for the Setup Assistant, None when not chosen yet.
        trusted_networks: networks whose clients may relay (mynetworks), as far as they are known.
        client_name: the probe's name for EHLO.
        port: where mail arrives.
        addresses: its own addresses, as far as they are known; the kernel is asked besides.
        public_addresses: where it is reached from outside, when these addresses are not its own.
        closed: port 25 refuses clients that are not listed.
        tls_demanded: Conbool's mail is refused without TLS.
        private_meant: private addresses are reached by Conbool.
        ca_file: trusted CAs to judge its certificate with (path on this machine); the TLS library's own when None.
    """

    listeners: tuple[Listener, ...]
    domains: tuple[str, ...]
    relay_host: Optional[str]
    trusted_networks: tuple[str, ...]
    client_name: str
    port: int = 25
    addresses: tuple[str, ...] = ()
    public_addresses: tuple[str, ...] = ()
    closed: bool = False
    tls_demanded: bool = False
    private_meant: bool = False
    ca_file: Optional[str] = None

    def owns(self, address: str) -> bool:
        """True when ``address`` is one of this server's own."""
        return same(address, self.addresses) or _is_local(address)

    def trusts(self, address: str) -> Optional[bool]:
        """Whether ``address`` may relay; None when that cannot be known (tables instead of networks)."""
        own = ipaddress.ip_address(address.partition("%")[0])
        known = True
        for word in self.trusted_networks:
            try:
                network = ipaddress.ip_network(word.replace("[", "").replace("]", ""), strict=False)
            except ValueError:
                known = False
                continue
            if own.version == network.version and own in network:
                return True
        return False if known else None


def same(address: str, others: Sequence[str]) -> bool:
    """True when ``address`` is one of ``others``, whatever the spelling."""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    return any(ipaddress.ip_address(other.partition("%")[0]) == wanted for other in others)


def listening_addresses(listeners: Sequence[Listener], port: int) -> list[str]:
    """Addresses of this server that answer on ``port``, those that others can reach first."""
    found: list[str] = []
    for listener in listeners:
        if listener.port != port:
            continue
        if listener.address in _WILDCARDS:
            found.append(_own_address(_WILDCARDS[listener.address]))
        else:
            found.append(listener.address)
    unique = list(dict.fromkeys(found))
    return sorted(
        unique,
        key=lambda address: (ipaddress.ip_address(address.partition("%")[0]).is_loopback, ":" in address),
    )


def _own_address(family: int) -> str:
    """The address this server uses towards the outside, loopback when it has no way out."""
    found = _source_towards(_SOMEWHERE[socket.AddressFamily(family)])
    return found or ("127.0.0.1" if family == socket.AF_INET else "::1")


def _is_local(address: str) -> bool:
    """The kernel reaches its own addresses from these very addresses (ip-route(8), table local)."""
    found = _source_towards(address)
    return bool(found) and same(address, (found,))


def _source_towards(address: str) -> str:
    """The source address the kernel would use; nothing is sent. Empty when there is no way."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0])
    return ""
