"""The reports as findings for ``conbool-tui check``: one for each record of a few domains, equal ones together for many."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.answers import Answers
from conbool_tui.checks.dns.spelling import harmless, shown_name
from conbool_tui.checks.dns_model import DomainReport, Lookup
from conbool_tui.findings import Finding, Status

# Above so many domains, equal results are told together.
FEW = 20
_NAMED = 3
_LINES = 2000
_LINE = 400
_IDS = {
    "MX": "dns.mx",
    "SPF": "dns.spf",
    "DMARC": "dns.dmarc",
    "DKIM": "dns.dkim",
    "TXT": "dns.txt",
    "EXPECTED": "dns.expected",
}

Group = list[tuple[str, Lookup]]


def findings(reports: Sequence[DomainReport], answers: Answers) -> list[Finding]:
    """What ``check`` tells about name service, sorted by kind of record.

    With more than 20 reports those with the same result share a finding: the summary has their number and the first names, the detail a
    line for each.
    """
    every: list[Finding] = []
    for kind in _IDS:
        groups = _groups(reports, kind, together=len(reports) > FEW)
        every += [_finding(_IDS[kind], group) for group in groups]
    if not reports:
        every.append(
            Finding("dns.mx", Status.NOT_TESTED, "DNS: no hosted domain is known.", remedy="Set domains.")
        )
    elif not answers.prerequisites.dkim_selectors:
        every.append(
            Finding(
                "dns.dkim",
                Status.NOT_TESTED,
                "DKIM: no selector is known, and DNS offers no way to find them.",
                remedy="Set prerequisites.dkim_selectors to see the keys' records.",
            )
        )
    every.append(_confirmed(answers))
    return every


def _groups(reports: Sequence[DomainReport], kind: str, *, together: bool) -> list[Group]:
    found: dict[object, Group] = {}
    for report in reports:
        for number, lookup in enumerate(report.lookups):
            if lookup.kind != kind:
                continue
            key = (lookup.status, _headline(lookup), lookup.remedy) if together else (report.domain, number)
            found.setdefault(key, []).append((_name(report, lookup), lookup))
    return list(found.values())


def _name(report: DomainReport, lookup: Lookup) -> str:
    return lookup.name if lookup.kind == "EXPECTED" else harmless(shown_name(report.domain))


def _headline(lookup: Lookup) -> str:
    """The summary without the name it begins with."""
    return lookup.summary.partition(": ")[2]


def _finding(id: str, group: Group) -> Finding:
    lookup = group[0][1]
    if len(group) == 1:
        detail = [f"{lookup.name} {_type(lookup)}: {value}".rstrip() for value in lookup.values]
        detail += lookup.detail.split("\n") if lookup.detail else []
        return Finding(id, lookup.status, lookup.summary, "\n".join(detail), lookup.remedy)
    names = [name for name, _ in group]
    more = ", …" if len(group) > _NAMED else ""
    summary = f"{len(group):,} domains ({', '.join(names[:_NAMED])}{more}): {_headline(lookup)}"
    lines = [_line(name, one) for name, one in group[:_LINES]]
    if len(group) > _LINES:
        lines.append(f"… and {len(group) - _LINES:,} more")
    return Finding(id, lookup.status, summary, "\n".join(lines), lookup.remedy)


def _line(name: str, lookup: Lookup) -> str:
    if lookup.values:
        told = "; ".join(lookup.values)
    else:
        told = "; ".join(line for line in lookup.detail.split("\n") if not line.startswith("answered by "))
    text = f"{name}: {told}" if told else name
    return text if len(text) <= _LINE else text[:_LINE] + "…"


def _type(lookup: Lookup) -> str:
    return {"MX": "MX", "EXPECTED": ""}.get(lookup.kind, "TXT")


def _confirmed(answers: Answers) -> Finding:
    if answers.prerequisites.four_checks_green:
        return Finding(
            "prerequisites.confirmed",
            Status.OK,
            "You have confirmed that all four DNS checks are green in the Setup Assistant.",
        )
    return Finding(
        "prerequisites.confirmed",
        Status.NOT_TESTED,
        "Whether all four DNS checks are green only the Setup Assistant knows: the values it expects are yours alone.",
        remedy="Look there; when all are green, set prerequisites.four_checks_green to true.",
    )
