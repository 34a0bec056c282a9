"""Closing port 25 while mail still comes here: refused, or confirmed twice; and how often name service is asked for that."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Optional

import pytest

from conbool_tui import closing
from conbool_tui.answers import Answers, Inbound
from conbool_tui.checks.dns_model import DomainReport, MailExchanger
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.host import Host
from conbool_tui.mx_memory import KNOWN_FOR, UNKNOWN_FOR, MxMemory
from conbool_tui.planners.postfix.mta import mta_of
from conbool_tui.session import Session
from tests.unit.cli import samples

CONBOOLS = MailExchanger(10, "in.conbool.com", ("192.0.2.26",), True)
OTHER = MailExchanger(20, "mx1.example.com", ("192.0.2.70",), False)


def report(domain: str, only: Optional[bool], *exchangers: MailExchanger) -> DomainReport:
    return DomainReport(domain, (), exchangers, only)


def test_told() -> None:
    reports = [
        report("unknown.example", None),
        report("here.example", False, CONBOOLS, OTHER),
        report("none.example", False),
    ]
    text = closing.told(reports)
    assert text.startswith("here.example: MX mx1.example.com is not Conbool's.")
    assert "none.example has no MX record." in text
    assert text.endswith("unknown.example: its MX could not be looked up.")
    many = closing.told([report(f"d{number}.example", False, OTHER) for number in range(12)])
    assert "And 7 more domains." in many


def test_only_a_known_yes_counts() -> None:
    reports = [report("a.example", True, CONBOOLS), report("b.example", None), report("c.example", False)]
    assert [item.domain for item in closing.not_conbools(reports)] == ["b.example", "c.example"]


def test_a_domain_nobody_can_send_to_loses_nothing() -> None:
    internal = dataclasses.replace(report("corp.lan", False), receives=False)
    assert closing.not_conbools([internal]) == ()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def mx_reports(domains: Any, answers: Answers, **_: Any) -> list[DomainReport]:
        asked.append(tuple(domains))
        return [report(name, None if name == "b.example" else True) for name in domains]

    monkeypatch.setattr("conbool_tui.checks.dns.mx_reports", mx_reports)
    clock = Clock()
    memory = MxMemory(Host(str(tmp_path)), clock)
    answers = Answers()
    domains = ("a.example", "b.example")
    assert [item.domain for item in memory.reports(domains, answers)] == list(domains)
    memory.reports(domains, answers)
    assert asked == [domains]
    clock.now += UNKNOWN_FOR + 1
    memory.reports(domains, answers)
    assert asked[1:] == [("b.example",)]
    clock.now += KNOWN_FOR
    memory.reports(domains, answers)
    assert asked[2:] == [domains]
    memory.reports(domains, dataclasses.replace(answers, conbool_networks=("192.0.2.0/24",)))
    assert asked[3:] == [domains]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    made = Session(Host(str(tmp_path)))
    monkeypatch.setattr(
        made._mx, "reports", lambda domains, answers: [report(name, False, OTHER) for name in domains]
    )
    return made


CLOSING = Answers(
    domains=("example.com",), conbool_networks=("198.51.100.0/24",), inbound=Inbound(restrict_port_25=True)
)


def despite(answers: Answers) -> Answers:
    return dataclasses.replace(answers, inbound=dataclasses.replace(answers.inbound, close_despite_mx=True))


def test_refused_until_confirmed(session: Session) -> None:
    plan = dataclasses.replace(samples.plan(), confirm_within=60)
    facts = samples.postfix()
    with pytest.raises(closing.ClosingError) as caught:
        session._closing(plan, mta_of(facts), CLOSING)
    assert "example.com" in caught.value.domains
    assert "inbound.restrict_port_25" in caught.value.what
    assert "--inbound-close-despite-mx" in caught.value.todo
    confirmed = session._closing(plan, mta_of(facts), despite(CLOSING))
    assert "mx1.example.com" in confirmed.ask_again
    assert confirmed.notices[0].level == "warn"


def test_not_asked_when_nothing_is_tightened(session: Session) -> None:
    plan = samples.plan()
    assert session._closing(plan, mta_of(samples.postfix()), CLOSING) is plan


def test_every_hosted_domain_counts(session: Session) -> None:
    """A domain that is served here and was not given to Conbool loses its mail, too."""
    plan = dataclasses.replace(samples.plan(), confirm_within=60)
    facts = samples.postfix()
    facts = dataclasses.replace(
        facts, domains=dataclasses.replace(facts.domains, virtual_mailbox=("forgotten.example",))
    )
    with pytest.raises(closing.ClosingError) as caught:
        session._closing(plan, mta_of(facts), CLOSING)
    assert "forgotten.example" in caught.value.domains


def test_undo_takes_a_waiting_change_first(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from conbool_tui.receipt import ChangeState, Receipt

    waiting = Receipt("two", "postfix", ChangeState.UNCONFIRMED, "", "", (), ())
    monkeypatch.setattr(session, "unconfirmed", lambda: waiting)
    assert session.undo_target() is waiting
    assert session.undo_target("two") is waiting


def test_firewall_facts_alone_plan_nothing(session: Session) -> None:
    from conbool_tui.firewall_part import with_firewall

    facts = HostFacts((Detection("postfix", Outcome.PRESENT, "Postfix", postfix=samples.postfix()),))
    plan = samples.plan()
    assert with_firewall(plan, facts, mta_of(samples.postfix()), CLOSING) is plan
