"""Step C: Conbool hands outbound mail back for delivery; it may relay for hosted senders."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import REFUSING, insert_before
from conbool_tui.planners.postfix.restrictions import define_class, restriction


def hand_back(design: Design, networks: Sequence[str]) -> None:
    """Conbool may relay for hosted sender domains, exactly those: the sender's domain is cut out
    before the look-up, so that subdomains do not match.
    """
    design.add_table(
        names.HAND_BACK_CLIENTS,
        [f"{network}\t{names.HAND_BACK_CLASS}" for network in networks],
        Step.C,
        "Clients that may hand mail back",
        "Conbool's addresses.",
    )
    design.add_table(
        names.SENDER_DOMAIN,
        ["/^.+@([^@]+)$/\t$1"],
        Step.C,
        "Pattern for the domain of a sender",
        "Subdomains of a hosted domain must not match.",
    )
    design.add_table(
        names.HAND_BACK_DOMAINS,
        [f"{domain}\tOK" for domain in design.domains],
        Step.C,
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
    )
    check = f"check_client_access {design.table(names.HAND_BACK_CLIENTS, kind='cidr')}"
    for name, title in (
        ("smtpd_relay_restrictions", "Conbool may relay for hosted senders"),
        ("smtpd_recipient_restrictions", "Recipient rules let mail pass that Conbool hands back"),
    ):
        restriction(
            design,
            name,
            lambda own: insert_before(own, check, REFUSING),
            Step.C,
            title,
            "Only from Conbool's addresses and for hosted sender domains; others are refused as before.",
            only_refusing=True,
        )
    trusted = f"check_client_access {design.table(names.TRUSTED_CLIENTS, kind='cidr')}"
    if restriction(
        design,
        "smtpd_sender_restrictions",
        lambda own: [trusted, *own],
        Step.C,
        "Sender rules let Conbool pass",
        "Rules against forged senders must not stop what Conbool hands back.",
        only_set=True,
    ):
        design.add_table(
            names.TRUSTED_CLIENTS,
            [f"{network}\tOK" for network in networks],
            Step.C,
            "Clients that rules against forged senders spare",
            "Conbool hands back mail with hosted senders.",
        )
