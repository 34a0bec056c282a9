"""Steps C and D: the lane for mail that must not go to the smart host."""

from __future__ import annotations

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import header_tables, names, services
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Block
from conbool_tui.planners.postfix.lists import join_list, split_list


def lane(design: Design) -> None:
    """Step C: the split lane, its entrances and the removal of markers that are not to be believed."""
    answers, loopback = design.answers, design.loopback
    to_untrusted = services.filter_action(loopback, design.untrusted_port)
    to_split = services.always(services.filter_action(loopback, design.split_port))
    released, spam = answers.markers.released, answers.markers.spam
    clear_fallback = (
        "" if design.is_smart_host(design.facts.expanded.get("smtp_fallback_relay", "")) else None
    )
    recipients = _split_recipients(design)

    design.add_table(
        names.GATE_CHECKS,
        header_tables.origin_rule(header_tables.UNTRUSTED, design.hostname, to_untrusted),
        Step.C,
        "Mail of clients that are not believed",
        "It goes to the lane that removes its markers.",
    )
    arrivals = ""
    if design.arrivals_port is not None:
        arrivals = services.lane_service(
            design.columns,
            loopback,
            design.arrivals_port,
            "arrivals",
            names.ARRIVALS_CLEANUP,
            to_split,
            mapped=False,
        ) + services.cleanup_service(design.columns, names.ARRIVALS_CLEANUP, "arrivals", "")
    design.wanted.blocks["lane"] = Block(
        services.direct_service(design.columns, design.direct_security(), clear_fallback)
        + services.reinject_service(design.columns, loopback)
        + services.lane_service(
            design.columns, loopback, design.gate_port, "gate", names.GATE_CLEANUP, to_split
        )
        + services.cleanup_service(
            design.columns, names.GATE_CLEANUP, "gate", design.table(names.GATE_CHECKS, patterns=True)
        )
        + services.lane_service(
            design.columns, loopback, design.split_port, "split", names.SPLIT_CLEANUP, recipients
        )
        + services.cleanup_service(
            design.columns,
            names.SPLIT_CLEANUP,
            "split",
            join_list(
                [
                    design.table(names.DROP_ORIGIN, patterns=True),
                    design.table(names.SPLIT_CHECKS, patterns=True),
                ]
            ),
        )
        + arrivals,
        Step.C,
        "The lane for mail that must not go to the smart host",
        "It takes one recipient at a time: hosted ones to their mailbox, others to their own MX.",
    )
    design.add_table(
        names.UNTRUSTED_CHECKS,
        header_tables.drop_conbool_headers([released, *design.loop_headers(), *spam]),
        Step.C,
        "Headers removed in the lane for false markers",
        "A stranger's marker must not lead past the smart host or a spam filter.",
    )
    design.wanted.blocks["untrusted"] = Block(
        services.lane_service(
            design.columns, loopback, design.untrusted_port, "untrusted", names.UNTRUSTED_CLEANUP, "permit"
        )
        + services.cleanup_service(
            design.columns,
            names.UNTRUSTED_CLEANUP,
            "untrusted",
            design.table(names.UNTRUSTED_CHECKS, patterns=True),
        ),
        Step.C,
        "The lane that removes false markers",
        "After it the message takes the normal route.",
    )
    design.set(
        f"{names.REINJECT_TRANSPORT}_destination_recipient_limit",
        "1",
        Step.C,
        "One recipient a delivery through the lane",
        "The lane decides for each recipient by itself.",
    )


def released_lane(design: Design) -> None:
    """Step D: released mail gets the same bypass and loses a spam flag."""
    to_released = services.filter_action(design.loopback, design.released_port)
    recipients = _split_recipients(design)
    design.add_table(
        names.SPLIT_CHECKS,
        header_tables.released_rule(design.answers.markers.released, to_released),
        Step.D,
        "Released mail has a lane of its own",
        "There its spam flag is taken off.",
    )
    design.add_table(
        names.RELEASED_CHECKS,
        ["/^X-Spam-Flag:/ IGNORE"],
        Step.D,
        "Released mail is not spam",
        "Somebody released it by hand; the spam flag is taken off.",
    )
    design.wanted.blocks["released"] = Block(
        services.lane_service(
            design.columns,
            design.loopback,
            design.released_port,
            "released",
            names.RELEASED_CLEANUP,
            recipients,
        )
        + services.cleanup_service(
            design.columns,
            names.RELEASED_CLEANUP,
            "released",
            design.table(names.RELEASED_CHECKS, patterns=True),
        ),
        Step.D,
        f"The lane for released mail ({design.answers.markers.released}: yes)",
        "Same way past the smart host, without a spam flag.",
    )


def _split_recipients(design: Design) -> str:
    """The lane's decision per recipient, with the tables that tell a route from a mere exception."""
    own = split_list(design.facts.expanded.get("transport_maps", ""))
    if own:
        design.add_table(
            names.MANUAL_ROUTE,
            ["/^[^:]/\tOK"],
            Step.C,
            "Routes of transport_maps that the lane keeps",
            "An entry that is only a colon is no route.",
        )
        design.add_table(
            names.GATEWAY_ROUTE,
            [f"/^:(.+)$/\tFILTER {design.own_transport}:$1"],
            Step.C,
            "Gateways of transport_maps that the lane keeps",
            "An entry without a transport name uses the host's default transport.",
        )
    return services.split_recipients(
        own,
        design.table(names.MANUAL_ROUTE, kind="regexp"),
        design.table(names.GATEWAY_ROUTE, kind="regexp"),
    )
