"""A name server for one test, on loopback: answers from data, and misbehaves in every way it is told to."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Optional

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from conbool_tui.checks.dns import NameServers

# Takes the query and "udp" or "tcp"; returns the bytes to send, None for silence.
Behaviour = Callable[[dns.message.Message, str], Optional[bytes]]


@dataclass
class Stub:
    """The server. ``records`` by (name, type) in presentation format; names with a ``behaviour`` do what it says.

    Attributes:
        delay: seconds before each answer.
        authenticated: names whose answers have AD.
        asked: every question as (name, type, protocol).
        most: how many questions were open at once.
        flags: the flags of every question.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    everything: Optional[Behaviour] = None
    authenticated: set[str] = field(default_factory=set)
    delay: float = 0.0
    address: str = "127.0.0.1"
    tcp: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    most: int = 0
    port: int = 0

    def add(self, name: str, kind: str, *values: str) -> None:
        self.records.setdefault((name, kind), []).extend(values)

    def servers(self, **settings: Any) -> NameServers:
        """This server as the only resolver; ``timeout`` and so on in ``settings``."""
        return NameServers(((self.address, self.port),), **settings)

    def questions(self, name: str, kind: str) -> int:
        return sum((name, kind) == one[:2] for one in self.asked)

    def send(self, query: dns.message.Message, data: bytes) -> None:
        """Send something more to who asked; only from within a behaviour."""
        self._transport.sendto(data, self._peers[query.id])

    def __enter__(self) -> Stub:
        self._open = 0
        self._peers: dict[int, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, job: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(job, self._loop).result(10)

    async def _listen(self) -> None:
        self._server: Optional[asyncio.AbstractServer] = None
        for last in (*[False] * 20, True):
            self._transport, _ = await self._loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(self.address, 0)
            )
            self.port = self._transport.get_extra_info("sockname")[1]
            try:
                if self.tcp:
                    self._server = await asyncio.start_server(self._stream, self.address, self.port)
                return
            except OSError:
                # Free over UDP, and taken over TCP.
                self._transport.close()
                if last:
                    raise

    async def _end(self) -> None:
        self._transport.close()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)

    async def datagram(self, data: bytes, peer: Any) -> None:
        self._peers[int.from_bytes(data[:2], "big")] = peer
        reply = await self._reply(data, "udp")
        if reply is not None:
            self._transport.sendto(reply, peer)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            reply = await self._reply(await reader.readexactly(size), "tcp")
            if reply is not None:
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(self, data: bytes, protocol: str) -> Optional[bytes]:
        query = dns.message.from_wire(data)
        name, kind = plain(query), dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name, kind, protocol))
        self.flags.append(int(query.flags))
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            chosen = self.behaviour.get(name, self.everything)
            return chosen(query, protocol) if chosen is not None else self.answer(query, protocol)
        finally:
            self._open -= 1

    def answer(self, query: dns.message.Message, protocol: str) -> bytes:
        """What an honest server says."""
        response = dns.message.make_response(query, recursion_available=True)
        name, kind = plain(query), dns.rdatatype.to_text(query.question[0].rdtype)
        if name in self.authenticated:
            response.flags |= dns.flags.AD
        for _ in range(20):
            values = self.records.get((name, kind))
            if values is not None:
                response.answer.append(rrset(name, kind, values))
                break
            alias = self.records.get((name, "CNAME"))
            if alias is None:
                if not any(known == name or known.endswith("." + name) for known, _ in self.records):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                break
            response.answer.append(rrset(name, "CNAME", alias))
            name = alias[0].rstrip(".")
        wire = response.to_wire(max_size=65535)
        if protocol == "udp" and len(wire) > max(512, query.payload):
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return bytes(wire)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, stub: Stub) -> None:
        self._stub = stub

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._stub.datagram(data, addr))
        self._stub._tasks.add(task)
        task.add_done_callback(self._stub._tasks.discard)


def plain(query: dns.message.Message) -> str:
    return query.question[0].name.to_text(omit_final_dot=True).lower()


def rrset(name: str, kind: str, values: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name + ".", 60, dns.rdataclass.IN, kind, values)


def error(code: str, reason: Optional[str] = None) -> Behaviour:
    """Answer with an error, with the reason of RFC 8914 if given."""

    def behave(query: dns.message.Message, protocol: str) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.from_text(code))
        if reason is not None:
            response.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, reason)])
        return bytes(response.to_wire())

    return behave


def silence(query: dns.message.Message, protocol: str) -> None:
    """Never answer."""


def truncated_only(query: dns.message.Message, protocol: str) -> Optional[bytes]:
    """Cut off over UDP, silent over TCP."""
    if protocol == "tcp":
        return None
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return bytes(response.to_wire())


def raw(make: Callable[[bytes], bytes]) -> Behaviour:
    """Send something made from an honest, empty answer's bytes."""
    return lambda query, protocol: make(bytes(dns.message.make_response(query).to_wire()))


def records(*sets: tuple[str, str, str], code: str = "NOERROR") -> Behaviour:
    """Answer with exactly these (name, type, value)."""

    def behave(query: dns.message.Message, protocol: str) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.from_text(code))
        response.answer.extend(rrset(name, kind, [value]) for name, kind, value in sets)
        return bytes(response.to_wire())

    return behave
