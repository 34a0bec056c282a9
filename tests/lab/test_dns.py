"""The DNS prerequisites, looked up on real machines by the Python of their release, through their own resolv.conf."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import pytest

from .lab import CONBOOL_NETWORK4, CONBOOL_NETWORK6, NAMESERVER, Lab
from .machine import APP, Machine
from .releases import spread
from .roots import bare_spec

ENVIRONMENT = {"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"}
NETWORKS = (CONBOOL_NETWORK4, CONBOOL_NETWORK6)
PROGRAM = """
import json, sys
from conbool_tui.answers import Answers, DnsExpectation, Prerequisites
from conbool_tui.checks.dns import NameServers, findings, look_up, mx_reports
wanted = json.loads(sys.argv[1])
answers = Answers(
    prerequisites=Prerequisites(dkim_selectors=tuple(wanted["selectors"])),
    conbool_networks=tuple(wanted["networks"]),
    dns_expectations=tuple(DnsExpectation(*one) for one in wanted["expected"]),
)
reports = (mx_reports if wanted["mx"] else look_up)(wanted["domains"], answers)
print(json.dumps({
    "reports": {
        one.domain: {
            "only": one.conbool_only,
            "lookups": {found.kind: [found.status.value, found.summary, list(found.values), found.detail] for found in one.lookups},
        }
        for one in reports
    },
    "findings": [[one.id, one.status.value, one.summary] for one in findings(reports, answers)],
}))
"""

Found = dict[str, Any]


@pytest.fixture(scope="module")
def server(lab_ready: None, suite: str) -> Iterator[tuple[Lab, Machine]]:
    """One machine without a mail system; the tests clean up in name service."""
    with Lab() as lab:
        yield lab, lab.machine(Machine, bare_spec(suite))


@pytest.fixture
def published(server: tuple[Lab, Machine]) -> Iterator[tuple[Lab, Machine]]:
    """Everything as it should be, for two domains."""
    lab, machine = server
    kept = {key: list(values) for key, values in lab.dns.zone.records.items()}
    zone = lab.dns.zone
    for domain in ("example.com", "xn--bcher-kva.example"):
        zone.set(domain, "MX", "10 in.conbool.com.")
        zone.set(domain, "TXT", '"v=spf1 include:_spf.conbool.com -all"', '"conbool-verify=4711"')
        zone.set(f"_dmarc.{domain}", "TXT", '"v=DMARC1; p=quarantine"')
        zone.set(f"s1._domainkey.{domain}", "CNAME", "s1.keys.conbool.com.")
    zone.set("s1.keys.conbool.com", "TXT", '"v=DKIM1; p=MIGf"')
    lab.dns.forget()
    yield lab, machine
    lab.dns.repair()
    zone.records.clear()
    zone.records.update(kept)
    use(machine, NAMESERVER)


def use(machine: Machine, *addresses: str) -> None:
    """Write the machine's resolv.conf."""
    machine.write("/etc/resolv.conf", "".join(f"nameserver {address}\n" for address in addresses))


def ask(
    machine: Machine,
    *domains: str,
    networks: Sequence[str] = (),
    expected: Sequence[tuple[str, str, str]] = (),
    mx: bool = False,
) -> tuple[dict[str, Found], list[list[str]]]:
    """Look up on the machine: the reports by domain, and the findings."""
    wanted = {"domains": domains, "selectors": ["s1"], "networks": networks, "expected": expected, "mx": mx}
    argv = ["python3", "-X", "utf8", "-c", PROGRAM, json.dumps(wanted)]
    done = machine.run(argv, env=ENVIRONMENT, check=True)
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    return answer["reports"], answer["findings"]


def statuses(report: Found) -> dict[str, str]:
    return {kind: found[0] for kind, found in report["lookups"].items()}


ALL_OK = dict.fromkeys(("MX", "SPF", "DMARC", "DKIM", "TXT"), "OK")


def test_everything_published(published: tuple[Lab, Machine]) -> None:
    lab, machine = published
    reports, told = ask(
        machine,
        "example.com",
        "xn--bcher-kva.example",
        expected=[("TXT", "example.com", "^conbool-verify=4711$")],
    )
    assert statuses(reports["example.com"]) == {**ALL_OK, "EXPECTED": "OK"}
    assert statuses(reports["xn--bcher-kva.example"]) == ALL_OK
    assert reports["example.com"]["only"] is True
    assert reports["example.com"]["lookups"]["TXT"][2] == ["conbool-verify=4711"]
    assert "alias of s1.keys.conbool.com" in reports["example.com"]["lookups"]["DKIM"][3]
    assert any(summary.startswith("bücher.example: ") for _, _, summary in told)
    questions = [(query.name, query.type) for query in lab.dns.queries]
    assert len(questions) == len(set(questions))
    assert {query.source for query in lab.dns.queries} == {machine.place.ipv4}


