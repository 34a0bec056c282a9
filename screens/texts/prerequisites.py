"""What name service publishes about the domains, in rows and in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.checks.dns_model import DomainReport, Lookup
from conbool_tui.findings import Status
from conbool_tui.wizard_state import NameService
from screens import glyphs
from screens.texts.lines import STATUS_KIND, Line

WAITING = "waiting"
ASKING = "Asking name service"
NOT_YET = "Not looked up yet."
_ORDER = (Status.FAIL, Status.WARN, Status.NOT_TESTED, Status.OK)
_MARK = 12
_KIND = 8
_NAME = 30
_UNNAMED = "(expectations)"


def ordered(domains: Sequence[str], reports: Mapping[str, DomainReport]) -> list[str]:
    """The domains with trouble first, otherwise in their own order; reports about other names at the end."""
    names = list(dict.fromkeys((*domains, *reports)))
    places = {status: place for place, status in enumerate(_ORDER)}
    return sorted(names, key=lambda name: places[reports[name].status] if name in reports else len(places))


def rows(
    names: Sequence[str], reports: Mapping[str, DomainReport], *, running: bool
) -> tuple[list[str], list[str]]:
    """One row for each domain, and its colour; those without a report are still to come or were not asked."""
    absent = f"{glyphs.current().note} {WAITING}" if running else glyphs.status_mark(Status.NOT_TESTED)
    width = min(_NAME, max((len(name or _UNNAMED) for name in names), default=0))
    texts, kinds = [], []
    for name in names:
        report = reports.get(name)
        mark = glyphs.status_mark(report.status) if report else absent
        shown = name or _UNNAMED
        texts.append(f"{mark:<{_MARK}} {shown:<{width}}  {_in_short(report)}")
        kinds.append(STATUS_KIND[report.status] if report else "dim")
    return texts, kinds


def _in_short(report: Optional[DomainReport]) -> str:
    if report is None:
        return ""
    if report.status is Status.OK:
        kinds = dict.fromkeys(lookup.kind for lookup in report.lookups)
        return f"{', '.join(kinds)} published"
    found = [lookup for lookup in report.lookups if lookup.status is report.status]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0].kind}{more}: {_headline(found[0])}"


def _headline(lookup: Lookup) -> str:
    """The summary without the domain in front, which stands beside it already."""
    domain, colon, rest = lookup.summary.partition(": ")
    return rest if colon and " " not in domain else lookup.summary


def report_lines(report: DomainReport) -> list[Line]:
    """Everything that was looked up for one domain."""
    lines: list[Line] = []
    for lookup in report.lookups:
        lines.extend(_lookup_lines(report, lookup))
    return lines or [Line("Nothing was looked up.", "dim")]


def _lookup_lines(report: DomainReport, lookup: Lookup) -> list[Line]:
    lead = " " * (_MARK + 1)
    head = f"{glyphs.status_mark(lookup.status):<{_MARK}} {lookup.kind:<{_KIND}} "
    lines = [Line(head + _headline(lookup), STATUS_KIND[lookup.status], len(head))]
    if lookup.name != report.domain:
        lines.append(Line(f"{lead}{lookup.name}", "dim"))
    lines.extend(Line(f"{lead}{value}", hang=_MARK + 3) for value in lookup.values)
    lines.extend(Line(f"{lead}{part}", "dim", _MARK + 3) for part in lookup.detail.splitlines())
    if lookup.authenticated and "(AD)" not in lookup.detail:
        lines.append(Line(f"{lead}DNSSEC: validated by the resolver (AD)", "dim"))
    if lookup.remedy:
        lines.append(Line(f"{lead}What to do: {lookup.remedy}", hang=_MARK + 3))
    return lines


def state_text(results: NameService, total: int, elapsed: Optional[int]) -> str:
    """How far the look-up is, and what it found so far. ``elapsed``: seconds, None when it does not run."""
    done, found = len(results.reports), counts(results)
    noun = "domain" if total == 1 else "domains"
    if elapsed is not None:
        text = f"{ASKING}: {done:,} of {total:,} {noun}, {elapsed} s"
    elif not total:
        text = "No hosted domain is chosen yet; the next screen has the list."
    elif results.seconds is None:
        text = f"Stopped after {done:,} of {total:,} {noun}; the others were not looked up."
    else:
        text = f"{total:,} {noun} looked up in {results.seconds} s"
    return text + (f": {found}" if found else "")


def counts(results: NameService) -> str:
    """How many domains have which status, trouble first."""
    found = [(results.count(status), status.value) for status in _ORDER]
    return ", ".join(f"{number:,} {word}" for number, word in found if number)
