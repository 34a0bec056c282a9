"""Before port 25 is closed to others: does mail for a hosted domain still come here directly? Then closing it loses that mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conbool_tui.checks.dns_model import DomainReport
from conbool_tui.errors import CheckFailedError

_SHOWN = 5


class ClosingError(CheckFailedError):
    """Port 25 would be closed while mail still comes here; nothing was changed. ``domains``: those it would be lost for."""

    def __init__(self, reports: Sequence[DomainReport]) -> None:
        self.domains = tuple(report.domain for report in reports)
        super().__init__(
            f"inbound.restrict_port_25: port 25 would be closed while mail still comes here directly. {told(reports)}",
            "Senders that follow these MX records would be refused, and their mail would go back to them.",
            "Point the MX records to Conbool first and wait until their old TTL is over. If you know better, confirm it with "
            "inbound.close_despite_mx: true (--inbound-close-despite-mx).",
        )


def not_conbools(reports: Iterable[DomainReport]) -> tuple[DomainReport, ...]:
    """The domains that get mail, and of which it is not known that every MX is Conbool's."""
    return tuple(report for report in reports if report.receives and report.conbool_only is not True)


def told(reports: Sequence[DomainReport]) -> str:
    """One sentence for each domain, those that are known to come here first, at most a few."""
    ordered = sorted(reports, key=lambda report: report.conbool_only is None)
    parts = [_told(report) for report in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        parts.append(f"And {len(ordered) - _SHOWN} more domains.")
    return " ".join(parts)


def question(reports: Sequence[DomainReport]) -> str:
    """What must be said yes to a second time."""
    return f"Mail still comes here directly and will be refused. {told(reports)}"


def _told(report: DomainReport) -> str:
    if report.conbool_only is None:
        return f"{report.domain}: its MX could not be looked up."
    others = [item.host for item in report.exchangers if not item.conbool]
    if not others:
        return f"{report.domain} has no MX record."
    return f"{report.domain}: MX {', '.join(others[:3])}{' and more' if len(others) > 3 else ''} is not Conbool's."
