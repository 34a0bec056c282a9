"""Step B: port 25 only for Conbool, the extra networks, this server's own networks and whoever logs in.

The rule stands in the -o options of the services of port 25, so that submission keeps its own and a later edit of
main.cf does not open the port. It comes first and never says OK to a client of a listed network, so that the admin's
own client rules still judge those let in.
"""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.errors import CheckFailedError
from conbool_tui.networks import Network, covers
from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.allowed import own_networks
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Setting
from conbool_tui.planners.postfix.lists import join_list, may_refuse, split_restrictions
from conbool_tui.planners.postfix.port_25_notices import notices
from conbool_tui.planners.postfix.port_25_tls import demand_tls
from conbool_tui.planners.postfix.restrictions import Place, define_class, main_place, put, seen
from conbool_tui.planners.postfix.sources import Source, option_base

CLIENT_RULES = "smtpd_client_restrictions"
_CLOSED = ("reject", "defer")
_REFUSAL = "554 5.7.1 Mail for this server is taken at the MX hosts of its domains only"
_EVERYBODY = ("0.0.0.0/0", "::/0")


def port_25(design: Design) -> None:
    """Close port 25 to everybody else, when ``inbound.restrict_port_25`` asks for it.

    Raises:
        CheckFailedError: the server cannot do TLS at port 25, so that Conbool would be locked out, or there is
            nothing to close.
    """
    if not design.answers.inbound.restrict_port_25:
        return
    lists = [(source, _client_rules(design, source)) for source in design.closable]
    if not lists:
        raise CheckFailedError(
            "inbound.restrict_port_25: no SMTP server of this Postfix takes mail from outside at port 25.",
            f"Port 25 belongs to {design.facts.port_25_owner or 'nobody'}; there is nothing here to close.",
            "Set inbound.restrict_port_25 to false, or plan for the instance that has port 25.",
        )
    judged = [place.own for _, place in lists]
    _others(design, lists)
    _gate_table(design, listed=any(_refuses_before(design, own, "permit_mynetworks") for own in judged))
    gate = f"check_client_access {design.table(names.PORT_25_CLIENTS, kind='cidr')}"
    for source, place in lists:
        put(
            design,
            place,
            [gate, *_with_extra(design, place.own)],
            Step.B,
            "Port 25 is closed to others",
            "Only Conbool (over TLS), the extra networks, mynetworks and authenticated clients get on; "
            "all others get 554.",
        )
        if design.own_option(source.service, "smtpd_delay_reject").strip().lower() == "no":
            design.set_option(
                source,
                "smtpd_delay_reject",
                "yes",
                f"Client rules are read when the recipient is known ({source.service.id})",
                "Before that it is not known whether a client uses TLS or has logged in; whom they refuse stays "
                "refused.",
                Step.B,
            )
        demand_tls(design, source)
    notices(design)


def _client_rules(design: Design, source: Source) -> Place:
    """The admin's client rules as a service reads them, to be put into the service's own option."""
    service = source.service
    text = option_base(service, CLIENT_RULES, design.record)
    own = main_place(design, CLIENT_RULES).own if text is None else split_restrictions(text)
    return Place(service, CLIENT_RULES, text, own)


def _others(design: Design, lists: Sequence[tuple[Source, Place]]) -> None:
    """The classes for Conbool and for clients of no listed network."""
    define_class(
        design,
        names.INBOUND_CLASS,
        "reject_plaintext_session, permit",
        "TLS is demanded from Conbool",
        "A session without it gets 450 and is tried again.",
        Step.B,
    )
    logged_in = "permit_sasl_authenticated"
    strict = [
        (source.service, place.own)
        for source, place in lists
        if design.own_option(source.service, "smtpd_sasl_auth_enable") == "yes"
        and _refuses_before(design, place.own, logged_in)
    ]
    if strict:
        logged_in = f"check_sasl_access static:{names.ADMITTED_CLASS}"
        title = "Authenticated clients meet the client rules as before"
        reason = "They are let in at port 25; what refused them so far still does."
        define_class(design, names.ADMITTED_CLASS, "permit", title, reason, Step.B)
        for service, own in strict:
            design.wanted.options[(service.name, service.type, names.ADMITTED_CLASS)] = Setting(
                join_list([*own, "permit"]), Step.B, f"{title} ({service.id})", reason
            )
            design.remember(f"{service.id}/{names.ADMITTED_CLASS}", None)
    define_class(
        design,
        names.OTHERS_CLASS,
        join_list(["permit_mynetworks", logged_in, f"check_client_access static:{{{_REFUSAL}}}", "reject"]),
        "Everybody else is refused at port 25",
        "mynetworks and authenticated clients excepted.",
        Step.B,
    )


def _gate_table(design: Design, *, listed: bool) -> None:
    """Who may use port 25. Networks of mynetworks are listed only where an own rule may refuse them: everywhere
    else permit_mynetworks follows later edits by itself.
    """
    lines = [f"{network}\t{names.INBOUND_CLASS}" for network in design.answers.conbool_networks]
    open_to = [*design.answers.inbound.extra_networks]
    if listed:
        open_to += [str(network) for network in own_client_networks(design)]
        design.notice(
            "note",
            "The networks of mynetworks are listed for port 25, because own client rules come before permit_mynetworks; "
            "plan again when mynetworks changes.",
            Step.B,
        )
    lines += [f"{network}\tDUNNO" for network in open_to]
    lines += [f"{everyone}\t{names.OTHERS_CLASS}" for everyone in _EVERYBODY]
    design.add_table(
        names.PORT_25_CLIENTS,
        tuple(dict.fromkeys(lines)),
        Step.B,
        "Clients of port 25",
        "Conbool, the extra networks, and the class for all others.",
    )


def own_client_networks(design: Design) -> tuple[Network, ...]:
    """The networks that mynetworks lists in every service that is closed."""
    found = [
        own_networks(design.own_option(source.service, "mynetworks")).listed for source in design.closable
    ]
    return tuple(
        network
        for network in (found[0] if found else ())
        if all(any(covers(one, network) for one in other) for other in found[1:])
    )


def _with_extra(design: Design, own: tuple[str, ...]) -> Sequence[str]:
    """The admin's rules, with the extra networks let through before one that turns everybody away."""
    if not design.answers.inbound.extra_networks:
        return own
    for index, entry in enumerate(own):
        if any(one.lower() in _CLOSED for one in seen(design, (entry,))):
            design.add_table(
                names.EXTRA_CLIENTS,
                [f"{network}\tOK" for network in design.answers.inbound.extra_networks],
                Step.B,
                "Extra networks that the last client rule lets through",
                "The host's own client rules turn all others away.",
            )
            extra = f"check_client_access {design.table(names.EXTRA_CLIENTS, kind='cidr')}"
            return [*own[:index], extra, *own[index:]]
    return own


def _refuses_before(design: Design, own: Sequence[str], permit: str) -> bool:
    """True when a client that ``permit`` lets through could be refused by an entry before it."""
    for entry in seen(design, own):
        if entry.lower() == permit:
            return False
        if may_refuse(entry):
            return True
    return False
