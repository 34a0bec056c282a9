"""MX records: what they mean for the domain, and whose the exchangers are. Pure: replies in, lookups out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import dns.exception
import dns.name

from conbool_tui.answers import Answers, Inbound
from conbool_tui.checks.dns.client import Outcome, Reply
from conbool_tui.checks.dns.expected import compiled
from conbool_tui.checks.dns.spelling import shown_name
from conbool_tui.checks.dns.words import Asked, troubles
from conbool_tui.checks.dns_model import Lookup, MailExchanger
from conbool_tui.findings import Status

# An exchanger's addresses are looked up for so many of a domain; nobody needs more.
MOST_EXCHANGERS = 10
_SHOWN_ADDRESSES = 16
_CONBOOL = dns.name.from_text("conbool.com.")


@dataclass(frozen=True)
class Exchange:
    """One MX record: its text, preference and host (ASCII, without the final dot)."""

    text: str
    preference: int
    host: str

    @property
    def is_null(self) -> bool:
        """The record of a domain that takes no mail (RFC 7505)."""
        return self.host == ""


def exchanges(reply: Reply) -> list[Exchange]:
    """The MX records of a reply, the lowest preference first."""
    found = []
    for text in reply.values:
        number, _, host = text.partition(" ")
        found.append(Exchange(text, int(number), host.rstrip(".").lower()))
    return sorted(found, key=lambda one: (one.preference, one.host))


@dataclass(frozen=True)
class Addresses:
    """The replies for a host's A and AAAA records."""

    ipv4: Reply
    ipv6: Reply

    @property
    def found(self) -> tuple[str, ...]:
        """Every address known."""
        return self.ipv4.values + self.ipv6.values

    @property
    def certain(self) -> bool:
        """Both questions were answered."""
        return self.ipv4.outcome.certain and self.ipv6.outcome.certain

    @property
    def unanswered(self) -> Reply:
        """The reply that tells why not both are known."""
        return self.ipv6 if self.ipv4.outcome.certain else self.ipv4


class ConboolHosts:
    """How Conbool's exchangers are recognised, from the answers: networks, and patterns of MX expectations by domain."""

    def __init__(self, answers: Answers) -> None:
        self._networks = [ipaddress.ip_network(network) for network in answers.conbool_networks]
        self._patterns: dict[str, list[re.Pattern[str]]] = {}
        for wanted in answers.dns_expectations:
            pattern = compiled(wanted)
            if wanted.type.upper() == "MX" and pattern is not None:
                self._patterns.setdefault(wanted.name.rstrip(".").lower(), []).append(pattern)

    def known(self, domain: str, exchange: Exchange, addresses: Optional[Addresses]) -> Optional[bool]:
        """Whether an exchanger is Conbool's: by its name, by an MX expectation of the domain, or because all its addresses are.

        Returns:
            None when that takes addresses that could not be looked up.
        """
        try:
            # Compared label by label: a dot can also be part of a label.
            if dns.name.from_text(exchange.host + ".").is_subdomain(_CONBOOL):
                return True
        except dns.exception.DNSException:
            pass
        if any(pattern.search(exchange.text) for pattern in self._patterns.get(domain, ())):
            return True
        if not self._networks:
            return False
        if addresses is None:
            return None
        inside = [
            any(address in network for network in self._networks)
            for address in map(ipaddress.ip_address, addresses.found)
        ]
        if not all(inside):
            return False
        if not addresses.certain:
            return None
        return bool(inside)


@dataclass(frozen=True)
class MxVerdict:
    """The MX lookup, its exchangers, whether all are Conbool's, and whether mail can be sent to the domain at all."""

    lookup: Lookup
    exchangers: tuple[MailExchanger, ...] = ()
    conbool_only: Optional[bool] = None
    receives: bool = True


def judge_mx(
    domain: str,
    reply: Reply,
    addresses: Mapping[str, Addresses],
    inbound: Inbound,
    conbool: ConboolHosts,
    own_addresses: frozenset[str] = frozenset(),
) -> MxVerdict:
    """Judge the MX records.

    Args:
        domain: ASCII.
        reply: the reply for MX.
        addresses: by host; of the domain itself when it has no MX (RFC 5321, section 5.1).
        inbound: whether port 25 is to be closed.
        conbool: tells which exchangers are Conbool's.
        own_addresses: this server's.
    """
    asked = Asked(domain, reply)
    if not reply.outcome.certain:
        return MxVerdict(asked.trouble("MX", "MX not known"))
    if reply.outcome is Outcome.NODATA:
        own = addresses.get(domain)
        nowhere = own is not None and own.certain and not own.found
        return MxVerdict(_no_mx(asked, own), conbool_only=False, receives=not nowhere)
    if reply.outcome is not Outcome.FOUND:
        found = asked.trouble("MX", "no mail can arrive")
        if reply.outcome is Outcome.NXDOMAIN and not reply.chain:
            remedy = "Check its spelling and whether it is still registered; if it is not used for mail any more, leave it out of domains."
            headline = "the domain does not exist in DNS (NXDOMAIN)"
            found = asked.lookup("MX", Status.WARN, headline, remedy, values=())
        return MxVerdict(found, conbool_only=False, receives=reply.outcome is not Outcome.NXDOMAIN)
    return _judge_exchanges(asked, exchanges(reply), addresses, inbound, conbool, own_addresses)


