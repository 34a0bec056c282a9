"""Step B: what Conbool may hand over. This server's rules about who sends do not judge it, all others stay in force.

Conbool brings mail of the whole world: a block list, a greylist or an SPF check here would look at Conbool's address
and refuse what Conbool has accepted already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Setting
from conbool_tui.planners.postfix.hand_back import hand_back
from conbool_tui.planners.postfix.lists import (
    REFUSING,
    insert_before,
    join_list,
    judges_sender,
    refuses,
    split_list,
)
from conbool_tui.planners.postfix.names import is_ours
from conbool_tui.planners.postfix.port_25 import port_25
from conbool_tui.planners.postfix.postscreen import postscreen
from conbool_tui.planners.postfix.restrictions import Place, define_class, places, put, restriction, seen
from conbool_tui.planners.postfix.spared import first_judge, judges, spared

_LISTS = (
    ("smtpd_relay_restrictions", names.RELAY_CLASS, names.RELAY_CLIENTS, "Relay rules"),
    ("smtpd_recipient_restrictions", names.RECIPIENT_CLASS, names.RECIPIENT_CLIENTS, "Recipient rules"),
)
_LIMITS = (
    "smtpd_client_connection_rate_limit",
    "smtpd_client_message_rate_limit",
    "smtpd_client_new_tls_session_rate_limit",
    "smtpd_client_recipient_rate_limit",
)


def inbound(design: Design) -> None:
    """Step B for an instance: rules that spare Conbool, hand-back, and port 25 closed to others when asked for."""
    networks = design.answers.conbool_networks
    if not networks:
        return
    relaying = hand_back(design, networks) if design.answers.inbound.return_mode == "hand_back" else None
    passed_over: list[str] = []
    for name, class_name, table, title in _LISTS:
        passed_over += _envelope_rules(design, name, class_name, table, title, relaying)
    passed_over += _connection_rules(design)
    postscreen(design)
    port_25(design)
    _rate_limits(design)
    if passed_over:
        design.notice(
            "note",
            "For mail from Conbool's addresses these rules are passed over, because they judge who sends: "
            + ", ".join(dict.fromkeys(passed_over))
            + ".",
            Step.B,
        )
    hidden = [
        name
        for name in split_list(design.own_list("smtpd_restriction_classes") or "")
        if judges(design, (name,))
    ]
    if hidden:
        design.notice(
            "warn",
            f"The restriction classes {join_list(hidden)} hold rules that judge who sends. Where an access table "
            "leads to them, they judge Conbool's mail too: exempt its networks there.",
            Step.B,
        )
    if design.facts.milters:
        design.notice(
            "note",
            f"Milters ({', '.join(design.facts.milters)}) see mail from Conbool as before. One that judges the "
            "client's address (SPF, block lists) must be told that Conbool's networks are a trusted relay.",
            Step.B,
        )


def _rate_limits(design: Design) -> None:
    """Limits per client (anvil(8)) hit Conbool first: a few addresses of it bring all the mail."""
    found = [
        name
        for name in _LIMITS
        if any(design.own_option(one.service, name).strip() not in ("", "0") for one in design.port_25)
    ]
    if found:
        design.notice(
            "warn",
            f"{join_list(found)} limits what one client may do, and all mail now comes from a few addresses of "
            "Conbool's. Add its networks to smtpd_client_event_limit_exceptions, or mail is put off.",
            Step.B,
        )


def _connection_rules(design: Design) -> list[str]:
    """Lists that decide nothing about relaying: Conbool passes from the first rule on that judges who sends."""
    passed_over: list[str] = []
    for place in places(design, "smtpd_data_restrictions"):
        passed_over += judges(design, place.own)

    def merge(place: Place) -> Sequence[str]:
        passed_over.extend(judges(design, place.own))
        return spared(design, place.own)

    for name, title in (
        ("smtpd_client_restrictions", "Client rules let Conbool pass"),
        ("smtpd_helo_restrictions", "Rules about the greeting let Conbool pass"),
        ("smtpd_sender_restrictions", "Sender rules let Conbool pass"),
        ("smtpd_end_of_data_restrictions", "Rules at the end of a message let Conbool pass"),
    ):
        if name == "smtpd_client_restrictions" and design.answers.inbound.restrict_port_25:
            continue
        restriction(
            design, name, merge, Step.B, title, "They judge who sends; Conbool brings mail of all the world."
        )
    return passed_over


def _envelope_rules(
    design: Design, name: str, class_name: str, table: str, title: str, relaying: Optional[str]
) -> list[str]:
    """A list that decides about recipients. Conbool gets a copy of it without the rules that judge who sends.

    What the copy does not permit, such as a foreign recipient, goes through the admin's own list after it.
    """
    check = f"check_client_access {design.table(table, kind='cidr')}"
    passed_over: list[str] = []
    copies: list[tuple[Place, str]] = []
    for place in places(design, name):
        entries: Sequence[str] = place.own
        if relaying is not None and refuses(seen(design, entries)):
            entries = insert_before(entries, relaying, REFUSING)
        first = first_judge(design, entries)
        if first is not None:
            rest = seen(design, entries[first:])
            passed_over += judges(design, rest)
            copy = [entry for entry in rest if is_ours(entry) or not judges_sender(_softened(entry))]
            if relaying is not None and relaying not in entries:
                copy.append(relaying)
            copies.append((place, join_list([*copy, "permit_auth_destination"])))
            entries = [*entries[:first], check, *entries[first:]]
        put(
            design,
            place,
            entries,
            Step.B,
            f"{title} for mail from Conbool",
            "Conbool relays for hosted sender domains only, and no rule about who sends refuses its mail."
            if relaying is not None
            else "No rule about who sends refuses its mail.",
        )
    if copies:
        _define_copies(design, class_name, table, title, copies)
    return passed_over


def _define_copies(
    design: Design, class_name: str, table: str, title: str, copies: Sequence[tuple[Place, str]]
) -> None:
    """The class in main.cf; a service with a list of its own has its own version where that differs."""
    reason = "The same rules in the same order, without those that judge who sends."
    common = copies[0][1]
    define_class(design, class_name, common, f"{title} that hold for Conbool", reason, Step.B)
    design.add_table(
        table,
        [f"{network}\t{class_name}" for network in design.answers.conbool_networks],
        Step.B,
        f"Clients with {title.lower()} of their own",
        "Conbool's addresses.",
    )
    for place, value in copies:
        if place.service is not None and value != common:
            service = place.service
            design.wanted.options[(service.name, service.type, class_name)] = Setting(
                value, Step.B, f"{title} that hold for Conbool at {service.id}", reason
            )
            design.remember(f"{service.id}/{class_name}", None)


def _softened(entry: str) -> str:
    """What a warn_if_reject softens."""
    words = entry.split(None, 1)
    return words[1] if len(words) == 2 and words[0].lower() == "warn_if_reject" else entry
