"""Where mail enters Postfix and which header checks each entrance must get.

Header checks belong behind an after-queue content filter, or marked mail would escape it (a FILTER action
replaces content_filter); authenticated
submission must not bring markers in at all. So every smtpd and the pickup service is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.facts import PostfixFacts, Service
from conbool_tui.planners.postfix.lists import split_list
from conbool_tui.planners.postfix.names import CLASSES, SYSLOG_PREFIX, is_ours
from conbool_tui.planners.postfix.previous import Recorded, base_list

_NO_CHECKS = "no_header_body_checks"
_LISTS = frozenset(
    {
        "header_checks",
        "mime_header_checks",
        "postscreen_access_list",
        "smtpd_client_restrictions",
        "smtpd_data_restrictions",
        "smtpd_end_of_data_restrictions",
        "smtpd_helo_restrictions",
        "smtpd_recipient_restrictions",
        "smtpd_relay_restrictions",
        "smtpd_sender_restrictions",
    }
)

PORT_25_VALUES = {
    "smtpd_delay_reject": "yes",
    "smtpd_tls_ask_ccert": "yes",
    "smtpd_tls_loglevel": "1,peercert",
    "smtpd_tls_security_level": "may",
}
"""The one value that this program gives to these options of a service."""


@dataclass(frozen=True)
class Source:
    """One entrance. ``scanned``: mail leaves it for a content filter; ``bare``: it skips header checks;
    ``cleanup``: the cleanup service it had.
    """

    service: Service
    submission: bool
    scanned: bool
    bare: bool
    overrides: tuple[str, ...]
    cleanup: str


def option_base(service: Service, name: str, record: Mapping[str, Recorded]) -> Optional[str]:
    """The admin's own ``-o`` value of a service, None when there was none; an edit made after us counts as
    the admin's.
    """
    current = service.option(name)
    recorded = record.get(f"{service.id}/{name}")
    if current is None:
        return None
    if name in CLASSES:
        return None
    if name in _LISTS:
        return base_list(current, recorded)
    if name in PORT_25_VALUES and recorded is not None and current == PORT_25_VALUES[name]:
        return recorded.value if recorded.explicit else None
    if name == "receive_override_options" and recorded is not None:
        own, now = split_list(recorded.value), split_list(current)
        if now == tuple(item for item in own if item != _NO_CHECKS):
            return recorded.value if recorded.explicit else None
        return current if _NO_CHECKS in now or _NO_CHECKS not in own else ",".join((_NO_CHECKS, *now))
    if not is_ours(current):
        return current
    return recorded.value if recorded is not None and recorded.explicit else None


def is_lane(service: Service) -> bool:
    """True for the services this planner made."""
    return (service.option("syslog_name") or "").startswith(SYSLOG_PREFIX)


def find_sources(facts: PostfixFacts, record: Mapping[str, Recorded]) -> tuple[Source, ...]:
    """Every smtpd and pickup service that is not ours."""
    found: list[Source] = []
    for service in facts.services:
        if service.command not in ("smtpd", "pickup") or is_lane(service):
            continue

        def effective(name: str, service: Service = service) -> str:
            own = option_base(service, name, record)
            return own if own is not None else facts.parameters.get(name, "")

        overrides = split_list(effective("receive_override_options"))
        found.append(
            Source(
                service=service,
                submission=service.id in facts.submission_services,
                scanned=bool(effective("content_filter").strip()),
                bare=_NO_CHECKS in overrides,
                overrides=tuple(item for item in overrides if item != _NO_CHECKS),
                cleanup=effective("cleanup_service_name") or "cleanup",
            )
        )
    return tuple(found)
