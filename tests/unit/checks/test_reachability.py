"""The relay host check, against servers that say what the test wants."""

from __future__ import annotations

import dataclasses
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import trustme

from conbool_tui.checks.limits import Limits
from conbool_tui.checks.relay_host import REACHABLE, check_relay_host
from conbool_tui.checks.relay_host_name import _is_private
from conbool_tui.checks.relay_host_server import Server as OwnServer
from conbool_tui.checks.relay_host_server import listening_addresses
from conbool_tui.checks.resolve import NoAddressError, Published
from conbool_tui.facts import Listener
from conbool_tui.findings import Finding, Status
from tests.unit.checks.server import Script, Server, free_port

DENIED = "554 5.7.1 Relay access denied"
CLIENT_RULE = "554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied"
NAME = "mx1.example.com"
Found = dict[str, Finding]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    return context(authority)


def context(authority: trustme.CA, name: str = NAME) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(made)
    return made


def own(port: int, **changes: object) -> OwnServer:
    """This server: it listens on 127.0.0.1 and has that as an address of its own."""
    listeners = (Listener("127.0.0.1", port),)
    made = OwnServer(listeners, ("example.com",), None, ("10.0.0.0/8",), NAME, port, ("127.0.0.1",))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def look(server: OwnServer, *published: str, names: tuple[str, ...] = ()) -> Found:
    findings = check_relay_host(
        server, Limits(2.0), resolve=lambda name, _: Published(names or (name,), published)
    )
    assert len({finding.id for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.remedy or finding.status in (Status.OK, Status.NOT_TESTED)
    return {finding.id: finding for finding in findings}


def probe(script: Script, **changes: object) -> tuple[Found, Server]:
    with Server(script) as server:
        return look(own(server.port, **changes)), server


def test_reachable(tls: ssl.SSLContext) -> None:
    found, server = probe(Script(tls=tls))
    assert found["smtp.reachable"].status is Status.OK
    assert found["smtp.reachable"].summary.startswith(REACHABLE)
    assert found["smtp.starttls"].status is Status.OK
    assert NAME in found["smtp.certificate"].summary
    assert found["smtp.recipient"].status is Status.OK
    assert found["smtp.relay-host"].status is Status.NOT_TESTED
    assert "RCPT TO:<postmaster@example.com>" in server.seen
    assert not [line for line in server.seen if line.upper().startswith(("DATA", "BDAT"))]
    assert server.seen.count("RSET") == 2
    assert "< 250 ok" in found["smtp.reachable"].detail


def test_open_relay(tls: ssl.SSLContext) -> None:
    found, server = probe(Script(tls=tls))
    assert found["smtp.relay"].status is Status.FAIL
    assert "open relay" in found["smtp.relay"].summary
    # example.com is hosted here: asking for it would prove nothing.
    assert "RCPT TO:<conbool-probe@example.org>" in server.seen


def test_hosted_example_domains_are_not_asked_as_foreign(tls: ssl.SSLContext) -> None:
    _, server = probe(Script(tls=tls), domains=("example.org", "example.net"))
    foreign = [line for line in server.seen if "conbool-probe" in line]
    assert len(foreign) == 2
    assert not [line for line in foreign if "example.org" in line or "example.net" in line]


@pytest.mark.parametrize(
    ("trusted", "reply", "status"),
    [
        (("10.0.0.0/8",), DENIED, Status.OK),
        (("10.0.0.0/8",), "454 4.7.1 Relay access denied", Status.OK),
        (("10.0.0.0/8",), "550 5.1.2 unknown domain", Status.NOT_TESTED),
        (("10.0.0.0/8",), "451 4.3.0 later", Status.NOT_TESTED),
        (("127.0.0.0/8", "[::1]/128"), "250 ok", Status.NOT_TESTED),
        (("cidr:/etc/postfix/mynetworks",), "250 ok", Status.NOT_TESTED),
    ],
)
def test_relay_refusal(tls: ssl.SSLContext, trusted: tuple[str, ...], reply: str, status: Status) -> None:
    found, _ = probe(Script(tls=tls, rcpt=reply), trusted_networks=trusted)
    assert found["smtp.relay"].status is status


def test_sender_refused_is_no_open_relay(tls: ssl.SSLContext) -> None:
    found, _ = probe(Script(tls=tls, replies={"MAIL": "250-ok\r\n250 ok", "RCPT": "550 5.7.1 no"}))
    assert found["smtp.relay"].status is Status.OK
    found, _ = probe(Script(tls=tls, replies={"MAIL": "251 odd"}))
    assert found["smtp.relay"].status is Status.NOT_TESTED


def test_no_domains(tls: ssl.SSLContext) -> None:
    found, _ = probe(Script(tls=tls), domains=())
    assert found["smtp.recipient"].status is Status.NOT_TESTED


@pytest.mark.parametrize("demanded", [False, True])
@pytest.mark.parametrize(
    "script", [Script(ehlo="250 mail.test"), Script(replies={"STARTTLS": "454 4.7.0 not now"})]
)
def test_without_tls(demanded: bool, script: Script) -> None:
    found, server = probe(script, tls_demanded=demanded)
    assert found["smtp.starttls"].status is (Status.FAIL if demanded else Status.WARN)
    assert ("refuses Conbool's mail" in found["smtp.starttls"].summary) is demanded
    assert found["smtp.reachable"].status is Status.OK
    assert "RCPT TO:<postmaster@example.com>" in server.seen


def test_broken_tls_does_not_hide_the_recipients() -> None:
    found, server = probe(Script(handshake="no TLS here"))
    assert found["smtp.starttls"].status is Status.FAIL
    assert found["smtp.recipient"].status is Status.OK
    assert found["smtp.reachable"].status is Status.OK
    assert "RCPT TO:<postmaster@example.com>" in server.seen


@pytest.mark.parametrize("stage", ["RCPT", "banner"])
def test_a_closed_port_refuses_this_server_rightly(tls: ssl.SSLContext, stage: str) -> None:
    script = Script(tls=tls, rcpt=CLIENT_RULE) if stage == "RCPT" else Script(banner=CLIENT_RULE)
    wanted = "smtp.recipient" if stage == "RCPT" else "smtp.reachable"
    found, _ = probe(script, closed=True)
    assert found[wanted].status is Status.NOT_TESTED
    assert "127.0.0.1 is not in mynetworks" in found[wanted].summary
    # On an open port the same words are a failure, and so they are for an address that is listed.
    assert probe(script, closed=False)[0][wanted].status is Status.FAIL
    assert probe(script, closed=True, trusted_networks=("127.0.0.0/8",))[0][wanted].status is Status.FAIL


def test_a_closed_port_with_an_unknown_recipient_still_fails(tls: ssl.SSLContext) -> None:
    found, _ = probe(Script(tls=tls, rcpt="550 5.1.1 unknown"), closed=True)
    assert found["smtp.recipient"].status is Status.FAIL


def test_nobody_listens() -> None:
    (finding,) = check_relay_host(OwnServer((), (), NAME, (), NAME))
    assert (finding.id, finding.status) == ("smtp.reachable", Status.FAIL)
    found = look(own(free_port(), relay_host=NAME), "127.0.0.1")
    assert found["smtp.reachable"].status is Status.FAIL
    assert "refuses" in found["smtp.reachable"].summary


@pytest.mark.parametrize("greeting", [0.0, None])
def test_cancelled(tls: ssl.SSLContext, greeting: float | None) -> None:
    with Server(Script(tls=tls, rcpt="")) as server:
        # While the server keeps silent after RCPT, or from the beginning.
        limits = Limits(
            30, cancelled=lambda: greeting == 0.0 or any(line.startswith("RCPT") for line in server.seen)
        )
        findings = check_relay_host(
            own(server.port, relay_host=NAME),
            limits,
            resolve=lambda name, _: Published((name,), ("127.0.0.1",)),
        )
    found = {finding.id: finding for finding in findings}
    assert found["smtp.reachable"].status is Status.NOT_TESTED
    assert "cancelled" in found["smtp.reachable"].summary
    assert found["smtp.relay-host"].status is Status.NOT_TESTED
    if greeting is None:
        assert found["smtp.starttls"].status is Status.OK


def test_the_whole_is_limited_too(tls: ssl.SSLContext) -> None:
    with Server(Script(tls=tls, ehlo="")) as server:
        findings = check_relay_host(own(server.port), Limits(30, total=0.3))
    (finding,) = [one for one in findings if one.id == "smtp.reachable"]
    assert finding.status is Status.FAIL
    assert "no answer within 0." in finding.summary or "are over" in finding.summary


# --- the name


@pytest.fixture
def elsewhere(authority: trustme.CA) -> Iterator[OwnServer]:
    """This server, with another one on the same port of 127.0.0.2."""
    with ExitStack() as stack:
        here = stack.enter_context(Server(Script(banner="220 mx1.example.com ESMTP", tls=context(authority))))
        stack.enter_context(
            Server(Script(banner="220 other.example ESMTP", tls=context(authority)), "127.0.0.2", here.port)
        )
        yield own(here.port, relay_host=NAME)


def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback addresses stand for public ones here."""
    monkeypatch.setattr("conbool_tui.checks.relay_host_name._is_nobody", lambda _: False)


def test_own_address(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    finding = look(elsewhere, "127.0.0.1", names=(NAME, "real.example.com"))["smtp.relay-host"]
    assert finding.status is Status.OK
    assert "mx1.example.com is an alias (CNAME) for real.example.com" in finding.detail


def test_an_own_address_without_listener(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    both = dataclasses.replace(elsewhere, addresses=("127.0.0.1", "127.0.0.3"))
    finding = look(both, "127.0.0.1", "127.0.0.3")["smtp.relay-host"]
    assert finding.status is Status.FAIL
    assert "published with 127.0.0.3, where port" in finding.summary
    assert "inet_interfaces" in finding.remedy


def test_another_host(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    finding = look(elsewhere, "198.51.100.77")["smtp.relay-host"]
    assert (finding.status, "leads to another host: 198.51.100.77" in finding.summary) == (Status.FAIL, True)
    assert "inbound.public_addresses" in finding.remedy
    finding = look(elsewhere, "127.0.0.1", "2001:db8::77")["smtp.relay-host"]
    assert (finding.status, "another host too: 2001:db8::77" in finding.summary) == (Status.FAIL, True)


def test_loopback_is_nobodys_address(elsewhere: OwnServer) -> None:
    finding = look(elsewhere, "127.0.0.1")["smtp.relay-host"]
    assert finding.status is Status.FAIL
    assert "every host to itself" in finding.summary


def test_private_address(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    monkeypatch.setattr(
        "conbool_tui.checks.relay_host_name._UNREACHABLE", (ipaddress.ip_network("127.0.0.0/8"),)
    )
    with Server(Script(tls=tls)) as server:
        here = own(server.port, relay_host=NAME)
        finding = look(here, "127.0.0.1")["smtp.relay-host"]
        assert finding.status is Status.WARN
        assert "private address" in finding.summary
        meant = dataclasses.replace(here, private_meant=True)
        assert look(meant, "127.0.0.1")["smtp.relay-host"].status is Status.OK


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("10.1.2.3", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("fd00::1", True),
        ("192.0.2.1", False),
    ],
)
def test_private_ranges(address: str, private: bool) -> None:
    assert _is_private(address) is private


def test_public_address_of_this_server(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    changed = dataclasses.replace(elsewhere, addresses=("192.0.2.7",), public_addresses=("127.0.0.1",))
    assert look(changed, "127.0.0.1")["smtp.relay-host"].status is Status.OK


def test_another_server_at_the_public_address(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    changed = dataclasses.replace(elsewhere, public_addresses=("127.0.0.2",))
    finding = look(changed, "127.0.0.2")["smtp.relay-host"]
    assert finding.status is Status.FAIL
    assert (
        "Another host answers at the public address 127.0.0.2: it greets as other.example" in finding.summary
    )


def test_same_name_other_certificate(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    with ExitStack() as stack:
        here = stack.enter_context(Server(Script(tls=context(authority))))
        stack.enter_context(Server(Script(tls=context(authority)), "127.0.0.2", here.port))
        server = own(here.port, relay_host=NAME, public_addresses=("127.0.0.2",))
        finding = look(server, "127.0.0.2")["smtp.relay-host"]
    assert finding.status is Status.WARN
    assert "another certificate" in finding.summary


def test_no_way_back_in(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    changed = dataclasses.replace(elsewhere, public_addresses=("127.0.0.4",))
    finding = look(changed, "127.0.0.4")["smtp.relay-host"]
    assert finding.status is Status.NOT_TESTED
    assert "hairpin" in finding.summary
    assert "Test Connection" in finding.remedy
    # One address that works does not hide that the other could not be tried.
    finding = look(changed, "127.0.0.1", "127.0.0.4")["smtp.relay-host"]
    assert finding.status is Status.NOT_TESTED
    assert "leads to this server" in finding.summary


@pytest.mark.parametrize(
    ("kind", "status"),
    [("missing", Status.FAIL), ("timeout", Status.NOT_TESTED), ("broken", Status.NOT_TESTED)],
)
def test_no_address(elsewhere: OwnServer, kind: str, status: Status) -> None:
    def fail(*_: object) -> Published:
        raise NoAddressError(kind, "as the test says")

    findings = check_relay_host(elsewhere, Limits(2.0), resolve=fail)
    finding = findings[-1]
    assert (finding.id, finding.status) == ("smtp.relay-host", status)
    assert "as the test says" in finding.summary
    assert finding.remedy


def test_a_part_of_the_addresses(elsewhere: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    findings = check_relay_host(
        elsewhere, Limits(2.0), resolve=lambda name, _: Published((name,), ("127.0.0.1",), "AAAA timed out")
    )
    assert findings[-1].status is Status.WARN
    assert "AAAA timed out" in findings[-1].summary


def test_addresses() -> None:
    listeners = [
        Listener("127.0.0.1", 25),
        Listener("::1", 25),
        Listener("192.0.2.7", 25),
        Listener("192.0.2.8", 587),
    ]
    assert listening_addresses(listeners, 25) == ["192.0.2.7", "127.0.0.1", "::1"]
    (found,) = listening_addresses([Listener("0.0.0.0", 25)], 25)
    assert found != "0.0.0.0"


def test_trust_and_ownership() -> None:
    server = own(
        25, trusted_networks=("[::1]/128", "127.0.0.0/8", "[2001:db8::]/32"), addresses=("2001:db8::7",)
    )
    assert server.trusts("127.0.0.1") is True
    assert server.trusts("192.0.2.1") is False
    assert server.trusts("2001:db8::1") is True
    assert dataclasses.replace(server, trusted_networks=("hash:/x",)).trusts("192.0.2.1") is None
    assert server.owns("2001:0db8:0::7")
    assert server.owns("127.0.0.1"), "the kernel knows its own addresses"
    assert not server.owns("192.0.2.1")
