"""Who hands mail to port 25 today, and who of them would be cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.findings import Status
from conbool_tui.present_senders import PresentSender, SenderReport
from screens import glyphs
from screens.texts.lines import Line, status_line

TITLE = "Who hands mail to port 25 today"
READING = "Reading the mail log"
STOPPED = Line("? NOT TESTED  Stopped. Read again when you like.", "note")
HELD = Line("! A network of step B holds this address; edit it there.", "warn")
_ADDRESS = 24
_NAME = 27
_MARK = 9
_MESSAGES = "messages"


def when_closed(answers: Answers) -> Answers:
    """The answers as if port 25 were closed: who would be cut off then is the question."""
    return replace(answers, inbound=replace(answers.inbound, restrict_port_25=True))


def cut_off_line(
    report: Optional[SenderReport], lets_in: Callable[[str], bool], trouble: Optional[ConboolError] = None
) -> Line:
    """What is known beside the question whether to close the port. ``trouble``: why the log could not be read."""
    if report is None and trouble is not None:
        return Line(f"! Who would be cut off is not known: {trouble.what}", "warn")
    if report is None:
        return Line("! Who would be cut off? Look before you close it: Who is cut off.", "warn")
    return summary(report, lets_in)


def word(sender: PresentSender, let_in: bool) -> tuple[str, str]:
    """What becomes of the sender, with a symbol, and its colour."""
    marks = glyphs.current()
    if sender.cut_off and not let_in:
        return f"{marks.fail} CUT OFF", "fail"
    return (f"{marks.ok} let in", "ok") if sender.cut_off else (f"{marks.ok} stays", "plain")


def rows(
    senders: Sequence[PresentSender], lets_in: Callable[[str], bool]
) -> tuple[str, list[str], list[str]]:
    """A row of headings, one for each sender, and the colours of these."""
    address = min(_ADDRESS, max((len(sender.address) for sender in senders), default=0))
    name = min(_NAME, max((len(sender.name) for sender in senders), default=0))
    number = max((len(_MESSAGES), *(len(f"{sender.messages:,}") for sender in senders)))
    head = f"{'':<{_MARK}} {_MESSAGES:>{number}}  {'address':<{address}}  {'name':<{name}}  last"
    texts, kinds = [], []
    for sender in senders:
        mark, kind = word(sender, sender.cut_off and lets_in(sender.address))
        texts.append(
            f"{mark:<{_MARK}} {sender.messages:>{number},}  {sender.address:<{address}}  "
            f"{_cut(sender.name, _NAME):<{name}}  {sender.last}"
        )
        kinds.append(kind)
    return head, texts, kinds


def still_cut_off(report: SenderReport, lets_in: Callable[[str], bool]) -> list[PresentSender]:
    """The senders shown that the answers as they stand still cut off."""
    return [sender for sender in report.senders if sender.cut_off and not lets_in(sender.address)]


def summary(report: SenderReport, lets_in: Callable[[str], bool]) -> Line:
    """The one sentence that matters."""
    if not report.senders:
        return status_line(Status.NOT_TESTED, "The mail log names nobody who hands mail to port 25.")
    cut = still_cut_off(report, lets_in)
    shown_cut = sum(sender.messages for sender in report.senders if sender.cut_off)
    messages = report.cut_off_messages - shown_cut + sum(sender.messages for sender in cut)
    total = len(report.senders) + report.others
    of = f"{total:,} {'senders' if total != 1 else 'sender'} in {_days(report.days)} of mail log"
    if not cut and messages <= 0:
        return status_line(Status.OK, f"None of {of} would be cut off.")
    hidden = "At least " if report.others and all(sender.cut_off for sender in report.senders) else ""
    return status_line(
        Status.WARN,
        f"{hidden}{len(cut):,} of {of} would be cut off ({messages:,} of {report.messages:,} messages).",
    )


def sender_lines(sender: PresentSender, let_in: bool) -> list[Line]:
    """One sender in words."""
    messages = f"{sender.messages:,} {'messages' if sender.messages != 1 else 'message'}"
    lines = [Line(f"{sender.address} ({sender.name}): {messages}, the last one {sender.last}")]
    if not sender.cut_off:
        lines.append(Line("It may connect: it is in your mynetworks or in one of the networks of step B."))
    elif let_in:
        lines.append(Line("It is let in: it is in the extra networks now and can be taken out again."))
    else:
        lines.append(
            Line(
                "Its mail would be refused. A scanner, a branch office, a web server? Let it in. A mail "
                "server of somebody else should send to Conbool: its sender follows your MX record."
            )
        )
    return lines


def remarks(report: SenderReport) -> list[Line]:
    """What the numbers do not say."""
    lines = []
    if report.others:
        lines.append(
            Line(
                f"{report.others:,} more senders with {report.other_messages:,} messages are not shown.",
                "dim",
            )
        )
    if report.note:
        lines.append(Line(f"! {report.note}", "warn"))
    if report.sources:
        lines.append(Line(f"Read: {', '.join(report.sources)}", "dim"))
    return lines


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{max(1, days * 24):.0f} hours"


def _cut(text: str, width: int) -> str:
    end = glyphs.current().ellipsis
    return text if len(text) <= width else text[: width - len(end)] + end
