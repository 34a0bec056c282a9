"""What the admin should know about this plan before applying it."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts_exim import EximFacts
from conbool_tui.plan import Notice, Step
from conbool_tui.planners.exim.checks import passed_over
from conbool_tui.planners.exim.main_part import VISIBLE
from conbool_tui.planners.exim.own import (
    Route,
    maildir_router,
    old_smart_hosts,
    own_host_list,
    own_routers,
    route,
    sender_routes,
)
from conbool_tui.planners.exim.router_part import junk_folder, replaces_route

_UNCHECKED = ("acl_smtp_connect", "acl_smtp_helo", "acl_smtp_predata")


def notices(facts: EximFacts, answers: Answers) -> tuple[Notice, ...]:
    """All notices, in the order of the steps."""
    found = [*_route(facts, answers), *_inbound(facts, answers), *_content(facts), *_spam(facts, answers)]
    return tuple(dict.fromkeys(found))


def _route(facts: EximFacts, answers: Answers) -> list[Notice]:
    found: list[Notice] = []
    host = answers.smart_host.host
    if replaces_route(facts, answers):
        found.append(
            Notice(
                "warn",
                f"The host's own smart host is {host} already, over a transport that checks no certificate. The new router takes "
                "its place; mail that is not in scope, bounces and exempted mail now go to their own MX.",
                Step.A,
            )
        )
    elif route(facts) is Route.OTHER:
        listed = ", ".join(old_smart_hosts(facts)) or "another smart host"
        carries = "bounces" if answers.scope.mode == "everything" else "what does not go to Conbool"
        found.append(Notice("note", f"{listed} stays and keeps carrying {carries}.", Step.A))
    elif route(facts) is Route.NOWHERE:
        found.append(
            Notice(
                "note",
                "This host delivers no mail to remote domains by itself; that stays so for mail out of scope. Bounces, "
                "invitations and what Conbool hands back are delivered to their MX.",
                Step.A,
            )
        )
    kept = sender_routes(facts)
    if kept:
        found.append(
            Notice(
                "note",
                f"The routers {', '.join(kept)} stand before the new one: senders they are made for keep their route.",
                Step.SCOPE,
            )
        )
    if answers.smart_host.ca_file is None and facts.system_ca_file is None:
        found.append(
            Notice(
                "warn",
                "No CA bundle was found on this system: the smart host's certificate cannot be verified and mail would stay "
                "queued. Give smart_host.ca_file.",
                Step.A,
            )
        )
    hosted = frozenset(facts.domains.all())
    foreign = [domain for domain in answers.domains if domain not in hosted]
    if answers.scope.mode == "domains" and hosted and foreign and not facts.domains.unlisted:
        shown = ", ".join(foreign[:5]) + (" …" if len(foreign) > 5 else "")
        found.append(
            Notice("warn", f"Not hosted on this server as far as it can be told: {shown}.", Step.SCOPE)
        )
    return found


def _inbound(facts: EximFacts, answers: Answers) -> list[Notice]:
    if not answers.conbool_networks:
        return [
            Notice(
                "warn",
                "conbool_networks is empty: mail from Conbool cannot be recognised, so its markers are not believed and what "
                "it hands back is not relayed.",
                Step.C,
            )
        ]
    found: list[Notice] = []
    if answers.markers.trust == "local" and not own_host_list(facts):
        found.append(
            Notice(
                "note",
                "There is no host list relay_from_hosts: of this server's own senders only local commands are believed.",
                Step.C,
            )
        )
    spared = passed_over(facts)
    judged = [option for option in _UNCHECKED if facts.options.get(option) and option not in spared]
    found.append(
        Notice(
            "note",
            "For mail from Conbool's addresses your rules at MAIL and RCPT are passed over, because they judge who sends; unknown "
            "recipients are refused as before, and your rules at DATA stay in force.",
            Step.B,
        )
    )
    if judged:
        found.append(
            Notice(
                "warn",
                f"{', '.join(judged)} may judge Conbool's addresses before they are recognised: exempt its networks there.",
                Step.B,
            )
        )
    others = [
        port for port in split_list(facts.options.get("daemon_smtp_ports", "")) if port not in ("25", "smtp")
    ]
    if answers.inbound.restrict_port_25 and others:
        found.append(
            Notice(
                "warn",
                f"Exim judges by the same rules at ports {', '.join(others)}, which stay as they are. If those rules take mail for "
                "hosted recipients without a login, strangers can hand it in there: demand one at these ports.",
                Step.B,
            )
        )
    by_mx = [
        router
        for router in own_routers(facts)
        if router.get("driver") == "dnslookup"
        and "+relay_" in router.get("domains").replace("!+", "").replace("! +", "")
    ]
    relayed = [domain for domain in facts.domains.relay if domain not in facts.hubbed]
    if by_mx and relayed:
        found.append(
            Notice(
                "warn",
                f"{', '.join(relayed[:5])}{' …' if len(relayed) > 5 else ''}: delivered by MX lookup (router {by_mx[0].name}). "
                "Once the MX leads to Conbool, mail for it would go in a circle: name the host behind it "
                f"({facts.config_directory}/hubbed_hosts on Debian) first.",
                Step.B,
            )
        )
    return found


def _content(facts: EximFacts) -> list[Notice]:
    if facts.content_scanning:
        return []
    return [
        Notice(
            "note",
            f"This Exim is built without content scanning: invitations are recognised in the first {VISIBLE} of a message only, and "
            "text that quotes the header of one counts as one. exim4-daemon-heavy looks at every part.",
            Step.C,
        )
    ]


def _spam(facts: EximFacts, answers: Answers) -> list[Notice]:
    if answers.spam.action != "folder":
        return []
    if maildir_router(facts) is None:
        return [
            Notice(
                "note",
                "Exim files no mail into maildirs of local users here: flagged mail gets X-Spam-Flag: YES, and a Sieve filter can "
                f"file it into {junk_folder(answers)}.",
                Step.C,
            )
        ]
    others = [
        router.name
        for router in own_routers(facts)
        if (transport := facts.transport(router.get("transport"))) is not None
        and router.get("driver") == "accept"
        and not router.is_set("check_local_user")
        and transport.get("driver") in ("appendfile", "lmtp", "pipe")
    ]
    if not others:
        return []
    return [
        Notice(
            "note",
            f"Flagged mail of local users goes into {junk_folder(answers)}; mail that {', '.join(others)} delivers gets "
            "X-Spam-Flag: YES.",
            Step.C,
        )
    ]
