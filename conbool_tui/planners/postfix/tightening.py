"""Does a plan leave somebody outside who could use port 25 before?"""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Iterable

from conbool_tui.networks import Network, covers
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.port_25 import CLIENT_RULES, own_client_networks


def tightens_port_25(design: Design) -> bool:
    """True when the restriction of port 25 is new at one of its services, or when a network that could connect
    no longer can, or now needs TLS.
    """
    wanted = design.wanted.tables.get(names.PORT_25_CLIENTS)
    if wanted is None:
        return False
    path = posixpath.join(design.facts.config_directory, names.FOLDER, names.PORT_25_CLIENTS)
    old = design.facts.files.get(path)
    if old is None or not all(
        names.PORT_25_CLIENTS in (one.service.option(CLIENT_RULES) or "") for one in design.closable
    ):
        return True
    plain_before, tls_before = _read(old.data.decode("utf-8", "surrogateescape"))
    plain_now, tls_now = _read(wanted.text)
    plain_now += own_client_networks(design)
    return any(
        not _inside(network, plain_now) or any(_overlap(network, one) for one in tls_now)
        for network in plain_before
    ) or any(not _inside(network, (*plain_now, *tls_now)) for network in tls_before)


def _read(text: str) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    """The networks of a clients table: those let in as they come, and those of whom TLS is demanded."""
    plain: list[Network] = []
    demanded: list[Network] = []
    for line in text.split("\n"):
        words = line.split()
        if len(words) == 2 and words[1] in ("DUNNO", names.INBOUND_CLASS):
            (plain if words[1] == "DUNNO" else demanded).append(ipaddress.ip_network(words[0]))
    return tuple(plain), tuple(demanded)


def _inside(network: Network, others: Iterable[Network]) -> bool:
    """True when the others together cover every address of the network."""
    same = [one for one in others if one.version == network.version]
    return any(covers(one, network) for one in ipaddress.collapse_addresses(same))  # type: ignore[type-var]


def _overlap(one: Network, other: Network) -> bool:
    return covers(one, other) or covers(other, one)
