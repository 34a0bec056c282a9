"""Scope: whose mail uses the smart host."""

from __future__ import annotations

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import join_list, split_list


def scope(design: Design) -> None:
    """Scope: who uses the smart host. Sender-dependent default transports (postconf(5)) leave hosted
    domains and transport_maps alone.
    """
    name = "sender_dependent_default_transport_maps"
    route = f"{names.SMART_HOST_TRANSPORT}:{design.answers.smart_host.next_hop}"
    mode = design.answers.scope.mode
    own = design.own_list(name)
    own_items = split_list(own or "")
    default_transport = (
        design.own_scalar("default_transport") or design.default_of("default_transport") or "smtp"
    )
    if mode == "everything":
        null = design.facts.parameters.get("empty_address_default_transport_maps_lookup_key") or "<>"
        lines = [f"{null}\t{default_transport if ':' in default_transport else default_transport + ':'}"]
        kept = [*own_items, design.table(names.SENDERS)]
        old_routes = split_list(design.facts.parameters.get("sender_dependent_relayhost_maps", ""))
        if old_routes:
            design.add_table(
                names.OWN_ROUTE,
                [f"/./\t{default_transport if ':' in default_transport else default_transport + ':'}"],
                Step.SCOPE,
                "Senders with a relayhost of their own keep it",
                "They are listed in sender_dependent_relayhost_maps.",
            )
            kept += [
                f"pipemap:{{{table},{design.table(names.OWN_ROUTE, kind='regexp')}}}" for table in old_routes
            ]
            design.notice("note", f"Senders in {', '.join(old_routes)} keep their own relayhost.", Step.SCOPE)
        design.set(
            "default_transport",
            route,
            Step.SCOPE,
            "All outbound mail uses the smart host",
            "Scope is everything; hosted domains and transport_maps keep their way.",
        )
        design.remember("default_transport", design.own_scalar("default_transport"))
        title, reason = (
            "Bounces do not use the smart host",
            "Mail with the null sender is excluded by the guide (step C).",
        )
        listed = "Next hop of the null sender"
        why = "It keeps the host's own default transport."
        value = join_list(kept)
    else:
        senders = (
            design.answers.scope.senders
            if mode == "senders"
            else tuple("@" + domain for domain in design.domains)
        )
        lines = [f"{sender}\t{route}" for sender in dict.fromkeys(one.lower() for one in senders)]
        title = "Senders in scope use the smart host"
        listed = "List of the senders in scope"
        why = "Each leads to the smart host as next hop."
        reason = "All other senders, and bounces, keep their present route."
        value = join_list([design.table(names.SENDERS), *own_items])
        if own_items:
            design.notice(
                "note",
                (
                    f"Entries for whole addresses in {', '.join(own_items)} win over a "
                    "domain in the new table."
                ),
                Step.SCOPE,
            )
    design.add_table(names.SENDERS, lines, Step.SCOPE, listed, why)
    design.set(name, value, Step.SCOPE, title, reason)
    design.remember(name, own)
    if design.facts.transport_catch_all:
        design.notice(
            "warn",
            (
                f"transport_maps sends everything to {design.facts.transport_catch_all} ('*' "
                "entry), which wins over the smart host. Remove that entry if mail shall "
                "use Conbool."
            ),
            Step.SCOPE,
        )
    hosted = frozenset(design.facts.domains.all())
    if mode == "domains" and hosted:
        foreign = [domain for domain in design.domains if domain not in hosted]
        if foreign:
            shown = ", ".join(foreign[:5]) + (" …" if len(foreign) > 5 else "")
            design.notice("warn", f"Not hosted on this server as far as it can be told: {shown}.", Step.SCOPE)
