"""Can this server be reached by SMTP as Conbool will? An imitation from inside of what the Setup Assistant
tests from outside.

Sender and recipients are named and taken back; no message is sent. From here only this server's own view can
be tested: a firewall between Conbool and this server is seen by Conbool alone.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.checks import x509
from conbool_tui.checks.dialog import (
    DEFAULT_TIMEOUT,
    Dialog,
    DialogError,
    Reply,
    trusting_context,
)
from conbool_tui.facts import Listener
from conbool_tui.findings import Finding, Status

REACHABLE = "SMTP reachable"
# Domains for examples (RFC 2606), of which those that are hosted here are not asked for.
_OUTSIDE = ("example.net", "example.org", "example.com", "example.edu", "example.invalid")
# The enhanced status code (RFC 3463): 5.7.1 and 4.7.1 are refusals by policy.
_ENHANCED = re.compile(r"[245]\.([0-9]+)\.[0-9]+")
_WILDCARDS = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6, "*": socket.AF_INET}
# Addresses for documentation (RFC 5737, 3849): asking the kernel for the route to them sends nothing.
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
_SOON = datetime.timedelta(days=14)


@dataclass(frozen=True)
class Server:
    """This server as the probe needs to know it.

    Attributes:
        listeners: its listening sockets.
        domains: hosted domains; the first is asked for its postmaster (RFC 5321, section 4.5.1).
        relay_host: the name for the Setup Assistant, None when not chosen yet.
        trusted_networks: networks whose clients may relay (mynetworks), as far as they are known.
        client_name: the probe's name for EHLO.
        port: where mail arrives.
    """

    listeners: tuple[Listener, ...]
    domains: tuple[str, ...]
    relay_host: Optional[str]
    trusted_networks: tuple[str, ...]
    client_name: str
    port: int = 25


def check_reachability(server: Server, timeout: float = DEFAULT_TIMEOUT) -> list[Finding]:
    """The findings ``smtp.*``; the last one says whether SMTP is reachable."""
    addresses = listening_addresses(server.listeners, server.port)
    if not addresses:
        return [
            Finding(
                "smtp.reachable",
                Status.FAIL,
                "Nothing listens on port 25 of this server.",
                remedy="Start the mail system, and look at the smtp line of its configuration.",
            )
        ]
    findings = _Probe(server, addresses[0], timeout).run()
    if server.relay_host is not None:
        findings.append(_by_name(server, timeout))
    return findings


def listening_addresses(listeners: Sequence[Listener], port: int) -> list[str]:
    """Addresses of this server that answer on ``port``, those that others can reach first."""
    found: list[str] = []
    for listener in listeners:
        if listener.port != port:
            continue
        if listener.address in _WILDCARDS:
            found.append(_own_address(_WILDCARDS[listener.address]))
        else:
            found.append(listener.address)
    unique = list(dict.fromkeys(found))
    return sorted(
        unique,
        key=lambda address: (ipaddress.ip_address(address.partition("%")[0]).is_loopback, ":" in address),
    )


def _own_address(family: int) -> str:
    """The address this server uses towards the outside, loopback when it has no way out."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_SOMEWHERE[socket.AddressFamily(family)], 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1" if family == socket.AF_INET else "::1"


