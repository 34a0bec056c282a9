"""Which filters see mail that Conbool hands over: those that are asked while it is received.

An after-queue content filter is none of them: mail from Conbool's addresses goes past it (planners.postfix.arrivals).
"""

from __future__ import annotations

from conbool_tui.facts import Detection, HostFacts
from conbool_tui.planners.filters import names

_RSPAMD_PORT = 11332


def in_path(facts: HostFacts, target: Detection) -> frozenset[str]:
    """The names of the filters that are really asked."""
    postfix = target.postfix
    if postfix is None:
        return frozenset()
    found = set()
    for milter in postfix.milters:
        where = milter.lower()
        port = where.rpartition(":")[2]
        owner = next((one.process for one in facts.listeners if port.isdigit() and one.port == int(port)), "")
        if "rspamd" in where or port == str(_RSPAMD_PORT) or owner == "rspamd":
            found.add(names.RSPAMD)
        if "spamass" in where or owner in ("spamass-milter", *names.SPAMASSASSIN_DAEMONS):
            found.add(names.SPAMASSASSIN)
    for proxy in postfix.proxy_filters:
        # Amavis before the queue; its usual port, or whoever listens there.
        port = proxy.value.rpartition(":")[2]
        owner = next((one.process for one in facts.listeners if port.isdigit() and one.port == int(port)), "")
        if port == "10024" or owner in names.SPAMASSASSIN_DAEMONS:
            found.add(names.SPAMASSASSIN)
    return frozenset(found)
