"""Review and Done in plain language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui import mail_flow
from conbool_tui.answers import Answers
from conbool_tui.errors import ByHandError, ConboolError
from conbool_tui.facts import MtaFacts
from conbool_tui.findings import Status
from conbool_tui.plan import Plan
from conbool_tui.present_senders import SenderReport
from conbool_tui.receipt import Receipt
from conbool_tui.wizard_state import YES, Draft, NameService
from screens import glyphs
from screens.texts.diffs import file_state, notice_lines
from screens.texts.inbound import closing_texts, countdown_text, live_name, touches_firewall
from screens.texts.lines import Line, error_lines, status_line
from screens.texts.senders import still_cut_off

WORKING = "Working out the changes"
FILES = "Files, - out + in"
NO_CHANGES = "there are no changes to show"
_TRUST = {
    "local": "this server's own networks, local commands and Conbool's addresses",
    "conbool": "Conbool's addresses only",
}


def review_lines(plan: Plan, answers: Answers, facts: MtaFacts, doubts: Sequence[Line] = ()) -> list[Line]:
    """What will change, in words: purpose, files, commands, what stays, how to undo, and the picture. ``doubts``
    come before all files.
    """
    if plan.empty:
        return [
            status_line(Status.OK, "Nothing to do: the server is set up exactly like this already."),
            Line(""),
            *flow_lines(facts, answers, plan),
        ]
    lines = [Line("In short", "head"), *(Line(f"  {text}") for text in purpose(answers, facts)), Line("")]
    warnings = [*doubts, *notice_lines(plan.notices)]
    if warnings:
        lines.extend([*warnings, Line("")])
    if plan.live:
        lines.append(Line("Firewall, port 25 only (Files shows the rules)", "head"))
        lines.extend(Line(f"  {live_name(target.name)}") for target in plan.live)
        lines.append(Line(""))
    lines.append(Line(f"Files ({len(plan.files)})", "head"))
    lines.extend(Line(f"  {target.path} ({file_state(target)})") for target in plan.files)
    lines.extend([Line(""), Line("Commands", "head")])
    lines.extend(Line(f"  {command}") for command in plan.reload)
    if plan.confirm_within:
        lines.extend([Line(""), Line("Countdown", "head"), Line(f"  {countdown_text(plan)}")])
    lines.extend([Line(""), *flow_lines(facts, answers, plan), Line("")])
    lines.extend([Line("Not touched", "head"), *(Line(f"  {text}") for text in untouched(plan)), Line("")])
    lines.append(Line("How to take it back", "head"))
    lines.append(
        Line("  conbool-tui undo        (or History here). Backups are made before the first write.")
    )
    return lines


def refused_lines(error: ConboolError) -> list[Line]:
    """Why there is no plan."""
    if isinstance(error, ByHandError):
        return error_lines(error)
    return [*error_lines(error), Line(""), Line("Go back and correct it; what you typed is kept.")]


def purpose(answers: Answers, facts: MtaFacts) -> list[str]:
    """What the answers mean for the mail."""
    host = answers.smart_host
    domains = answers.domains or facts.domains.all()
    who = {
        "everything": "All outgoing mail",
        "senders": f"Mail from {_some(answers.scope.senders)}",
        "domains": f"Mail from senders in {_some(domains)}",
    }[answers.scope.mode]
    texts = [
        f"{who} goes to {host.host}, port {host.port}. If that fails, it waits in the queue.",
        f"TLS is required and the certificate must carry the name {host.expected_name}.",
    ]
    if host.client_certificate:
        texts.append(f"This server shows its own certificate there: {host.client_certificate}.")
    texts.append("Mail that has been through Conbool, released mail, calendaring and bounces go direct.")
    texts.append(f"The headers that say so are believed from {_TRUST[answers.markers.trust]}.")
    return [*texts, *closing_texts(answers)]


def doubt_lines(draft: Draft, names: Optional[NameService], senders: Optional[SenderReport]) -> list[Line]:
    """What the earlier screens left open; none of it keeps anybody from applying."""
    texts = []
    if draft.text("prerequisites.four_checks_green") != YES:
        texts.append(
            "The four DNS checks of the Setup Assistant are not green, or nobody looked. Without them Conbool "
            "cannot work for these domains."
        )
    failed = names.count(Status.FAIL) if names is not None else 0
    if failed:
        noun = "domain does" if failed == 1 else "domains do"
        texts.append(f"{failed:,} {noun} not publish what dns_expectations asks for; see Prerequisites.")
    if draft.closes_port_25:
        if senders is None:
            texts.append("Who hands mail to port 25 today was not looked at: see step B, Who is cut off.")
        else:
            cut = still_cut_off(senders, draft.lets_in)
            if cut:
                shown = ", ".join(sender.address for sender in cut[:3])
                more = f" and {len(cut) - 3} more" if len(cut) > 3 else ""
                texts.append(f"These present senders will be cut off: {shown}{more}; see step B.")
    return [Line(f"! WARN  {text}", "warn", 8) for text in texts]


def untouched(plan: Plan) -> list[str]:
    """What stays as it is."""
    firewall = (
        "SSH and every other port; all firewall rules but ours for port 25."
        if touches_firewall(plan)
        else "Firewall."
    )
    return [
        "Every other line, comment and blank in these files; all other files; mail already in the queue.",
        f"{firewall} Submission (587, 465) stays open to your users.",
        "DNS, certificates, mailboxes, users and passwords.",
        "Other mail systems, and other instances of this one.",
    ]


def flow_lines(facts: MtaFacts, answers: Answers, plan: Plan | None) -> list[Line]:
    """Who sends to whom, before and after."""
    arrows = glyphs.current().arrows
    before = mail_flow.picture(mail_flow.hops_before(facts), arrows)
    after = mail_flow.picture(mail_flow.hops_after(facts, answers), arrows)
    lines: list[Line] = []
    if plan is None or not plan.empty:
        lines.extend([Line("Mail flow before", "head"), *(Line(text) for text in before), Line("")])
    lines.extend([Line("Mail flow after", "head"), *(Line(text) for text in after)])
    return lines


def done_lines(answers: Answers, facts: MtaFacts, receipt: Receipt | None, relay_host: str) -> list[Line]:
    """What to do next in Conbool's web console, how to undo, and the picture."""
    lines = [
        Line("Next, in Conbool's web console", "head"),
        Line("  1. Open the Setup Assistant, step Mail Server: Manual configuration.", hang=5),
        Line("  2. As relay host of the inbound mail server, type:"),
        Line(f"       {relay_host or '(the public name of this server)'}", "title"),
        Line(
            "     It must lead to port 25 of this server from the internet"
            + (", and the port is open to Conbool." if answers.inbound.restrict_port_25 else ".")
        ),
        Line('  3. Press Test Connection there. "SMTP reachable" means that all is well.', hang=5),
        Line(""),
    ]
    undo = f"sudo conbool-tui undo {receipt.id}" if receipt is not None else "nothing was changed in this run"
    lines.append(Line(f"To take everything back: {undo}"))
    lines.extend([Line(""), *flow_lines(facts, answers, None)])
    return lines


def _some(names: tuple[str, ...], limit: int = 3) -> str:
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
