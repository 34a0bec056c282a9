"""Questions to the system's resolvers, many at once and never too many, each answered with a word for what happened.

dnspython makes and reads the messages. Its resolver is not used for asking, because it tells a refusal, a broken answer and silence apart
only in the text of one exception, and waits for a server that is known to be silent again with every question.
"""

from __future__ import annotations

import asyncio
import enum
import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

import dns.asyncbackend
import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

from conbool_tui.checks.dns.spelling import harmless, joined, shown_name

SYSTEM_FILE = "/etc/resolv.conf"
LONGEST_CHAIN = 16
# After that many silent questions, and no answer to any, the rest is not asked.
SILENT_QUESTIONS = 32
# So many replies, and none with more records, are kept for those who ask the same.
MOST_KEPT = 50_000
MOST_KEPT_RECORDS = 100
# What needs no fragments on any usual path (DNS flag day 2020).
_PAYLOAD = 1232
_MOST_TRIES = 4
# How long a right answer may still come after a wrong one, in seconds.
_AFTER_GARBAGE = 0.5
_MALFORMED = (
    dns.exception.DNSException,
    struct.error,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
)


class Outcome(enum.Enum):
    """What became of a question."""

    FOUND = "found"
    NODATA = "no record of this type"
    NXDOMAIN = "no such name (NXDOMAIN)"
    LOOP = "aliases in a circle"
    LONG_CHAIN = "too many aliases"
    LONG_NAME = "name too long"
    SERVFAIL = "server failure (SERVFAIL)"
    REFUSED = "refused (REFUSED)"
    RCODE = "error"
    TRUNCATED = "cut off, and no whole answer over TCP"
    GARBAGE = "answer not understandable"
    UNREACHABLE = "not reachable"
    TIMEOUT = "no answer in time"
    BAD_NAME = "no usable name"
    NO_SERVERS = "no name server known"
    CANCELLED = "cancelled"

    @property
    def certain(self) -> bool:
        """The resolver has answered, or no answer is needed to know; anything else says nothing about the record."""
        return self in _CERTAIN


_CERTAIN = frozenset(
    (
        Outcome.FOUND,
        Outcome.NODATA,
        Outcome.NXDOMAIN,
        Outcome.LOOP,
        Outcome.LONG_CHAIN,
        Outcome.LONG_NAME,
    )
)
# Of several servers' failures the one that says most is told.
_TELLING = (
    Outcome.SERVFAIL,
    Outcome.REFUSED,
    Outcome.TRUNCATED,
    Outcome.RCODE,
    Outcome.GARBAGE,
    Outcome.TIMEOUT,
    Outcome.UNREACHABLE,
)
_NO_ANSWER = frozenset((Outcome.GARBAGE, Outcome.TIMEOUT, Outcome.UNREACHABLE))
# The same server would say the same again.
_FINAL = frozenset((Outcome.SERVFAIL, Outcome.REFUSED, Outcome.TRUNCATED, Outcome.RCODE))


@dataclass(frozen=True)
class Reply:
    """The answer to a question.

    Attributes:
        outcome: what became of it.
        values: the records' texts as people write them, TXT joined without quotes, MX as ``10 host.``; harmless to show.
        chain: the names the aliases (CNAME) lead through, without the one asked for.
        server: the resolver that answered.
        authenticated: the resolver set AD (RFC 6840, section 5.7): it has validated the answer with DNSSEC.
        note: what went wrong, a line for each resolver that was tried.
    """

    outcome: Outcome
    values: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    server: str = ""
    authenticated: bool = False
    note: str = ""


