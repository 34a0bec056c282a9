"""Many domains: all are asked about, never too much at once, each question once, and it can be stopped."""

from __future__ import annotations

import threading

import dns.message
import pytest

from conbool_tui.answers import Answers, DnsExpectation, Prerequisites
from conbool_tui.checks.dns import NameServers, findings, look_up
from conbool_tui.checks.dns_model import DomainReport, Lookup
from conbool_tui.findings import Status
from conbool_tui.receipt import Progress
from tests.unit.checks.dns_stub import Stub, error, silence

ASKED = Answers(prerequisites=Prerequisites(four_checks_green=True, dkim_selectors=("s1",)))
HOSTS = 30
KINDS = ("MX", "SPF", "DMARC", "DKIM", "TXT")


def names(count: int) -> list[str]:
    return [f"customer-{number:05d}.example" for number in range(count)]


def publish(stub: Stub, count: int) -> None:
    """Every seventh domain has no DMARC record; the domains share a few exchangers."""
    for number, name in enumerate(names(count)):
        stub.add(name, "MX", f"10 mx{number % HOSTS}.example.net.", "20 in.conbool.com.")
        stub.add(name, "TXT", '"v=spf1 -all"')
        stub.add(f"s1._domainkey.{name}", "TXT", '"p=MIGf"')
        if number % 7:
            stub.add(f"_dmarc.{name}", "TXT", '"v=DMARC1; p=none"')
    for number in range(HOSTS):
        stub.add(f"mx{number}.example.net", "A", f"192.0.2.{number + 1}")
    stub.add("in.conbool.com", "A", "198.51.100.10")


def test_a_thousand_domains() -> None:
    seen: list[DomainReport] = []
    told: list[Progress] = []
    with Stub(delay=0.02) as stub:
        publish(stub, 1000)
        reports = look_up(
            names(1000), ASKED, resolver=stub.servers(timeout=30), on_report=seen.append, progress=told.append
        )
    assert [report.domain for report in reports] == names(1000)
    assert sorted(report.domain for report in seen) == names(1000)
    assert {tuple(lookup.kind for lookup in report.lookups) for report in reports} == {KINDS}
    assert sum(report.status is Status.OK for report in reports) == 1000 - len(range(0, 1000, 7))
    assert all(len(report.exchangers) == 2 and report.conbool_only is False for report in reports)
    # The bound holds, and is used.
    assert 32 <= stub.most <= 64
    assert len(stub.asked) == len(set(stub.asked)) == 4 * 1000 + 2 * (HOSTS + 1)
    assert (told[-1].done, told[-1].total) == (1000, 1000)
    assert [one.done for one in told] == sorted(one.done for one in told)
    told_of = findings(reports, ASKED)
    dmarc = {finding.status: finding for finding in told_of if finding.id == "dns.dmarc"}
    assert dmarc[Status.WARN].summary.startswith(
        "143 domains (customer-00000.example, customer-00007.example, customer-00014.example, …): no DMARC"
    )
    assert dmarc[Status.WARN].detail.count("\n") == 142
    assert dmarc[Status.OK].summary.startswith("857 domains (")
    assert len(told_of) == 7


def test_the_bound_is_the_callers() -> None:
    with Stub(delay=0.005) as stub:
        publish(stub, 60)
        look_up(names(60), ASKED, resolver=stub.servers(in_flight=5, timeout=30))
    assert stub.most == 5


def test_cancel_while_the_resolver_is_silent() -> None:
    """Only the cancel can end this: the resolver never answers, and the tries would take hours."""
    with Stub() as stub:
        asked = threading.Event()

        def silent(query: dns.message.Message, protocol: str) -> None:
            asked.set()

        stub.everything = silent
        seen: list[DomainReport] = []
        reports = look_up(
            names(10_000),
            ASKED,
            resolver=stub.servers(timeout=3600),
            cancelled=asked.is_set,
            on_report=seen.append,
        )
    assert [report.domain for report in reports] == names(10_000)
    assert {lookup.status for report in reports for lookup in report.lookups} == {Status.NOT_TESTED}
    assert {report.conbool_only for report in reports} == {None}
    assert {tuple(lookup.kind for lookup in report.lookups) for report in reports} == {KINDS}
    for report in (reports[0], reports[-1]):
        assert (
            report.lookups[0].summary == f"{report.domain}: MX not known: cancelled before the answer came."
        )
        assert report.lookups[3].name == f"s1._domainkey.{report.domain}"
    assert seen == []
    assert len(stub.asked) <= 64
    assert len(findings(reports, ASKED)) == 6