class _Probe:
    """One look at one address."""

    def __init__(self, server: Server, address: str, timeout: float) -> None:
        self.server = server
        self.address = address
        self.timeout = timeout
        self.transcript: list[str] = []
        self.findings: list[Finding] = []

    def add(self, id: str, status: Status, summary: str, remedy: str = "") -> None:
        self.findings.append(Finding(id, status, summary, "\n".join(self.transcript), remedy))

    def run(self) -> list[Finding]:
        try:
            dialog = Dialog(self.address, self.server.port, self.timeout, self.transcript)
        except DialogError as error:
            self.add(
                "smtp.reachable",
                Status.FAIL,
                f"No connection to {self.address}, port {self.server.port}: {error.text}.",
                "Something listens there and cannot be reached: look at the firewall on this server.",
            )
            return self.findings
        try:
            self._talk(dialog)
        except DialogError as error:
            self.add(
                "smtp.reachable",
                Status.FAIL,
                f"{self.address}, port {self.server.port} broke the conversation off: {error.text}.",
                "Look at the mail system's log; a service that dies while starting answers like this.",
            )
        finally:
            dialog.close()
        return self.findings

    def _talk(self, dialog: Dialog) -> None:
        banner = dialog.reply()
        if banner.code != 220:
            self.add(
                "smtp.reachable",
                Status.FAIL,
                f"{self.address} greets with: {banner.text}",
                _refusal_remedy(banner),
            )
            return
        answer = dialog.ehlo(self.server.client_name)
        if answer.code != 250:
            self.add(
                "smtp.reachable",
                Status.FAIL,
                f"{self.address} answers EHLO with: {answer.text}",
                _refusal_remedy(answer),
            )
            return
        self.add("smtp.greeting", Status.OK, f"{self.address} greets: {banner.text}")
        self._tls(dialog)
        self._recipients(dialog)
        self.add(
            "smtp.reachable", Status.OK, f"{REACHABLE}: {self.address}, port 25, as seen from this server."
        )

    # --- TLS

    def _tls(self, dialog: Dialog) -> None:
        if "STARTTLS" not in dialog.extensions:
            self.add(
                "smtp.starttls",
                Status.WARN,
                "Port 25 does not offer STARTTLS.",
                "Give the mail system a certificate (smtpd_tls_cert_file, smtpd_tls_security_level = may): "
                "Conbool's mail should come encrypted.",
            )
            return
        answer = dialog.command("STARTTLS")
        if answer.code != 220:
            self.add(
                "smtp.starttls",
                Status.WARN,
                f"STARTTLS is offered and refused: {answer.text}",
                "Look at the mail system's log for the reason.",
            )
            return
        dialog.handshake(trusting_context(), self.server.relay_host or self.server.client_name)
        self._certificate(dialog.peer_certificate())
        again = dialog.ehlo(self.server.client_name)
        if again.code == 250:
            self.add("smtp.starttls", Status.OK, "STARTTLS works.")
        else:
            self.add(
                "smtp.starttls",
                Status.WARN,
                f"Inside TLS EHLO is answered with: {again.text}",
                _refusal_remedy(again),
            )

    def _certificate(self, der: Optional[bytes]) -> None:
        try:
            certificate = x509.from_der(der or b"")
        except x509.CertificateFormatError:
            self.add(
                "smtp.certificate",
                Status.WARN,
                "This server's certificate cannot be read.",
                "Look at smtpd_tls_cert_file.",
            )
            return
        names = ", ".join(certificate.presented_names) or "no name"
        told = (
            f"{names}, issued by {'itself' if certificate.self_issued else certificate.issuer}, until "
            f"{certificate.not_after:%Y-%m-%d}"
        )
        now = datetime.datetime.now(datetime.timezone.utc)
        if now > certificate.not_after:
            self.add(
                "smtp.certificate",
                Status.WARN,
                f"This server's certificate has expired: {told}.",
                "Renew it; senders that check it refuse to deliver.",
            )
        elif self.server.relay_host is not None and not certificate.matches(self.server.relay_host):
            self.add(
                "smtp.certificate",
                Status.WARN,
                f"This server's certificate is not for {self.server.relay_host}: {told}.",
                "Use a certificate that carries the name you type into the Setup Assistant, or type the name "
                "it carries.",
            )
        elif certificate.not_after - now < _SOON:
            self.add(
                "smtp.certificate",
                Status.WARN,
                f"This server's certificate expires soon: {told}.",
                "See to its renewal.",
            )
        else:
            self.add("smtp.certificate", Status.OK, f"This server shows a certificate: {told}.")

    # --- recipients

    def _recipients(self, dialog: Dialog) -> None:
        if not self.server.domains:
            self.add(
                "smtp.recipient",
                Status.NOT_TESTED,
                "No hosted domain is known, so no recipient could be asked for.",
                "Give domains.",
            )
        else:
            self._hosted(dialog, self.server.domains[0])
        self._foreign(dialog)

    def _asked(self, dialog: Dialog, sender: str, recipient: str) -> Reply:
        """The reply to one sender and recipient; the envelope is dropped again."""
        answer = dialog.command(f"MAIL FROM:<{sender}>")
        if answer.code == 250:
            answer = dialog.command(f"RCPT TO:<{recipient}>")
        dialog.command("RSET")
        return answer

    def _hosted(self, dialog: Dialog, domain: str) -> None:
        recipient = f"postmaster@{domain}"
        answer = self._asked(dialog, "", recipient)
        if answer.code in (250, 251):
            self.add("smtp.recipient", Status.OK, f"Mail for {recipient} is accepted.")
        elif answer.code < 500:
            self.add(
                "smtp.recipient",
                Status.WARN,
                f"Mail for {recipient} is put off for now: {answer.text}",
                "Greylisting or a lookup that failed; if it stays so, the log has the reason.",
            )
        else:
            self.add(
                "smtp.recipient",
                Status.FAIL,
                f"Mail for {recipient} is refused: {answer.text}",
                f"{domain} must be a hosted domain here, with a postmaster (RFC 5321), or Conbool cannot "
                "deliver.",
            )

    def _foreign(self, dialog: Dialog) -> None:
        own = dialog.local_address
        if _trusted(own, self.server.trusted_networks):
            self.add(
                "smtp.relay",
                Status.NOT_TESTED,
                f"Whether strangers can relay cannot be seen from here: {own} is in a network that may.",
                "Test from a host outside.",
            )
            return
        hosted = set(self.server.domains)
        sender, recipient = ([name for name in _OUTSIDE if name not in hosted] * 2)[:2]
        answer = self._asked(dialog, f"conbool-probe@{sender}", f"conbool-probe@{recipient}")
        enhanced = _ENHANCED.match(answer.lines[0] if answer.lines else "")
        if answer.code < 400:
            self.add(
                "smtp.relay",
                Status.FAIL,
                f"Mail from and for strangers is accepted ({answer.text}): an open relay.",
                "Repair smtpd_relay_restrictions at once; spammers find open relays within hours.",
            )
        elif enhanced is not None and enhanced.group(1) == "7":
            self.add("smtp.relay", Status.OK, f"Mail from and for strangers is not relayed: {answer.text}")
        else:
            self.add(
                "smtp.relay",
                Status.NOT_TESTED,
                f"Mail from and for strangers was refused for another reason: {answer.text}",
                "Test from a host outside.",
            )


