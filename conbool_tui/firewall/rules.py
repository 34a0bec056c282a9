"""What our firewall rules say, as data and as the canonical text that plan, journal, drift check and drivers compare.

Meaning, alike for every driver: a new TCP connection to port 25 that comes in over another interface than loopback is let through when
its source is in ``allowed``, else refused with a TCP reset. Nothing else is looked at: no other port, no established connection.
Let through means: our rules have no objection, and the owner's other rules decide, except where the owner's tool can only accept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from conbool_tui import networks as networks_of
from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallOwner
from conbool_tui.networks import Network

TAG = "conbool-tui"
"""Marks every rule, comment, line and object of ours."""

PORT = 25

PREFIX = "firewall:"
"""Begins the name of every ``LiveTarget`` that holds firewall rules."""

EDITED = "edited: "
"""Begins a line that a driver's ``read`` adds to the canonical text for everything in force that was not put that way."""


def live_name(owner: FirewallOwner) -> str:
    """The name of the ``LiveTarget`` that holds our rules with this owner."""
    return PREFIX + owner.value


@dataclass(frozen=True)
class Rules:
    """Who may connect to port 25. ``allowed`` holds each network once, merged, IPv4 before IPv6, sorted."""

    allowed: tuple[Network, ...]

    @property
    def ipv4(self) -> tuple[ipaddress.IPv4Network, ...]:
        """The IPv4 networks."""
        return tuple(item for item in self.allowed if isinstance(item, ipaddress.IPv4Network))

    @property
    def ipv6(self) -> tuple[ipaddress.IPv6Network, ...]:
        """The IPv6 networks."""
        return tuple(item for item in self.allowed if isinstance(item, ipaddress.IPv6Network))

    def text(self) -> str:
        """The canonical text: one network a line."""
        return "".join(f"allow {network}\n" for network in self.allowed) + "refuse others\n"


def rules(networks: Iterable[str]) -> Rules:
    """The rules that let ``networks`` (CIDR or plain addresses, any order, overlaps allowed) connect. Raises ValueError."""
    return merged(ipaddress.ip_network(network) for network in networks)


def merged(networks: Iterable[Network]) -> Rules:
    """The rules that let ``networks`` connect, each once, overlaps merged."""
    return Rules(networks_of.merged(networks))


def parse(text: Optional[str]) -> Optional[Rules]:
    """The rules of a canonical text; None for None.

    Raises:
        ConboolError: the text was not written by ``Rules.text``.
    """
    if text is None:
        return None
    try:
        made = rules(line.split(" ", 1)[1] for line in text.splitlines() if line.startswith("allow "))
    except (ValueError, IndexError):
        made = None
    if made is None or made.text() != text:
        raise ConboolError("The recorded firewall rules cannot be read.", "The record is damaged.", "")
    return made


def wanted(text: Optional[str]) -> Optional[Rules]:
    """The rules to put for a text that ``read`` gave, also when somebody had edited the rules: what is not ours cannot be put back.

    Raises:
        ConboolError: the text was not written by ``Rules.text`` or ``read``.
    """
    if text is None:
        return None
    return parse("".join(line for line in text.splitlines(True) if not line.startswith(EDITED)))


def canonical(text: Optional[str]) -> Optional[str]:
    """What ``read`` gives once ``text`` was put: the same, without what somebody had edited. Raises as ``wanted``."""
    found = wanted(text)
    return None if found is None else found.text()
