"""Turn the difference between the configuration that is and the one that should be into a plan."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.answers_file import AnswerError
from conbool_tui.facts_sendmail import BLOCK_ID, SendmailFacts
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step
from conbool_tui.planners.dovecot.handover import of_sendmail
from conbool_tui.planners.sendmail import procmail
from conbool_tui.planners.sendmail.access import access_block
from conbool_tui.planners.sendmail.mta import (
    COMMON_NAME,
    HEADER_ONLY,
    KEPT_MARKERS,
    NESTED_CALENDAR,
    files_by_procmail,
    present_block,
)
from conbool_tui.planners.sendmail.refusals import check
from conbool_tui.planners.sendmail.rules import REFUSAL, Rules, block
from conbool_tui.sendmail_config import TooManyPrefixesError, prefixes

SYSTEM = "sendmail"
_MEMBER = re.compile(r"C\{Conbool(?:Net|Extra)\}(\S+?)'?$", re.M)
_PEER = "The client certificate must carry"


def plan_sendmail(facts: SendmailFacts, answers: Answers) -> Plan:
    """The plan that makes a Sendmail follow the guide's steps A to D and scope.

    Planning again after the plan was applied gives an empty plan.

    Args:
        facts: Sendmail as detected.
        answers: complete answers; ``domains`` must not be empty.

    Raises:
        UsageError: the answers leave nothing to do (no domains, no senders).
        CheckFailedError: this Sendmail cannot be changed as it is.
    """
    domains = tuple(dict.fromkeys(domain.lower() for domain in answers.domains))
    loops = tuple(dict.fromkeys(answers.loop_header(domain) for domain in domains))
    headers = [*loops, answers.markers.released, *answers.markers.spam]
    check(facts, answers, headers, answers.smart_host.client_certificate is not None)
    assert facts.source is not None
    rules = _rules(facts, answers, domains, loops)
    text = block(rules)
    old = present_block(facts)
    changes: list[Change] = []
    files: list[FileTarget] = []
    _block_change(
        facts,
        facts.source,
        BLOCK_ID,
        text,
        "dnl",
        Step.A,
        f"Rules that send mail to {answers.smart_host.host}",
        (
            f"Mail in scope goes to {answers.smart_host.next_hop} without MX lookup, only over TLS with a certificate for "
            f"{answers.smart_host.expected_name}, else it waits in the queue; marked mail, bounces and invitations go to the "
            "recipient's own MX. sendmail.cf is built from it."
        ),
        changes,
        files,
    )
    if facts.access:
        _block_change(
            facts,
            facts.access,
            BLOCK_ID,
            access_block(facts, rules.networks) or None,
            "#",
            Step.B,
            "Limits for clients do not hold for Conbool",
            "All mail now comes from a few addresses of Conbool's; pauses and rate limits would put it off. Conbool is asked for its certificate.",
            changes,
            files,
        )
    if files_by_procmail(facts):
        wanted = (
            procmail.spam_block(facts, answers)
            if answers.spam.action == "folder" and answers.markers.spam
            else None
        )
        _block_change(
            facts,
            procmail.PROCMAILRC,
            procmail.SPAM_BLOCK,
            wanted,
            "#",
            Step.C,
            f"Flagged mail goes to {procmail.folder_of(facts, answers.spam.folder or procmail.FOLDER)}",
            "procmail files what Conbool scored as spam; released mail stays in the inbox.",
            changes,
            files,
        )
    return Plan(
        system=SYSTEM,
        instance="",
        config_directory=facts.config_directory,
        changes=tuple(changes),
        files=tuple(files),
        notices=tuple(dict.fromkeys(_notices(facts, answers, rules))),
        reload=_commands(facts, files),
        health_ports=(),
        confirm_within=answers.inbound.confirm_within if _tightens(old, text) else 0,
    )


def _rules(facts: SendmailFacts, answers: Answers, domains: Sequence[str], headers: Sequence[str]) -> Rules:
    smart_host, inbound = answers.smart_host, answers.inbound
    scope: Optional[tuple[str, ...]] = tuple(domains)
    if answers.scope.mode == "everything":
        scope = None
    elif answers.scope.mode == "senders":
        scope = tuple(dict.fromkeys(sender.lower().lstrip("@") for sender in answers.scope.senders))
    own_ca = facts.options.get("CACertFile", "")
    ca_file = smart_host.ca_file or ("" if own_ca else facts.system_ca_file or "")
    networks = _members("conbool_networks", answers.conbool_networks, facts)
    peer = smart_host.expected_name if inbound.peer_certificate == "require" and networks else ""
    return Rules(
        host=smart_host.host.strip("[]"),
        port=smart_host.port,
        name=smart_host.expected_name.strip("[]"),
        headers=headers,
        released=answers.markers.released,
        spam=answers.markers.spam if answers.spam.action != "none" else (),
        domains=domains,
        scope=scope,
        networks=networks,
        extra=_members("inbound.extra_networks", inbound.extra_networks, facts),
        local=answers.markers.trust == "local",
        hand_back=inbound.return_mode == "hand_back" and bool(networks),
        closed=inbound.restrict_port_25,
        peer_name=peer,
        calendar_method="MAP_REGEX" in facts.flags,
        altnames="_FFR_TLS_ALTNAMES" in facts.flags,
        ca_file=ca_file,
        ca_path="",
        client_certificate=smart_host.client_certificate or "",
        client_key=smart_host.client_key or "",
        open_loopback=inbound.restrict_port_25 and _loopback_only(facts),
        drop_smart_host=_names_smart_host(facts.smart_host, smart_host.host),
    )


def _members(key: str, networks: Sequence[str], facts: SendmailFacts) -> tuple[str, ...]:
    """Networks as class members. Raises AnswerError: one cannot be written that way."""
    found: list[str] = []
    for network in networks:
        try:
            found += prefixes(network, full="IPV6_FULL" in facts.flags)
        except TooManyPrefixesError as error:
            raise AnswerError(
                key,
                f"{key}: {error}.",
                "Sendmail knows no masks: a network is written as all its leading octets (IPv6: groups).",
                "Give networks whose length is nearer above a multiple of 8 (IPv6: 16).",
            ) from None
    return tuple(dict.fromkeys(found))


def _loopback_only(facts: SendmailFacts) -> bool:
    daemons = [daemon for daemon in facts.daemons if daemon.on_port_25]
    return bool(daemons) and all(daemon.loopback for daemon in daemons)


def _names_smart_host(old: str, host: str) -> bool:
    """Whether the host's own SMART_HOST (``mailer:[host]``) is the smart host."""
    return old.rpartition(":")[2].strip("[]. ").lower() == host.lower().strip("[].") if old else False


