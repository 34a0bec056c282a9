"""Can this server be reached by SMTP as Conbool will? An imitation from inside of what the Setup Assistant's "Test
Connection" does from outside.

From here only this server's own view can be tested: a firewall between Conbool and this server is seen by Conbool
alone.
"""

from __future__ import annotations

from typing import Callable, Optional

from conbool_tui.checks.limits import CancelledError, Limits
from conbool_tui.checks.relay_host_name import ID as NAME_ID
from conbool_tui.checks.relay_host_name import RelayHostName, Resolve
from conbool_tui.checks.relay_host_probe import REACHABLE, Probe
from conbool_tui.checks.relay_host_server import Server, listening_addresses
from conbool_tui.checks.resolve import published
from conbool_tui.findings import Finding, Status

__all__ = ["REACHABLE", "Server", "check_relay_host", "listening_addresses"]


def check_relay_host(
    server: Server,
    limits: Optional[Limits] = None,
    *,
    say: Callable[[str], None] = lambda _: None,
    resolve: Resolve = published,
) -> list[Finding]:
    """The findings ``smtp.*``: smtp.reachable says whether SMTP is reachable, smtp.relay-host where the name leads.

    Args:
        server: this server.
        limits: the time it has; the usual when not given.
        say: told what is done now.
        resolve: what name service publishes for a name.
    """
    limits = limits or Limits()
    listening = listening_addresses(server.listeners, server.port)
    if not listening:
        return [
            Finding(
                "smtp.reachable",
                Status.FAIL,
                f"Nothing listens on port {server.port} of this server.",
                remedy="Start the mail system, and look at the smtp line of its configuration.",
            )
        ]
    findings: list[Finding] = []
    probe: Optional[Probe] = None
    try:
        name: Optional[RelayHostName] = None
        if server.relay_host is not None:
            say("name")
            name = RelayHostName(server, limits, resolve)
        address = name.own[0] if name is not None and name.own else listening[0]
        probe = Probe(server, address, limits, say)
        probe.run()
        findings += probe.findings
        if name is not None:
            say("addresses")
            findings.append(name.judge(probe.identity, address, not _failed(probe.findings)))
        else:
            findings.append(
                Finding(
                    NAME_ID,
                    Status.NOT_TESTED,
                    "No relay host is chosen yet, so where its name leads was not looked at.",
                    remedy="Give inbound.relay_host, the name to type into the Setup Assistant.",
                )
            )
    except CancelledError:
        return _cancelled(findings or (probe.findings if probe is not None else []), server)
    return findings


def _failed(findings: list[Finding]) -> bool:
    return any(found.id == "smtp.reachable" and found.status is Status.FAIL for found in findings)


def _cancelled(made: list[Finding], server: Server) -> list[Finding]:
    """What was found so far, and NOT TESTED for the rest."""
    wanted = ["smtp.reachable"] + ([NAME_ID] if server.relay_host is not None else [])
    found = list(made)
    for missing in wanted:
        if missing not in {finding.id for finding in found}:
            found.append(Finding(missing, Status.NOT_TESTED, f"{_WHAT[missing]}: the check was cancelled."))
    return found


_WHAT = {"smtp.reachable": "SMTP reachability", NAME_ID: "Relay host for the Setup Assistant"}
