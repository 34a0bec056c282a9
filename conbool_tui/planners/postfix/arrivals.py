"""Step C: who brought a message. Conbool is recognised by its addresses, strangers are not believed."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import header_tables, names, services
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import join_list
from conbool_tui.planners.postfix.restrictions import Place, define_class, restriction
from conbool_tui.planners.postfix.spared import spared


def arrivals(design: Design) -> None:
    """Mail from Conbool's addresses enters the lane by address; markers of strangers are noted as not to be
    believed.
    """
    _origin(design)
    networks = design.answers.conbool_networks
    arrival = services.filter_action(design.loopback, design.arrivals_port or design.split_port)
    if design.proxied:
        # smtpd(8) takes no FILTER action where it hands mail to a proxy filter (access(5)).
        arrival = "PREPEND " + header_tables.origin_note(header_tables.HANDED_OVER, design.hostname)
    data_checks: list[str] = []
    if networks:
        design.add_table(
            names.ARRIVALS,
            [f"{network}\t{arrival}" for network in networks],
            Step.C,
            "Conbool's addresses",
            "Mail they hand over never goes back to the smart host, whatever its headers.",
        )
        data_checks.append(f"check_client_access {design.table(names.ARRIVALS, kind='cidr')}")
    else:
        design.notice(
            "warn",
            (
                "conbool_networks is empty: mail from Conbool cannot be recognised, so its "
                "markers are not believed and what it hands back is not relayed."
            ),
            Step.C,
        )
    origin = [f"check_client_access {design.table(names.ORIGIN, kind='cidr')}"]
    if design.answers.markers.trust == "local":
        origin.insert(0, "permit_mynetworks")
    define_class(
        design,
        names.ORIGIN_CLASS,
        join_list(origin),
        "Restriction class for clients that are not believed",
        "It adds X-Conbool-Origin, which leads a marked message to the lane that removes the marker.",
    )

    if _authenticates(design):
        design.add_table(
            names.AUTHENTICATED,
            ["/./\tPREPEND " + header_tables.origin_note(header_tables.UNTRUSTED, design.hostname)],
            Step.C,
            "Accounts on port 25 are not believed",
            "An authenticated client must not be able to forge a marker.",
        )
        data_checks.insert(0, f"check_sasl_access {design.table(names.AUTHENTICATED, kind='regexp')}")

    def merge(place: Place) -> Sequence[str]:
        own = spared(design, place.own)
        if design.answers.markers.trust != "local":
            # This class permits nobody, so it cannot cut the list short, but a permit of the list could
            # cut off the class.
            return [*data_checks, names.ORIGIN_CLASS, *own]
        stop = next((index for index, item in enumerate(own) if item == "permit"), len(own))
        return [*data_checks, *own[:stop], names.ORIGIN_CLASS, *own[stop:]]

    restriction(
        design,
        "smtpd_data_restrictions",
        merge,
        Step.C,
        "Conbool and strangers are told apart",
        "Conbool is recognised by address; markers from strangers are noted as not to be believed.",
    )


def _origin(design: Design) -> None:
    note = header_tables.origin_note(header_tables.UNTRUSTED, design.hostname)
    lines = [f"{network}\tDUNNO" for network in design.answers.conbool_networks]
    lines += [f"{everyone}\tPREPEND {note}" for everyone in ("0.0.0.0/0", "::/0")]
    design.add_table(
        names.ORIGIN,
        lines,
        Step.C,
        "Clients whose markers are not believed",
        "Everybody but Conbool and, with markers.trust = local, this server's own networks.",
    )


def _authenticates(design: Design) -> bool:
    """True when a service of port 25 offers SASL."""
    return any(design.own_option(one.service, "smtpd_sasl_auth_enable") == "yes" for one in design.port_25)
