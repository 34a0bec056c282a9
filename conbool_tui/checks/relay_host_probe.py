"""One conversation with this server's port 25, as Conbool will begin it.

Sender and recipients are named and taken back; no message is sent.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from conbool_tui.checks import failures, tls
from conbool_tui.checks.dialog import Dialog, DialogError, Reply
from conbool_tui.checks.failures import Failure
from conbool_tui.checks.limits import Limits
from conbool_tui.checks.relay_host_certificate import fingerprint, judge
from conbool_tui.checks.relay_host_server import Server
from conbool_tui.checks.relay_host_texts import TEXTS
from conbool_tui.findings import Finding, Status

REACHABLE = "SMTP reachable"
# Domains for examples (RFC 2606), of which those that are hosted here are not asked for.
_OUTSIDE = ("example.net", "example.org", "example.com", "example.edu", "example.invalid")
_ELSEWHERE = "Test from a host outside."


class ConversationError(Exception):
    """The conversation cannot go on, in words; ``reply``: the server said so itself."""

    def __init__(self, failure: Failure, reply: Optional[Reply] = None) -> None:
        super().__init__(failure.summary)
        self.failure = failure
        self.reply = reply


@dataclass
class Identity:
    """What tells one mail server from another: the name in its greeting, and its certificate's fingerprint."""

    name: str = ""
    certificate: str = ""


@dataclass
class Greeted:
    """A dialog after EHLO, and how long the greeting took."""

    dialog: Dialog
    banner: Reply
    waited: float
    identity: Identity = field(default_factory=Identity)


def greet(server: Server, address: str, transcript: list[str], limits: Limits) -> Greeted:
    """Connect, read the greeting, say EHLO. Raises ConversationError, CancelledError."""
    who = f"{address}, port {server.port}"
    try:
        dialog = Dialog(address, server.port, transcript=transcript, limits=limits)
    except DialogError as error:
        raise ConversationError(failures.broken(TEXTS, "connect", who, error)) from None
    stage = "banner"
    begin = time.monotonic()
    try:
        banner = dialog.reply(greeting=True)
        waited = time.monotonic() - begin
        if banner.code != 220:
            raise ConversationError(failures.refused(TEXTS, stage, who, banner), banner)
        stage = "ehlo"
        answer = dialog.ehlo(server.client_name)
        if answer.code != 250:
            raise ConversationError(failures.refused(TEXTS, stage, who, answer), answer)
    except DialogError as error:
        dialog.close()
        raise ConversationError(failures.broken(TEXTS, stage, who, error)) from None
    except BaseException:
        dialog.close()
        raise
    words = banner.lines[-1].split()
    return Greeted(dialog, banner, waited, Identity(words[0].lower() if words else ""))


def glance(server: Server, address: str, transcript: list[str], limits: Limits) -> Identity:
    """Who answers at ``address``. Raises ConversationError, CancelledError."""
    greeted = greet(server, address, transcript, limits)
    dialog, identity = greeted.dialog, greeted.identity
    try:
        if "STARTTLS" in dialog.extensions and dialog.command("STARTTLS").code == 220:
            dialog.handshake(tls.trusting_context(), server.relay_host or server.client_name)
            identity.certificate = fingerprint(dialog.peer_certificate())
    except (DialogError, ssl.SSLError):
        pass
    finally:
        dialog.close()
    return identity


