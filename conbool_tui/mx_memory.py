"""Who receives mail for the domains, remembered for a while: a wizard plans after every key, and name service is asked once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable

from conbool_tui.answers import Answers
from conbool_tui.checks.dns_model import DomainReport
from conbool_tui.host import Host

KNOWN_FOR = 300.0
UNKNOWN_FOR = 15.0
"""Seconds for which an answer, and the lack of one, are believed."""


class MxMemory:
    """The MX of domains as last looked up.

    Args:
        host: the machine whose resolver is asked.
        clock: seconds that only go forward.
    """

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = clock
        self._known: dict[tuple[object, ...], tuple[float, DomainReport]] = {}

    def reports(self, domains: Sequence[str], answers: Answers) -> list[DomainReport]:
        """One report for each domain, in their order; asks name service only for what is not known or too old."""
        from conbool_tui.checks import dns

        now = self._clock()
        # What counts as Conbool's depends on these answers, so a report is only good for them.
        keys = {domain: (domain, answers.conbool_networks, answers.dns_expectations) for domain in domains}
        missing = [domain for domain in domains if not self._fresh(keys[domain], now)]
        if missing:
            for report in dns.mx_reports(missing, answers, own_addresses=self._host.addresses()):
                lasting = UNKNOWN_FOR if report.conbool_only is None else KNOWN_FOR
                self._known[keys[report.domain]] = (now + lasting, report)
        return [self._known[keys[domain]][1] for domain in domains]

    def _fresh(self, key: tuple[object, ...], now: float) -> bool:
        found = self._known.get(key)
        return found is not None and found[0] > now
