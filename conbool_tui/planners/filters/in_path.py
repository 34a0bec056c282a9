"""Which filters see mail that Conbool hands over: those that are asked while it is received.

An after-queue content filter is none of them: mail from Conbool's addresses goes past it (planners.postfix.arrivals).
"""

from __future__ import annotations

import re

from conbool_tui.facts import Detection, HostFacts
from conbool_tui.planners.filters import names

_RSPAMD_PORT = 11332
_AMAVIS_PORT = 10024


def in_path(facts: HostFacts, target: Detection) -> frozenset[str]:
    """The names of the filters that are really asked."""
    milters: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    if target.postfix is not None:
        milters = target.postfix.milters
        proxies = tuple(one.value for one in target.postfix.proxy_filters)
    elif target.sendmail is not None:
        milters = target.sendmail.milters
    found = set()
    for milter in milters:
        port, owner = _listener(facts, milter)
        if "rspamd" in milter.lower() or port == _RSPAMD_PORT or owner == "rspamd":
            found.add(names.RSPAMD)
        if "spamass" in milter.lower() or owner in ("spamass-milter", *names.SPAMASSASSIN_DAEMONS):
            found.add(names.SPAMASSASSIN)
    for proxy in proxies:
        port, owner = _listener(facts, proxy)
        if port == _AMAVIS_PORT or owner in names.SPAMASSASSIN_DAEMONS:
            found.add(names.SPAMASSASSIN)
    return frozenset(found)


def _listener(facts: HostFacts, address: str) -> tuple[int, str]:
    """The TCP port of an address as Postfix writes it, and who listens there; 0 and nobody for a UNIX socket."""
    ports = re.findall(r":(\d+)\b", address)
    port = int(ports[-1]) if ports else 0
    return port, next((one.process for one in facts.listeners if port and one.port == port), "")