def test_cancel_keeps_what_is_there() -> None:
    with Stub() as stub:
        publish(stub, 200)
        hanging = "customer-00003.example"
        stub.behaviour[f"_dmarc.{hanging}"] = silence
        seen: dict[str, DomainReport] = {}
        reports = look_up(
            names(200),
            ASKED,
            resolver=stub.servers(timeout=3600),
            on_report=lambda report: seen.update({report.domain: report}),
            cancelled=lambda: len(seen) == 199,
        )
    by_name = {report.domain: report for report in reports}
    statuses = {lookup.kind: lookup.status for lookup in by_name.pop(hanging).lookups}
    assert statuses.pop("DMARC") is Status.NOT_TESTED
    assert set(statuses.values()) == {Status.OK}
    assert by_name == seen


def test_cancelled_from_the_start() -> None:
    with Stub() as stub:
        reports = look_up(names(3), ASKED, resolver=stub.servers(timeout=30), cancelled=lambda: True)
    assert stub.asked == []
    assert {lookup.status for report in reports for lookup in report.lookups} == {Status.NOT_TESTED}


def test_an_expectation_outside_is_cancelled_too() -> None:
    asked = Answers(dns_expectations=(DnsExpectation("A", "elsewhere.example", "."),))
    reports = look_up([], asked, resolver=NameServers(()), cancelled=lambda: True)
    assert [(report.domain, report.status) for report in reports] == [
        ("elsewhere.example", Status.NOT_TESTED)
    ]


def test_an_error_of_the_caller_ends_the_run() -> None:
    def fail(report: DomainReport) -> None:
        raise RuntimeError("the screen is gone")

    with Stub() as stub:
        publish(stub, 100)
        with pytest.raises(RuntimeError, match="the screen is gone"):
            look_up(names(100), ASKED, resolver=stub.servers(timeout=30), on_report=fail)


def test_hostile_answers_do_not_stay_in_memory() -> None:
    """Each domain publishes 60 kB of text and a host with 2,000 addresses; only some of both may stay."""
    flood = ['"' + str(number) + "x" * 240 + '"' for number in range(240)]
    with Stub() as stub:
        for name in names(10):
            stub.records[(name, "TXT")] = flood
            stub.records[(name, "MX")] = ["10 many.example.net."]
        stub.records[("many.example.net", "A")] = [
            f"10.0.{number // 250}.{number % 250}" for number in range(2000)
        ]
        reports = look_up(names(10), Answers(), resolver=stub.servers(timeout=30))
    assert [report.status for report in reports] == [Status.WARN] * 10
    assert max(len(repr(report)) for report in reports) < 20_000
    assert max(len(report.exchangers[0].addresses) for report in reports) == 16


def test_few_domains_are_told_one_by_one() -> None:
    with Stub() as stub:
        publish(stub, 20)
        stub.behaviour["_dmarc.customer-00005.example"] = error("SERVFAIL")
        reports = look_up(names(20), ASKED, resolver=stub.servers(timeout=30))
    told = findings(reports, ASKED)
    assert [finding.id for finding in told] == [
        *(f"dns.{kind}" for kind in ("mx", "spf", "dmarc", "dkim", "txt") for _ in range(20)),
        "prerequisites.confirmed",
    ]
    dmarc = [finding for finding in told if finding.id == "dns.dmarc"]
    assert dmarc[5].status is Status.NOT_TESTED
    assert "_dmarc.customer-00001.example TXT: v=DMARC1; p=none" in dmarc[1].detail


def test_confirmation() -> None:
    def confirmed(green: bool) -> Status:
        asked = Answers(prerequisites=Prerequisites(four_checks_green=green))
        return findings([], asked)[-1].status

    assert (confirmed(True), confirmed(False)) == (Status.OK, Status.NOT_TESTED)
    assert next((one.id, one.status) for one in findings([], Answers())) == ("dns.mx", Status.NOT_TESTED)


def test_groups_are_by_result_not_by_name() -> None:
    """What the domains publish differs; what is to be said about it does not."""
    reports = [
        DomainReport(
            name, (Lookup("SPF", name, Status.OK, (f"v=spf1 {name}",), f"{name}: SPF is published."),)
        )
        for name in names(21)
    ]
    (spf,) = [finding for finding in findings(reports, Answers()) if finding.id == "dns.spf"]
    assert spf.summary.endswith("…): SPF is published.")
    assert len(spf.detail.split("\n")) == 21
    assert len([one for one in findings(reports[:20], Answers()) if one.id == "dns.spf"]) == 20
