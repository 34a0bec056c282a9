"""What an admin should know before port 25 is closed to others."""

from __future__ import annotations

import ipaddress

from conbool_tui.facts import Service
from conbool_tui.networks import PRIVATE, Network, covers
from conbool_tui.plan import Step
from conbool_tui.planners.postfix.allowed import faces_outside, own_networks
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import join_list, split_restrictions
from conbool_tui.planners.postfix.restrictions import seen

_LARGEST = {4: 16, 6: 32}
# IPv4Network.is_private of older Pythons calls 0.0.0.0/0 private, too.
_OWN = (*PRIVATE, ipaddress.ip_network("127.0.0.0/8"))
_STRANGER_RULES = (
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
)


def notices(design: Design) -> None:
    """Say which services are closed, who can still get in, and which doors stay open."""
    facts = design.facts
    closed = join_list([one.service.id for one in design.closable])
    behind = "; postscreen passes strangers on to it, and they are refused there" if facts.postscreen else ""
    design.notice("note", f"Closed to others: {closed}{behind}.", Step.B)
    if facts.submission_services:
        design.notice(
            "note",
            f"Submission is not touched: {join_list(facts.submission_services)} work from anywhere as before.",
            Step.B,
        )
    login = any(design.own_option(one.service, "smtpd_sasl_auth_enable") == "yes" for one in design.closable)
    design.notice(
        "note",
        "Port 25 offers a login: whoever logs in there still gets in from anywhere."
        if login
        else "Port 25 offers no login: users outside mynetworks need the submission ports.",
        Step.B,
    )
    if facts.expanded.get("soft_bounce", "").strip() == "yes":
        design.notice(
            "warn",
            "soft_bounce = yes turns every 5xx into 4xx: strangers are put off instead of refused and try again for "
            "days. Set it to no.",
            Step.B,
        )
    _own_networks(design)
    _other_ports(design)


def _own_networks(design: Design) -> None:
    wide: list[Network] = []
    unlisted: list[str] = []
    loopback = True
    for source in design.closable:
        own = own_networks(design.own_option(source.service, "mynetworks"))
        wide += [one for one in own.listed if one.prefixlen < _LARGEST[one.version] and not _is_private(one)]
        unlisted += own.unlisted
        home = ipaddress.ip_network("::1" if "::1" in design.loopback.network else "127.0.0.1")
        loopback &= bool(own.unlisted) or any(
            one.version == home.version and home.network_address in one for one in own.listed
        )
    if wide:
        design.notice(
            "warn",
            f"mynetworks holds {join_list([str(one) for one in dict.fromkeys(wide)])}: port 25 stays open to all of "
            "it, and mynetworks may relay as well. Narrow mynetworks first.",
            Step.B,
        )
    if unlisted:
        design.notice(
            "warn",
            f"mynetworks names {join_list(tuple(dict.fromkeys(unlisted)))}: whoever matches there may still use port "
            "25. These addresses cannot be listed, so a firewall rule leaves them out.",
            Step.B,
        )
    if not loopback:
        design.notice(
            "warn",
            "mynetworks does not hold the loopback address: programs on this server that send mail to localhost, "
            "port 25, are refused too.",
            Step.B,
        )


def _is_private(network: Network) -> bool:
    return any(covers(one, network) for one in _OWN)


def _other_ports(design: Design) -> None:
    """Services on other ports that take mail for hosted recipients from anybody."""
    facts = design.facts
    ours = {one.service.id for one in design.port_25}
    found = [
        source.service
        for source in design.sources
        if source.service.type == "inet"
        and source.service.command == "smtpd"
        and source.service.id not in ours
        and faces_outside(facts, source.service)
    ]
    for service in found:
        if not _turns_strangers_away(design, service):
            design.notice(
                "warn",
                f"{service.id} takes mail for hosted recipients from anybody without a login: this way past Conbool "
                "stays open. Close it, or end its rules with permit_sasl_authenticated, reject.",
                Step.B,
            )


def _turns_strangers_away(design: Design, service: Service) -> bool:
    for name in _STRANGER_RULES:
        entries = seen(design, split_restrictions(design.own_option(service, name)))
        if any(entry.lower() in ("reject", "defer") for entry in entries):
            return True
    return False
