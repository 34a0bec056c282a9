"""Any other SMTP server: found by who listens on port 25, when none of the mail systems known here does.

Nothing is read of its configuration and nothing of it is changed; what it can and cannot do is said, and checks of name service, TLS and
reachability work as with any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.facts import Capability, Detection, HostedDomains, Listener, MtaFacts, Outcome
from conbool_tui.host import Host

NAME = "other"
_KNOWN = ("master", "postfix", "postscreen", "sendmail", "sendmail-mta", "exim", "exim4")
_CONTAINERS = ("docker-proxy", "rootlessport")
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
_NOT_BY_US = "conbool-tui cannot change this mail system; it says what is to be set by hand"


@dataclass(frozen=True)
class _Server:
    """A mail server by its process: its name, a file that tells it from others with the same process name, and what it cannot do."""

    process: str
    title: str
    evidence: str = ""
    limits: tuple[tuple[str, str], ...] = ()


_SERVERS = (
    _Server(
        "smtpd",
        "OpenSMTPD",
        "/etc/smtpd.conf",
        (
            (
                "loop protection by header",
                "its rules are decided before the headers come, so only the address of whoever hands mail over can tell what must "
                "not go to Conbool again; mail that a local user's .forward sends on goes there once more",
            ),
            ("calendar parts", "invitations cannot be told from other mail and go through Conbool"),
            (
                "inbound.peer_certificate: require",
                "it checks whether a client's certificate is valid, not the name in it",
            ),
        ),
    ),
    _Server("haraka", "Haraka", "/etc/haraka"),
    _Server("node", "Haraka", "/etc/haraka"),
    _Server("java", "Apache James", "/etc/james"),
    _Server("stalwart", "Stalwart"),
    _Server("stalwart-mail", "Stalwart"),
    _Server("maddy", "maddy"),
    _Server("couriertcpd", "Courier"),
    _Server("qmail-smtpd", "qmail"),
    _Server("tcpserver", "qmail", "/var/qmail/control"),
    _Server("CGServer", "CommuniGate Pro"),
    _Server("axigen", "Axigen"),
    _Server("docker-proxy", "a mail server in a container"),
    _Server("rootlessport", "a mail server in a container"),
)


def find_other(host: Host, listeners: Sequence[Listener], found: Sequence[Detection]) -> Optional[Detection]:
    """The mail server that owns port 25 when it is none of ``found``; None when there is no such.

    Args:
        listeners: all listening sockets.
        found: what the detectors of known mail systems brought.
    """
    owner = next((one for one in listeners if one.port == 25 and one.process), None)
    if owner is None or _is_known(host, owner.process, found):
        return None
    server = _named(host, owner.process)
    title = server.title if server is not None else owner.process
    summary = f"{title} (process {owner.process}) listens on port 25. {_NOT_BY_US}."
    limits = server.limits if server is not None else ()
    mta = MtaFacts(
        title=title,
        version="",
        running=True,
        config_directory=server.evidence if server is not None else "",
        host_name="",
        domains=HostedDomains(unlisted=(f"{title}'s own configuration",)),
        listeners=tuple(listeners),
        port_25_owner=owner.process,
        route="as it is set up until now",
        system_ca_file=next((path for path in _CA_FILES if host.is_file(path)), None),
        capabilities=(
            Capability("changes", False, _NOT_BY_US),
            *(Capability(key, False, reason) for key, reason in limits),
        ),
    )
    evidence = server.evidence if server is not None and host.exists(server.evidence or "/-") else ""
    return Detection(NAME, Outcome.PRESENT, summary, evidence=evidence, mta=mta)


def _is_known(host: Host, process: str, found: Sequence[Detection]) -> bool:
    """Whether the process belongs to a mail system that a detector of its own looks for."""
    present = {one.system for one in found if one.outcome is not Outcome.ABSENT}
    if process == "smtpd":
        return "postfix" in present or not host.exists("/etc/smtpd.conf")
    if process in _CONTAINERS and "docker-mailserver" in present:
        return True
    # Its own detector says why it is absent or broken; a container's host may run several.
    return process in _KNOWN


def _named(host: Host, process: str) -> Optional[_Server]:
    for server in _SERVERS:
        if server.process == process and (not server.evidence or host.exists(server.evidence)):
            return server
    return None
