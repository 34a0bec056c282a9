"""All checks of one run, in the order an admin reads them."""

from __future__ import annotations

import socket
from functools import partial
from typing import Callable, Optional

from conbool_tui.answers import Answers
from conbool_tui.checks.certificates import client_certificate_findings, examine_ca_file
from conbool_tui.checks.drift import check_drift
from conbool_tui.checks.limits import CancelledError, Limits
from conbool_tui.checks.posttls_finger import ID as SECOND_OPINION
from conbool_tui.checks.posttls_finger import second_opinion
from conbool_tui.checks.relay_host import Server, check_relay_host
from conbool_tui.checks.smart_host import SmartHostCheck
from conbool_tui.checks.transport_tls import transport_tls
from conbool_tui.facts import Detection, HostFacts, MtaFacts, PostfixFacts, Service
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.mta import mta_facts
from conbool_tui.planners.postfix import names
from conbool_tui.receipt import Progress, ProgressSink

_REFUSALS = ("reject", "defer")
Cancelled = Callable[[], bool]
Say = Callable[[str], None]


class _Part:
    """One part of the run: its name for the progress, its finding's id and subject when it is not run."""

    def __init__(
        self, what: str, id: str, run: Callable[[Say], list[Finding]], network: bool = False
    ) -> None:
        self.what = what
        self.id = id
        self.run = run
        self.network = network


def run_checks(
    host: Host,
    state_dir: str,
    facts: HostFacts,
    target: Detection,
    answers: Answers,
    progress: ProgressSink,
    cancelled: Cancelled = lambda: False,
) -> list[Finding]:
    """Prerequisites in name service, client certificate, smart host, relay host, firewall, drift.

    On another root nothing runs, so the network checks are NOT TESTED there. Each part ends by itself: a step after
    10 seconds (a greeting after 30), the smart host's and the relay host's checks after 90 seconds each.

    Args:
        target: the mail system; its answers' domains are filled in already.
        cancelled: asked several times a second; what is not done by then is NOT TESTED.
    """
    parts = [
        _Part("domains in name service", "dns", partial(_prerequisites, facts, answers, cancelled), True),
        _Part("client certificate", "client-certificate", lambda _: _certificates(host, answers)),
        _Part(
            f"TLS to {answers.smart_host.host}",
            "smart-host",
            partial(_smart_host, host, target, answers, cancelled),
            True,
        ),
        _Part(
            "SMTP on port 25",
            "smtp.reachable",
            partial(_relay_host, host, facts, target, answers, cancelled),
            True,
        ),
        _Part("firewall", "firewall", lambda _: _firewall(target, facts, answers)),
        _Part("mail that waits", "queue.filed", lambda _: _queue(host, target)),
        _Part("what was applied", "drift", lambda _: check_drift(host, state_dir)),
    ]
    findings: list[Finding] = []
    for number, part in enumerate(parts, 1):
        say = partial(_said, progress, part.what, number, len(parts))
        if cancelled():
            findings.append(_not_tested(part, "was cancelled", "Run the check again."))
            continue
        say("")
        if part.network and not host.live:
            why = "cannot be made on a system that does not run"
            findings.append(_not_tested(part, why, "Run the check on the server itself."))
            continue
        try:
            findings.extend(part.run(say))
        except CancelledError:
            findings.append(_not_tested(part, "was cancelled", "Run the check again."))
    return findings


def _said(progress: ProgressSink, what: str, number: int, total: int, step: str) -> None:
    progress(Progress("check", f"Checking: {what}{': ' + step if step else ''}", number, total))


def _not_tested(part: _Part, why: str, remedy: str) -> Finding:
    return Finding(part.id, Status.NOT_TESTED, f"This check {why}: {part.what}.", remedy=remedy)


def _prerequisites(facts: HostFacts, answers: Answers, cancelled: Cancelled, say: Say) -> list[Finding]:
    from conbool_tui.checks import dns

    def told(step: Progress) -> None:
        say(f"{step.done} of {step.total}")

    reports = dns.look_up(
        answers.domains, answers, cancelled=cancelled, progress=told, own_addresses=facts.addresses
    )
    return dns.findings(reports, answers)


def _firewall(target: Detection, facts: HostFacts, answers: Answers) -> list[Finding]:
    """What the packet filter does with port 25."""
    mta = mta_facts(target)
    if facts.firewall is None or mta is None:
        return []
    from conbool_tui.checks.firewall import firewall_findings

    return firewall_findings(facts.firewall, mta, answers)


