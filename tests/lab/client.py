"""An SMTP client in the lab's internet that can have any address and keeps every reply."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from .netns import Namespace


@dataclass(frozen=True)
class Reply:
    """The server's answer to one command; ``text`` without the code."""

    command: str
    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.command}: {self.code} {self.text}"


@dataclass
class Sent:
    """What came of sending one message."""

    replies: list[Reply] = field(default_factory=list)
    refused: dict[str, Reply] = field(default_factory=dict)
    accepted: bool = False
    tls: Optional[str] = None
    features: dict[str, str] = field(default_factory=dict)

    @property
    def last(self) -> Reply:
        """The reply that decided: the end of DATA's, or that of the command that was refused."""
        return self.replies[-1]

    @property
    def code(self) -> int:
        """The code of ``last``."""
        return self.last.code


class _Client(smtplib.SMTP):
    def __init__(self, helo: str, sent: Sent) -> None:
        super().__init__(local_hostname=helo, timeout=60)
        self.sent = sent

    def adopt(self, sock: socket.socket) -> None:
        """Speak over this socket from now on."""
        self.sock = sock
        self.file = None
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    def note(self, command: str, answer: tuple[int, bytes]) -> int:
        """Keep a reply and return its code."""
        self.sent.replies.append(Reply(command, answer[0], answer[1].decode("utf-8", "replace")))
        return answer[0]


def send(
    namespace: Namespace,
    source: str,
    server: str,
    sender: str,
    recipients: Sequence[str],
    raw: bytes,
    *,
    port: int = 25,
    helo: str = "client.lab.invalid",
    options: Sequence[str] = (),
    tls: Optional[ssl.SSLContext] = None,
    auth: Optional[tuple[str, str]] = None,
    timeout: float = 60,
) -> Sent:
    """Send one message and never raise for a refusal: the replies are the result.

    Args:
        namespace: where the socket is made.
        source: the client's address; IPv4 or IPv6 as the server's.
        server: the server's address.
        sender: envelope sender, "" for the null sender.
        recipients: envelope recipients; refused ones are left out and listed in ``Sent.refused``.
        raw: the message, sent byte for byte (dots doubled on the wire).
        port: the server's port.
        helo: name for EHLO.
        options: parameters of the MAIL command.
        tls: use STARTTLS with this context.
        auth: user and password.
        timeout: seconds for the connection and every reply.

    Raises:
        OSError: no connection, or it broke (a refused connection too).
    """
    sent = Sent()
    client = _Client(helo, sent)
    sock = namespace.call(lambda: socket.create_connection((server, port), timeout, (source, 0)))
    try:
        client.adopt(sock)
        if client.note("CONNECT", client.getreply()) != 220:
            return sent
        if client.note("EHLO", client.ehlo()) != 250:
            return sent
        if tls is not None:
            if client.note("STARTTLS", client.docmd("STARTTLS")) != 220:
                return sent
            sock = tls.wrap_socket(sock, server_hostname=server)
            client.adopt(sock)
            sent.tls = sock.version()
            client.note("EHLO", client.ehlo())
        sent.features = dict(client.esmtp_features)
        if auth is not None:
            try:
                client.note("AUTH", client.login(*auth))
            except smtplib.SMTPAuthenticationError as error:
                message = (
                    error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
                )
                client.note("AUTH", (error.smtp_code, message))
                return sent
            except smtplib.SMTPNotSupportedError as error:
                client.note("AUTH", (503, str(error).encode()))
                return sent
        if client.note(f"MAIL {sender or '<>'}", client.mail(sender, list(options))) != 250:
            return sent
        for recipient in recipients:
            if client.note(f"RCPT {recipient}", client.rcpt(recipient)) not in (250, 251):
                sent.refused[recipient] = sent.last
        if len(sent.refused) == len(recipients):
            return sent
        try:
            sent.accepted = client.note("DATA", client.data(raw)) == 250
        except smtplib.SMTPDataError as error:
            message = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
            client.note("DATA", (error.smtp_code, message))
        return sent
    finally:
        client.close()
        sock.close()
