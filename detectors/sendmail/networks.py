"""Networks that may relay through this Sendmail: relay-domains and the access map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conbool_tui.networks import Network, merged
from conbool_tui.sendmail_config import access_lines, network_of


def own_networks(
    relay_class: Iterable[str], local_class: Iterable[str], access: str
) -> tuple[list[Network], list[str]]:
    """The networks (loopback included), and the entries that name clients by name, which cannot be listed."""
    found = [network_of(member) for member in relay_class]
    found += [network_of(member.strip("[]")) for member in local_class if member.startswith("[")]
    found += [network_of("127")]
    named: list[str] = []
    for line in access_lines(access):
        if line.value.upper() != "RELAY":
            continue
        network = network_of(line.key)
        found.append(network)
        if (
            network is None
            and line.key.lower().startswith("connect:")
            and line.key.lower() != "connect:localhost"
        ):
            named.append(str(line))
    return list(merged(one for one in found if one is not None)), named


def domains_of(members: Sequence[str]) -> tuple[str, ...]:
    """The members of a class that are domain names."""
    names = [member.lower().strip(".") for member in members]
    return tuple(
        dict.fromkeys(
            name for name in names if "." in name and not name.startswith("[") and network_of(name) is None
        )
    )
