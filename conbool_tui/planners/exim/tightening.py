"""Does a plan leave somebody outside who could use port 25 before?"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from conbool_tui.answers import Answers
from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts_exim import EximFacts
from conbool_tui.networks import Network, covers

_LIST = re.compile(r"^hostlist (conbool_hosts|conbool_extra_hosts) =(.*)$", re.MULTILINE)


def tightens_port_25(facts: EximFacts, answers: Answers, before: str) -> bool:
    """True when the restriction of port 25 is new, or when a network that could connect no longer can, or now needs TLS.

    ``before``: our part of the main section as it is now, empty when there is none.
    """
    if not answers.inbound.restrict_port_25:
        return False
    lists = {match.group(1): _networks(split_list(match.group(2))) for match in _LIST.finditer(before)}
    if "conbool_extra_hosts" not in lists:
        return True
    conbool = _networks(answers.conbool_networks)
    plain = _networks((*answers.inbound.extra_networks, *facts.own_networks))
    return any(
        not _inside(network, plain) or any(covers(one, network) or covers(network, one) for one in conbool)
        for network in lists["conbool_extra_hosts"]
    ) or any(not _inside(network, (*plain, *conbool)) for network in lists["conbool_hosts"])


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(found)


def _inside(network: Network, others: Sequence[Network]) -> bool:
    same = [one for one in others if one.version == network.version]
    return any(covers(one, network) for one in ipaddress.collapse_addresses(same))  # type: ignore[type-var]
