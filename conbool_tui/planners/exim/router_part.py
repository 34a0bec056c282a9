"""Routers: mail in scope goes to the smart host, exempted mail to its MX, flagged mail to the spam folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.facts_exim import EximFacts
from conbool_tui.planners.exim import names
from conbool_tui.planners.exim.own import Route, local_lists, maildir_router, old_smart_hosts, route

_EXEMPT = "{def:acl_m_conbool_bypass} {def:acl_m_conbool_calendar}"
_NULL = "{eq{$sender_address}{}}"


def block(name: str, options: Sequence[str]) -> str:
    """A router or transport."""
    return f"{name}:\n" + "".join(f"  {option}\n" for option in options)


def remote_domains(facts: EximFacts) -> str:
    """Every domain that is not delivered here."""
    return " : ".join(f"! {name}" for name in local_lists(facts))


def _never(facts: EximFacts, answers: Answers) -> str:
    """What must not go to the smart host. A hosted domain that this host's own lists do not name is looked up last: with many domains
    that is a look-up which costs something."""
    known = frozenset(facts.domains.all())
    elsewhere = any(domain.lower() not in known for domain in answers.domains)
    return f"{_EXEMPT} {_NULL}" + (" {match_domain{$domain}{+conbool_domains}}" if elsewhere else "")


def router_part(facts: EximFacts, answers: Answers) -> str:
    """The routers before the first one for remote mail."""
    scope = [] if answers.scope.mode == "everything" else ["senders = +conbool_senders"]
    parts = [
        block(
            names.SMART_HOST_ROUTER,
            [
                f'debug_print = "R: {names.SMART_HOST_ROUTER} for $local_part@$domain"',
                "driver = manualroute",
                f"domains = {remote_domains(facts)}",
                *scope,
                f"condition = ${{if or{{ {_never(facts, answers)} }}{{no}}{{yes}}}}",
                f"transport = {names.SMART_HOST_TRANSPORT}",
                f"route_list = <; * {answers.smart_host.host} byname",
                "host_find_failed = defer",
                "host_all_ignored = defer",
                "self = defer",
                "same_domain_copy_routing = yes",
                "no_more",
            ],
        )
    ]
    condition = direct_condition(facts, answers)
    if condition is not None:
        parts.append(
            block(
                names.DIRECT_ROUTER,
                [
                    f'debug_print = "R: {names.DIRECT_ROUTER} for $local_part@$domain"',
                    "driver = dnslookup",
                    f"domains = {remote_domains(facts)}",
                    *([f"condition = {condition}"] if condition else []),
                    f"transport = {names.DIRECT_TRANSPORT}",
                    "ignore_target_hosts = <; 0.0.0.0 ; 127.0.0.0/8 ; ::1",
                    "same_domain_copy_routing = yes",
                    "no_more",
                ],
            )
        )
    return "\n".join(parts)


def replaces_route(facts: EximFacts, answers: Answers) -> bool:
    """Whether the host's own route for everything leads to the smart host already, by hand: then nothing may use it any more."""
    return answers.smart_host.host.lower() in old_smart_hosts(facts)


def direct_condition(facts: EximFacts, answers: Answers) -> Optional[str]:
    """Which mail needs a way to its MX that the host does not have: a condition, empty for all that is left, None for no mail."""
    if replaces_route(facts, answers):
        return ""
    kind = route(facts)
    if kind is Route.MX:
        return None
    # An old smart host keeps carrying bounces; where remote mail had no way at all, they get one.
    return f"${{if or{{ {_EXEMPT} {_NULL} }}}}" if kind is Route.NOWHERE else f"${{if or{{ {_EXEMPT} }}}}"


def files_spam(facts: EximFacts, answers: Answers) -> bool:
    """Whether flagged mail is put into a folder by Exim itself."""
    return answers.spam.action == "folder" and maildir_router(facts) is not None


def junk_folder(answers: Answers) -> str:
    """The mailbox folder for flagged mail."""
    return answers.spam.folder or "Junk"


def junk_part(facts: EximFacts, answers: Answers) -> str:
    """The router before the one that files mail of local users: the same users, another folder."""
    found = maildir_router(facts)
    if found is None or not files_spam(facts, answers):
        return ""
    router, _ = found
    same = [f"{name} = {router.get(name)}" for name in ("domains", "local_parts") if router.get(name)]
    return block(
        names.JUNK_ROUTER,
        [
            f'debug_print = "R: {names.JUNK_ROUTER} for $local_part@$domain"',
            "driver = accept",
            *same,
            "check_local_user",
            "condition = ${if def:acl_m_conbool_spam}",
            f"transport = {names.JUNK_TRANSPORT}",
        ],
    )