def _queue(host: Host, target: Detection) -> list[Finding]:
    if target.postfix is None:
        return []
    from conbool_tui.checks.waiting_mail import waiting_mail

    return waiting_mail(host, target.postfix)


def _certificates(host: Host, answers: Answers) -> list[Finding]:
    wanted = answers.smart_host
    findings = client_certificate_findings(host, wanted.client_certificate, wanted.client_key)
    if wanted.ca_file is not None:
        trouble = examine_ca_file(host, wanted.ca_file)
        if trouble is not None:
            findings.append(Finding("ca-file", Status.FAIL, trouble.what, trouble.why, trouble.todo))
        else:
            findings.append(Finding("ca-file", Status.OK, f"The CA file {wanted.ca_file} can be loaded."))
    return findings


def _smart_host(
    host: Host, target: Detection, answers: Answers, cancelled: Cancelled, say: Say
) -> list[Finding]:
    postfix = target.postfix
    settings = transport_tls(answers.smart_host, postfix, mta_facts(target))
    check = SmartHostCheck(
        host,
        answers.smart_host,
        own_name(target),
        settings=settings,
        limits=Limits(cancelled=cancelled),
        say=say,
    )
    findings = check.run()
    if postfix is None:
        return findings
    if cancelled() or not check.connected:
        why = "the check was cancelled" if cancelled() else "there is no connection"
        return [*findings, Finding(SECOND_OPINION, Status.NOT_TESTED, f"No second opinion: {why}.")]
    say("second opinion of posttls-finger")
    return [
        *findings,
        second_opinion(host, answers.smart_host, settings, postfix.config_directory, check.refusal),
    ]


def _relay_host(
    host: Host,
    facts: HostFacts,
    target: Detection,
    answers: Answers,
    cancelled: Cancelled,
    say: Say,
) -> list[Finding]:
    inbound = answers.inbound
    mta = mta_facts(target)
    listeners = facts.listeners or (mta.listeners if mta is not None else ())
    networks = _own_networks(target, mta)
    bundle = mta.system_ca_file if mta is not None else None
    server = Server(
        listeners,
        answers.domains,
        inbound.relay_host,
        networks,
        own_name(target),
        addresses=facts.addresses,
        public_addresses=inbound.public_addresses,
        closed=inbound.restrict_port_25 or _closed(target.postfix) or (mta is not None and mta.closed),
        tls_demanded=inbound.restrict_port_25,
        private_meant=inbound.private_networks,
        ca_file=str(host.real(bundle)) if bundle is not None else None,
    )
    return check_relay_host(server, Limits(cancelled=cancelled), say=say)


def _own_networks(target: Detection, mta: Optional[MtaFacts]) -> tuple[str, ...]:
    """The networks that may relay, as the mail system is told them."""
    if target.postfix is not None:
        return tuple(target.postfix.expanded.get("mynetworks", "").replace(",", " ").split())
    return mta.own_networks if mta is not None else ()


def _closed(postfix: Optional[PostfixFacts]) -> bool:
    """True when the client restrictions of the service on port 25 refuse everybody who is not let in before."""
    if postfix is None:
        return False
    return any(
        _refuses_all(postfix, service, "smtpd_client_restrictions")
        for service in postfix.services
        if service.id in postfix.port_25_services
    )


def _refuses_all(postfix: PostfixFacts, service: Service, name: str, depth: int = 5) -> bool:
    """True when the list of restrictions ``name`` has an unconditional refusal: in itself, in a class it names
    (RESTRICTION_CLASS_README), or in our own table, whose last lines are for everybody else.
    """
    words = postfix.effective(service, name).replace(",", " ").split()
    for before, word in zip(["", *words], words):
        if word.endswith(f":{names.TABLE_PREFIX}{names.PORT_25_CLIENTS}"):
            return True
        # Behind the word for a lookup, or warn_if_reject, a word is no restriction of its own.
        if before.startswith(("check_", "reject_rbl", "reject_rhsbl", "warn_if")):
            continue
        if word.lower() in _REFUSALS or (depth > 0 and _refuses_all(postfix, service, word, depth - 1)):
            return True
    return False


def own_name(target: Optional[Detection]) -> str:
    """The name this server greets with: the mail system's own, else the machine's."""
    mta = mta_facts(target)
    helo = (
        target.postfix.expanded.get("smtp_helo_name", "")
        if target is not None and target.postfix is not None
        else ""
    )
    name = helo or (mta.host_name if mta is not None else "")
    if name and name.isascii() and not any(char.isspace() for char in name):
        return name
    return socket.gethostname() or "localhost"
