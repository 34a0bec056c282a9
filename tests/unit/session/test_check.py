"""What a check does when the mail system is there, broken or gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.findings import Status
from conbool_tui.host import Host
from conbool_tui.receipt import Progress
from conbool_tui.session import Session
from tests.unit.cli import samples


def session(folder: Path, facts: HostFacts, monkeypatch: pytest.MonkeyPatch) -> Session:
    made = Session(Host(str(folder)))
    monkeypatch.setattr(made, "detect", lambda instance=None: facts)
    return made


def test_another_root_is_not_tested_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Progress] = []
    findings = session(tmp_path, samples.facts(), monkeypatch).check(Answers(), steps.append)
    assert {finding.id: finding.status for finding in findings} == {
        "dns": Status.NOT_TESTED,
        "client-certificate": Status.NOT_TESTED,
        "smart-host": Status.NOT_TESTED,
        "smtp.reachable": Status.NOT_TESTED,
        "drift": Status.NOT_TESTED,
    }
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6, 7]


def test_a_broken_mail_system_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Detection("postfix", Outcome.BROKEN, "Postfix", reason="line 3 is wrong", remedy="Repair it.")
    findings = session(tmp_path, HostFacts((broken,)), monkeypatch).check()
    assert (findings[0].id, findings[0].status) == ("mail-system", Status.FAIL)
    assert "line 3 is wrong" in findings[0].summary
    assert findings[0].remedy == "Repair it."
    assert findings[-1].id == "drift"


@pytest.mark.parametrize("outcome", [Outcome.ABSENT, Outcome.MANAGED])
def test_nothing_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    facts = HostFacts((Detection("postfix", outcome, "Postfix", managed_by="Plesk"),))
    with pytest.raises(CheckFailedError):
        session(tmp_path, facts, monkeypatch).check()