def _block_change(
    facts: SendmailFacts,
    path: str,
    key: str,
    wanted: Optional[str],
    comment: str,
    step: Step,
    title: str,
    reason: str,
    changes: list[Change],
    files: list[FileTarget],
) -> None:
    present = facts.files.get(path)
    before = None if present is None else present.data
    data = before or b""
    old = text_blocks.get(data, key)
    if old == wanted:
        return
    after: Optional[bytes] = text_blocks.put(data, key, wanted, comment=comment)
    if wanted is None and not after:
        after = None
    if wanted is None:
        title, reason = f"The block {key} is taken out of {path}", "The answers changed."
    changes.append(
        Change(
            kind=ChangeKind.BLOCK,
            step=step,
            title=title,
            reason=reason,
            path=path,
            key=key,
            before=old,
            after=wanted,
            undo="The block is taken out." if old is None else "The old block comes back.",
        )
    )
    files.append(FileTarget(path, before, after))


def _commands(facts: SendmailFacts, files: Sequence[FileTarget]) -> tuple[str, ...]:
    paths = {target.path for target in files}
    commands = []
    if facts.access in paths:
        commands.append(f"sh -c 'makemap {facts.access_type} {facts.access} < {facts.access}'")
    if facts.source in paths:
        build = f'm4 {facts.source} > "$built" && cat "$built" > {facts.cf}'
        commands.append(
            f"sh -c 'cd {facts.config_directory} && built=$(mktemp) && {build}; rm -f \"$built\"'"
        )
    if {facts.access, facts.source} & paths:
        commands.append(f"sh -c 'kill -HUP $(head -1 {facts.pid_file})'")
    return tuple(commands)


def _tightens(old: Optional[str], new: str) -> bool:
    """Whether somebody who got in at port 25 before may be refused now."""
    if REFUSAL not in new and _PEER not in new:
        return False
    if old is None or (REFUSAL in new) > (REFUSAL in old) or (_PEER in new) > (_PEER in old):
        return True
    return not set(_MEMBER.findall(old)) <= set(_MEMBER.findall(new))


