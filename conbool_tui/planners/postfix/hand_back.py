"""Step B: Conbool hands outbound mail back for delivery; it may relay for hosted senders."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.restrictions import define_class


def hand_back(design: Design, networks: Sequence[str]) -> str:
    """The entry that lets Conbool relay for hosted sender domains, exactly those: the sender's domain is cut out
    before the look-up, so that subdomains do not match.
    """
    design.add_table(
        names.HAND_BACK_CLIENTS,
        [f"{network}\t{names.HAND_BACK_CLASS}" for network in networks],
        Step.B,
        "Clients that may hand mail back",
        "Conbool's addresses.",
    )
    design.add_table(
        names.SENDER_DOMAIN,
        ["/^.+@([^@]+)$/\t$1"],
        Step.B,
        "Pattern for the domain of a sender",
        "Subdomains of a hosted domain must not match.",
    )
    design.add_table(
        names.HAND_BACK_DOMAINS,
        [f"{domain}\tOK" for domain in design.domains],
        Step.B,
        "Sender domains relayed for Conbool",
        "Mail with any other sender from Conbool is not relayed.",
    )
    cut = design.table(names.SENDER_DOMAIN, kind="regexp")
    exact = f"pipemap:{{{cut},{design.table(names.HAND_BACK_DOMAINS)}}}"
    define_class(
        design,
        names.HAND_BACK_CLASS,
        f"check_sender_access {exact}",
        "Restriction class for mail that Conbool hands back",
        "It permits hosted sender domains (inbound.return_mode is hand_back).",
        Step.B,
    )
    return f"check_client_access {design.table(names.HAND_BACK_CLIENTS, kind='cidr')}"
