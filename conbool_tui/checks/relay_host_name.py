"""Where the name for the Setup Assistant leads: to this server, to a stated public address, or to somebody else."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Callable

from conbool_tui.checks.limits import Limits
from conbool_tui.checks.relay_host_probe import ConversationError, Identity, glance
from conbool_tui.checks.relay_host_server import Server, same
from conbool_tui.checks.resolve import NoAddressError, Published, published
from conbool_tui.findings import Finding, Status
from conbool_tui.networks import PRIVATE

ID = "smtp.relay-host"
Resolve = Callable[[str, Limits], Published]
Judgement = tuple[Status, str, str]
_ORDER = (Status.FAIL, Status.WARN, Status.NOT_TESTED, Status.OK)
_RESOLVE = {
    "missing": (
        Status.FAIL,
        "Publish an A (or AAAA) record for it, or type another name into the Setup Assistant.",
    ),
    "timeout": (Status.NOT_TESTED, "Look at this server's name servers (/etc/resolv.conf), and try again."),
    "broken": (
        Status.NOT_TESTED,
        "Name service fails for this name: look at the zone's servers, and try again.",
    ),
}


class RelayHostName:
    """The name's addresses, and the judgement about each.

    Args:
        server: this server; its relay_host is set.
        limits: the time of the whole check.
        resolve: what name service publishes.
    """

    def __init__(self, server: Server, limits: Limits, resolve: Resolve = published) -> None:
        self.server = server
        self.limits = limits
        self.name = server.relay_host or ""
        self.transcript: list[str] = []
        self.own: list[str] = []
        self._judged: list[Judgement] = []
        self._public: list[str] = []
        try:
            found = resolve(self.name, limits)
        except NoAddressError as error:
            status, remedy = _RESOLVE[error.kind]
            self.transcript.append(f"! {self.name}: {error.text}")
            self._judged.append((status, f"{self.name} has no address: {error.text}.", remedy))
            return
        self.transcript += [
            f"= {alias} is an alias (CNAME) for {name}" for alias, name in _pairs(found.names)
        ]
        self.transcript.append(f"= {found.names[-1]} is {', '.join(found.addresses)}")
        if found.trouble:
            self._judged.append(
                (
                    Status.WARN,
                    f"A part of {self.name}'s addresses is not known: {found.trouble}.",
                    _RESOLVE["timeout"][1],
                )
            )
        self._sort(found.addresses)

    def _sort(self, addresses: Sequence[str]) -> None:
        foreign = []
        for address in addresses:
            if _is_nobody(address):
                self._judged.append(
                    (
                        Status.FAIL,
                        f"{self.name} is published with {address}, which means every host to itself.",
                        "Publish the address under which this server is reached from outside.",
                    )
                )
            elif same(address, self.server.public_addresses):
                self._public.append(address)
            elif self.server.owns(address):
                self.own.append(address)
            else:
                foreign.append(address)
        known = ", ".join([*self.server.addresses, *self.server.public_addresses]) or "its own addresses"
        shown = ", ".join(foreign)
        if foreign and (self.own or self._public):
            self._judged.append(
                (
                    Status.FAIL,
                    f"{self.name} leads to another host too: {shown} is not this server ({known}).",
                    "A part of the mail would go there: take that address out of the name's records, or name it in "
                    "inbound.public_addresses if it is a load balancer.",
                )
            )
        elif foreign:
            self._judged.append(
                (
                    Status.FAIL,
                    f"{self.name} leads to another host: {shown} is not this server ({known}).",
                    "Publish this server's address for the name, or type another name into the Setup Assistant. Behind "
                    "address translation or a load balancer, name its address in inbound.public_addresses.",
                )
            )

    def judge(self, ours: Identity, tried: str, works: bool) -> Finding:
        """The finding ``smtp.relay-host``.

        Args:
            ours: who answered the main conversation.
            tried: the address it was with.
            works: whether somebody answered there.
        """
        good = []
        for address in self.own:
            if address == tried and not works:
                self._judged.append(
                    (
                        Status.FAIL,
                        f"{self.name} leads to this server ({address}), whose port {self.server.port} does not work.",
                        "Repair that first: the finding smtp.reachable says how.",
                    )
                )
            elif address == tried or self._answers(address):
                good.append(address)
                self._private(address)
        good += [address for address in self._public if self._same_server(address, ours)]
        if good:
            self._judged.append(
                (
                    Status.OK,
                    f"{self.name} leads to this server, which answers on port {self.server.port} ({', '.join(good)}).",
                    "",
                )
            )
        self._judged.sort(key=lambda one: _ORDER.index(one[0]))
        status, _, remedy = self._judged[0]
        summary = " ".join(one[1] for one in self._judged)
        return Finding(ID, status, summary, "\n".join(self.transcript), remedy)

    def _answers(self, address: str) -> bool:
        try:
            glance(self.server, address, self.transcript, self.limits)
        except ConversationError as error:
            if error.reply is not None and self.server.closed:
                return True
            self._judged.append(
                (
                    Status.FAIL,
                    f"{self.name} is published with {address}, where port {self.server.port} does not work: {error.failure.summary}",
                    "Make the mail system listen there (inet_interfaces, inet_protocols), or take that address out of the "
                    "name's records.",
                )
            )
            return False
        return True

    def _private(self, address: str) -> None:
        if _is_private(address) and not self.server.private_meant:
            self._judged.append(
                (
                    Status.WARN,
                    f"{address} is a private address, which Conbool cannot reach over the Internet.",
                    "If your own name servers only answer so inside, look at the public ones; an on-premise Conbool is "
                    "stated with inbound.private_networks.",
                )
            )

    def _same_server(self, address: str, ours: Identity) -> bool:
        """Whether this server answers at a stated public address."""
        try:
            theirs = glance(self.server, address, self.transcript, self.limits)
        except ConversationError as error:
            self._judged.append(
                (
                    Status.NOT_TESTED,
                    f"The public address {address} does not answer from inside ({error.failure.summary.rstrip('.')}): many "
                    "routers do not lead back in (hairpin NAT), so this says nothing.",
                    "Use Test Connection in the Setup Assistant: it comes from outside.",
                )
            )
            return False
        if not ours.name:
            self._judged.append(
                (
                    Status.NOT_TESTED,
                    f"{theirs.name} answers at the public address {address}; this server's own port does not, so they "
                    "cannot be compared.",
                    "Repair this server's own port 25 first.",
                )
            )
            return False
        if theirs.certificate and theirs.certificate == ours.certificate:
            return True
        if theirs.name != ours.name:
            self._judged.append(
                (
                    Status.FAIL,
                    f"Another host answers at the public address {address}: it greets as {theirs.name or 'nobody'}, this "
                    f"server as {ours.name}.",
                    "Correct the port forwarding or the load balancer's target for port 25, or inbound.public_addresses.",
                )
            )
            return False
        if theirs.certificate != ours.certificate:
            self._judged.append(
                (
                    Status.WARN,
                    f"At the public address {address} a server of the same name answers with another certificate.",
                    "A load balancer that ends TLS itself, or a second server, looks like this: make sure that it is meant.",
                )
            )
        return True


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(names, names[1:]))


# Addresses nobody on the Internet can reach: RFC 1918, RFC 6598 (carrier-grade NAT), RFC 3927, RFC 4193, RFC 4291.
_UNREACHABLE = (*PRIVATE, ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))


def _is_nobody(address: str) -> bool:
    own = ipaddress.ip_address(address)
    return own.is_loopback or own.is_unspecified


def _is_private(address: str) -> bool:
    own = ipaddress.ip_address(address)
    return any(own.version == network.version and own in network for network in _UNREACHABLE)