def _by_name(server: Server, timeout: float) -> Finding:
    """The finding ``smtp.relay-host``: does the name for the Setup Assistant lead to an SMTP server?"""
    name = server.relay_host or ""
    transcript: list[str] = []
    try:
        found = socket.getaddrinfo(name, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Finding(
            "smtp.relay-host",
            Status.FAIL,
            f"{name} has no address: {error.strerror or error}.",
            remedy="Publish an A (or AAAA) record for it, or type another name into the Setup Assistant.",
        )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        try:
            dialog = Dialog(address, server.port, timeout, transcript)
        except DialogError:
            continue
        try:
            if dialog.reply().code == 220:
                return Finding(
                    "smtp.relay-host",
                    Status.OK,
                    f"{name} ({address}) answers on port 25.",
                    "\n".join(transcript),
                )
        except DialogError:
            continue
        finally:
            dialog.close()
    return Finding(
        "smtp.relay-host",
        Status.WARN,
        f"{name} ({', '.join(addresses)}) does not answer on port 25 from here.",
        "\n".join(transcript),
        "Behind address translation this can be so and still work from outside; the Setup Assistant's Test "
        "Connection decides.",
    )


def _trusted(address: str, networks: Sequence[str]) -> bool:
    """True when ``address`` may relay, or when that cannot be known (tables instead of networks)."""
    own = ipaddress.ip_address(address.partition("%")[0])
    for word in networks:
        try:
            network = ipaddress.ip_network(word.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            return True
        if own.version == network.version and own in network:
            return True
    return False


def _refusal_remedy(reply: Reply) -> str:
    if reply.code < 500:
        return (
            "It refuses for the moment: the log says why (too many connections, a full disk, a missing "
            "table)."
        )
    return "It refuses this client: look at the client restrictions of port 25 and at its log."