def _notices(facts: SendmailFacts, answers: Answers, rules: Rules) -> list[Notice]:
    found = [Notice("note", NESTED_CALENDAR + ".", Step.C), Notice("note", KEPT_MARKERS + ".", Step.C)]
    if not rules.networks:
        found.append(
            Notice(
                "warn",
                "conbool_networks is empty: mail from Conbool cannot be recognised, so its markers are not believed and what it "
                "hands back is not relayed.",
                Step.C,
            )
        )
    if not rules.altnames:
        found.append(Notice("warn", COMMON_NAME + "; else mail to it stays queued.", Step.A))
    if not rules.calendar_method:
        found.append(
            Notice(
                "note",
                "This Sendmail has no MAP_REGEX: every text/calendar message counts as an invitation.",
                Step.C,
            )
        )
    # Where Dovecot gets the mail, its own part of the plan says what becomes of it.
    if (
        answers.spam.action == "folder"
        and not files_by_procmail(facts)
        and not of_sendmail(facts.local_mailer)
    ):
        found.append(Notice("warn", f"spam.action is folder, and {HEADER_ONLY}.", Step.C))
    if not rules.ca_file and not facts.options.get("CACertFile"):
        found.append(
            Notice(
                "warn",
                "No CA bundle was found on this system: the smart host's certificate cannot be verified and mail would stay "
                "queued. Give smart_host.ca_file.",
                Step.A,
            )
        )
    found += _tls_notices(facts, answers, rules)
    found += _route_notices(facts, answers, rules)
    found += _port_notices(facts, rules)
    return found


def _tls_notices(facts: SendmailFacts, answers: Answers, rules: Rules) -> list[Notice]:
    found = []
    own_ca = facts.options.get("CACertFile", "")
    if rules.ca_file and own_ca and own_ca != rules.ca_file:
        found.append(
            Notice(
                "warn",
                f"confCACERT becomes {rules.ca_file} instead of {own_ca}, for all connections: Sendmail knows one such file.",
                Step.A,
            )
        )
    if rules.networks and not facts.offers_tls:
        found.append(
            Notice(
                "warn",
                "This Sendmail offers no STARTTLS (no confSERVER_CERT): mail from Conbool comes in clear text.",
                Step.B,
            )
        )
    if "IPV6_FULL" not in facts.flags and any(
        ipaddress.ip_network(one).version == 6 for one in answers.conbool_networks
    ):
        found.append(
            Notice(
                "warn",
                "This Sendmail writes IPv6 addresses short (no IPV6_FULL): networks with groups of zeros may not match.",
                Step.B,
            )
        )
    return found


def _route_notices(facts: SendmailFacts, answers: Answers, rules: Rules) -> list[Notice]:
    found = []
    if rules.drop_smart_host:
        found.append(
            Notice(
                "note",
                f"The old SMART_HOST ({facts.smart_host}) is taken out of force: it would send bounces and forwarded mail to the smart host too.",
                Step.A,
            )
        )
    elif facts.smart_host:
        found.append(
            Notice(
                "note",
                f"SMART_HOST {facts.smart_host} stays and keeps carrying what is outside the scope.",
                Step.A,
            )
        )
    found += [
        Notice("note", f"{text} is not used for mail to the smart host: that waits in the queue.", Step.A)
        for text in facts.fallbacks
    ]
    if facts.options.get("DefaultAuthInfo"):
        found.append(
            Notice(
                "warn",
                "confDEF_AUTH_INFO offers its login to every server that asks for one, the smart host included.",
                Step.A,
            )
        )
    if "mailertable" in facts.features:
        found.append(
            Notice("note", "Domains in the mailertable keep their way, in scope or not.", Step.SCOPE)
        )
    return found


def _port_notices(facts: SendmailFacts, rules: Rules) -> list[Notice]:
    found = []
    if rules.open_loopback:
        found.append(
            Notice(
                "warn",
                "Sendmail listened at port 25 of the loopback interface only; now it listens everywhere, and takes mail from Conbool "
                "and the listed networks only. Sendmail opens the new sockets when it is reloaded.",
                Step.B,
            )
        )
    elif _loopback_only(facts) and rules.networks:
        found.append(
            Notice(
                "warn",
                "Sendmail listens at port 25 of the loopback interface only (Addr=127.0.0.1 in DAEMON_OPTIONS): Conbool cannot hand over "
                "mail. With inbound.restrict_port_25 it is opened for Conbool alone.",
                Step.B,
            )
        )
    if not rules.closed:
        return found
    submission = [daemon.name or daemon.port for daemon in facts.daemons if not daemon.on_port_25]
    if submission:
        found.append(
            Notice(
                "note",
                f"Submission is not touched: {', '.join(submission)} work from anywhere as before.",
                Step.B,
            )
        )
    named = [text for text in facts.warnings if "by name" in text]
    if named:
        found.append(Notice("warn", f"Port 25 is open to networks, not to names: {named[0]}.", Step.B))
    return found
