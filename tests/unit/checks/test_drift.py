"""Drift of tagged lines; firewall rules are in the transaction's tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from conbool_tui.checks.drift import check_drift
from conbool_tui.findings import Finding, Status
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Plan, Step
from tests.unit.transaction.rig import FIREWALL, RULES, RULES_BEFORE, STATE, FakeRules, Rig

CONF = "/etc/nftables.conf"
THEIRS = "flush ruleset\n"
LINE = 'include "/etc/nftables.d/conbool.nf[t]" # conbool-tui\n'


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "root")
    made.put(CONF, THEIRS.encode(), 0o755)
    change = Change(ChangeKind.LINES, Step.B, "t", "r", CONF, "conbool-tui", None, LINE, "u")
    files = (FileTarget(CONF, THEIRS.encode(), (THEIRS + LINE).encode()),)
    made.apply(Plan("postfix", "", "/etc/postfix", (change,), files))
    return made


def look(rig: Rig) -> list[Finding]:
    return check_drift(rig.host, STATE, live_for=FakeRules)


def write(rig: Rig, text: str) -> None:
    rig.put(CONF, text.encode(), 0o755)


def test_edits_beside_our_lines_are_no_drift(rig: Rig) -> None:
    write(rig, "# mine\n" + THEIRS + LINE)
    assert [finding.status for finding in look(rig)] == [Status.OK]


def test_our_lines_edited_or_gone(rig: Rig) -> None:
    write(rig, THEIRS + LINE.replace("nf[t]", "nft"))
    (finding,) = look(rig)
    assert (finding.status, finding.summary.split(" (")[0]) == (
        Status.FAIL,
        f"{CONF}: conbool-tui is not as applied",
    )
    write(rig, THEIRS)
    assert look(rig)[0].status is Status.FAIL


def test_another_root_has_no_rules_to_compare(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "other", live=False)
    plan = dataclasses.replace(rig.plan(), live=(LiveTarget(FIREWALL, RULES_BEFORE, RULES),))
    rig.apply(plan)
    assert [finding.status for finding in look(rig)] == [Status.NOT_TESTED]


def test_the_newest_change_decides_what_the_rules_should_be(rig: Rig) -> None:
    for before, after in ((RULES_BEFORE, RULES), (RULES, RULES_BEFORE)):
        live = (LiveTarget(FIREWALL, before, after),)
        rig.apply(Plan("postfix", "", "/etc/postfix", (), (), live=live))
    assert [finding.status for finding in look(rig)] == [Status.OK]