@dataclass(frozen=True)
class NameServers:
    """The resolvers to ask.

    Attributes:
        servers: (IP address, port), in the order of preference.
        timeout: seconds for one try.
        tries: how often a silent question is asked at least; every server is tried once, four in all.
        in_flight: how many questions are under way at most.
        trouble: why there are none.
    """

    servers: tuple[tuple[str, int], ...]
    timeout: float = 2.5
    tries: int = 2
    in_flight: int = 64
    trouble: str = ""

    @classmethod
    def from_system(cls, path: str = SYSTEM_FILE) -> NameServers:
        """Those of resolv.conf(5); none, with the reason, when the file names none or cannot be read."""
        try:
            found = dns.resolver.Resolver(path).nameservers
        except dns.resolver.NoResolverConfiguration as error:
            return cls((), trouble=f"{path}: {error}")
        except (dns.exception.DNSException, ValueError, OSError) as error:
            return cls((), trouble=f"{path} cannot be understood: {harmless(str(error))[:200]}")
        return cls(tuple((str(server), 53) for server in found))


Question = tuple[str, str]


class Client:
    """Asks within one running event loop.

    Args:
        servers: the resolvers.
        shared: questions that several parts of the program have; each is asked once.
    """

    def __init__(self, servers: NameServers, shared: Iterable[Question] = ()) -> None:
        self._servers = servers
        self._order = list(servers.servers)
        self._shared = frozenset(shared)
        self._kept: dict[Question, asyncio.Task[Reply]] = {}
        self._running: set[asyncio.Task[Reply]] = set()
        self._slots = asyncio.Semaphore(servers.in_flight)
        self._backend = dns.asyncbackend.get_backend("asyncio")
        self._answered = False
        self._silent = 0
        self.stopped = False

    def stop(self) -> None:
        """Give up every question; those under way and those to come end as CANCELLED."""
        self.stopped = True
        for task in list(self._running):
            task.cancel()

    def start(self, name: str, kind: str) -> asyncio.Task[Reply]:
        """Begin a question; ``result`` waits for its end.

        Args:
            name: ASCII, A-labels, without the final dot.
            kind: record type such as MX.
        """
        key = (name, kind)
        known = self._kept.get(key)
        if known is not None:
            return known
        task = asyncio.get_running_loop().create_task(self._answer(name, kind))
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(key, done))
        if kind in ("A", "AAAA") or key in self._shared:
            if len(self._kept) >= MOST_KEPT:
                self._forget()
            self._kept[key] = task
        return task

    def _ended(self, key: Question, task: asyncio.Task[Reply]) -> None:
        self._running.discard(task)
        if task.cancelled() or task.exception() is not None:
            return
        if len(task.result().values) > MOST_KEPT_RECORDS:
            self._kept.pop(key, None)

    def _forget(self) -> None:
        """Drop the older half of what is kept: memory has a bound even when somebody publishes endless hosts."""
        for key in [key for key, task in self._kept.items() if task.done()][: MOST_KEPT // 2]:
            if key not in self._shared:
                del self._kept[key]

    async def result(self, task: asyncio.Task[Reply]) -> Reply:
        """The reply of a question begun with ``start``; never fails."""
        try:
            return await task
        except asyncio.CancelledError:
            if self.stopped:
                return Reply(Outcome.CANCELLED)
            raise

    async def _answer(self, name: str, kind: str) -> Reply:
        """Follow aliases as far as the resolver has not done so itself (RFC 1034, section 3.6.2)."""
        try:
            asked = dns.name.from_text(name + ".")
            wanted = dns.rdatatype.from_text(kind)
        except (dns.name.NameTooLong, dns.name.LabelTooLong):
            return Reply(Outcome.LONG_NAME)
        except (dns.exception.DNSException, UnicodeError):
            return Reply(Outcome.BAD_NAME)
        chain = [asked]
        authenticated = True
        while not self.stopped:
            reply, last = await self._ask(chain[-1], wanted, chain)
            authenticated = authenticated and reply.authenticated
            names = tuple(shown_name(one.to_text()) for one in chain[1:])
            if last is None:
                return Reply(reply.outcome, reply.values, names, reply.server, authenticated, note=reply.note)
        return Reply(Outcome.CANCELLED)

    async def _ask(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, chain: list[dns.name.Name]
    ) -> tuple[Reply, Optional[dns.name.Name]]:
        """One question to the servers in turn. Adds the aliases found to ``chain``; with them, the name to go on with if any."""
        if not self._order:
            return Reply(Outcome.NO_SERVERS, note=self._servers.trouble), None
        failures: list[tuple[Outcome, str]] = []
        tries = min(max(self._servers.tries, len(self._order)), max(_MOST_TRIES, self._servers.tries))
        length = len(chain)
        tried: list[tuple[str, int]] = []
        final: set[tuple[str, int]] = set()
        for _ in range(tries):
            async with self._slots:
                if not self._answered and self._silent >= SILENT_QUESTIONS:
                    note = f"the first {self._silent} questions stayed without a usable answer; the others were not asked"
                    failures.append((Outcome.TIMEOUT, note))
                    break
                # Chosen only now: while this question waited for its turn, others have found out who is silent.
                candidates = [server for server in self._order if server not in final]
                if not candidates:
                    break
                server = min(candidates, key=tried.count)
                tried.append(server)
                outcome, message, note = await self._exchange(server, name, kind)
            where = server[0] if server[1] == 53 else f"{server[0]} port {server[1]}"
            if message is not None:
                try:
                    outcome, values, last = read(message, chain, kind)
                except _MALFORMED:
                    del chain[length:]
                    outcome, values, last = Outcome.GARBAGE, (), None
                if outcome.certain:
                    authenticated = bool(message.flags & dns.flags.AD)
                    return Reply(outcome, values, server=where, authenticated=authenticated), last
            failures.append((outcome, f"{where}: {note or outcome.value}"))
            if outcome in _FINAL:
                final.add(server)
            elif outcome in _NO_ANSWER:
                self._demote(server)
        found = min((outcome for outcome, _ in failures), key=_TELLING.index)
        if all(outcome in _NO_ANSWER for outcome, _ in failures):
            self._silent += 1
        return Reply(found, note="\n".join(dict.fromkeys(note for _, note in failures))), None

    def _demote(self, server: tuple[str, int]) -> None:
        """Ask a server that does not answer last from now on."""
        if self._order[0] == server:
            self._order.append(self._order.pop(0))

    async def _exchange(
        self, server: tuple[str, int], name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> tuple[Outcome, Optional[dns.message.Message], str]:
        """One message to one server: the answer when it is one (NOERROR, NXDOMAIN), else the failure and a note about it."""
        query = _query(name, kind, edns=True)
        outcome, message = await self._udp(server, query)
        if message is not None and message.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            # A server from before EDNS says so (RFC 6891, section 7).
            query = _query(name, kind, edns=False)
            outcome, message = await self._udp(server, query)
        if message is None:
            return outcome, None, ""
        if message.flags & dns.flags.TC:
            try:
                message = await dns.asyncquery.tcp(
                    query, server[0], self._servers.timeout, server[1], backend=self._backend
                )
            except (OSError, EOFError, asyncio.TimeoutError, *_MALFORMED):
                return Outcome.TRUNCATED, None, ""
            if message.flags & dns.flags.TC:
                return Outcome.TRUNCATED, None, ""
        self._answered = True
        code = message.rcode()
        if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Outcome.FOUND, message, ""
        note = f"{dns.rcode.to_text(code)}{_reason(message)}"
        if code == dns.rcode.SERVFAIL:
            return Outcome.SERVFAIL, None, note
        return (Outcome.REFUSED if code == dns.rcode.REFUSED else Outcome.RCODE), None, note

    async def _udp(
        self, server: tuple[str, int], query: dns.message.Message
    ) -> tuple[Outcome, Optional[dns.message.Message]]:
        """Each question has a socket, and so a port, of its own: that keeps forged answers away (RFC 5452)."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[Outcome, Optional[dns.message.Message]]] = loop.create_future()

        def end(outcome: Outcome, message: Optional[dns.message.Message] = None) -> None:
            if not done.done():
                done.set_result((outcome, message))

        def arrived() -> None:
            try:
                data = sock.recv(65535)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                end(Outcome.UNREACHABLE)
                return
            message = _parsed(data, query)
            if message is not None:
                end(Outcome.FOUND, message)
                return
            garbage.append(len(data))
            timers.append(loop.call_later(_AFTER_GARBAGE, end, Outcome.GARBAGE))

        def late() -> None:
            end(Outcome.GARBAGE if garbage else Outcome.TIMEOUT)

        garbage: list[int] = []
        timers: list[asyncio.TimerHandle] = []
        try:
            family = dns.inet.af_for_address(server[0])
            sock = socket.socket(family, socket.SOCK_DGRAM)
        except (OSError, ValueError):
            return Outcome.UNREACHABLE, None
        try:
            sock.setblocking(False)
            sock.connect(dns.inet.low_level_address_tuple(server, family))
            sock.send(query.to_wire())
            loop.add_reader(sock.fileno(), arrived)
            timers.append(loop.call_later(self._servers.timeout, late))
            return await done
        except OSError as error:
            # A full socket buffer or a rate limit of the firewall is like a lost packet.
            busy = error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EPERM)
            return (Outcome.TIMEOUT if busy else Outcome.UNREACHABLE), None
        finally:
            for timer in timers:
                timer.cancel()
            loop.remove_reader(sock.fileno())
            sock.close()


def _parsed(data: bytes, query: dns.message.Message) -> Optional[dns.message.Message]:
    """The message when it answers the query; of a truncated one as much as can be read."""
    try:
        message = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=True)
    except dns.message.Truncated as error:
        message = error.message()  # type: ignore[no-untyped-call]
    except _MALFORMED:
        return None
    return message if query.is_response(message) else None


def _query(name: dns.name.Name, kind: dns.rdatatype.RdataType, *, edns: bool) -> dns.message.Message:
    """A question that asks for AD in the answer, without the signatures themselves (RFC 6840, section 5.7)."""
    if edns:
        query: dns.message.Message = dns.message.make_query(name, kind, use_edns=0, payload=_PAYLOAD)
    else:
        query = dns.message.make_query(name, kind)
    query.flags |= dns.flags.AD
    return query


def _reason(message: dns.message.Message) -> str:
    """What the resolver says about its failure (RFC 8914)."""
    reasons = [option for option in message.options if isinstance(option, dns.edns.EDEOption)][:3]
    return "".join(f", {harmless(option.to_text())[:200]}" for option in reasons)


def read(
    message: dns.message.Message, chain: list[dns.name.Name], kind: dns.rdatatype.RdataType
) -> tuple[Outcome, tuple[str, ...], Optional[dns.name.Name]]:
    """What an answer says about the last name of ``chain``, to which the aliases in it are added.

    Returns:
        The outcome, the texts of the records, and the name to ask for next when the aliases lead to one that the answer is silent about.
    """
    begin = len(chain)
    sets: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
    for rrset in message.answer:
        if rrset.rdclass == dns.rdataclass.IN:
            sets.setdefault((rrset.name, rrset.rdtype), rrset)
    while True:
        found = sets.get((chain[-1], kind))
        if found is not None:
            return Outcome.FOUND, texts(found), None
        alias = sets.get((chain[-1], dns.rdatatype.CNAME))
        if alias is None:
            break
        target: dns.name.Name = alias[0].target
        if target in chain:
            return Outcome.LOOP, (), None
        if len(chain) > LONGEST_CHAIN:
            return Outcome.LONG_CHAIN, (), None
        chain.append(target)
    if message.rcode() == dns.rcode.NXDOMAIN:
        return Outcome.NXDOMAIN, (), None
    silent = not any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)
    if len(chain) > begin and silent:
        return Outcome.NODATA, (), chain[-1]
    return Outcome.NODATA, (), None


def texts(rrset: Iterable[dns.rdata.Rdata]) -> tuple[str, ...]:
    """The records as people write them, in a fixed order."""
    found: list[str] = []
    for record in rrset:
        strings = getattr(record, "strings", None)
        found.append(joined(strings) if strings is not None else harmless(record.to_text()))
    return tuple(sorted(found))
