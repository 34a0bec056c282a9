"""A stub DNS server: answers from data, fails on demand, remembers every question."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

MAX_UDP = 512


@dataclass(frozen=True)
class Query:
    """One question as it arrived: name in lower case without the final dot, type such as ``MX``."""

    name: str
    type: str
    source: str
    protocol: str
    time: float


@dataclass
class Trouble:
    """What goes wrong for a name: an answer code, a delay in seconds, no answer at all, or only cut-off ones over UDP and none over TCP."""

    rcode: Optional[str] = None
    delay: float = 0.0
    drop: bool = False
    cut: bool = False


@dataclass
class Zone:
    """The records by (name, type), in presentation format."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, name: str, kind: str, *values: str) -> None:
        """Add records, for example ``add("example.com", "MX", "10 mx1.example.com.")``."""
        self.records.setdefault((plain(name), kind.upper()), []).extend(values)

    def set(self, name: str, kind: str, *values: str) -> None:
        """Replace the records of a name and type; no value removes them."""
        self.records[(plain(name), kind.upper())] = list(values)

    def host(self, name: str, *addresses: str, reverse: bool = True) -> None:
        """Add A and AAAA records, and PTR records with ``reverse``."""
        for address in addresses:
            parsed = ipaddress.ip_address(address)
            self.add(name, "A" if parsed.version == 4 else "AAAA", address)
            if reverse:
                self.add(parsed.reverse_pointer, "PTR", plain(name) + ".")

    def exists(self, name: str) -> bool:
        """Whether any record, or a name below, exists: NODATA instead of NXDOMAIN (RFC 8020)."""
        return any(
            (known == name or known.endswith("." + name)) and values
            for (known, _), values in list(self.records.items())
        )


def plain(name: str) -> str:
    """A name in lower case without the final dot."""
    return name.rstrip(".").lower()


class StubDNS:
    """The server. Settings may be changed from any thread while it runs."""

    def __init__(self, zone: Optional[Zone] = None) -> None:
        self.zone = zone or Zone()
        self._trouble: dict[str, Trouble] = {}
        self._queries: list[Query] = []
        self._lock = threading.Lock()
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.AbstractServer] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what tests say and ask

    def trouble(
        self,
        name: str,
        rcode: Optional[str] = None,
        *,
        delay: float = 0.0,
        drop: bool = False,
        cut: bool = False,
    ) -> None:
        """Make questions for ``name`` fail with an rcode such as SERVFAIL, come late, stay unanswered, or get no whole answer."""
        self._trouble[plain(name)] = Trouble(rcode, delay, drop, cut)

    def repair(self, name: Optional[str] = None) -> None:
        """End the trouble of one name, or of all."""
        if name is None:
            self._trouble.clear()
        else:
            self._trouble.pop(plain(name), None)

    @property
    def queries(self) -> list[Query]:
        """Every question so far."""
        with self._lock:
            return list(self._queries)

    def asked(self, name: str, kind: Optional[str] = None) -> list[Query]:
        """The questions for ``name``, of type ``kind`` when given."""
        return [q for q in self.queries if q.name == plain(name) and kind in (None, q.type)]

    def forget(self) -> None:
        """Forget the questions so far."""
        with self._lock:
            self._queries.clear()

    # -- the server side, inside the lab's event loop

    async def start(self, addresses: Iterable[str], port: int = 53) -> None:
        """Listen on UDP and TCP of every address; call it in the loop whose thread is in the namespace."""
        loop = asyncio.get_running_loop()
        for address in addresses:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(address, port)
            )
            self._transports.append(transport)
            self._servers.append(await asyncio.start_server(self._stream, address, port))

    def stop(self) -> None:
        """Stop listening; call it in the loop."""
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()

    async def respond(self, data: bytes, source: str, protocol: str) -> Optional[bytes]:
        """The answer to one message, or None for silence."""
        try:
            question = dns.message.from_wire(data)
        except Exception:
            return None
        if not question.question:
            return None
        entry = question.question[0]
        name = plain(entry.name.to_text())
        kind = dns.rdatatype.to_text(entry.rdtype)
        with self._lock:
            self._queries.append(Query(name, kind, source, protocol, time.monotonic()))
        trouble = self._trouble.get(name, Trouble())
        if trouble.delay:
            await asyncio.sleep(trouble.delay)
        if trouble.drop or (trouble.cut and protocol == "tcp"):
            return None
        answer = dns.message.make_response(question, recursion_available=True)
        if trouble.rcode:
            answer.set_rcode(dns.rcode.from_text(trouble.rcode))
        else:
            self._fill(answer, name, kind)
        # Without a size of its own dnspython stops at the asker's UDP limit, over TCP, too.
        wire = answer.to_wire(max_size=65535)
        if protocol == "udp" and (trouble.cut or len(wire) > max(MAX_UDP, question.payload)):
            answer.answer.clear()
            answer.flags |= dns.flags.TC
            wire = answer.to_wire()
        return wire

    def _fill(self, answer: dns.message.Message, name: str, kind: str) -> None:
        records = self.zone.records
        for _ in range(8):
            values = records.get((name, kind))
            alias = records.get((name, "CNAME"))
            if values:
                answer.answer.append(_rrset(name, kind, values))
                return
            if alias and kind != "CNAME":
                answer.answer.append(_rrset(name, "CNAME", alias))
                name = plain(alias[0])
                continue
            if not self.zone.exists(name):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            return

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = writer.get_extra_info("peername")[0]
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                answer = await self.respond(await reader.readexactly(size), source, "tcp")
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def datagram(self, data: bytes, peer: Any, transport: asyncio.DatagramTransport) -> None:
        """Answer one UDP question when its time has come."""

        async def answer() -> None:
            reply = await self.respond(data, peer[0], "udp")
            if reply is not None:
                transport.sendto(reply, peer)

        task = asyncio.get_running_loop().create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: StubDNS) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transports do not derive from the public class in every release.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.server.datagram(data, addr, self.transport)


def _rrset(name: str, kind: str, values: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name + ".", 60, dns.rdataclass.IN, kind, values)
