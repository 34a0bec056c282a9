"""The look at the smart host: every failure has its own words, chain and name are judged apart."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path
from typing import Optional

import pytest
import trustme

from conbool_tui.answers import SmartHost
from conbool_tui.checks.limits import Limits
from conbool_tui.checks.smart_host import SmartHostCheck
from conbool_tui.checks.transport_tls import TransportTls
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from tests.unit.checks.server import Script, Server, free_port

NAME = "mail.conbool.com"
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
Found = dict[str, Finding]


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def lookup(host: str, *args: object, **more: object) -> object:
        if host == NAME:
            return real("127.0.0.1", *args, **more)  # type: ignore[arg-type]
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


def context(authority: trustme.CA, name: str = NAME, ask: bool = False, **more: object) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **more).configure_cert(made)  # type: ignore[arg-type]
    if ask:
        made.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(made)
    return made


def look(folder: Path, port: int, host: str = NAME, timeout: float = 3.0, **more: Optional[str]) -> Found:
    wanted = SmartHost(host=host, port=port, ca_file="/ca.pem", **more)
    limits = Limits(step=timeout)
    findings = SmartHostCheck(Host(str(folder)), wanted, "mx1.example.com", limits=limits).run()
    assert len({finding.id for finding in findings}) == len(findings) == 6
    return {finding.id.partition(".")[2]: finding for finding in findings}


def statuses(found: Found) -> str:
    short = {Status.OK: "+", Status.WARN: "!", Status.FAIL: "x", Status.NOT_TESTED: "?"}
    return "".join(
        short[found[name].status] for name in ("resolve", "connect", "greeting", "starttls", "chain", "name")
    )


def test_all_is_well(tmp_path: Path, authority: trustme.CA) -> None:
    with Server(Script(tls=context(authority))) as server:
        found = look(tmp_path, server.port)
    assert statuses(found) == "++++++"
    assert server.seen[0] == "EHLO mx1.example.com"
    assert not [line for line in server.seen if line.startswith(("MAIL", "RCPT", "DATA"))]
    assert "< 220 mail.test ESMTP" in found["name"].detail


def test_unknown_name(tmp_path: Path, authority: trustme.CA) -> None:
    found = look(tmp_path, 25, "nothing.invalid")
    assert statuses(found) == "x?????"
    assert "nothing.invalid has no address" in found["resolve"].summary
    assert "queue" in found["resolve"].remedy


def test_refused(tmp_path: Path, authority: trustme.CA) -> None:
    found = look(tmp_path, free_port())
    assert statuses(found) == "+x????"
    assert "refuses" in found["connect"].summary
    assert "smart_host.port" in found["connect"].remedy


def test_connect_times_out(tmp_path: Path, authority: trustme.CA) -> None:
    # A listener whose queue is full lets connections wait, as a firewall that drops packets does.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        found = look(tmp_path, full.getsockname()[1], timeout=0.3)
        for one in waiting:
            one.close()
    assert statuses(found) in ("+x????", "++x???")
    failed = next(finding for finding in found.values() if finding.status is Status.FAIL)
    assert "no answer within 0.3 seconds" in failed.summary
    assert "firewall" in (failed.summary + failed.remedy).lower()


def test_wrong_name(tmp_path: Path, authority: trustme.CA) -> None:
    with Server(Script(tls=context(authority, "other.example"))) as server:
        found = look(tmp_path, server.port)
        assert statuses(found) == "+++++x"
        assert "other.example, not for mail.conbool.com" in found["name"].summary
        assert "smart_host.tls_name" in found["name"].remedy
        assert statuses(look(tmp_path, server.port, tls_name="other.example")) == "++++++"


@pytest.mark.parametrize(
    ("name", "status"), [("*.conbool.com", "+"), ("*.com", "x"), ("*.mail.conbool.com", "x")]
)
def test_wildcards(tmp_path: Path, authority: trustme.CA, name: str, status: str) -> None:
    with Server(Script(tls=context(authority, name))) as server:
        assert statuses(look(tmp_path, server.port))[-1] == status


def test_expired(tmp_path: Path, authority: trustme.CA) -> None:
    with Server(Script(tls=context(authority, not_before=NOW - 9 * DAY, not_after=NOW - DAY))) as server:
        found = look(tmp_path, server.port)
    assert statuses(found) == "++++x+"
    assert "certificate has expired" in found["chain"].summary
    assert f"expired {(NOW - DAY):%Y-%m-%d}" in found["chain"].summary


def test_untrusted_and_wrong_name_are_told_apart(tmp_path: Path, authority: trustme.CA) -> None:
    with Server(Script(tls=context(trustme.CA(), "other.example"))) as server:
        found = look(tmp_path, server.port)
    assert statuses(found) == "++++xx"
    assert "unable to get local issuer certificate" in found["chain"].summary
    assert "smart_host.ca_file" in found["chain"].remedy
    assert "= certificate 1 for other.example" in found["chain"].detail


def test_system_authorities_do_not_trust_ours(tmp_path: Path, authority: trustme.CA) -> None:
    with Server(Script(tls=context(authority))) as server:
        wanted = SmartHost(host=NAME, port=server.port)
        findings = SmartHostCheck(Host(str(tmp_path)), wanted, "mx1", limits=Limits(3)).run()
        found = {finding.id.partition(".")[2]: finding for finding in findings}
        assert statuses(found) == "++++x+"
        settings = TransportTls(ca_file="/ca.pem")
        trusting = SmartHostCheck(
            Host(str(tmp_path)), wanted, "mx1", limits=Limits(3), settings=settings
        ).run()
        assert all(finding.status is Status.OK for finding in trusting)


def test_missing_ca_file(tmp_path: Path, authority: trustme.CA) -> None:
    (tmp_path / "ca.pem").unlink()
    with Server(Script(tls=context(authority))) as server:
        found = look(tmp_path, server.port)
    assert found["chain"].status is Status.FAIL
    assert "/ca.pem" in found["chain"].summary


def test_client_certificate_is_offered(tmp_path: Path, authority: trustme.CA) -> None:
    leaf = authority.issue_cert("mx1.example.com")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "c.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "k.pem")
    with Server(Script(tls=context(authority, ask=True))) as server:
        found = look(tmp_path, server.port, client_certificate="/c.pem", client_key="/k.pem")
        assert statuses(found) == "++++++"
        assert "It asks for a client certificate; /c.pem was shown." in found["starttls"].summary
        assert server.client_certificates[0] == ssl.PEM_cert_to_DER_cert(
            leaf.cert_chain_pems[0].bytes().decode()
        )
        found = look(tmp_path, server.port)
    assert found["starttls"].status is Status.FAIL
    assert "client certificate" in found["starttls"].remedy
    assert "= It asks for a client certificate; none is set here." in found["starttls"].detail
    with Server(Script(tls=context(authority))) as server:
        found = look(tmp_path, server.port, client_certificate="/c.pem", client_key="/k.pem")
    assert "It does not ask for a client certificate; /c.pem is shown" in found["starttls"].summary


def test_second_address_is_tried(
    tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(Script(tls=context(authority))) as server:
        entries = [
            (socket.AF_INET, 1, 6, "", (address, server.port)) for address in ("127.0.0.2", "127.0.0.1")
        ]
        real = socket.getaddrinfo

        def lookup(host: str, *args: object, **more: object) -> object:
            return entries if host == NAME else real(host, *args, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        found = look(tmp_path, server.port)
    assert statuses(found) == "+!++++"
    assert "127.0.0.2: the connection was refused" in found["connect"].summary


def test_families(tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET6, 1, 6, "", ("2001:db8::1", 25, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    settings = TransportTls(families=(socket.AF_INET,))
    first = SmartHostCheck(Host(str(tmp_path)), SmartHost(), "mx1", settings=settings).run()[0]
    assert first.status is Status.FAIL
    assert "family" in first.summary


def test_a_server_cannot_command_the_terminal(tmp_path: Path, authority: trustme.CA) -> None:
    with Server(Script(banner="220 \x1b[2J\x07hello", tls=context(authority))) as server:
        found = look(tmp_path, server.port)
    assert "\x1b" not in found["greeting"].detail
