"""Guide step A from this server's side: can the smart host be reached, and would its certificate be accepted?

Chain and name are judged separately, because they fail for different reasons and are repaired by different
people.
"""

from __future__ import annotations

import datetime
import ssl
import time
from typing import Callable, Optional

from conbool_tui.answers import SmartHost
from conbool_tui.checks import failures, smart_host_texts, tls, x509
from conbool_tui.checks.dialog import Dialog, DialogError, Reply
from conbool_tui.checks.failures import Failure
from conbool_tui.checks.limits import CancelledError, Limits
from conbool_tui.checks.resolve import NoAddressError, system_addresses
from conbool_tui.checks.smart_host_texts import TEXTS, WAITS
from conbool_tui.checks.transport_tls import TransportTls, transport_tls
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host

IDS = (
    "smart-host.resolve",
    "smart-host.connect",
    "smart-host.greeting",
    "smart-host.starttls",
    "smart-host.chain",
    "smart-host.name",
)
_USABLE = (Status.OK, Status.WARN)
_SOON = datetime.timedelta(days=14)


class _StopError(Exception):
    """A check failed and those after it cannot be made."""


class SmartHostCheck:
    """One look at the smart host; no envelope is named, no message is sent.

    Args:
        host: the machine the certificate files are on.
        wanted: the answers of step A.
        client_name: this server's own name for EHLO.
        settings: the TLS settings of the transport; those of the answers alone when not given.
        limits: the time it has.
        say: told what is done now.
    """

    def __init__(
        self,
        host: Host,
        wanted: SmartHost,
        client_name: str,
        *,
        settings: Optional[TransportTls] = None,
        limits: Optional[Limits] = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.host = host
        self.wanted = wanted
        self.client_name = client_name
        self.settings = settings or transport_tls(wanted, None)
        self.limits = limits or Limits()
        self.say = say
        self.transcript: list[str] = []
        self.findings: list[Finding] = []
        self.notes = tls.HandshakeNotes()
        self._offered = ""
        self._trouble = ""

    def run(self) -> list[Finding]:
        """All findings, in the order of the connection; what could not be reached any more is NOT TESTED."""
        why = "the steps before it did not succeed"
        try:
            dialog = self._connect(self._resolve())
            try:
                self._greet(dialog)
                self._start_tls(dialog)
                certificate = self._chain(dialog)
            finally:
                dialog.close()
            self._name(certificate)
        except _StopError:
            pass
        except CancelledError:
            why = "the check was cancelled"
            self.transcript.append("! cancelled")
        made = {finding.id for finding in self.findings}
        for missing in IDS:
            if missing not in made:
                what = missing.partition(".")[2]
                self.findings.append(Finding(missing, Status.NOT_TESTED, f"Smart host, {what}: {why}."))
        return self.findings

    @property
    def refusal(self) -> str:
        """Why mail would wait, in the words of the first failure; empty when it would be delivered."""
        return next((found.summary for found in self.findings if found.status not in _USABLE), "")

    @property
    def connected(self) -> bool:
        """True when there was a connection at all."""
        return any(found.id == "smart-host.connect" and found.status in _USABLE for found in self.findings)

    @property
    def _shown(self) -> str:
        return f"{self.wanted.host}, port {self.wanted.port}"

    def _add(self, id: str, status: Status, summary: str, remedy: str = "") -> None:
        self.findings.append(Finding(id, status, summary, "\n".join(self.transcript), remedy))

    def _fail(self, id: str, summary: str, remedy: str) -> _StopError:
        self._add(id, Status.FAIL, summary, f"{remedy} {WAITS}")
        return _StopError()

    def _failed(self, id: str, failure: Failure) -> _StopError:
        return self._fail(id, failure.summary, failure.remedy)

    def _broken(self, id: str, stage: str, error: DialogError) -> _StopError:
        return self._failed(id, failures.broken(TEXTS, stage, self._shown, error))

    def _refused(self, id: str, stage: str, reply: Reply) -> _StopError:
        return self._failed(id, failures.refused(TEXTS, stage, self._shown, reply))

    # --- the way there

    def _resolve(self) -> list[str]:
        self.say("name")
        try:
            found = system_addresses(self.wanted.host, self.wanted.port, self.limits)
        except NoAddressError as error:
            self.transcript.append(f"! {self.wanted.host}: {error.text}")
            raise self._fail(
                "smart-host.resolve",
                f"{self.wanted.host} has no address: {error.text}.",
                smart_host_texts.RESOLVE[error.kind],
            ) from None
        addresses = [address for family in self.settings.families for own, address in found if own == family]
        if not addresses:
            there = ", ".join(address for _, address in found)
            raise self._fail(
                "smart-host.resolve",
                f"{self.wanted.host} has no address of a family that this mail system speaks ({there}).",
                "Compare inet_protocols with the smart host's addresses.",
            )
        self.transcript.append(f"= {self.wanted.host} is {', '.join(addresses)}")
        self._add("smart-host.resolve", Status.OK, f"{self.wanted.host} is {', '.join(addresses)}.")
        return addresses

    def _connect(self, addresses: list[str]) -> Dialog:
        self.say("connection")
        failed: list[tuple[str, DialogError]] = []
        for address in addresses:
            try:
                dialog = Dialog(address, self.wanted.port, transcript=self.transcript, limits=self.limits)
            except DialogError as error:
                failed.append((address, error))
                continue
            told = f"Connected to {address}, port {self.wanted.port}."
            if failed:
                others = "; ".join(f"{where}: {error.text}" for where, error in failed)
                remedy = failures.broken(TEXTS, "connect", failed[0][0], failed[0][1]).remedy
                self._add("smart-host.connect", Status.WARN, f"{told} Not to {others}.", remedy)
            else:
                self._add("smart-host.connect", Status.OK, told)
            return dialog
        failure = failures.broken(TEXTS, "connect", f"{self._shown} ({failed[0][0]})", failed[0][1])
        others = "".join(f" {where}: {error.text}." for where, error in failed[1:])
        raise self._fail("smart-host.connect", failure.summary + others, failure.remedy)

    def _greet(self, dialog: Dialog) -> None:
        self.say("greeting")
        begin = time.monotonic()
        try:
            banner = dialog.reply(greeting=True)
        except DialogError as error:
            raise self._broken("smart-host.greeting", "banner", error) from None
        waited = time.monotonic() - begin
        if banner.code != 220:
            raise self._refused("smart-host.greeting", "banner", banner)
        try:
            answer = dialog.ehlo(self.client_name)
        except DialogError as error:
            raise self._broken("smart-host.greeting", "ehlo", error) from None
        if answer.code != 250:
            raise self._refused("smart-host.greeting", "ehlo", answer)
        told = banner.text[:200]
        if waited > self.limits.slow:
            self._add(
                "smart-host.greeting",
                Status.WARN,
                f"{self.wanted.host} greets only after {waited:.1f} seconds: {told}",
                "Mail is delivered all the same, and more slowly. A missing PTR record of this server's address is the usual "
                "reason.",
            )
        else:
            self._add("smart-host.greeting", Status.OK, f"{self.wanted.host} greets: {told}")

    def _start_tls(self, dialog: Dialog) -> None:
        self.say("TLS")
        if "STARTTLS" not in dialog.extensions:
            summary, remedy = TEXTS[("starttls", "missing")]
            raise self._fail("smart-host.starttls", summary.format(who=self._shown), remedy)
        try:
            answer = dialog.command("STARTTLS")
        except DialogError as error:
            raise self._broken("smart-host.starttls", "starttls", error) from None
        if answer.code != 220:
            raise self._refused("smart-host.starttls", "starttls", answer)

    # --- TLS

    def _context(self) -> ssl.SSLContext:
        settings = self.settings
        paths = [
            None if path is None else str(self.host.real(path))
            for path in (settings.ca_file, settings.ca_path)
        ]
        try:
            context = tls.client_context(*paths, system_too=settings.system_too)
        except OSError as error:
            reason = (
                tls.tls_reason(error) if isinstance(error, ssl.SSLError) else (error.strerror or str(error))
            )
            raise self._fail(
                "smart-host.chain",
                f"The trusted CAs in {settings.ca_file or settings.ca_path} cannot be loaded: {reason}.",
                "Correct smart_host.ca_file (without it: smtp_tls_CAfile).",
            ) from None
        self._offer(context)
        self.notes = tls.watch(context)
        return context

    def _offer(self, context: ssl.SSLContext) -> None:
        """Show our client certificate to whoever asks, as the mail server will; its own finding tells when
        it is unusable.
        """
        certificate, key = self.settings.certificate, self.settings.key
        if certificate is None:
            return
        paths = [str(self.host.real(path)) for path in (certificate, key or certificate)]
        try:
            context.load_cert_chain(paths[0], paths[1], lambda: b"")
            self._offered = certificate
        except (OSError, ValueError):
            self._trouble = f"{certificate} cannot be loaded and is not offered"
            self.transcript.append(f"! our client certificate {self._trouble}")

    def _chain(self, dialog: Dialog) -> x509.Certificate:
        """Judge the chain with the TLS library; return the certificate whether it is trusted or not."""
        context = self._context()
        reason: Optional[ssl.SSLCertVerificationError] = None
        try:
            dialog.handshake(context, self.wanted.expected_name if self.settings.server_name else None)
        except ssl.SSLCertVerificationError as error:
            reason = error
        except DialogError as error:
            self._note_handshake()
            raise self._broken("smart-host.starttls", "handshake", error) from None
        self._note_handshake()
        if reason is None:
            self._after_handshake(dialog)
            sent = self.notes.certificates() or tls.readable((dialog.peer_certificate(),))
        else:
            self._add(
                "smart-host.starttls",
                Status.OK,
                f"STARTTLS is offered and answered. {self._client_certificate()}",
            )
            sent = self.notes.certificates()
        if reason is not None:
            summary, remedy = smart_host_texts.chain_words(
                reason.verify_code,
                tls.tls_reason(reason),
                sent[-1].issuer if sent else "",
                len(sent),
                x509.described(sent[0]) if sent else "",
            )
            self._add("smart-host.chain", Status.FAIL, summary.rstrip(), f"{remedy} {WAITS}")
            if not sent:
                raise _StopError
            return sent[0]
        if not sent:
            raise self._fail(
                "smart-host.chain",
                "The server's certificate cannot be read.",
                "Ask Conbool for its certificate.",
            )
        self._trusted(sent[0])
        return sent[0]

    def _trusted(self, certificate: x509.Certificate) -> None:
        told = x509.described(certificate)
        if certificate.not_after - datetime.datetime.now(datetime.timezone.utc) < _SOON:
            self._add(
                "smart-host.chain",
                Status.WARN,
                f"The certificate chain is trusted, and the certificate expires soon. {told}",
                "The smart host's operator renews it; from that day on mail would wait in the queue.",
            )
        else:
            self._add("smart-host.chain", Status.OK, f"The certificate chain is trusted. {told}")

    def _note_handshake(self) -> None:
        """What was sent, for the transcript."""
        self.transcript += tls.shown(self.notes.certificates())
        self.transcript.append(f"= {self._client_certificate()}")

    def _client_certificate(self) -> str:
        """Whether the server asked for our certificate, and what it got."""
        if self._offered:
            ours = f"{self._offered} is shown to servers that ask"
        else:
            ours = self._trouble or "none is set here"
        if self.notes.asked is None:
            return f"Whether it asks for a client certificate could not be seen; {ours}."
        if self.notes.asked:
            ours = f"{self._offered} was shown" if self._offered else ours
            return f"It asks for a client certificate; {ours}."
        return f"It does not ask for a client certificate; {ours}."

    def _after_handshake(self, dialog: Dialog) -> None:
        """Greet once more: with TLS 1.3 a server refuses our certificate only after the handshake."""
        version = dialog.tls_version
        try:
            answer = dialog.ehlo(self.client_name)
        except DialogError as error:
            raise self._broken("smart-host.starttls", "inside", error) from None
        if answer.code != 250:
            raise self._refused("smart-host.starttls", "inside", answer)
        self._add(
            "smart-host.starttls", Status.OK, f"STARTTLS works ({version}). {self._client_certificate()}"
        )

    def _name(self, certificate: x509.Certificate) -> None:
        name = self.wanted.expected_name
        names = ", ".join(certificate.presented_names) or "no name at all"
        if not certificate.matches(name):
            self._add(
                "smart-host.name",
                Status.FAIL,
                f"The certificate is for {names}, not for {name}.",
                "Something else than Conbool may answer there. If this is intended, set smart_host.tls_name "
                f"to the right name. {WAITS}",
            )
        elif not certificate.names:
            self._add(
                "smart-host.name",
                Status.WARN,
                f"The certificate is for {name}, and says so in its common name only.",
                "Postfix accepts that, other mail systems do not: tell the smart host's operator that a subject "
                "alternative name is missing.",
            )
        elif name.lower().rstrip(".") not in {one.lower().rstrip(".") for one in certificate.names}:
            self._add("smart-host.name", Status.OK, f"The certificate is for {names}, which covers {name}.")
        else:
            self._add("smart-host.name", Status.OK, f"The certificate is for {name}.")
