"""Every kind of record and every way name service can go wrong, through real messages on loopback."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import dns.flags
import dns.message
import pytest

from conbool_tui.answers import Answers, DnsExpectation, Inbound, Prerequisites
from conbool_tui.checks.dns import NameServers, findings, look_up, mx_reports, shown_name
from conbool_tui.checks.dns_model import DomainReport, Lookup
from conbool_tui.findings import Status
from tests.unit.checks.dns_stub import Stub, error, raw, records, silence, truncated_only

DOMAIN = "example.com"
# For servers that stay silent: the time has to pass. All others may take their time on a busy computer.
FAST: dict[str, Any] = {"timeout": 1.0}
PATIENT: dict[str, Any] = {"timeout": 30.0}
KEY = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ=="
BROKEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as one:
        yield one


def answers(**changes: Any) -> Answers:
    return Answers(**{"prerequisites": Prerequisites(dkim_selectors=("s1",)), **changes})


def report(
    stub: Stub, domain: str = DOMAIN, asked: Optional[Answers] = None, **settings: Any
) -> DomainReport:
    (found,) = look_up([domain], asked or answers(), resolver=stub.servers(**{**PATIENT, **settings}))
    for lookup in found.lookups:
        assert lookup.summary.endswith("."), lookup
        assert lookup.remedy or lookup.status is Status.OK, lookup
        assert not BROKEN.search("".join((lookup.summary, lookup.detail, lookup.remedy, *lookup.values))), (
            lookup
        )
    assert {one.id for one in findings([found], asked or answers())} >= {"dns.mx", "prerequisites.confirmed"}
    return found


def one(found: DomainReport, kind: str) -> Lookup:
    (lookup,) = [lookup for lookup in found.lookups if lookup.kind == kind]
    return lookup


def statuses(found: DomainReport) -> dict[str, str]:
    return {lookup.kind: lookup.status.value for lookup in found.lookups}


def publish(stub: Stub, domain: str = DOMAIN) -> None:
    stub.add(domain, "MX", "10 in.conbool.com.", "20 in2.conbool.com.")
    stub.add("in.conbool.com", "A", "198.51.100.10")
    stub.add("in.conbool.com", "AAAA", "2001:db8:c::10")
    stub.add("in2.conbool.com", "A", "198.51.100.11")
    stub.add(domain, "TXT", '"v=spf1 include:spf.conbool.example -all"', '"conbool-verify=abc"')
    stub.add(f"_dmarc.{domain}", "TXT", '"v=DMARC1; p=reject"')
    stub.add(f"s1._domainkey.{domain}", "CNAME", "s1.keys.conbool.example.")
    stub.add("s1.keys.conbool.example", "TXT", f'"v=DKIM1; k=rsa; " "p={KEY}"')


# -- what is published


def test_everything_published(stub: Stub) -> None:
    publish(stub)
    stub.authenticated.add(DOMAIN)
    found = report(stub)
    assert statuses(found) == dict.fromkeys(("MX", "SPF", "DMARC", "DKIM", "TXT"), "OK")
    assert found.status is Status.OK
    assert one(found, "MX").values == ("10 in.conbool.com.", "20 in2.conbool.com.")
    assert one(found, "SPF").values == ("v=spf1 include:spf.conbool.example -all",)
    assert one(found, "TXT").values == ("conbool-verify=abc",)
    assert (one(found, "DMARC").name, one(found, "DMARC").values) == (
        "_dmarc.example.com",
        ("v=DMARC1; p=reject",),
    )
    dkim = one(found, "DKIM")
    assert dkim.values == (f"v=DKIM1; k=rsa; p={KEY}",)
    assert "s1._domainkey.example.com is an alias of s1.keys.conbool.example" in dkim.detail
    assert [(one.preference, one.host, one.addresses, one.conbool) for one in found.exchangers] == [
        (10, "in.conbool.com", ("198.51.100.10", "2001:db8:c::10"), True),
        (20, "in2.conbool.com", ("198.51.100.11",), True),
    ]
    assert found.conbool_only is True
    assert one(found, "MX").authenticated
    assert "DNSSEC" in one(found, "MX").detail
    assert not one(found, "DMARC").authenticated
    assert all(flags & dns.flags.AD for flags in stub.flags)
    assert len(stub.asked) == len(set(stub.asked)) == 4 + 2 * 2


def test_mx_reports_ask_for_nothing_else(stub: Stub) -> None:
    publish(stub)
    (found,) = mx_reports([DOMAIN], answers(), resolver=stub.servers(**PATIENT))
    assert [lookup.kind for lookup in found.lookups] == ["MX"]
    assert found.conbool_only is True
    assert {kind for _, kind, _ in stub.asked} == {"MX", "A", "AAAA"}


def test_over_ipv6() -> None:
    with Stub(address="::1") as stub:
        publish(stub)
        assert report(stub).status is Status.OK


def test_nothing_published(stub: Stub) -> None:
    stub.add("www.example.com", "A", "192.0.2.1")
    found = report(stub)
    assert statuses(found) == {"MX": "WARN", "SPF": "WARN", "DMARC": "WARN", "DKIM": "WARN", "TXT": "OK"}
    assert "neither an MX record nor an address" in one(found, "MX").summary
    assert "_dmarc" in one(found, "DMARC").summary
    assert (found.conbool_only, found.receives) == (False, False)


def test_no_mx_falls_back_to_the_address(stub: Stub) -> None:
    stub.add(DOMAIN, "A", "192.0.2.1")
    found = report(stub)
    assert (found.conbool_only, found.receives) == (False, True)
    mx = one(found, "MX")
    assert mx.status is Status.WARN
    assert "address of the domain itself" in mx.summary
    assert "192.0.2.1" in mx.detail


def test_null_mx(stub: Stub) -> None:
    stub.add(DOMAIN, "MX", "0 .")
    found = report(stub)
    assert "takes no mail" in one(found, "MX").summary
    assert (found.exchangers, found.conbool_only, found.receives) == ((), False, False)
    stub.add(DOMAIN, "MX", "10 in.conbool.com.")
    assert "beside" in one(report(stub), "MX").summary


@pytest.mark.parametrize(
    ("texts", "status", "words"),
    [
        (["v=spf1 -all"], "OK", "SPF is published"),
        (["V=SPF1"], "OK", "SPF is published"),
        (["v=spf10 -all"], "WARN", "no SPF record"),
        (["v=spf1 -all", "v=spf1 ~all"], "WARN", "more than one"),
        (["v=spf1 +all"], "WARN", "everybody"),
        (["v=spf1 all"], "WARN", "everybody"),
    ],
)
def test_spf(stub: Stub, texts: list[str], status: str, words: str) -> None:
    stub.add(DOMAIN, "TXT", *(f'"{text}"' for text in texts))
    spf = one(report(stub), "SPF")
    assert spf.status.value == status
    assert words in spf.summary
    assert len(one(report(stub), "TXT").values) == len(texts) - len(spf.values)


@pytest.mark.parametrize(
    ("texts", "status", "words"),
    [
        (["v=DMARC1; p=none; rua=mailto:x@example.com"], "OK", "policy none"),
        (["v=DMARC1;p=quarantine"], "OK", "policy quarantine"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "WARN", "more than one"),
        (["v=DMARC1; rua=mailto:x@example.com"], "WARN", "no valid policy"),
        (["v=DMARC1; p=maybe"], "WARN", "no valid policy"),
        (["p=reject; v=DMARC1"], "WARN", "no DMARC record"),
        (["v=DMARC1; p=reject", "something else"], "OK", "policy reject"),
    ],
)
def test_dmarc(stub: Stub, texts: list[str], status: str, words: str) -> None:
    stub.add("_dmarc.example.com", "TXT", *(f'"{text}"' for text in texts))
    dmarc = one(report(stub), "DMARC")
    assert (dmarc.status.value, words in dmarc.summary) == (status, True), dmarc


@pytest.mark.parametrize(
    ("texts", "status", "words"),
    [
        ([f"p={KEY}"], "OK", "is published"),
        ([f"v=DKIM1; t=y:s; p={KEY}"], "OK", "tests only"),
        (["v=DKIM1; p="], "WARN", "revoked"),
        (["v=DKIM1; k=rsa"], "WARN", "no DKIM key"),
        (["v=DKIM2; p=" + KEY], "WARN", "no DKIM key"),
        (["v=DKIM1; p=not base64!"], "WARN", "no DKIM key"),
        ([f"v=DKIM1; p={KEY}", f"v=DKIM1; t=s; p={KEY}"], "WARN", "more than one"),
    ],
)
def test_dkim(stub: Stub, texts: list[str], status: str, words: str) -> None:
    stub.add("s1._domainkey.example.com", "TXT", *(f'"{text.replace(";", chr(92) + ";")}"' for text in texts))
    dkim = one(report(stub), "DKIM")
    assert (dkim.status.value, words in dkim.summary) == (status, True), dkim


def test_no_selector(stub: Stub) -> None:
    publish(stub)
    asked = answers(prerequisites=Prerequisites())
    found = report(stub, asked=asked)
    assert "DKIM" not in statuses(found)
    (dkim,) = [finding for finding in findings([found], asked) if finding.id == "dns.dkim"]
    assert dkim.status is Status.NOT_TESTED


# -- whose exchangers


@pytest.mark.parametrize(
    ("hosts", "networks", "only"),
    [
        (["conbool.com."], (), True),
        (["in.conbool.com.", "eu.in.conbool.com."], (), True),
        (["In.ConBool.COM."], (), True),
        (["notconbool.com."], (), False),
        (["in.conbool.com.evil.example."], (), False),
        (["evil\\.conbool.com."], (), False),
        (["in.conbool.com.", "mx.example.com."], (), False),
        (["gate.example.net."], ("198.51.100.0/24", "2001:db8:c::/48"), True),
        (["gate.example.net."], ("198.51.100.0/24",), False),
        (["half.example.net."], ("198.51.100.0/24", "2001:db8:c::/48"), False),
        (["nothing.example.net."], ("198.51.100.0/24",), False),
    ],
)
def test_whose(stub: Stub, hosts: list[str], networks: tuple[str, ...], only: bool) -> None:
    stub.add(DOMAIN, "MX", *(f"10 {host}" for host in hosts))
    stub.add("gate.example.net", "A", "198.51.100.7")
    stub.add("gate.example.net", "AAAA", "2001:db8:c::7")
    stub.add("half.example.net", "A", "198.51.100.7", "203.0.113.7")
    found = report(stub, asked=answers(conbool_networks=networks))
    assert found.conbool_only is only


@pytest.mark.parametrize(("pattern", "only"), [(r"^10 gate\.example\.net\.$", True), (r"other", False)])
def test_whose_by_expectation(stub: Stub, pattern: str, only: bool) -> None:
    stub.add(DOMAIN, "MX", "10 gate.example.net.")
    stub.add("example.org", "MX", "10 gate.example.net.")
    asked = answers(dns_expectations=(DnsExpectation("MX", DOMAIN, pattern),))
    assert report(stub, asked=asked).conbool_only is only
    # Another domain's expectation says nothing about this one.
    reports = look_up(["example.org"], asked, resolver=stub.servers(**PATIENT))
    assert [one.conbool_only for one in reports] == [False, None]


def test_whose_cannot_be_told(stub: Stub) -> None:
    networks = {"conbool_networks": ("198.51.100.0/24", "2001:db8:c::/48")}
    stub.behaviour[DOMAIN] = error("SERVFAIL")
    assert report(stub, asked=answers(**networks)).conbool_only is None
    del stub.behaviour[DOMAIN]
    stub.add(DOMAIN, "MX", "10 gate.example.net.")
    stub.behaviour["gate.example.net"] = error("SERVFAIL")
    found = report(stub, asked=answers(**networks))
    assert found.conbool_only is None
    assert one(found, "MX").status is Status.NOT_TESTED
    assert one(found, "MX").values == ("10 gate.example.net.",)
    # One that certainly is not Conbool's settles it.
    stub.add(DOMAIN, "MX", "20 mx.example.org.")
    stub.add("mx.example.org", "A", "203.0.113.1")
    assert report(stub, asked=answers(**networks)).conbool_only is False


def test_no_addresses_are_asked_for_beyond_ten(stub: Stub) -> None:
    stub.add(DOMAIN, "MX", *(f"{number} mx{number}.example.net." for number in range(40)))
    stub.add("example.net", "A", "192.0.2.1")
    found = report(stub, asked=answers(conbool_networks=("192.0.2.0/24",)))
    assert sum(kind in ("A", "AAAA") for _, kind, _ in stub.asked) == 20
    assert len(found.exchangers) == 10
    assert "30 more were not looked up" in one(found, "MX").detail


def test_port_25_is_to_be_closed(stub: Stub) -> None:
    stub.add(DOMAIN, "MX", "10 mx.example.com.")
    stub.add("mx.example.com", "A", "192.0.2.70")
    closing = answers(inbound=Inbound(restrict_port_25=True, public_addresses=("192.0.2.70",)))
    mx = one(report(stub, asked=closing), "MX")
    assert (mx.status, "refused" in mx.remedy) == (Status.WARN, True)
    assert "192.0.2.70 (this server)" in mx.detail
    despite = answers(inbound=Inbound(restrict_port_25=True, close_despite_mx=True))
    assert one(report(stub, asked=despite), "MX").status is Status.OK
    assert one(report(stub), "MX").status is Status.OK


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("alias.example.net", "alias"),
        ("nothing.example.net", "without an address"),
        ("192.0.2.1", "instead of a host name"),
    ],
)
def test_doubtful_exchangers(stub: Stub, host: str, words: str) -> None:
    stub.add(DOMAIN, "MX", f"10 {host}.")
    stub.add("alias.example.net", "CNAME", "real.example.net.")
    stub.add("real.example.net", "A", "192.0.2.1")
    mx = one(report(stub), "MX")
    assert (mx.status, words in mx.summary) == (Status.WARN, True), mx


# -- expectations


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        (("TXT", DOMAIN, "^conbool-verify=abc$"), "OK", "as expected"),
        (("MX", DOMAIN, r"^10 in\.conbool\.com\.$"), "OK", "as expected"),
        (("TXT", f"s1._domainkey.{DOMAIN}", f"k=rsa; p={KEY[:10]}"), "OK", "as expected"),
        (("CNAME", f"s1._domainkey.{DOMAIN}", r"^s1\.keys\.conbool\.example\.$"), "OK", "as expected"),
        (("A", "in.conbool.com", r"^198\.51\.100\.10$"), "OK", "as expected"),
        (("TXT", DOMAIN, "conbool-verify=xyz"), "FAIL", "no TXT record is as expected"),
        (("CAA", DOMAIN, "."), "FAIL", "not published"),
        (("TXT", f"gone.{DOMAIN}", "."), "FAIL", "NXDOMAIN"),
        (("TXT", f"circle.{DOMAIN}", "."), "FAIL", "circle"),
        (("TXT", f"broken.{DOMAIN}", "."), "NOT TESTED", "SERVFAIL"),
        (("TXT", f"silent.{DOMAIN}", "."), "NOT TESTED", "in time"),
        (("TXT", DOMAIN, "("), "NOT TESTED", "no regular expression"),
    ],
)
def test_expectations(stub: Stub, wanted: tuple[str, str, str], status: str, words: str) -> None:
    publish(stub)
    stub.add(f"circle.{DOMAIN}", "CNAME", f"circle2.{DOMAIN}.")
    stub.add(f"circle2.{DOMAIN}", "CNAME", f"circle.{DOMAIN}.")
    stub.behaviour[f"broken.{DOMAIN}"] = error("SERVFAIL")
    stub.behaviour[f"silent.{DOMAIN}"] = silence
    asked = answers(dns_expectations=(DnsExpectation(*wanted),))
    reports = look_up([DOMAIN], asked, resolver=stub.servers(**FAST))
    expected = [lookup for found in reports for lookup in found.lookups if lookup.kind == "EXPECTED"]
    assert [lookup.status.value for lookup in expected] == [status]
    assert words in expected[0].summary
    assert expected[0].name == wanted[1]
    assert [found.domain for found in reports] == (
        [DOMAIN] if wanted[1].endswith(DOMAIN) else [DOMAIN, wanted[1]]
    )
    (finding,) = [finding for finding in findings(reports, asked) if finding.id == "dns.expected"]
    assert finding.status.value == status


def test_an_expectation_belongs_to_the_longest_domain_and_is_asked_once(stub: Stub) -> None:
    publish(stub)
    wanted = DnsExpectation("TXT", "_dmarc.example.com", "p=reject")
    below = DnsExpectation("TXT", "x.sub.example.com", ".")
    reports = look_up(
        ["example.com", "sub.example.com"],
        answers(dns_expectations=(wanted, wanted, below)),
        resolver=stub.servers(**PATIENT),
    )
    names = [[lookup.name for lookup in found.lookups if lookup.kind == "EXPECTED"] for found in reports]
    assert names == [["_dmarc.example.com"], ["x.sub.example.com"]]
    assert stub.questions("_dmarc.example.com", "TXT") == 1


# -- what goes wrong


@pytest.mark.parametrize(
    ("behaviour", "status", "words"),
    [
        (error("SERVFAIL"), "NOT TESTED", "SERVFAIL"),
        (error("REFUSED"), "NOT TESTED", "REFUSED"),
        (error("YXDOMAIN"), "NOT TESTED", "with an error"),
        (silence, "NOT TESTED", "in time"),
        (truncated_only, "NOT TESTED", "too long for UDP"),
        (raw(lambda wire: b"no DNS at all"), "NOT TESTED", "could not be understood"),
        (raw(lambda wire: b"\0"), "NOT TESTED", "could not be understood"),
        (raw(lambda wire: wire[:13]), "NOT TESTED", "could not be understood"),
        (raw(lambda wire: bytes([wire[0] ^ 1]) + wire[1:]), "NOT TESTED", "could not be understood"),
        # A record whose length says more than there is, and a name that points to itself.
        (
            raw(
                lambda wire: (
                    wire[:6]
                    + b"\0\1\0\0\0\0"
                    + b"\7example\3com\0\0\17\0\1"
                    + b"\300\14\0\17\0\1\0\0\0\1\377\377"
                )
            ),
            "NOT TESTED",
            "could not be understood",
        ),
        (
            raw(
                lambda wire: (
                    wire[:6]
                    + b"\0\1\0\0\0\0"
                    + b"\7example\3com\0\0\17\0\1"
                    + b"\300\35\0\17\0\1\0\0\0\1\0\2\0\1"
                )
            ),
            "NOT TESTED",
            "could not be understood",
        ),
        (error("NXDOMAIN"), "WARN", "the domain does not exist in DNS (NXDOMAIN)"),
        (
            records((DOMAIN, "CNAME", "gone.example."), code="NXDOMAIN"),
            "WARN",
            "alias (CNAME) of a name that does not",
        ),
        (
            records(
                (DOMAIN, "CNAME", "a.example."),
                ("a.example", "CNAME", "b.example."),
                ("b.example", "CNAME", "a.example."),
            ),
            "WARN",
            "in a circle",
        ),
        (records((DOMAIN, "CNAME", f"{DOMAIN}.")), "WARN", "in a circle"),
        (
            records(
                (DOMAIN, "CNAME", "1.example."),
                *((f"{number}.example", "CNAME", f"{number + 1}.example.") for number in range(1, 40)),
            ),
            "WARN",
            "too many times",
        ),
        # Records of other names and types are no answer.
        (records(("other.example", "MX", "10 in.conbool.com.")), "WARN", "neither an MX record"),
        (records((DOMAIN, "A", "192.0.2.1")), "WARN", "no MX record"),
    ],
)
def test_troubles(stub: Stub, behaviour: Any, status: str, words: str) -> None:
    publish(stub)
    stub.behaviour[DOMAIN] = behaviour
    found = report(stub, **(FAST if behaviour in (silence, truncated_only) else PATIENT))
    mx = one(found, "MX")
    assert mx.status.value == status
    assert words in mx.summary
    assert found.conbool_only is (None if status == "NOT TESTED" else False)
    assert mx.remedy
    # Only what cannot be asked is unknown.
    assert one(found, "DMARC").status is Status.OK
    assert one(found, "DKIM").status is Status.OK


def test_aliases_that_the_resolver_does_not_follow(stub: Stub) -> None:
    stub.behaviour[DOMAIN] = records((DOMAIN, "CNAME", "a.example."))
    stub.behaviour["a.example"] = records(("a.example", "CNAME", "b.example."))
    stub.add("b.example", "MX", "10 in.conbool.com.")
    mx = one(report(stub), "MX")
    assert mx.values == ("10 in.conbool.com.",)
    assert "example.com is an alias of a.example is an alias of b.example" in mx.detail
    stub.behaviour["b.example"] = records(("b.example", "CNAME", f"{DOMAIN}."))
    assert "circle" in one(report(stub), "MX").summary


def test_a_long_answer_comes_over_tcp(stub: Stub) -> None:
    value = "v=spf1 " + " ".join(f"ip4:192.0.2.{number}" for number in range(150))[:1988] + " -all"
    assert len(value) == 2000
    pieces = " ".join(f'"{value[start : start + 250]}"' for start in range(0, 2000, 250))
    stub.add(DOMAIN, "TXT", pieces)
    spf = one(report(stub), "SPF")
    assert (spf.status, spf.values) == (Status.OK, (value,))
    assert (DOMAIN, "TXT", "tcp") in stub.asked


def test_tcp_is_closed() -> None:
    with Stub(tcp=False) as stub:
        stub.behaviour[DOMAIN] = truncated_only
        spf = one(report(stub), "SPF")
    assert (spf.status, "TCP port 53" in spf.remedy) == (Status.NOT_TESTED, True)


def test_hostile_texts_are_bounded_and_harmless(stub: Stub) -> None:
    hostile = r'"\027]0;owned\007\027[2J' + "\\200\\226\\128\\174" + 'end\\010"'
    flood = " ".join(['"' + "x" * 250 + '"'] * 40)
    stub.add(DOMAIN, "TXT", hostile, flood, *(f'"flood-{number}"' for number in range(900)))
    found = report(stub)
    values = one(found, "TXT").values
    assert sum(map(len, values)) < 12_000
    assert any(value.startswith(r"\x1b]0;owned\x07\x1b[2J") for value in values)
    assert "more" in values[-1]
    for finding in findings([found], answers()):
        assert not BROKEN.search(finding.summary + finding.detail)


def test_random_damage_never_crashes(stub: Stub) -> None:
    publish(stub)
    source = random.Random(25)

    def damaged(query: dns.message.Message, protocol: str) -> bytes:
        wire = bytearray(stub.answer(query, protocol))
        for _ in range(source.randint(1, 4)):
            wire[source.randrange(2, len(wire))] = source.randrange(256)
        return bytes(wire)

    stub.everything = damaged
    domains = [f"{number}.{DOMAIN}" for number in range(150)] + [DOMAIN]
    reports = look_up(domains, answers(), resolver=stub.servers(timeout=0.1, tries=1))
    assert len(reports) == len(domains)
    assert findings(reports, answers())


def test_resolver_without_edns(stub: Stub) -> None:
    publish(stub)

    def old(query: dns.message.Message, protocol: str) -> Optional[bytes]:
        return error("FORMERR")(query, protocol) if query.edns >= 0 else stub.answer(query, protocol)

    stub.everything = old
    assert report(stub).status is Status.OK


def test_the_reason_of_a_failure_is_told(stub: Stub) -> None:
    stub.everything = error("SERVFAIL", "signature\x1b expired")
    mx = one(report(stub), "MX")
    assert "signature" in mx.detail
    assert "expired" in mx.detail


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.99.25.53", 0))
        address, port = taken.getsockname()
    (found,) = look_up([DOMAIN], answers(), resolver=NameServers(((address, port),), timeout=30))
    assert {lookup.status for lookup in found.lookups} == {Status.NOT_TESTED}
    assert "could be reached" in one(found, "MX").summary


def test_a_silent_resolver_is_left_behind(stub: Stub) -> None:
    with Stub() as second:
        publish(second)
        stub.everything = silence
        servers = NameServers(
            (("127.0.0.1", stub.port), ("127.0.0.1", second.port)), timeout=2.0, in_flight=1
        )
        (found,) = look_up([DOMAIN], answers(), resolver=servers)
        assert found.status is Status.OK
        assert len(stub.asked) == 1


def test_the_second_resolver_may_know(stub: Stub) -> None:
    with Stub() as second:
        publish(second)
        stub.everything = error("REFUSED")
        servers = NameServers((("127.0.0.1", stub.port), ("127.0.0.1", second.port)))
        (found,) = look_up([DOMAIN], answers(), resolver=servers)
    assert found.status is Status.OK


@pytest.mark.parametrize(
    "behaviour", [silence, raw(lambda wire: b"no DNS at all")], ids=["silent", "garbage"]
)
def test_resolvers_without_answers_are_not_asked_about_everything(stub: Stub, behaviour: Any) -> None:
    stub.everything = behaviour
    domains = [f"{number}.example" for number in range(500)]
    reports = look_up(domains, answers(), resolver=stub.servers(timeout=0.1))
    assert len(reports) == 500
    assert {lookup.status for found in reports for lookup in found.lookups} == {Status.NOT_TESTED}
    assert len(stub.asked) < 500
    assert "were not asked" in reports[-1].lookups[0].detail


# -- names


def test_international_names(stub: Stub) -> None:
    publish(stub, "xn--bcher-kva.example")
    for given in ("xn--bcher-kva.example", "Bücher.example", "bücher.example."):
        (found,) = look_up([given], answers(), resolver=stub.servers(**PATIENT))
        assert found.domain == given
        assert found.status is Status.OK
        assert one(found, "DMARC").name == "_dmarc.bücher.example"
        assert one(found, "MX").summary.startswith("bücher.example: ")
    assert {name for name, _, _ in stub.asked} >= {"xn--bcher-kva.example", "_dmarc.xn--bcher-kva.example"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("xn--bcher-kva.example.", "bücher.example"),
        ("_dmarc.XN--BCHER-KVA.example", "_dmarc.bücher.example"),
        ("xn--.example", "xn--.example"),
        ("xn--a-\x1b.example", "xn--a-\x1b.example"),
        ("xn--99999999999.example", "xn--99999999999.example"),
        # U+202E turns the reading direction; it is no letter.
        ("xn--abc-hg0e.example".replace("abc-hg0e", "\u202eabc".encode("punycode").decode()), None),
        (".", "."),
    ],
)
def test_shown_names(name: str, shown: Optional[str]) -> None:
    assert shown_name(name) == (shown or name)


def test_names_too_long(stub: Stub) -> None:
    long = ".".join(["a" * 60] * 4) + ".example"
    assert len(long) == 251
    stub.add(long, "MX", "10 in.conbool.com.")
    found = report(stub, long)
    assert one(found, "MX").values == ("10 in.conbool.com.",)
    assert one(found, "DMARC").status is Status.WARN
    assert "longer than DNS allows" in one(found, "DMARC").summary


@pytest.mark.parametrize(
    "domain",
    ["", "localhost", "a b.example", "x" * 300 + ".example", "\x1b[2J.example", "a..b", "*.example.com"],
)
def test_what_is_no_domain(stub: Stub, domain: str) -> None:
    found = report(stub, domain)
    assert {lookup.status for lookup in found.lookups} == {Status.NOT_TESTED}
    assert found.conbool_only is None
    assert stub.asked == []


def test_each_domain_is_reported_once(stub: Stub) -> None:
    publish(stub)
    reports = look_up([DOMAIN, "EXAMPLE.com", "example.com."], answers(), resolver=stub.servers(**PATIENT))
    assert [found.domain for found in reports] == [DOMAIN]


# -- the system's resolvers


def test_system_resolvers(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("search example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:1\n")
    assert NameServers.from_system(str(path)).servers == (("192.0.2.53", 53), ("2001:db8::53", 53))


@pytest.mark.parametrize(
    "content", [None, b"", b"nameserver nonsense\n", b"search " + b"a" * 70 + b"\n", b"\xff\xfe\n"]
)
def test_no_system_resolvers(tmp_path: Path, content: Optional[bytes]) -> None:
    path = tmp_path / "resolv.conf"
    if content is not None:
        path.write_bytes(content)
    servers = NameServers.from_system(str(path))
    assert (servers.servers, bool(servers.trouble)) == ((), True)
    (found,) = look_up([DOMAIN], answers(), resolver=servers)
    assert {lookup.status for lookup in found.lookups} == {Status.NOT_TESTED}
    assert "knows no name server" in one(found, "MX").summary
    assert str(path) in one(found, "MX").detail


def test_forged_answers_are_not_believed(stub: Stub) -> None:
    """Somebody who does not see the question sends answers with another ID before the right one."""
    publish(stub)

    def forged(query: dns.message.Message, protocol: str) -> bytes:
        false = dns.message.make_response(query)
        false.id ^= 1
        stub.send(query, bytes(false.to_wire()))
        return stub.answer(query, protocol)

    stub.everything = forged
    assert report(stub).status is Status.OK
