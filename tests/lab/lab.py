"""The laboratory: an internet of its own with name service, sinks and clients, and machines joined to it."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Optional, TypeVar, Union

from . import client, machine
from .certs import Authority
from .client import Sent
from .dns import StubDNS, Zone
from .exim import EximMachine, EximSite
from .loop import NamespaceLoop
from .machine import Machine, Mounts, Place
from .messages import Message
from .netns import Namespace, ip_batch, remove_leftovers
from .postfix import PostfixMachine, PostfixSite
from .roots import RootSpec, exim_spec, postfix_spec, sendmail_spec
from .sendmail import SendmailMachine, SendmailSite
from .sinks import Sink, SinkSpec

M = TypeVar("M", bound=Machine)

# Where clients can come from: every address of these networks exists in the lab (RFC 5737, RFC 3849).
NETWORKS4 = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
NETWORK6 = "2001:db8::/32"

CONBOOL_NETWORK4, CONBOOL_NETWORK6 = "198.51.100.0/24", "2001:db8:c::/48"
CONBOOL, CONBOOL6 = "198.51.100.25", "2001:db8:c::25"
STRANGER, STRANGER6 = "203.0.113.99", "2001:db8:bad::99"
NAMESERVER = "192.0.2.53"

SINKS = (
    SinkSpec("conbool", "mail.conbool.com", ("192.0.2.25", "2001:db8::25")),
    # Where the MX of the hosted domains points: mail of the machine that arrives here went in a circle.
    SinkSpec("conbool_mx", "in.conbool.com", ("192.0.2.26", "2001:db8::26")),
    # Where an MX lookup of the smart host's name would lead.
    SinkSpec("decoy_mx", "decoy.conbool.com", ("203.0.113.66",)),
    SinkSpec("outside_a", "mx.outside-a.example", ("203.0.113.10",)),
    SinkSpec("outside_b", "mx.outside-b.example", ("203.0.113.20", "2001:db8:b::20")),
    SinkSpec("provider", "smtp.provider.example", ("192.0.2.30",)),
    # What stands behind a relay domain.
    SinkSpec("backend", "backend.lab.invalid", ("192.0.2.40",)),
)


def default_zone() -> Zone:
    """The name service's data before any machine joins."""
    zone = Zone()
    for spec in SINKS:
        zone.host(spec.host, *spec.addresses)
    zone.add("mail.conbool.com", "MX", "10 decoy.conbool.com.")
    zone.add("outside-a.example", "MX", "10 mx.outside-a.example.")
    zone.add("outside-b.example", "MX", "10 mx.outside-b.example.")
    zone.host("out1.conbool.com", CONBOOL, CONBOOL6)
    return zone


def place(number: int, hostname: str) -> Place:
    """The addresses of machine ``number`` (0 to 5): a /27 below 192.0.2.0/24 and a /64."""
    base = 64 + 32 * number
    return Place(
        hostname=hostname,
        ipv4=f"192.0.2.{base + 6}",
        ipv6=f"2001:db8:0:{base}::6",
        prefix4=27,
        prefix6=64,
        neighbour4=f"192.0.2.{base + 20}",
        neighbour6=f"2001:db8:0:{base}::20",
        network4=f"192.0.2.{base}/27",
        network6=f"2001:db8:0:{base}::/64",
    )


