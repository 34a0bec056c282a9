"""All checks of one run, in the order an admin reads them."""

from __future__ import annotations

import socket
from typing import Callable

from conbool_tui.answers import Answers
from conbool_tui.checks.certificates import client_certificate_findings, examine_ca_file
from conbool_tui.checks.drift import check_drift
from conbool_tui.checks.smart_host import SmartHostCheck
from conbool_tui.checks.smtp import Server, check_reachability
from conbool_tui.facts import Detection, HostFacts, PostfixFacts
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.receipt import Progress, ProgressSink

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


def run_checks(
    host: Host, state_dir: str, facts: HostFacts, target: Detection, answers: Answers, progress: ProgressSink
) -> list[Finding]:
    """Client certificate, TLS to the smart host, SMTP reachability, drift.

    On another root nothing runs, so the network checks are NOT TESTED there.

    Args:
        target: the mail system; its answers' domains are filled in already.
    """
    parts: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("client certificate", lambda: _certificates(host, answers)),
        (f"TLS to {answers.smart_host.host}", lambda: _smart_host(host, target, answers)),
        ("SMTP on port 25", lambda: _reachability(host, facts, target, answers)),
        ("what was applied", lambda: check_drift(host, state_dir)),
    ]
    findings: list[Finding] = []
    for number, (what, run) in enumerate(parts, 1):
        progress(Progress("check", f"Checking: {what}", number, len(parts)))
        findings.extend(run())
    return findings


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


def _smart_host(host: Host, target: Detection, answers: Answers) -> list[Finding]:
    if not host.live:
        return [_not_running("smart-host", "TLS to the smart host")]
    postfix = target.postfix
    check = SmartHostCheck(
        host,
        answers.smart_host,
        own_name(postfix),
        ca_file=postfix.system_ca_file if postfix is not None else None,
        families=_families(postfix),
    )
    return check.run()


def _reachability(host: Host, facts: HostFacts, target: Detection, answers: Answers) -> list[Finding]:
    if not host.live:
        return [_not_running("smtp.reachable", "SMTP reachability")]
    postfix = target.postfix
    listeners = facts.listeners or (postfix.listeners if postfix is not None else ())
    networks = postfix.expanded.get("mynetworks", "").replace(",", " ").split() if postfix is not None else []
    server = Server(
        listeners, answers.domains, answers.inbound.relay_host, tuple(networks), own_name(postfix)
    )
    return check_reachability(server)


def _not_running(id: str, what: str) -> Finding:
    return Finding(
        id,
        Status.NOT_TESTED,
        f"{what} cannot be tested on a system that does not run.",
        remedy="Run the check on the server itself.",
    )


def own_name(facts: object) -> str:
    """The name this server greets with: the mail system's own, else the machine's."""
    if isinstance(facts, PostfixFacts):
        name = facts.expanded.get("smtp_helo_name") or facts.expanded.get("myhostname", "")
        if name and name.isascii() and not any(char.isspace() for char in name):
            return name
    return socket.gethostname() or "localhost"


def _families(facts: object) -> tuple[int, ...]:
    """The address families Postfix uses (inet_protocols, postconf(5))."""
    spoken = (
        facts.expanded.get("inet_protocols", "all").replace(",", " ").split()
        if isinstance(facts, PostfixFacts)
        else []
    )
    chosen = tuple(_FAMILIES[word] for word in spoken if word in _FAMILIES)
    return chosen or (socket.AF_INET, socket.AF_INET6)
