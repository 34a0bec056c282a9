"""Guide step B in words: firewall, and what closing port 25 means."""

from __future__ import annotations

from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.facts import FirewallFacts, FirewallOwner, MtaFacts
from conbool_tui.plan import ChangeKind, Plan
from screens.texts.lines import Line

RETURN = {
    "hand_back": "this server, after Conbool hands it back",
    "conbool_delivers": "Conbool itself",
}


def peer_words(mta: Optional[MtaFacts]) -> dict[str, str]:
    """What each choice about Conbool's client certificate means with this mail system."""
    no = mta.unavailable("inbound.peer_certificate: require") if mta is not None else ""
    return {
        "log": "the name in it is written to the mail log",
        "require": f"not possible with {_title(mta)}" if no else "mail without it is refused for now (4xx)",
    }


_OWNERS = {
    FirewallOwner.FIREWALLD: "close it there, too: through firewalld",
    FirewallOwner.UFW: "close it there, too: through ufw",
    FirewallOwner.NFTABLES: "close it there, too: a table of our own in nftables",
    FirewallOwner.IPTABLES: "close it there, too: through iptables-persistent",
    FirewallOwner.NOTHING: "close it there, too: with rules for port 25 only",
    FirewallOwner.CONTAINER: "the firewall belongs to the container's host",
    FirewallOwner.UNKNOWN: "it is not known who keeps the rules",
}


def firewall_words(facts: Optional[FirewallFacts], mta: Optional[MtaFacts] = None) -> dict[str, str]:
    """What each choice means on this host."""
    auto = "close it there, too, with the tool that owns the rules" if facts is None else _OWNERS[facts.owner]
    return {"auto": auto, "none": f"leave it alone: {_title(mta)} itself refuses the others"}


def _title(mta: Optional[MtaFacts]) -> str:
    return mta.title if mta is not None else "the mail system"


def firewall_lines(facts: Optional[FirewallFacts]) -> list[Line]:
    """How the owner is known, or why the firewall cannot be used."""
    if facts is None:
        return []
    if facts.unusable:
        lines = [Line(f"    ! auto cannot be used: {facts.unusable}", "warn", 6)]
        return [*lines, Line(f"    By hand: {facts.remedy}", hang=6)] if facts.remedy else lines
    return [Line(f"    Found: {facts.evidence}", "dim", 6)] if facts.evidence else []


def closing_texts(answers: Answers) -> list[str]:
    """What the answers mean for mail that comes in, for the Review."""
    inbound = answers.inbound
    networks = len(answers.conbool_networks)
    texts = []
    if inbound.restrict_port_25:
        texts.append(
            f"Port 25 takes mail only from Conbool ({networks_text(networks)}), from {_extra(inbound.extra_networks)}this "
            "server's own networks. All others are refused. Conbool must use TLS."
        )
    else:
        texts.append("Port 25 stays open to everybody. Mail can still come in past Conbool.")
    if inbound.return_mode == "hand_back":
        texts.append("Mail that Conbool hands back is relayed only for senders of the hosted domains.")
    return texts


def networks_text(number: int) -> str:
    """``1 network`` or ``7 networks``."""
    return f"{number:,} {'network' if number == 1 else 'networks'}"


def _extra(networks: tuple[str, ...]) -> str:
    return f"{len(networks)} extra {'network' if len(networks) == 1 else 'networks'} and " if networks else ""


def touches_firewall(plan: Plan) -> bool:
    """True when the plan changes the packet filter or a file of its owner."""
    return bool(plan.live) or any(
        change.kind in (ChangeKind.FIREWALL, ChangeKind.LINES) for change in plan.changes
    )


def live_name(name: str) -> str:
    """``Firewall (ufw)`` for the live target ``firewall:ufw``."""
    kind, _, owner = name.partition(":")
    return f"{kind.capitalize()} ({owner})" if owner else kind.capitalize()


def countdown_text(plan: Plan) -> str:
    """What happens after applying when nobody keeps the change."""
    return (
        f"Once it is live you have {plan.confirm_within} seconds to keep it. If nobody does, everything is taken back by "
        "itself, also when this connection breaks."
    )
