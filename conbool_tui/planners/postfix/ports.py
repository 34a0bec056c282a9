"""Free loopback ports for the lanes. 10026 is where the search begins, because Amavis hosts often use it
for something else.
"""

from __future__ import annotations

from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import PostfixFacts
from conbool_tui.planners.postfix.names import SYSLOG_PREFIX

_FIRST, _LAST = 10026, 10199


def _port_of(name: str) -> int:
    digits = name.rsplit(":", 1)[-1]
    return int(digits) if digits.isdigit() else 0


def lane_ports(facts: PostfixFacts, roles: tuple[str, ...]) -> dict[str, int]:
    """A port for every role: the one our service of that role has already, else the next that nobody uses.

    Raises:
        CheckFailedError: no free port is left.
    """
    chosen: dict[str, int] = {}
    used: set[int] = set()
    for service in facts.services:
        if service.type != "inet":
            continue
        port = _port_of(service.name)
        syslog_name = service.option("syslog_name") or ""
        role = syslog_name[len(SYSLOG_PREFIX) :] if syslog_name.startswith(SYSLOG_PREFIX) else ""
        if role in roles and role not in chosen:
            chosen[role] = port
        used.add(port)
    used.update(listener.port for listener in facts.listeners)
    for content_filter in (*facts.content_filters, *facts.proxy_filters):
        used.add(_port_of(content_filter.value))
    free = iter(port for port in range(_FIRST, _LAST + 1) if port not in used)
    for role in roles:
        if role not in chosen:
            port_found = next(free, 0)
            if not port_found:
                raise CheckFailedError(
                    f"No free TCP port between {_FIRST} and {_LAST} on the loopback address.",
                    "Marked mail takes a detour through a loopback smtpd, which needs one.",
                    "Free a port in that range and plan again.",
                )
            chosen[role] = port_found
    return chosen
