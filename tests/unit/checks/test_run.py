"""The order of all checks, their progress, and what is left when the admin ends them."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import dns.exception
import dns.name
import dns.resolver
import pytest
import trustme

from conbool_tui.answers import Answers, Inbound, SmartHost
from conbool_tui.checks import run
from conbool_tui.checks.limits import Limits
from conbool_tui.checks.resolve import NoAddressError, published, system_addresses
from conbool_tui.checks.smart_host import IDS, SmartHostCheck
from conbool_tui.facts import Service, ServiceOption
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.receipt import Progress
from tests.unit.checks.server import Script, Server
from tests.unit.cli import samples


def all_checks(folder: Path, cancelled: bool = False) -> tuple[list[Finding], list[Progress]]:
    facts = samples.facts()
    steps: list[Progress] = []
    findings = run.run_checks(
        Host(str(folder)),
        "/var/lib/x",
        facts,
        facts.detections[0],
        Answers(),
        steps.append,
        lambda: cancelled,
    )
    return findings, steps


def test_another_root(tmp_path: Path) -> None:
    findings, steps = all_checks(tmp_path)
    by_id = {finding.id: finding for finding in findings}
    assert list(by_id) == ["dns", "client-certificate", "smart-host", "smtp.reachable", "drift"]
    assert {finding.status for finding in findings} == {Status.NOT_TESTED}
    for name in ("dns", "smart-host", "smtp.reachable"):
        assert "does not run" in by_id[name].summary
    assert [(step.done, step.total) for step in steps] == [(number, 7) for number in range(1, 8)]


def test_cancelled_from_the_beginning(tmp_path: Path) -> None:
    findings, steps = all_checks(tmp_path, cancelled=True)
    assert [finding.status for finding in findings] == [Status.NOT_TESTED] * 7
    assert all("cancelled" in finding.summary for finding in findings)
    assert steps == []


def test_cancelled_in_the_middle_of_the_smart_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: real("127.0.0.1", *a, **k),
    )
    steps: list[str] = []
    with Server(Script(ehlo="")) as server:
        limits = Limits(60, cancelled=lambda: bool(server.seen))
        wanted = SmartHost("mail.conbool.com", server.port)
        check = SmartHostCheck(Host(str(tmp_path)), wanted, "mx1", limits=limits, say=steps.append)
        findings = check.run()
    assert [finding.id for finding in findings] == list(IDS)
    assert [finding.status for finding in findings] == [Status.OK] * 2 + [Status.NOT_TESTED] * 4
    assert all("cancelled" in finding.summary for finding in findings[2:])
    assert steps == ["name", "connection", "greeting"]


def test_cancelled_while_the_name_is_looked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def wait(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        stop.wait(20)
        return []

    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", wait)
    limits = Limits(20, cancelled=lambda: bool(asked))
    findings = SmartHostCheck(Host(str(tmp_path)), SmartHost(), "mx1", limits=limits).run()
    assert {finding.status for finding in findings} == {Status.NOT_TESTED}
    with pytest.raises(NoAddressError) as told:
        system_addresses("slow.example", 25, Limits(0.2))
    assert told.value.kind == "timeout"
    stop.set()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (dns.resolver.NXDOMAIN, "missing"),
        (dns.resolver.NoAnswer, "missing"),
        (dns.resolver.NoNameservers, "broken"),
        (dns.exception.Timeout, "timeout"),
        (dns.name.LabelTooLong, "broken"),
    ],
)
def test_name_service_fails(monkeypatch: pytest.MonkeyPatch, error: type[Exception], kind: str) -> None:
    def fail(*_: object, **__: object) -> object:
        raise error

    monkeypatch.setattr(dns.resolver, "Resolver", lambda: type("Fake", (), {"resolve": fail})())
    with pytest.raises(NoAddressError) as told:
        published("mx.example.com", Limits(1))
    assert told.value.kind == kind


def test_no_name_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> object:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver, "Resolver", fail)
    with pytest.raises(NoAddressError, match=r"resolv\.conf"):
        published("mx.example.com", Limits(1))


@pytest.mark.parametrize(
    ("value", "closed"),
    [
        ("permit_mynetworks, reject", True),
        ("permit_mynetworks", False),
        ("", False),
        ("reject_rbl_client x", False),
        ("check_client_access cidr:/x, conbool_others, reject_unknown_client_hostname", True),
        ("conbool_inbound", False),
        ("warn_if_reject reject", False),
        ("circle", False),
        ("check_client_access cidr:$config_directory/conbool/port_25_clients.cidr", True),
    ],
)
def test_a_closed_port_is_recognised(value: str, closed: bool) -> None:
    option = ServiceOption("smtpd_client_restrictions", value)
    classes = {
        "conbool_others": "permit_mynetworks, check_client_access static:{554 5.7.1 no}, reject",
        "conbool_inbound": "reject_plaintext_session, permit",
        "circle": "circle",
    }
    facts = samples.postfix(
        services=(Service("smtp", "inet", "smtpd", False, (option,)),), parameters=classes
    )
    assert run._closed(facts) is closed
    facts = samples.postfix(
        services=(Service("submission", "inet", "smtpd", False, (option,)),), parameters=classes
    )
    assert run._closed(facts) is False


def test_the_whole_run_on_a_live_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Host, "live", property(lambda _: True))
    monkeypatch.setattr(run, "_prerequisites", lambda *_: [Finding("dns.mx", Status.OK, "MX.")])
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: real("127.0.0.1", *a, **k),
    )
    facts = samples.facts()
    with Server(Script(ehlo="250 mail.test")) as server:
        answers = Answers(
            domains=("example.com",),
            smart_host=SmartHost("mail.conbool.com", server.port, ca_file="/ca.pem"),
            inbound=Inbound(),
        )
        steps: list[Progress] = []
        findings = run.run_checks(
            Host(str(tmp_path)), "/var/lib/x", facts, facts.detections[0], answers, steps.append
        )
    ids = [finding.id for finding in findings]
    assert ids[:10] == ["dns.mx", "client-certificate", "ca-file", *IDS, "smart-host.second-opinion"]
    assert ids[-1] == "drift"
    assert "smtp.reachable" in ids
    assert [step.text for step in steps if step.done == 3][:2] == [
        "Checking: TLS to mail.conbool.com",
        "Checking: TLS to mail.conbool.com: name",
    ]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
