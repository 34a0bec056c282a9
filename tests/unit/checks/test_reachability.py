"""SMTP reachability, against servers that say what the test wants."""

from __future__ import annotations

import socket
import ssl

import pytest
import trustme

from conbool_tui.checks import smtp
from conbool_tui.checks.smtp import REACHABLE, check_reachability, listening_addresses
from conbool_tui.facts import Listener
from conbool_tui.findings import Finding, Status
from tests.unit.checks.server import HANG_UP, Script, Server, free_port

DENIED = "554 5.7.1 Relay access denied"


@pytest.fixture
def port() -> int:
    """Another port than 25, so that the tests need no rights and meet no mail server of this machine."""
    return free_port()


def tls(name: str = "mx1.example.com") -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(name).configure_cert(made)
    return made


def probe(
    port: int,
    script: Script,
    *,
    domains: tuple[str, ...] = ("example.com",),
    trusted: tuple[str, ...] = ("10.0.0.0/8",),
    relay_host: str | None = None,
) -> tuple[dict[str, Finding], Server]:
    with Server(script, port=port) as server:
        listeners = (Listener("127.0.0.1", port),)
        asked = smtp.Server(listeners, domains, relay_host, trusted, "mx1.example.com", port)
        findings = check_reachability(asked, timeout=2)
    return {finding.id: finding for finding in findings}, server


def test_reachable(port: int) -> None:
    found, server = probe(port, Script(tls=tls(), replies={}))
    assert found["smtp.reachable"].status is Status.OK
    assert found["smtp.reachable"].summary.startswith(REACHABLE)
    assert found["smtp.starttls"].status is Status.OK
    assert found["smtp.certificate"].status is Status.OK
    assert found["smtp.recipient"].status is Status.OK
    assert "RCPT TO:<postmaster@example.com>" in server.seen
    assert not [line for line in server.seen if line.upper().startswith("DATA")]
    assert "< 250 ok" in found["smtp.reachable"].detail


def test_open_relay(port: int) -> None:
    found, server = probe(port, Script(tls=tls()))
    assert found["smtp.relay"].status is Status.FAIL
    assert "open relay" in found["smtp.relay"].summary
    # example.com is hosted here: asking for it would prove nothing.
    assert "RCPT TO:<conbool-probe@example.org>" in server.seen


def test_hosted_example_domains_are_not_asked_as_foreign(port: int) -> None:
    _, server = probe(port, Script(tls=tls()), domains=("example.org", "example.net"))
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
def test_relay_refusal(port: int, trusted: tuple[str, ...], reply: str, status: Status) -> None:
    found, _ = probe(port, Script(tls=tls(), rcpt=reply), trusted=trusted)
    assert found["smtp.relay"].status is status


@pytest.mark.parametrize(
    ("reply", "status"),
    [("450 4.2.0 greylisted", Status.WARN), ("550 5.1.1 unknown", Status.FAIL), ("251 elsewhere", Status.OK)],
)
def test_hosted_recipient(port: int, reply: str, status: Status) -> None:
    found, _ = probe(port, Script(tls=tls(), rcpt=reply))
    assert found["smtp.recipient"].status is status
    assert found["smtp.reachable"].status is Status.OK


def test_no_domains(port: int) -> None:
    found, _ = probe(port, Script(tls=tls()), domains=())
    assert found["smtp.recipient"].status is Status.NOT_TESTED


def test_no_starttls(port: int) -> None:
    found, _ = probe(port, Script(ehlo="250 mail.test"))
    assert found["smtp.starttls"].status is Status.WARN
    assert found["smtp.reachable"].status is Status.OK


def test_certificate_of_another_name(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: real("127.0.0.1" if host == "mx9.example.com" else host, *a, **k),
    )
    found, _ = probe(port, Script(tls=tls()), relay_host="mx9.example.com")
    assert found["smtp.certificate"].status is Status.WARN
    assert "not for mx9.example.com" in found["smtp.certificate"].summary
    assert found["smtp.relay-host"].status is Status.OK


def test_relay_host_without_address(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with Server(Script(tls=tls()), port=port):
        monkeypatch.setattr(socket, "getaddrinfo", fail)
        finding = smtp._by_name(smtp.Server((), (), "mx9.invalid", (), "mx1", port), 1)
    assert finding.status is Status.FAIL
    assert "no address" in finding.summary


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(banner="421 4.3.2 busy"), "421 4.3.2 busy"),
        (Script(banner="554 no"), "554 no"),
        (Script(banner=HANG_UP), "closed the connection"),
        (Script(ehlo="502 what"), "502 what"),
        (Script(banner="HTTP/1.1 400"), "not SMTP"),
    ],
)
def test_not_reachable(port: int, script: Script, words: str) -> None:
    found, _ = probe(port, script)
    assert found["smtp.reachable"].status is Status.FAIL
    assert words in found["smtp.reachable"].summary
    assert found["smtp.reachable"].remedy


def test_nobody_listens(port: int) -> None:
    (finding,) = check_reachability(smtp.Server((), (), None, (), "mx1"))
    assert (finding.id, finding.status) == ("smtp.reachable", Status.FAIL)
    listeners = (Listener("127.0.0.1", port),)
    (finding,) = check_reachability(smtp.Server(listeners, (), None, (), "mx1", port), timeout=1)
    assert finding.status is Status.FAIL
    assert "refused" in finding.summary


def test_addresses() -> None:
    listeners = [
        Listener("127.0.0.1", 25),
        Listener("::1", 25),
        Listener("192.0.2.7", 25),
        Listener("192.0.2.8", 587),
    ]
    assert listening_addresses(listeners, 25) == ["192.0.2.7", "127.0.0.1", "::1"]
    (own,) = listening_addresses([Listener("0.0.0.0", 25)], 25)
    assert own != "0.0.0.0"
    assert socket.inet_aton(own)


def test_trusted() -> None:
    assert smtp._trusted("127.0.0.1", ("[::1]/128", "127.0.0.0/8"))
    assert not smtp._trusted("192.0.2.1", ("[::1]/128", "127.0.0.0/8"))
    assert smtp._trusted("2001:db8::1", ("[2001:db8::]/32",))
