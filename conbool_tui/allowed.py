"""Who may connect to port 25 under the answers, as plain networks: for the firewall and the mail log's report. Pure."""

from __future__ import annotations

import ipaddress
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.facts import MtaFacts
from conbool_tui.networks import Network, covers, merged

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def allowed_networks(mta: MtaFacts, answers: Answers) -> tuple[str, ...]:
    """Every network that may connect to port 25 when it is restricted: Conbool's, the extra ones, and the server's own.

    Canonical CIDR, IPv4 before IPv6, sorted, overlaps merged; loopback is left out. Never more than the mail system itself lets in: what its own
    networks exclude, or name in a table (``unlisted_networks``), is not among them.
    """
    found = [
        network(one)
        for one in (*answers.conbool_networks, *answers.inbound.extra_networks, *mta.own_networks)
    ]
    return tuple(
        str(one) for one in merged(one for one in found if one is not None and not _is_loopback(one))
    )


def network(text: str) -> Optional[Network]:
    """``192.0.2.0/24``, ``192.0.2.1``, ``[2001:db8::]/32`` (postconf(5), mynetworks); None for anything else."""
    try:
        return ipaddress.ip_network(text.replace("[", "").replace("]", ""))
    except ValueError:
        return None


def _is_loopback(one: Network) -> bool:
    return any(covers(loopback, one) for loopback in _LOOPBACK)
