"""Guide step A from this server's side: can the smart host be reached, and would its certificate be accepted?

Chain and name are judged separately, because they fail for different reasons and are repaired by different
people.
"""

from __future__ import annotations

import datetime
import socket
import ssl
from typing import Optional

from conbool_tui.answers import SmartHost
from conbool_tui.checks import x509
from conbool_tui.checks.dialog import (
    DEFAULT_TIMEOUT,
    Dialog,
    DialogError,
    client_context,
    tls_reason,
    trusting_context,
)
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host

_WAITS = "Until then outbound mail waits in the queue."
_IDS = (
    "smart-host.resolve",
    "smart-host.connect",
    "smart-host.greeting",
    "smart-host.starttls",
    "smart-host.chain",
    "smart-host.name",
)
_CONNECT_REMEDIES = {
    "refused": "Nothing listens there, or a firewall answers for it: check smart_host.host and "
    "smart_host.port.",
    "timeout": "A firewall drops the packets, here or on the way; many hosting providers block outgoing port "
    "25 until asked.",
    "unreachable": "Check this server's routes and addresses; an IPv6 address needs IPv6 here.",
}


class _StopError(Exception):
    """A check failed and those after it cannot be made."""


class SmartHostCheck:
    """One look at the smart host.

    Args:
        host: the machine the certificate files are on.
        wanted: the answers of step A.
        client_name: this server's own name for EHLO.
        ca_file: trusted CAs when the answers name none (path inside the host's root), the TLS library's own
            when None.
        timeout: seconds for every single step.
        families: address families to use, in this order.
    """

    def __init__(
        self,
        host: Host,
        wanted: SmartHost,
        client_name: str,
        *,
        ca_file: Optional[str] = None,
        timeout: float = DEFAULT_TIMEOUT,
        families: tuple[int, ...] = (socket.AF_INET, socket.AF_INET6),
    ) -> None:
        self.host = host
        self.wanted = wanted
        self.client_name = client_name
        self.ca_file = wanted.ca_file or ca_file
        self.timeout = timeout
        self.families = families
        self.transcript: list[str] = []
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        """All findings, in the order of the connection; what could not be reached any more is NOT TESTED."""
        try:
            address, dialog = self._connect(self._resolve())
            try:
                self._greet(dialog)
                self._start_tls(dialog)
                certificate = self._chain(dialog, address)
            finally:
                dialog.close()
            self._name(certificate)
        except _StopError:
            pass
        made = {finding.id for finding in self.findings}
        for missing in _IDS:
            if missing not in made:
                what = missing.partition(".")[2]
                self.findings.append(
                    Finding(
                        missing,
                        Status.NOT_TESTED,
                        f"Smart host, {what}: the steps before it did not succeed.",
                    )
                )
        return self.findings

    @property
    def _shown(self) -> str:
        return f"{self.wanted.host}, port {self.wanted.port}"

    def _add(self, id: str, status: Status, summary: str, remedy: str = "", detail: str = "") -> None:
        self.findings.append(Finding(id, status, summary, detail or "\n".join(self.transcript), remedy))

    def _fail(self, id: str, summary: str, remedy: str) -> _StopError:
        self._add(id, Status.FAIL, summary, f"{remedy} {_WAITS}")
        return _StopError()

    def _resolve(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self.wanted.host, self.wanted.port, type=socket.SOCK_STREAM)
        except OSError as error:
            reason = error.strerror or str(error)
            raise self._fail(
                "smart-host.resolve",
                f"{self.wanted.host} has no address: {reason}.",
                "Check the spelling of smart_host.host and this server's name servers (/etc/resolv.conf).",
            ) from None
        addresses = list(
            dict.fromkeys(
                str(entry[4][0]) for family in self.families for entry in found if entry[0] == family
            )
        )
        if not addresses:
            raise self._fail(
                "smart-host.resolve",
                f"{self.wanted.host} has no address of a family that this mail system speaks.",
                "Compare inet_protocols with the smart host's addresses.",
            )
        self.transcript.append(f"= {self.wanted.host} is {', '.join(addresses)}")
        self._add(
            "smart-host.resolve", Status.OK, f"{self.wanted.host} is {', '.join(addresses)}.", detail=" "
        )
        return addresses

    def _connect(self, addresses: list[str]) -> tuple[str, Dialog]:
        failures: list[tuple[str, DialogError]] = []
        for address in addresses:
            try:
                dialog = Dialog(address, self.wanted.port, self.timeout, self.transcript)
            except DialogError as error:
                failures.append((address, error))
                continue
            told = f"Connected to {address}, port {self.wanted.port}."
            if failures:
                others = "; ".join(f"{where}: {error.text}" for where, error in failures)
                self._add(
                    "smart-host.connect",
                    Status.WARN,
                    f"{told} Not to {others}.",
                    _CONNECT_REMEDIES.get(failures[0][1].kind, ""),
                )
            else:
                self._add("smart-host.connect", Status.OK, told)
            return address, dialog
        reasons = "; ".join(f"{where}: {error.text}" for where, error in failures)
        remedy = _CONNECT_REMEDIES.get(failures[0][1].kind, "Look at the network between here and there.")
        raise self._fail("smart-host.connect", f"No connection to {self._shown}: {reasons}.", remedy)

    def _greet(self, dialog: Dialog) -> None:
        try:
            banner = dialog.reply()
            if banner.code >= 400:
                raise self._refused("smart-host.greeting", "greets with", banner.code, banner.text)
            answer = dialog.ehlo(self.client_name)
            if answer.code != 250:
                raise self._refused("smart-host.greeting", "answers EHLO with", answer.code, answer.text)
        except DialogError as error:
            raise self._fail(
                "smart-host.greeting",
                f"{self._shown} does not speak SMTP with us: {error.text}.",
                _dialog_remedy(error),
            ) from None
        self._add("smart-host.greeting", Status.OK, f"{self.wanted.host} greets: {banner.text[:200]}")

    def _refused(self, id: str, verb: str, code: int, text: str) -> _StopError:
        if code < 500:
            remedy = "It refuses for the moment (4xx): wait and try again; ask Conbool when it stays so."
        else:
            remedy = (
                "It refuses this server for good (5xx): ask Conbool whether this server's address is "
                "registered."
            )
        return self._fail(id, f"{self._shown} {verb}: {text[:300]}", remedy)

    def _start_tls(self, dialog: Dialog) -> None:
        if "STARTTLS" not in dialog.extensions:
            raise self._fail(
                "smart-host.starttls",
                f"{self._shown} does not offer STARTTLS.",
                "Mail is never sent to it unencrypted. Check host and port; a firewall that inspects SMTP "
                "(Cisco: fixup smtp) removes STARTTLS.",
            )
        try:
            answer = dialog.command("STARTTLS")
        except DialogError as error:
            raise self._fail(
                "smart-host.starttls", f"{self._shown}: after STARTTLS {error.text}.", _dialog_remedy(error)
            ) from None
        if answer.code != 220:
            raise self._refused("smart-host.starttls", "answers STARTTLS with", answer.code, answer.text)

    def _context(self) -> ssl.SSLContext:
        path = None if self.ca_file is None else str(self.host.real(self.ca_file))
        try:
            context = client_context(path)
        except OSError as error:
            reason = tls_reason(error) if isinstance(error, ssl.SSLError) else (error.strerror or str(error))
            raise self._fail(
                "smart-host.chain",
                f"The CA file {self.ca_file} cannot be loaded: {reason}.",
                "Correct smart_host.ca_file.",
            ) from None
        self._offer(context)
        return context

    def _offer(self, context: ssl.SSLContext) -> None:
        """Show our client certificate to whoever asks, as the mail server will; its own finding tells when
        it is unusable.
        """
        if self.wanted.client_certificate is None or self.wanted.client_key is None:
            return
        certificate, key = (
            str(self.host.real(path)) for path in (self.wanted.client_certificate, self.wanted.client_key)
        )
        try:
            context.load_cert_chain(certificate, key, lambda: b"")
        except (OSError, ValueError):
            self.transcript.append("! our client certificate cannot be loaded and is not offered")

    def _chain(self, dialog: Dialog, address: str) -> x509.Certificate:
        """Judge the chain with the TLS library; return the certificate whether it is trusted or not."""
        context = self._context()
        try:
            dialog.handshake(context, self.wanted.expected_name)
        except ssl.SSLCertVerificationError as error:
            self._add("smart-host.starttls", Status.OK, "STARTTLS is offered and answered.")
            certificate = self._untrusted(address)
            told = _described(certificate) if certificate is not None else ""
            self._add(
                "smart-host.chain",
                Status.FAIL,
                f"The certificate is not accepted: {tls_reason(error)}. {told}".rstrip(),
                _chain_remedy(error),
            )
            if certificate is None:
                raise _StopError from None
            return certificate
        except DialogError as error:
            raise self._fail(
                "smart-host.starttls",
                f"The TLS handshake with {self._shown} failed: {error.text}.",
                "Both sides must share a TLS version and a cipher: check this system's crypto policy, and "
                "whether a client certificate is refused.",
            ) from None
        self._after_handshake(dialog)
        certificate = _read(dialog.peer_certificate())
        if certificate is None:
            raise self._fail(
                "smart-host.chain",
                "The server's certificate cannot be read.",
                "Ask Conbool for its certificate.",
            )
        self._add(
            "smart-host.chain", Status.OK, f"The certificate chain is trusted. {_described(certificate)}"
        )
        return certificate

    def _after_handshake(self, dialog: Dialog) -> None:
        """Greet once more: with TLS 1.3 a server refuses our certificate only after the handshake."""
        try:
            answer = dialog.ehlo(self.client_name)
        except DialogError as error:
            raise self._fail(
                "smart-host.starttls",
                f"{self._shown} ended the connection after the TLS handshake: {error.text}.",
                "It may refuse our client certificate, or demand one: check smart_host.client_certificate.",
            ) from None
        if answer.code != 250:
            raise self._refused(
                "smart-host.starttls", "answers EHLO inside TLS with", answer.code, answer.text
            )
        self._add("smart-host.starttls", Status.OK, "STARTTLS works.")

    def _untrusted(self, address: str) -> Optional[x509.Certificate]:
        """The certificate of a second connection that accepts everything, to name what is wrong with it."""
        try:
            dialog = Dialog(address, self.wanted.port, self.timeout, self.transcript)
        except DialogError:
            return None
        try:
            dialog.reply()
            dialog.ehlo(self.client_name)
            if dialog.command("STARTTLS").code != 220:
                return None
            dialog.handshake(trusting_context(), self.wanted.expected_name)
            return _read(dialog.peer_certificate())
        except (DialogError, ssl.SSLError):
            return None
        finally:
            dialog.close()

    def _name(self, certificate: x509.Certificate) -> None:
        name = self.wanted.expected_name
        names = ", ".join(certificate.presented_names) or "no name at all"
        if certificate.matches(name):
            self._add("smart-host.name", Status.OK, f"The certificate is for {name}.")
        else:
            self._add(
                "smart-host.name",
                Status.FAIL,
                f"The certificate is for {names}, not for {name}.",
                "Something else than Conbool may answer there. If this is intended, set smart_host.tls_name "
                f"to the right name. {_WAITS}",
            )