def test_ipv6_resolver_behind_a_dead_one(published: tuple[Lab, Machine]) -> None:
    lab, machine = published
    use(machine, "192.0.2.54", "2001:db8::53")
    assert statuses(ask(machine, "example.com")[0]["example.com"]) == ALL_OK
    assert {query.source for query in lab.dns.queries} == {machine.place.ipv6}


def test_long_text_over_tcp(published: tuple[Lab, Machine]) -> None:
    lab, machine = published
    value = "v=spf1 " + "ip4:198.51.100.0/24 " * 99 + "~all "
    value += " " * (2000 - len(value))
    pieces = " ".join(f'"{value[start : start + 200]}"' for start in range(0, 2000, 200))
    lab.dns.zone.set("example.com", "TXT", pieces)
    spf = ask(machine, "example.com")[0]["example.com"]["lookups"]["SPF"]
    assert (spf[0], spf[2]) == ("OK", [value])
    assert [query.protocol for query in lab.dns.asked("example.com", "TXT")] == ["udp", "tcp"]


@spread(
    "trouble,status,words",
    [
        ({"rcode": "SERVFAIL"}, "NOT TESTED", "SERVFAIL"),
        ({"rcode": "REFUSED"}, "NOT TESTED", "REFUSED"),
        ({"rcode": "NXDOMAIN"}, "WARN", "does not exist"),
        ({"drop": True}, "NOT TESTED", "answered in time"),
        ({"cut": True}, "NOT TESTED", "too long for UDP"),
        (None, "NOT TESTED", "no name server could be reached"),
    ],
)
def test_troubles(
    published: tuple[Lab, Machine], trouble: Optional[dict[str, Any]], status: str, words: str
) -> None:
    lab, machine = published
    if trouble is None:
        # Nothing listens on the machine itself, and it says so.
        use(machine, "127.0.0.1", "::1")
    else:
        lab.dns.trouble("example.com", **trouble)
    reports, told = ask(machine, "example.com", expected=[("MX", "example.com", "conbool")])
    report = reports["example.com"]
    assert [report["lookups"][kind][0] for kind in ("MX", "SPF", "TXT")] == [status] * 3
    assert words in report["lookups"]["MX"][1]
    assert report["lookups"]["EXPECTED"][0] == ("FAIL" if status == "WARN" else status)
    assert report["lookups"]["DMARC"][0] == ("OK" if trouble else status)
    assert report["only"] is (False if status == "WARN" else None)
    assert ["dns.mx", status] in [one[:2] for one in told]


def test_aliases_in_a_circle(published: tuple[Lab, Machine]) -> None:
    lab, machine = published
    lab.dns.zone.set("s1.keys.conbool.com", "TXT")
    lab.dns.zone.set("s1.keys.conbool.com", "CNAME", "s1._domainkey.example.com.")
    dkim = ask(machine, "example.com")[0]["example.com"]["lookups"]["DKIM"]
    assert (dkim[0], "circle" in dkim[1]) == ("WARN", True)


def test_whose_exchangers(published: tuple[Lab, Machine]) -> None:
    lab, machine = published
    zone = lab.dns.zone
    zone.set("example.com", "MX", "10 gate.example.net.")
    zone.host("gate.example.net", "198.51.100.200", "2001:db8:c::200", reverse=False)
    assert ask(machine, "example.com", mx=True)[0]["example.com"]["only"] is False
    assert ask(machine, "example.com", mx=True, networks=NETWORKS)[0]["example.com"]["only"] is True
    zone.set("example.com", "MX", "10 gate.example.net.", f"20 {machine.place.hostname}.")
    assert ask(machine, "example.com", mx=True, networks=NETWORKS)[0]["example.com"]["only"] is False
    lab.dns.trouble("gate.example.net", "SERVFAIL")
    zone.set("example.com", "MX", "10 gate.example.net.")
    assert ask(machine, "example.com", mx=True, networks=NETWORKS)[0]["example.com"]["only"] is None