class Probe:
    """The conversation with one address.

    Attributes:
        findings: smtp.greeting, smtp.starttls, smtp.certificate, smtp.recipient, smtp.relay and smtp.reachable, as
            far as it came.
        identity: who answered.
    """

    def __init__(
        self, server: Server, address: str, limits: Limits, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.server = server
        self.address = address
        self.limits = limits
        self.say = say
        self.transcript: list[str] = []
        self.findings: list[Finding] = []
        self.identity = Identity()
        self._who = f"{address}, port {server.port}"

    def run(self) -> None:
        """Fill ``findings``. Raises CancelledError."""
        self.say("greeting")
        try:
            greeted = greet(self.server, self.address, self.transcript, self.limits)
        except ConversationError as error:
            if error.reply is not None and self._by_client_rule(error.reply, self.address):
                self._add(*self._rule("smtp.reachable"))
            else:
                self._add("smtp.reachable", Status.FAIL, error.failure.summary, error.failure.remedy)
            return
        dialog: Optional[Dialog] = greeted.dialog
        try:
            self.identity = greeted.identity
            self._greeting(greeted)
            self.say("TLS")
            if not self._tls(greeted.dialog):
                greeted.dialog.close()
                dialog = self._again()
            if dialog is not None:
                self.say("recipients")
                self._recipients(dialog)
        finally:
            if dialog is not None:
                dialog.close()
        self._add("smtp.reachable", Status.OK, f"{REACHABLE}: {self._who}, as seen from this server.")

    def _add(self, id: str, status: Status, summary: str, remedy: str = "") -> None:
        self.findings.append(Finding(id, status, summary, "\n".join(self.transcript), remedy))

    def _greeting(self, greeted: Greeted) -> None:
        told = greeted.banner.text[:300]
        if greeted.waited > self.limits.slow:
            self._add(
                "smtp.greeting",
                Status.WARN,
                f"{self.address} greets only after {greeted.waited:.1f} seconds: {told}",
                "A test from outside may give up earlier. Name service that does not answer (PTR lookups) and greet delays "
                "(postscreen) are the usual reasons.",
            )
        else:
            self._add("smtp.greeting", Status.OK, f"{self.address} greets: {told}")

    def _again(self) -> Optional[Dialog]:
        """A new conversation without TLS, when TLS broke the first one."""
        try:
            return greet(self.server, self.address, self.transcript, self.limits).dialog
        except ConversationError:
            return None

    # --- TLS

    def _tls(self, dialog: Dialog) -> bool:
        """Judge STARTTLS and the certificate; False when the conversation is over because of them."""
        if "STARTTLS" not in dialog.extensions:
            self._without_tls(TEXTS[("starttls", "missing")][0], TEXTS[("starttls", "missing")][1])
            return True
        stage = "starttls"
        context = tls.trusting_context()
        notes = tls.watch(context)
        try:
            answer = dialog.command("STARTTLS")
            if answer.code != 220:
                failure = failures.refused(TEXTS, stage, self._who, answer)
                self._without_tls(failure.summary, failure.remedy)
                return True
            stage = "handshake"
            dialog.handshake(context, self.server.relay_host or self.server.client_name)
            version = dialog.tls_version
            der = dialog.peer_certificate()
            self.transcript += tls.shown(notes.certificates() or tls.readable((der,)))
            stage = "inside"
            again = dialog.ehlo(self.server.client_name)
        except DialogError as error:
            failure = failures.broken(TEXTS, stage, self._who, error)
            self._add("smtp.starttls", Status.FAIL, failure.summary, failure.remedy)
            return False
        except ssl.SSLError as error:
            broken = DialogError("tls", tls.tls_reason(error))
            failure = failures.broken(TEXTS, stage, self._who, broken)
            self._add("smtp.starttls", Status.FAIL, failure.summary, failure.remedy)
            return False
        self.identity.certificate = fingerprint(der)
        if again.code == 250:
            self._add("smtp.starttls", Status.OK, f"STARTTLS works ({version}).")
        else:
            failure = failures.refused(TEXTS, "inside", self._who, again)
            self._add("smtp.starttls", Status.FAIL, failure.summary, failure.remedy)
        self._certificate(notes, der)
        return again.code == 250

    def _without_tls(self, summary: str, remedy: str) -> None:
        if self.server.tls_demanded:
            summary += " Port 25 then refuses Conbool's mail, which must come encrypted."
            self._add("smtp.starttls", Status.FAIL, summary, remedy)
        else:
            self._add("smtp.starttls", Status.WARN, summary, remedy)

    def _certificate(self, notes: tls.HandshakeNotes, der: Optional[bytes]) -> None:
        chain = notes.certificates() or tls.readable((der,))
        self._add("smtp.certificate", *judge(chain, self.server.relay_host, self._untrusted()))

    def _untrusted(self) -> str:
        """Why this system's CAs do not lead to the certificate, by a connection of its own; empty when they do or when
        it cannot be told.
        """
        quiet: list[str] = []
        try:
            context = tls.client_context(self.server.ca_file)
            dialog = greet(self.server, self.address, quiet, self.limits).dialog
        except (OSError, ConversationError):
            return ""
        try:
            if dialog.command("STARTTLS").code == 220:
                dialog.handshake(context, self.server.relay_host or self.server.client_name)
        except ssl.SSLCertVerificationError as error:
            return tls.tls_reason(error)
        except DialogError:
            pass
        finally:
            dialog.close()
        return ""

    # --- recipients

    def _recipients(self, dialog: Dialog) -> None:
        if not self.server.domains:
            self._add(
                "smtp.recipient",
                Status.NOT_TESTED,
                "No hosted domain is known, so no recipient could be asked for.",
                "Give domains.",
            )
        elif not self._hosted(dialog, self.server.domains[0]):
            self._add(
                "smtp.relay",
                Status.NOT_TESTED,
                "The conversation was over before a stranger's mail was tried.",
            )
            return
        self._foreign(dialog)

    def _asked(self, dialog: Dialog, sender: str, recipient: str) -> tuple[str, Reply]:
        """The reply to one sender and recipient, and the command it belongs to; the envelope is dropped again."""
        stage = "mail"
        try:
            answer = dialog.command(f"MAIL FROM:<{sender}>")
            if answer.code == 250:
                stage = "rcpt"
                answer = dialog.command(f"RCPT TO:<{recipient}>")
        except DialogError as error:
            raise ConversationError(failures.broken(TEXTS, stage, self._who, error)) from None
        try:
            dialog.command("RSET")
        except DialogError:
            # What was asked is answered; the next question will tell that the connection is gone.
            pass
        return stage, answer

    def _hosted(self, dialog: Dialog, domain: str) -> bool:
        """Judge a hosted recipient; False when the conversation broke off."""
        recipient = f"postmaster@{domain}"
        try:
            stage, answer = self._asked(dialog, "", recipient)
        except ConversationError as error:
            self._add("smtp.recipient", Status.FAIL, error.failure.summary, error.failure.remedy)
            return False
        if stage == "rcpt" and answer.code in (250, 251):
            self._add("smtp.recipient", Status.OK, f"Mail for {recipient} is accepted.")
        elif self._by_client_rule(answer, dialog.local_address):
            self._add(*self._rule("smtp.recipient", dialog.local_address))
        else:
            failure = failures.refused(TEXTS, stage, self._who, answer)
            status = Status.WARN if answer.code < 500 else Status.FAIL
            self._add("smtp.recipient", status, f"{failure.summary} ({recipient})", failure.remedy)
        return True

    def _foreign(self, dialog: Dialog) -> None:
        own = dialog.local_address
        if self.server.trusts(own) is not False:
            self._add(
                "smtp.relay",
                Status.NOT_TESTED,
                f"Whether strangers can relay cannot be seen from here: {own} is in a network that may.",
                _ELSEWHERE,
            )
            return
        hosted = set(self.server.domains)
        sender, recipient = ([name for name in _OUTSIDE if name not in hosted] * 2)[:2]
        try:
            stage, answer = self._asked(dialog, f"conbool-probe@{sender}", f"conbool-probe@{recipient}")
        except ConversationError as error:
            self._add(
                "smtp.relay",
                Status.NOT_TESTED,
                f"Whether strangers can relay could not be seen: {error.failure.summary}",
                _ELSEWHERE,
            )
            return
        if stage == "rcpt" and answer.code < 400:
            self._add(
                "smtp.relay",
                Status.FAIL,
                f"Mail from and for strangers is accepted ({answer.text}): an open relay.",
                "Repair smtpd_relay_restrictions at once; spammers find open relays within hours.",
            )
        elif answer.enhanced.split(".")[1:2] == ["7"]:
            self._add("smtp.relay", Status.OK, f"Mail from and for strangers is not relayed: {answer.text}")
        else:
            self._add(
                "smtp.relay",
                Status.NOT_TESTED,
                f"Mail from and for strangers was refused for another reason: {answer.text}",
                _ELSEWHERE,
            )

    # --- a closed port

    def _by_client_rule(self, reply: Reply, own: str) -> bool:
        """True when a closed port refuses this server's own address as it should: it is not listed."""
        return (
            self.server.closed
            and self.server.trusts(own) is not True
            and reply.code >= 500
            and "client host rejected" in reply.text.lower()
        )

    def _rule(self, id: str, own: str = "") -> tuple[str, Status, str, str]:
        return (
            id,
            Status.NOT_TESTED,
            f"This server's own address {own or self.address} is not in mynetworks, and port 25 refuses it like every client "
            "that is not listed: the rule works, and the rest cannot be tried from here.",
            "Use Test Connection in the Setup Assistant; add the address to mynetworks when programs on this server "
            "send through port 25.",
        )
