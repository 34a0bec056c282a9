"""The main section: our lists, and our ACLs put in front of the admin's."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.exim_config.lists import join_list
from conbool_tui.facts_exim import EximFacts
from conbool_tui.planners.exim import names
from conbool_tui.planners.exim.acl_part import ITIP
from conbool_tui.planners.exim.own import Seat, data_path, own_value, seat

VISIBLE = "256K"
"""How much of a body a daemon without content scanning looks through for invitations."""


def main_part(facts: EximFacts, answers: Answers) -> str:
    """Definitions and options, to be read after the admin's own definitions and before the ACLs."""
    lines = [_list("hostlist", "conbool_hosts", join_list(answers.conbool_networks))]
    if answers.inbound.restrict_port_25:
        lines.append(_list("hostlist", "conbool_extra_hosts", join_list(answers.inbound.extra_networks)))
    lines.append(_list("domainlist", "conbool_domains", f"lsearch;{data_path(facts, names.DOMAINS)}"))
    senders = {
        "domains": f"*@lsearch;{data_path(facts, names.DOMAINS)}",
        "senders": f"lsearch*@;{data_path(facts, names.SENDERS)}",
    }.get(answers.scope.mode)
    if senders is not None:
        lines.append(_list("addresslist", "conbool_senders", senders))
    lines.append(f"CONBOOL_ITIP = {ITIP}")
    for option, macro in names.MACROS.items():
        lines += _in_front(facts, option, macro)
    if seat(facts, "acl_not_smtp") is Seat.FREE:
        lines.append("acl_not_smtp = acl_conbool_not_smtp")
    lines += _content(facts)
    if answers.inbound.restrict_port_25 and seat(facts, "acl_smtp_quit") is Seat.FREE:
        lines.append("acl_smtp_quit = acl_conbool_quit")
    lines += _client_certificates(facts, answers)
    return "".join(f"{line}\n" for line in lines)


def _list(kind: str, name: str, value: str) -> str:
    return f"{kind} {name} = {value}".rstrip()


def _in_front(facts: EximFacts, option: str, macro: str) -> list[str]:
    """Our ACL for an option; the admin's own is the next one."""
    where = seat(facts, option)
    ours = names.ACLS[option]
    if where is Seat.FREE:
        return [f"{option} = {ours}"]
    if where is not Seat.MACRO:
        return []
    following = "CONBOOL_NEXT_" + macro.rpartition("_")[2]
    return [
        f".ifdef {macro}",
        f"{following} = {macro}",
        f"{macro} == {ours}",
        ".else",
        f"{following} = {macro.replace('MAIN_ACL', 'acl').lower()}",
        f"{macro} = {ours}",
        ".endif",
    ]


def _content(facts: EximFacts) -> list[str]:
    """Looking at MIME parts where the daemon can, else at the head of the body; a change of daemon needs no change here."""
    scanning = [
        f"{option} = {names.ACLS[option]}"
        for option in ("acl_smtp_mime", "acl_not_smtp_mime")
        if seat(facts, option) is Seat.FREE
    ]
    visible = own_value(facts, "message_body_visible", ("500", VISIBLE))
    lines = [".ifdef _OPT_MAIN_ACL_SMTP_MIME", *scanning]
    if not visible:
        lines += [".else", f"message_body_visible = {VISIBLE}"]
    return [*lines, ".endif"] if len(lines) > 1 else []


def _client_certificates(facts: EximFacts, answers: Answers) -> list[str]:
    """Ask Conbool, and nobody else, for a certificate; where the admin asks clients already, that stays."""
    if not answers.conbool_networks or own_value(facts, "tls_try_verify_hosts", ("+conbool_hosts",)):
        return []
    if not facts.generated:
        return ["tls_try_verify_hosts = +conbool_hosts"]
    return [
        ".ifdef MAIN_TLS_ENABLE",
        ".ifndef MAIN_TLS_TRY_VERIFY_HOSTS",
        "MAIN_TLS_TRY_VERIFY_HOSTS = +conbool_hosts",
        ".endif",
        ".else",
        "tls_try_verify_hosts = +conbool_hosts",
        ".endif",
    ]