class Lab:
    """One internet with its servers, and the machines in it. Use it as a context manager, or call ``close``.

    Attributes:
        dns: the name server every machine asks.
        sinks: the sink servers by name; ``conbool``, ``outside_a`` and so on are attributes too.
        authority: the CA that machines trust.
        machines: those made so far.
    """

    conbool: Sink
    conbool_mx: Sink
    decoy_mx: Sink
    outside_a: Sink
    outside_b: Sink
    provider: Sink
    backend: Sink

    def __init__(self, extra_sinks: Sequence[SinkSpec] = ()) -> None:
        remove_leftovers()
        machine.sweep()
        self.machines: list[Machine] = []
        self._namespaces: list[Namespace] = []
        self._loop: Optional[NamespaceLoop] = None
        self.authority = Authority()
        self.dns = StubDNS(default_zone())
        self.sinks = {spec.name: Sink(spec, self.authority) for spec in (*SINKS, *extra_sinks)}
        for name, sink in self.sinks.items():
            setattr(self, name, sink)
        for spec in extra_sinks:
            self.dns.zone.host(spec.host, *spec.addresses)
        try:
            self.inet = self._internet()
            self._loop = NamespaceLoop(self.inet)
            self._loop.call(self.dns.start([NAMESERVER, "2001:db8::53"]))
            for sink in self.sinks.values():
                self._loop.call(sink.start(self._loop))
        except BaseException:
            self.close()
            raise

    def _internet(self) -> Namespace:
        inet = Namespace("inet")
        self._namespaces.append(inet)
        for name in ("net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind", "net/ipv4/ip_forward"):
            inet.sysctl(name, "1")
        inet.sysctl("net/ipv6/conf/all/forwarding", "1")
        inet.sysctl("net/ipv4/conf/all/rp_filter", "0")
        inet.sysctl("net/ipv4/conf/default/rp_filter", "0")
        # A local route makes every address of a network one of this namespace's own.
        lines = [f"route add local {network} dev lo" for network in NETWORKS4]
        ip_batch([*lines, f"route add local {NETWORK6} dev lo"], inet.name)
        return inet

    def close(self) -> None:
        """End everything."""
        for one in self.machines:
            one.close()
        self.machines.clear()
        if self._loop is not None:
            self._loop.call(self._stop())
            self._loop.stop()
            self._loop = None
        for namespace in self._namespaces:
            namespace.delete()
        self._namespaces.clear()

    async def _stop(self) -> None:
        for sink in self.sinks.values():
            await sink.close()
        self.dns.stop()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- machines

    def machine(
        self, kind: type[M], spec: RootSpec, hostname: str = "", *, mounts: Optional[Mounts] = None
    ) -> M:
        """A started machine of class ``kind`` (nothing of its mail system runs yet), joined to the internet.

        Args:
            kind: ``Machine`` or a class for one mail system.
            spec: the root it runs on.
            hostname: by default mx1.example.com, mx2.example.com, ...
            mounts: more directories of this host to show inside.
        """
        number = len(self.machines)
        where = place(number, hostname or f"mx{number + 1}.example.com")
        namespace = Namespace(f"mx{number + 1}")
        self._namespaces.append(namespace)
        self._join(number, where, namespace)
        new = kind(spec, where, namespace, mounts)
        self.machines.append(new)
        new.trust("conbool-lab", self.authority.root_pem)
        self.dns.zone.host(where.hostname, where.ipv4, where.ipv6)
        return new

    def _join(self, number: int, where: Place, namespace: Namespace) -> None:
        port = f"m{number}"
        ip_batch([f"link add {port} type veth peer name eth0 netns {namespace.name}"], self.inet.name)
        ip_batch(
            [
                f"link set {port} up",
                f"addr add fe80::1/64 dev {port} nodad",
                # In the table of local routes, so that the longer prefix wins over the network's local route.
                f"route add {where.ipv4}/32 dev {port} table local",
                f"route add {where.ipv6}/128 dev {port} table local",
            ],
            self.inet.name,
        )
        gateway = where.network4.split("/")[0].rsplit(".", 1)
        gateway4 = f"{gateway[0]}.{int(gateway[1]) + 1}"
        ip_batch(
            [
                "link set eth0 up",
                f"addr add {where.ipv4}/{where.prefix4} dev eth0",
                f"addr add {where.ipv6}/{where.prefix6} dev eth0 nodad noprefixroute",
                *(f"route add {network} via {gateway4} dev eth0" for network in NETWORKS4),
                f"route add {NETWORK6} via fe80::1 dev eth0",
            ],
            namespace.name,
        )

    def postfix(
        self,
        suite: str = "bookworm",
        site: Optional[PostfixSite] = None,
        *,
        pcre: bool = True,
        start: bool = True,
        extra_packages: Sequence[str] = (),
        hostname: str = "",
    ) -> PostfixMachine:
        """A machine with Postfix, set up as ``site`` says and running.

        Args:
            suite: bullseye (Postfix 3.5), bookworm (3.7) or trixie (3.10).
            site: what it serves; a realistic default.
            pcre: False for a Postfix without pcre tables.
            start: False leaves Postfix stopped.
            extra_packages: more Debian packages.
            hostname: by default mx1.example.com, mx2.example.com, ...
        """
        site = site or PostfixSite()
        new = self.machine(PostfixMachine, postfix_spec(suite, pcre=pcre, extra=extra_packages), hostname)
        new.set_up(site, self.authority.issue(new.place.hostname))
        for domain in site.hosted:
            self.dns.zone.set(domain, "MX", "10 in.conbool.com.")
        if start:
            new.start()
        return new

    def sendmail(
        self,
        suite: str = "bookworm",
        site: Optional[SendmailSite] = None,
        *,
        start: bool = True,
        extra_packages: Sequence[str] = (),
        hostname: str = "",
    ) -> SendmailMachine:
        """A machine with Sendmail, set up as ``site`` says and running; suites bookworm (8.17) and trixie (8.18)."""
        site = site or SendmailSite()
        new = self.machine(SendmailMachine, sendmail_spec(suite, extra=extra_packages), hostname)
        new.set_up(site, self.authority.issue(new.place.hostname))
        for domain in site.hosted:
            self.dns.zone.set(domain, "MX", "10 in.conbool.com.")
        # Sendmail asks whether a sender's domain exists.
        for domain in ("elsewhere.example", "sub.example.com"):
            self.dns.zone.set(domain, "MX", "10 mx.outside-b.example.")
        if start:
            new.start()
        return new

    def exim(
        self,
        suite: str = "bookworm",
        site: Optional[EximSite] = None,
        *,
        heavy: bool = True,
        start: bool = True,
        hostname: str = "",
    ) -> EximMachine:
        """A machine with Exim, set up as ``site`` says and running.

        Args:
            suite: bullseye (Exim 4.94), bookworm (4.96) or trixie (4.98).
            site: what it serves; a realistic default in Debian's split layout.
            heavy: False for the daemon without content scanning.
            start: False leaves Exim stopped.
            hostname: by default mx1.example.com, mx2.example.com, ...
        """
        site = site or EximSite()
        new = self.machine(EximMachine, exim_spec(suite, heavy=heavy), hostname)
        new.set_up(site, self.authority.issue(new.place.hostname))
        for domain in site.hosted:
            self.dns.zone.set(domain, "MX", "10 in.conbool.com.")
        if start:
            new.start()
        return new

    # -- mail

    def send(
        self,
        to: Machine,
        message: Union[Message, bytes],
        recipients: Union[str, Sequence[str]],
        *,
        sender: str = "alice@example.com",
        source: str = "",
        port: int = 25,
        tls: bool = False,
        client_name: str = "",
        auth: Optional[tuple[str, str]] = None,
        helo: str = "client.lab.invalid",
        options: Optional[Sequence[str]] = None,
        timeout: float = 60,
    ) -> Sent:
        """Send a message to a machine by SMTP from any address; refusals are in the result.

        Args:
            to: the machine.
            message: a ``Message`` or raw bytes.
            recipients: one or more.
            sender: envelope sender, "" for the null sender.
            source: the client's address; by default a neighbour in the machine's own network (mynetworks).
            port: 25 or 587.
            tls: use STARTTLS.
            client_name: with ``tls``, show a client certificate for this name.
            auth: user and password.
            helo: the client's name.
            options: parameters of the MAIL command; by default those the message needs.
            timeout: seconds for each reply.

        Raises:
            OSError: no connection, or it broke.
        """
        source = source or to.place.neighbour4
        if options is None:
            options = message.options if isinstance(message, Message) else ()
        context = None
        if tls or client_name:
            context = self.authority.client_context(
                self.authority.issue(client_name) if client_name else None
            )
        return client.send(
            self.inet,
            source,
            to.place.ipv6 if ":" in source else to.place.ipv4,
            sender,
            [recipients] if isinstance(recipients, str) else recipients,
            message.raw if isinstance(message, Message) else message,
            port=port,
            helo=helo,
            options=options,
            tls=context,
            auth=auth,
            timeout=timeout,
        )

    @contextmanager
    def session(
        self, to: Machine, source: str = "", *, port: int = 25, tls: bool = False
    ) -> Iterator[smtplib.SMTP]:
        """A client connected to a machine that has greeted, for several transactions; it quits at the end."""
        client = smtplib.SMTP(timeout=60, local_hostname="client.lab.invalid")
        client._host = to.place.hostname  # type: ignore[attr-defined]
        client.sock = self.connect(source or to.place.neighbour4, to.place.ipv4, port)
        client.file = None
        client.getreply()
        client.ehlo()
        if tls:
            client.starttls(context=self.authority.client_context(None))
            client.ehlo()
        yield client
        client.quit()

    def where(self, token: Union[str, Message]) -> list[str]:
        """Every place a message reached, sorted: ``conbool`` for a sink, ``mx1:alice`` for a mailbox.

        A sink is named once for each recipient it took the message for, however many transactions that were;
        a mailbox once for each copy. Other folders than the inbox are ``mx1:alice/Junk``. Bounces carry the
        token of the message they return.
        """
        word = token.token if isinstance(token, Message) else token
        found = [
            sink.name for sink in self.sinks.values() for copy in sink.find(word) for _ in copy.recipients
        ]
        for one in self.machines:
            short = one.place.hostname.split(".")[0]
            for stored in one.mailboxes():
                if word.encode() in stored.raw:
                    folder = "" if stored.folder == "INBOX" else "/" + stored.folder
                    found.append(f"{short}:{stored.mailbox}{folder}")
        return sorted(found)

    def settle(self, timeout: float = 60) -> None:
        """Wait until no machine has mail on its way (deferred mail rests).

        Raises:
            TimeoutError: mail still moves after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        quiet = 0
        # One look can miss a message that moves back to an earlier queue; three in a row do not.
        while quiet < 3:
            quiet = 0 if any(one.busy() for one in self.machines) else quiet + 1
            if quiet < 3:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"mail is still on its way after {timeout} s\n" + self.report())
                time.sleep(0.05)

    def wait_delivered(self, token: Union[str, Message], count: int = 1, timeout: float = 60) -> list[str]:
        """Wait for at least ``count`` copies and until nothing moves any more; returns ``where``.

        Raises:
            TimeoutError: fewer copies arrived.
        """
        deadline = time.monotonic() + timeout
        while len(self.where(token)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{len(self.where(token))} of {count} copies after {timeout} s\n" + self.report()
                )
            time.sleep(0.05)
        self.settle(max(1.0, deadline - time.monotonic()))
        return self.where(token)

    def expect(self, token: Union[str, Message], *places: str, timeout: float = 60) -> None:
        """Assert that a message went exactly to ``places`` (as ``where`` names them), no copy more or less.

        Without places: that it went nowhere, once nothing moves any more.

        Raises:
            AssertionError: it went elsewhere; the text has the machines' queues and logs.
        """
        try:
            if places:
                found = self.wait_delivered(token, len(places), timeout)
            else:
                self.settle(timeout)
                found = self.where(token)
        except TimeoutError:
            found = self.where(token)
        if found != sorted(places):
            raise AssertionError(f"expected at {sorted(places)}, found at {found}\n{self.report()}")

    def report(self) -> str:
        """The queues and the ends of the logs of all machines, for a failed test's message."""
        lines = []
        for one in self.machines:
            if isinstance(one, (PostfixMachine, SendmailMachine, EximMachine)):
                lines.append(f"--- {one.place.hostname}: queue")
                lines += [str(entry) for entry in one.queue()]
                lines.append(f"--- {one.place.hostname}: log")
                lines += one.log().splitlines()[-40:]
        return "\n".join(lines)

    def forget(self) -> None:
        """Forget what sinks and name server saw so far."""
        for sink in self.sinks.values():
            sink.forget()
        self.dns.forget()

    def answers(self, one: Machine, **changes: Any) -> Mapping[str, Any]:
        """Answers for the product that fit a machine of this lab; ``changes`` replace top-level keys."""
        answers: dict[str, Any] = {
            "smart_host": {"host": "mail.conbool.com"},
            "scope": {"mode": "domains"},
            "conbool_networks": [CONBOOL_NETWORK4, CONBOOL_NETWORK6],
            "inbound": {"relay_host": one.place.hostname},
        }
        if isinstance(one, (PostfixMachine, SendmailMachine, EximMachine)):
            answers["domains"] = one.site.hosted
        answers.update(changes)
        return answers

    def connect(self, source: str, server: str, port: int, timeout: float = 60) -> socket.socket:
        """A plain TCP connection from any address of the lab's internet."""
        return self.inet.call(lambda: socket.create_connection((server, port), timeout, (source, 0)))
