"""Sink SMTP servers: they take mail, show the certificate they are told to, and remember everything."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message as Parsed
from typing import Any, Optional, cast

from aiosmtpd.smtp import SMTP, AuthResult

from .certs import KINDS, Authority
from .loop import NamespaceLoop
from .messages import body_digest, parse

STAGES = ("mail", "rcpt", "data")


@dataclass(frozen=True)
class TLS:
    """What was agreed: ``version`` such as TLSv1.3, the server name the client asked for, its certificate."""

    version: str
    cipher: str
    sni: Optional[str]
    client_name: Optional[str]
    client_sha256: Optional[str]


@dataclass
class Connection:
    """One client connection, whether it brought mail or not."""

    sink: str
    peer: str
    port: int
    helo: Optional[str] = None
    tls: Optional[TLS] = None
    auth_user: Optional[str] = None
    messages: int = 0


@dataclass(frozen=True)
class Received:
    """One message as a sink took it; ``sender`` is "" for the null sender."""

    sink: str
    peer: str
    helo: str
    tls: Optional[TLS]
    auth_user: Optional[str]
    sender: str
    recipients: tuple[str, ...]
    mail_options: tuple[str, ...]
    rcpt_options: tuple[str, ...]
    raw: bytes
    time: float

    @property
    def message(self) -> Parsed:
        """The parsed message."""
        return parse(self.raw)

    @property
    def body_sha256(self) -> str:
        """sha256 of the body, to compare with ``Message.body_sha256``."""
        return body_digest(self.raw)

    def headers(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [str(value) for value in self.message.get_all(name, [])]

    def carries(self, token: str) -> bool:
        """Whether the message has this token in its Message-ID, or in a message returned inside it."""
        return token.encode() in self.raw


@dataclass(frozen=True)
class SinkSpec:
    """A sink to be: ``name`` in records, ``host`` in its greeting and certificate, where it listens."""

    name: str
    host: str
    addresses: Sequence[str]
    certificate: str = "good"
    port: int = 25
    offers_auth: bool = True
    extensions: Sequence[str] = field(default_factory=tuple)


class Sink:
    """A running sink. Every setting may be changed from any thread while it runs."""

    def __init__(self, spec: SinkSpec, authority: Authority) -> None:
        self.spec = spec
        self.name = spec.name
        self._authority = authority
        self._contexts: dict[str, Optional[ssl.SSLContext]] = {"none": None}
        self._certificate = "none"
        self._refusals: dict[str, str] = {}
        self._received: list[Received] = []
        self._connections: list[Connection] = []
        self._changed = threading.Condition()
        self._servers: list[asyncio.AbstractServer] = []
        self._open: set[_Protocol] = set()
        self._snis: dict[int, Optional[str]] = {}
        self._loop: Optional[NamespaceLoop] = None
        self.certificate = spec.certificate

    # -- settings

    @property
    def certificate(self) -> str:
        """The kind of certificate shown to new connections, one of ``certs.KINDS``."""
        return self._certificate

    @certificate.setter
    def certificate(self, kind: str) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of certificate: {kind}; known: {', '.join(KINDS)}")
        if kind not in self._contexts:
            context = self._authority.server_context(self._authority.issue(self.spec.host, kind))
            context.sni_callback = self._note_sni
            self._contexts[kind] = context
        self._certificate = kind

    @contextlib.contextmanager
    def showing(self, context: ssl.SSLContext) -> Iterator[None]:
        """Show a certificate of no kind to new connections meanwhile."""
        before = self._certificate
        self._contexts["other"] = context
        self._certificate = "other"
        try:
            yield
        finally:
            self._certificate = before

    @property
    def context(self) -> Optional[ssl.SSLContext]:
        """The TLS settings for the next connection, None without STARTTLS."""
        return self._contexts[self._certificate]

    def refuse(self, stage: str, reply: str) -> None:
        """Answer every command of ``stage`` (mail, rcpt, data) with ``reply``: ``451 4.3.0 later``."""
        if stage not in STAGES:
            raise ValueError(f"unknown stage: {stage}; known: {', '.join(STAGES)}")
        self._refusals[stage] = reply

    def accept(self) -> None:
        """End all refusals."""
        self._refusals.clear()

    def refusal(self, stage: str) -> Optional[str]:
        """The reply for a stage that refuses."""
        return self._refusals.get(stage)

    def down(self) -> None:
        """Refuse connections: nothing listens any more, open connections are cut."""
        assert self._loop is not None
        self._loop.call(self.close())

    def up(self) -> None:
        """Listen again."""
        assert self._loop is not None
        self._loop.call(self.listen())

    # -- what it saw

    @property
    def received(self) -> list[Received]:
        """Every message taken so far, oldest first."""
        with self._changed:
            return list(self._received)

    @property
    def connections(self) -> list[Connection]:
        """Every connection so far, oldest first."""
        with self._changed:
            return list(self._connections)

    def find(self, token: str) -> list[Received]:
        """The messages that carry ``token``."""
        return [message for message in self.received if message.carries(token)]

    def forget(self) -> None:
        """Forget messages and connections."""
        with self._changed:
            self._received.clear()
            self._connections.clear()

    def wait(self, count: int = 1, timeout: float = 60, token: str = "") -> list[Received]:
        """Wait until at least ``count`` messages (that carry ``token``) are here and return them.

        Raises:
            TimeoutError: fewer came within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                here = [message for message in self._received if message.carries(token)]
                left = deadline - time.monotonic()
                if len(here) >= count:
                    return here
                if left <= 0:
                    raise TimeoutError(
                        f"sink {self.name} has {len(here)} of {count} messages after {timeout} s; "
                        f"{len(self._connections)} connections, {len(self._received)} messages in all"
                    )
                self._changed.wait(left)

    # -- inside the loop

    async def start(self, loop: NamespaceLoop) -> None:
        """Listen, in the loop ``loop``."""
        self._loop = loop
        await self.listen()

    async def listen(self) -> None:
        """Open the listening sockets, if they are not open."""
        if self._servers:
            return
        loop = asyncio.get_running_loop()
        for address in self.spec.addresses:
            self._servers.append(await loop.create_server(lambda: _Protocol(self), address, self.spec.port))

    async def close(self) -> None:
        """Close the listening sockets and cut open connections."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for protocol in list(self._open):
            protocol.cut()

    def opened(self, protocol: _Protocol, connection: Connection) -> None:
        """Note a new connection."""
        with self._changed:
            self._connections.append(connection)
            self._open.add(protocol)
            self._changed.notify_all()

    def closed(self, protocol: _Protocol) -> None:
        """Note the end of a connection."""
        self._open.discard(protocol)

    def take(self, message: Received) -> None:
        """Note a message."""
        with self._changed:
            self._received.append(message)
            self._changed.notify_all()

    def _note_sni(self, handle: Any, name: Optional[str], _context: ssl.SSLContext) -> None:
        self._snis[id(handle)] = name

    def describe_tls(self, handle: Any) -> TLS:
        """The record of an ssl.SSLObject after its handshake."""
        der = handle.getpeercert(binary_form=True)
        subject = (
            dict(pair for part in handle.getpeercert().get("subject", ()) for pair in part) if der else {}
        )
        return TLS(
            version=str(handle.version()),
            cipher=str(handle.cipher()[0]),
            sni=self._snis.pop(id(handle), None),
            client_name=subject.get("commonName"),
            client_sha256=hashlib.sha256(der).hexdigest() if der else None,
        )


class _Protocol(SMTP):
    """One connection. aiosmtpd calls ``connection_made`` a second time when STARTTLS is done."""

    # Postfix sends lines of up to 998 octets by default, more when told to.
    line_length_limit = 100_000

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.connection: Optional[Connection] = None
        super().__init__(
            _Handler(sink, self),
            hostname=sink.spec.host,
            ident="ESMTP sink",
            data_size_limit=60_000_000,
            enable_SMTPUTF8=True,
            tls_context=sink.context,
            authenticator=self._take_login,
            auth_exclude_mechanism=() if sink.spec.offers_auth else ("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )

    def _take_login(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        if self.connection is not None:
            login = getattr(data, "login", b"?")
            self.connection.auth_user = (
                login.decode("utf-8", "replace") if isinstance(login, bytes) else str(login)
            )
        return AuthResult(success=True, auth_data=data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.connection is None:
            peer = transport.get_extra_info("peername")
            self.connection = Connection(self.sink.name, peer[0], peer[1])
            self.sink.opened(self, self.connection)
        else:
            handle = transport.get_extra_info("ssl_object")
            self.connection.tls = self.sink.describe_tls(handle)
        super().connection_made(transport)

    def connection_lost(self, error: Optional[Exception]) -> None:
        self.sink.closed(self)
        super().connection_lost(error)

    def cut(self) -> None:
        """Drop the connection without a word."""
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    async def smtp_MAIL(self, arg: Optional[str]) -> None:
        """Who offers AUTH has to take its parameter of MAIL (RFC 4954, 5), which aiosmtpd does not know."""
        await super().smtp_MAIL(re.sub(r"(?i) AUTH=\S+", "", arg) if arg else arg)


class _Handler:
    """aiosmtpd's hooks; their names and arguments are its interface."""

    def __init__(self, sink: Sink, protocol: _Protocol) -> None:
        self.sink = sink
        self.protocol = protocol

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return self._greet(hostname)

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self._greet(hostname)
        more = [f"250-{word}" for word in self.sink.spec.extensions]
        # Without mechanisms aiosmtpd still prints the keyword.
        kept = [line for line in responses[:-1] if line.strip() != "250-AUTH"]
        return kept + more + responses[-1:]

    def _greet(self, hostname: str) -> str:
        if self.protocol.connection is not None:
            self.protocol.connection.helo = hostname
        return f"250 {self.sink.spec.host}"

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        refusal = self.sink.refusal("mail")
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        refusal = self.sink.refusal("rcpt")
        if refusal is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return refusal or "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        refusal = self.sink.refusal("data")
        connection = self.protocol.connection
        assert connection is not None
        if refusal is None:
            connection.messages += 1
            content = envelope.original_content or b""
            self.sink.take(
                Received(
                    sink=self.sink.name,
                    peer=connection.peer,
                    helo=connection.helo or "",
                    tls=connection.tls,
                    auth_user=connection.auth_user,
                    # aiosmtpd calls the null sender "<>".
                    sender="" if envelope.mail_from in (None, "<>") else envelope.mail_from,
                    recipients=tuple(envelope.rcpt_tos),
                    mail_options=tuple(envelope.mail_options),
                    rcpt_options=tuple(envelope.rcpt_options),
                    raw=content,
                    time=time.monotonic(),
                )
            )
        return refusal or "250 2.0.0 OK taken"

    async def handle_exception(self, error: Exception) -> str:
        return f"421 4.3.0 {type(error).__name__}"


class Forward:
    """A port forwarding: what connects to ``address`` talks to ``target``, as behind address translation.

    Args:
        loop: the loop whose namespace has the address.
        address: where it listens.
        target: where it leads to.
        port: TCP port on both sides.
    """

    def __init__(self, loop: NamespaceLoop, address: str, target: str, port: int = 25) -> None:
        self._loop = loop
        self._address = address
        self._target = (target, port)
        self._server = loop.call(self._listen(address, port))

    async def _listen(self, address: str, port: int) -> asyncio.AbstractServer:
        return await asyncio.start_server(self._forward, address, port)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Any address of the lab's internet has its way back; the system would choose one that has not.
            inner_reader, inner_writer = await asyncio.open_connection(
                *self._target, local_addr=(self._address, 0)
            )
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    def close(self) -> None:
        """Stop listening."""

        async def end() -> None:
            self._server.close()

        self._loop.call(end())


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
