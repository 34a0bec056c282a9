"""The mail-flow picture: who sends to whom, before and after, in plain characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conbool_tui.answers import Answers
    from conbool_tui.facts import MtaFacts

WIDTH = 78
_FROM = 25
_HERE = 16


@dataclass(frozen=True)
class Arrows:
    """The characters of the lines: ``secure`` is the one that means verified TLS."""

    plain: str = "-"
    secure: str = "="
    head: str = ">"


@dataclass(frozen=True)
class Hop:
    """One way mail takes: who hands it over, what it passes on this server, where it goes next."""

    sender: str
    here: str
    target: str
    secure: bool = False
    note: str = ""


def hops_before(facts: MtaFacts) -> tuple[Hop, ...]:
    """The ways mail takes with the present configuration."""
    here = _with_filter(facts)
    hops = [Hop("other servers", here, "your mailboxes")]
    if facts.sender_routes:
        hops.append(Hop("senders in your own maps", here, "the next hop of those maps"))
        hops.append(Hop("all other senders", here, facts.route))
    else:
        hops.append(Hop("users, programs", here, facts.route))
    return tuple(hops)


def hops_after(facts: MtaFacts, answers: Answers) -> tuple[Hop, ...]:
    """The ways mail takes once the answers are applied (product design, the guide in one table)."""
    here = _with_filter(facts)
    domains = answers.domains or facts.domains.all()
    smart_host = answers.smart_host
    conbool = Hop(
        "",
        here,
        f"{smart_host.host}:{smart_host.port}",
        secure=True,
        note=f"TLS, name {smart_host.expected_name} checked",
    )
    others = "Conbool, listed networks" if answers.inbound.restrict_port_25 else "other servers"
    hops = [Hop(others, here, "your mailboxes")]
    if answers.scope.mode == "everything":
        hops.append(Hop("all senders", conbool.here, conbool.target, True, conbool.note))
    elif answers.scope.mode == "senders":
        hops.append(
            Hop(_names(answers.scope.senders, _FROM), conbool.here, conbool.target, True, conbool.note)
        )
        hops.append(Hop("all other senders", here, facts.route))
    else:
        senders = tuple(f"@{domain}" for domain in domains)
        hops.append(Hop(_names(senders, _FROM), conbool.here, conbool.target, True, conbool.note))
        hops.append(Hop("all other senders", here, facts.route))
    direct = "mailbox or recipient's MX"
    hops.append(Hop("marked, calendar, bounces", here, direct))
    if answers.conbool_networks:
        hops.append(Hop("Conbool's addresses", facts.title, direct))
    return tuple(hops)


def picture(hops: Sequence[Hop], arrows: Arrows = Arrows()) -> tuple[str, ...]:
    """Draw the hops, at most 78 columns wide; a double line is verified TLS."""
    lines = []
    for hop in hops:
        stroke = arrows.secure if hop.secure else arrows.plain
        left = _cut(hop.sender, _FROM).ljust(_FROM)
        middle = _cut(hop.here, _HERE)
        start = f"{left} {arrows.plain * 2}{arrows.head} {middle} "
        longest = WIDTH - len(start) - len(hop.target) - 2
        head = start + stroke * max(2, min(longest, _HERE - len(middle) + 3)) + arrows.head + " "
        lines.append(head + _cut(hop.target, WIDTH - len(head)))
        if hop.note:
            note = _cut(hop.note, WIDTH)
            lines.append(" " * min(len(head), WIDTH - len(note)) + note)
    return tuple(lines)


def _with_filter(facts: MtaFacts) -> str:
    return f"{facts.title} + filter" if facts.filters else facts.title


def _names(names: Sequence[str], width: int) -> str:
    """As many names as fit, then how many more there are."""
    if not names:
        return "(none)"
    shown: list[str] = []
    for index, name in enumerate(names):
        rest = len(names) - index - 1
        tail = f" +{rest}" if rest else ""
        if shown and len(", ".join([*shown, name]) + tail) > width:
            break
        shown.append(name)
    rest = len(names) - len(shown)
    tail = f" +{rest}" if rest else ""
    return _cut(", ".join(shown), width - len(tail)) + tail


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 2)] + ".."