def _no_mx(asked: Asked, own: Optional[Addresses]) -> Lookup:
    remedy = "Publish the MX records that the Setup Assistant shows."
    if own is None or not (own.certain or own.found):
        return asked.lookup("MX", Status.WARN, "no MX record is published", remedy)
    if own.found:
        headline = "no MX record is published; mail goes to the address of the domain itself"
        line = f"{asked.name}: {', '.join(own.found[:_SHOWN_ADDRESSES])}"
        return asked.lookup("MX", Status.WARN, headline, remedy, lines=[line])
    return asked.lookup(
        "MX", Status.WARN, "neither an MX record nor an address is published; no mail can arrive", remedy
    )


def _judge_exchanges(
    asked: Asked,
    found: list[Exchange],
    addresses: Mapping[str, Addresses],
    inbound: Inbound,
    conbool: ConboolHosts,
    own_addresses: frozenset[str],
) -> MxVerdict:
    values = [one.text for one in found]
    real = [one for one in found if not one.is_null]
    if not real:
        headline = "the domain says that it takes no mail (null MX, RFC 7505)"
        remedy = "Publish the MX records that the Setup Assistant shows, or leave the domain out of domains."
        lookup = asked.lookup("MX", Status.WARN, headline, remedy, values=values)
        return MxVerdict(lookup, conbool_only=False, receives=False)
    verdicts = [conbool.known(asked.domain, one, addresses.get(one.host)) for one in real]
    lines = [_address_line(one, addresses.get(one.host), own_addresses) for one in real[:MOST_EXCHANGERS]]
    if len(real) > MOST_EXCHANGERS:
        lines.append(f"The addresses of {len(real) - MOST_EXCHANGERS} more were not looked up.")
    only: Optional[bool] = all(verdicts)
    if not only and False not in verdicts:
        only = None
    exchangers = tuple(
        MailExchanger(
            one.preference,
            shown_name(one.host),
            addresses[one.host].found[:_SHOWN_ADDRESSES] if one.host in addresses else (),
            bool(verdict),
        )
        for one, verdict in zip(real[:MOST_EXCHANGERS], verdicts)
    )
    status, headline, remedy = _mx_words(found, real, verdicts, addresses, inbound)
    lookup = asked.lookup("MX", status, headline, remedy, values=values, lines=lines)
    return MxVerdict(lookup, exchangers, only)


def _mx_words(
    found: list[Exchange],
    real: list[Exchange],
    verdicts: list[Optional[bool]],
    addresses: Mapping[str, Addresses],
    inbound: Inbound,
) -> tuple[Status, str, str]:
    """Status, headline and remedy of published MX records; the first trouble found is told."""
    known = [addresses[one.host] for one in real if one.host in addresses]
    if len(real) < len(found):
        remedy = "Remove the record with the dot, or the others."
        return Status.WARN, "a null MX (RFC 7505) is published beside other MX records", remedy
    if any(_is_address(one.host) for one in real):
        remedy = "An MX record names a host; publish a host name that has this address."
        return Status.WARN, "an MX record holds an address instead of a host name", remedy
    if any(one.certain and not one.found for one in known):
        remedy = "Correct the MX record, or publish the host's A and AAAA records; see the details."
        return Status.WARN, "an MX record names a host without an address", remedy
    if any(one.ipv4.chain or one.ipv6.chain for one in known):
        remedy = "Name the host itself in the MX record; some servers do not follow aliases there (RFC 2181, section 10.3)."
        return Status.WARN, "an MX record names an alias (CNAME)", remedy
    if False in verdicts and inbound.restrict_port_25 and not inbound.close_despite_mx:
        remedy = "Point the MX to Conbool before port 25 is closed here: mail that still comes to this server directly would be refused."
        headline = "not every MX is Conbool's"
        return Status.WARN, headline if True in verdicts else "no MX is Conbool's", remedy
    uncertain = [one.unanswered for one in known if not one.certain]
    if uncertain:
        words, remedy = troubles(uncertain[0])
        return Status.NOT_TESTED, f"MX published, but not all addresses are known: {words}", remedy
    if all(verdicts):
        return Status.OK, "every MX is Conbool's", ""
    if None in verdicts and False not in verdicts:
        return Status.OK, "MX published; whether every one is Conbool's could not be told", ""
    return Status.OK, "MX published; " + ("some are" if True in verdicts else "none is") + " Conbool's", ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address_line(one: Exchange, addresses: Optional[Addresses], own: frozenset[str]) -> str:
    name = shown_name(one.host)
    if addresses is None:
        return f"{name}: not looked up"
    told = [address + (" (this server)" if address in own else "") for address in addresses.found]
    if len(told) > _SHOWN_ADDRESSES:
        told[_SHOWN_ADDRESSES:] = [f"and {len(told) - _SHOWN_ADDRESSES} more"]
    for kind, reply in (("A", addresses.ipv4), ("AAAA", addresses.ipv6)):
        if not reply.outcome.certain:
            told.append(f"{kind} not known: {troubles(reply)[0]}")
        elif reply.outcome not in (Outcome.FOUND, Outcome.NODATA, Outcome.NXDOMAIN):
            told.append(f"{kind}: {troubles(reply)[0]}")
    chain = addresses.ipv4.chain or addresses.ipv6.chain
    alias = f" (alias of {chain[-1]})" if chain else ""
    if not told:
        gone = Outcome.NXDOMAIN in (addresses.ipv4.outcome, addresses.ipv6.outcome)
        told.append("does not exist in DNS" if gone else "has no address")
    return f"{name}{alias}: {', '.join(told)}"