def _read(der: Optional[bytes]) -> Optional[x509.Certificate]:
    try:
        return None if der is None else x509.from_der(der)
    except x509.CertificateFormatError:
        return None


def _described(certificate: x509.Certificate) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    verb = "expired" if now > certificate.not_after else "valid until"
    issuer = "itself" if certificate.self_issued else certificate.issuer
    return f"({certificate.subject}, issued by {issuer}, {verb} {certificate.not_after:%Y-%m-%d})"


_EXPIRED, _NOT_YET = 10, 9
_SELF_SIGNED = (18, 19)
_NO_ISSUER = (2, 20, 21)


def _chain_remedy(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        text = "The smart host's operator has to renew it; also check this server's clock."
    elif code == _NOT_YET:
        text = "Check this server's clock."
    elif code in _SELF_SIGNED:
        text = (
            "If this is your own Conbool installation, give its CA in smart_host.ca_file; else something "
            "intercepts the connection."
        )
    elif code in _NO_ISSUER:
        text = "Update this system's CA certificates, or give the CA in smart_host.ca_file."
    else:
        text = "Ask the smart host's operator."
    return f"{text} {_WAITS}"


def _dialog_remedy(error: DialogError) -> str:
    if error.kind == "timeout":
        return "The connection is there and nothing comes: a firewall or an overloaded server. Try again."
    if error.kind == "closed":
        return "It may not accept this server's address: ask Conbool whether it is registered."
    return "Check smart_host.host and smart_host.port: another service seems to answer there."
