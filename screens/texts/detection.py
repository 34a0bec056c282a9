"""What was found on the host, in words."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.facts import (
    Detection,
    HostedDomains,
    HostFacts,
    MtaFacts,
    Outcome,
    PostfixFacts,
    PostfixInstance,
)
from conbool_tui.findings import Status
from conbool_tui.receipt import ChangeState, Receipt
from screens import glyphs
from screens.texts.lines import Line, status_line

INTRO = "Routes this server's mail through Conbool. Nothing changes before you say so."
LOOKING = "Looking at this server; nothing is changed"
WHICH_SYSTEM = "Several mail systems are here. Which one is to be set up?"
WHICH_INSTANCE = "Several Postfix instances are here. Which one is to be set up?"
_LABEL = 16


def system_text(detection: Detection) -> str:
    """One of several mail systems to choose from."""
    return f"{detection.system}: {detection.summary}"


def instance_text(instance: PostfixInstance) -> str:
    """One of several instances to choose from."""
    return f"{instance.name}: {instance.config_directory}" + ("" if instance.enabled else " (switched off)")


def host_lines(facts: HostFacts, chosen: Detection | None) -> list[Line]:
    """All of it: the mail system to work on in full, or why there is none."""
    lines: list[Line] = []
    if chosen is not None and chosen.postfix is not None:
        lines.extend(postfix_lines(chosen, chosen.postfix))
    elif chosen is not None and chosen.mta is not None:
        lines.extend(mta_lines(chosen.mta))
    elif chosen is not None:
        lines.append(status_line(Status.OK, chosen.summary))
    relevant = [d for d in facts.detections if d is not chosen and d.outcome is not Outcome.ABSENT]
    for detection in relevant:
        if lines:
            lines.append(Line(""))
        lines.extend(outcome_lines(detection))
    if not lines:
        lines.extend(absent_lines(facts))
    lines.extend(Line(f"{glyphs.current().note} Note  {note}", "note", 8) for note in facts.notes)
    return lines


def outcome_lines(detection: Detection) -> list[Line]:
    """One mail system that is not (or not yet) the one to work on."""
    name = detection.system.capitalize()
    if detection.outcome is Outcome.BROKEN:
        return [
            status_line(Status.FAIL, f"{name} is here, but its configuration cannot be used."),
            Line(f"  Why: {detection.reason or detection.summary}"),
            Line(f"  What to do: {detection.remedy or 'Repair it, then choose Search again.'}"),
            Line("  Nothing will be changed before that."),
        ]
    if detection.outcome is Outcome.MANAGED:
        return [
            status_line(Status.WARN, f"{name} is managed by {detection.managed_by}."),
            Line(f"  How we know: {detection.evidence}"),
            Line(f"  {detection.managed_by} writes these files itself and would overwrite our changes."),
            Line(
                "  What to do: " + (detection.remedy or f"Make the change in {detection.managed_by} itself.")
            ),
            Line("  Nothing will be changed."),
        ]
    return [status_line(Status.OK, detection.summary or f"{name} is here too.")]


def absent_lines(facts: HostFacts) -> list[Line]:
    """No mail system at all."""
    lines = [
        status_line(Status.FAIL, "No mail system was found that this program can set up."),
        Line("  " + "; ".join(d.summary for d in facts.detections if d.summary))
        if facts.detections
        else Line(""),
    ]
    if facts.port_25_owner:
        lines.append(Line(f"  Port 25 is in use by {facts.port_25_owner}."))
    lines.append(Line("  What to do: run this on the server that sends and receives your mail."))
    return [line for line in lines if line.text.strip()]


def postfix_lines(detection: Detection, facts: PostfixFacts) -> list[Line]:
    """Everything worth knowing about the Postfix to work on, at most one screen."""
    state = "running" if facts.running else "not running"
    head = f"Postfix {facts.version}, {state}, {facts.config_directory}"
    lines = [status_line(Status.OK if facts.running else Status.WARN, head)]
    lines.extend(_domain_lines(facts.domains))
    filters = ", ".join(
        f"{item.value}" + (f" (back on {', '.join(item.reentry)})" if item.reentry else "")
        for item in facts.content_filters
    )
    lines.append(_row("Content filter", filters or "none"))
    if facts.milters:
        lines.append(_row("Milters", ", ".join(facts.milters)))
    owner = facts.port_25_owner or "nobody listens"
    lines.append(_row("Port 25", owner + (", behind postscreen" if facts.postscreen else "")))
    lines.append(_row("Submission", ", ".join(facts.submission_services) or "none"))
    lines.append(
        _row("Route until now", facts.expanded.get("relayhost", "").strip() or "each recipient's MX")
    )
    lines.extend(Line(f"! WARN  {warning}", "warn", 8) for warning in facts.warnings)
    return lines


def mta_lines(facts: MtaFacts) -> list[Line]:
    """The same of any other mail system."""
    state = "running" if facts.running else "not running"
    head = f"{facts.title} {facts.version}, {state}, {facts.config_directory}"
    lines = [status_line(Status.OK if facts.running else Status.WARN, head)]
    lines.extend(_domain_lines(facts.domains))
    lines.append(_row("Content filter", ", ".join(facts.filters) or "none"))
    lines.append(_row("Port 25", facts.port_25_owner or "nobody listens"))
    lines.append(_row("Submission", ", ".join(facts.submission) or "none"))
    lines.append(_row("Route until now", facts.route))
    lines.extend(
        Line(f"{glyphs.current().note} Limit  {one.key}: {one.reason}", "note", 8)
        for one in facts.capabilities
        if not one.available
    )
    lines.extend(Line(f"! WARN  {warning}", "warn", 8) for warning in facts.warnings)
    return lines


def _domain_lines(domains: HostedDomains) -> list[Line]:
    lines = [_row(label, names) for label, names in _domain_rows(domains)]
    if not domains.all():
        lines.append(_row("Hosted domains", "none found; type them in the next step"))
    lines.extend(
        Line(f"! WARN  The domains in {source} cannot be listed; add them in the next step.", "warn", 8)
        for source in domains.unlisted
    )
    return lines


def _domain_rows(domains: HostedDomains) -> list[tuple[str, str]]:
    classes = (
        ("Local domains", domains.mydestination),
        ("Virtual aliases", domains.virtual_alias),
        ("Virtual mailb.", domains.virtual_mailbox),
        ("Relay domains", domains.relay),
    )
    return [(label, _some(names)) for label, names in classes if names]


def _some(names: Sequence[str], limit: int = 3) -> str:
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _row(label: str, text: str) -> Line:
    return Line(f"  {label:<{_LABEL}}{text}", hang=_LABEL + 2)


def unfinished_lines(receipt: Receipt) -> list[Line]:
    """A change cut off by a crash, or one that another process is working on."""
    if receipt.state is ChangeState.RUNNING:
        return [
            status_line(Status.WARN, f"Change {receipt.id} is being written by another process just now."),
            Line("  What to do: wait. This screen says by itself how it ended."),
        ]
    return [
        status_line(Status.FAIL, f"Change {receipt.id} was begun on {receipt.started} and never finished."),
        Line("  The program or the machine stopped in the middle of it. These files may be half new:"),
        *([Line(f"  {receipt.message}")] if receipt.message else []),
        *(Line(f"    {path}") for path in receipt.files),
        Line("  What to do: choose Recover. It puts the old files back, as they were before that change."),
    ]
