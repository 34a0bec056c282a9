"""Firewall rules in a transaction: order, three-way rollback, and a failure or a kill -9 at every step."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.checks.drift import check_drift
from conbool_tui.errors import CheckFailedError, RollbackIncompleteError, RolledBackError
from conbool_tui.findings import Status
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Change, ChangeKind, LiveTarget, Plan, Step
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import UndoConflictError, find_unfinished, list_changes, load_plan
from tests.unit.transaction.rig import (
    FIREWALL,
    MAIN,
    MAIN_BEFORE,
    RULES,
    RULES_BEFORE,
    STATE,
    TABLE,
    FakeRules,
    Rig,
)
from tests.unit.transaction.test_failures import At, die, fail, in_child, interrupt


def steps_of(action: str) -> list[str]:
    steps: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder, "root"))
        if action == "apply":
            rig.apply(rig.live_plan(), steps.append)
        else:
            rig.apply(rig.live_plan())
            rig.undo(None, steps.append)
    return steps


APPLY, UNDO = steps_of("apply"), steps_of("undo")


def numbered(steps: list[str]) -> Callable[[int], str]:
    return lambda number: f"{number}-{steps[number].replace('/', '.')}"


def only_rules(before: Optional[str] = RULES_BEFORE, after: Optional[str] = RULES) -> Plan:
    change = Change(ChangeKind.FIREWALL, Step.B, "rules", "because", FIREWALL, "", before, after, "undo")
    return Plan("postfix", "", "/etc/postfix", (change,), (), live=(LiveTarget(FIREWALL, before, after),))


def effects(steps: list[str]) -> list[str]:
    return [step.split(" ", 1)[1] for step in steps if step.startswith("done")]


def test_rules_come_after_the_reload_and_go_first(rig: Rig) -> None:
    done = effects(APPLY)
    assert done.index("reload") < done.index(f"put rules {FIREWALL}") < done.index("health")
    done = effects(UNDO)
    assert done.index(f"put rules {FIREWALL}") < done.index(f"write {MAIN}")


def test_apply_undo_and_undo_of_the_undo(rig: Rig) -> None:
    before = rig.tree()
    receipt = rig.apply(rig.live_plan())
    assert (receipt.state, rig.rules()) == (ChangeState.APPLIED, RULES)
    assert load_plan(rig.host, STATE, receipt.id).live == (LiveTarget(FIREWALL, RULES_BEFORE, RULES),)
    undone = rig.undo()
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)
    rig.undo(undone.id)
    assert rig.rules() == RULES
    rig.undo()
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)


@pytest.mark.parametrize("error", [fail, interrupt], ids=["error", "ctrl-c"])
@pytest.mark.parametrize("number", range(len(APPLY)), ids=numbered(APPLY))
def test_apply_failing_at_any_step(rig: Rig, number: int, error: Callable[[], None]) -> None:
    before = rig.tree()
    if APPLY[number] in ("announced commit", "done commit"):
        assert rig.apply(rig.live_plan(), At(number, error)).state is ChangeState.APPLIED
        return
    with pytest.raises(RolledBackError):
        rig.apply(rig.live_plan(), At(number, error))
    assert (rig.tree(), rig.rules(), rig.system.loaded) == (before, RULES_BEFORE, MAIN_BEFORE)
    assert find_unfinished(rig.host, STATE) is None


@pytest.mark.parametrize("number", range(len(UNDO)), ids=numbered(UNDO))
def test_undo_failing_at_any_step(rig: Rig, number: int) -> None:
    rig.apply(rig.live_plan())
    applied = rig.tree()
    if UNDO[number] in ("announced commit", "done commit"):
        return
    with pytest.raises(RolledBackError):
        rig.undo(None, At(number, fail))
    assert (rig.tree(), rig.rules()) == (applied, RULES)


@pytest.mark.parametrize("number", range(len(APPLY)), ids=numbered(APPLY))
def test_apply_killed_at_any_step(rig: Rig, number: int) -> None:
    before = rig.tree()
    in_child(lambda: rig.apply(rig.live_plan(), At(number, die)))
    rig.recover()
    if APPLY[number] in ("announced commit", "done commit"):
        assert rig.rules() == RULES
        rig.undo()
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)
    assert rig.apply(rig.live_plan()).state is ChangeState.APPLIED


@pytest.mark.parametrize("number", range(len(UNDO)), ids=numbered(UNDO))
def test_undo_killed_at_any_step(rig: Rig, number: int) -> None:
    before = rig.tree()
    rig.apply(rig.live_plan())
    applied = rig.tree()
    in_child(lambda: rig.undo(None, At(number, die)))
    rig.recover()
    done = UNDO[number] in ("announced commit", "done commit")
    assert (rig.tree(), rig.rules()) == ((before, RULES_BEFORE) if done else (applied, RULES))


@pytest.mark.parametrize("number", [n for n, step in enumerate(APPLY) if "rules" in step])
def test_recovery_killed_at_any_step_is_finished_by_the_next(rig: Rig, number: int) -> None:
    before = rig.tree()
    in_child(lambda: rig.apply(rig.live_plan(), At(number, die)))
    for step in range(100):
        if in_child(lambda step=step: rig.recover(At(step, die))) == 0:  # type: ignore[misc]
            break
    else:
        pytest.fail("recovery never came to its end")
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)


@pytest.mark.parametrize("when", ["apply", "recover"])
def test_killed_with_half_of_the_rules_in_force(rig: Rig, when: str) -> None:
    """What is there then is ours and no edit of the admin."""
    if when == "apply":
        rig.wish("dies")
    in_child(lambda: rig.apply(rig.live_plan(), At(APPLY.index(f"done put rules {FIREWALL}"), die)))
    if when == "recover":
        rig.wish("dies")
        in_child(rig.recover)
    assert rig.rules() == "half\n"
    receipt = rig.recover()
    assert receipt is not None
    assert (receipt.state, rig.rules()) == (ChangeState.ROLLED_BACK, RULES_BEFORE)


def test_a_refused_put_is_rolled_back(rig: Rig) -> None:
    before = rig.tree()
    rig.wish("closed fails")
    with pytest.raises(RolledBackError, match=r"did not take the rules.*no memory"):
        rig.apply(rig.live_plan())
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)


def test_rules_that_cannot_be_put_back_are_told_and_files_come_back(rig: Rig) -> None:
    before = rig.tree()
    rig.wish("open fails")
    rig.system.health_problems = [[Problem("unwell")]]
    with pytest.raises(RollbackIncompleteError) as caught:
        rig.apply(rig.live_plan())
    assert "could not be put back" in caught.value.why
    assert "conbool-tui undo 2" in caught.value.todo
    assert rig.tree() == before
    rig.grant("open fails")
    assert rig.undo().state is ChangeState.ROLLED_BACK
    assert rig.rules() == RULES_BEFORE


def test_an_edit_during_the_crash_is_a_conflict_and_accepted_on_request(rig: Rig) -> None:
    before = rig.tree()
    in_child(lambda: rig.apply(rig.live_plan(), At(APPLY.index("done health"), die)))
    (rig.firewall / "rules").write_text("allow 203.0.113.1/32\nrefuse others\n")
    with pytest.raises(RollbackIncompleteError) as caught:
        rig.recover()
    for words in ("before us", "allow 192.0.2.0/24", "allow 198.51.100.0/24", "allow 203.0.113.1/32"):
        assert words in caught.value.why
    assert (rig.tree(), rig.rules()) == (before, "allow 203.0.113.1/32\nrefuse others\n")
    receipt = rig.recover(accept=True)
    assert receipt is not None
    assert receipt.state is ChangeState.ROLLED_BACK
    assert rig.rules() == "allow 203.0.113.1/32\nrefuse others\n"


def test_rules_that_are_gone_come_back_or_stay_away(rig: Rig) -> None:
    in_child(lambda: rig.apply(rig.live_plan(), At(APPLY.index("done health"), die)))
    (rig.firewall / "rules").unlink()
    assert rig.recover() is not None
    assert rig.rules() == RULES_BEFORE
    (rig.firewall / "rules").unlink()
    rig.apply(only_rules(None))
    (rig.firewall / "rules").unlink()
    receipt = rig.undo()
    assert (receipt.state, rig.rules()) == (ChangeState.APPLIED, None)
    assert "were as before already" in receipt.message


def test_the_owner_that_loads_its_files_again_at_the_end_does_not_win(rig: Rig) -> None:
    """Some tool loads the new rules again while the rollback is at the files."""

    def observe(step: str) -> None:
        if step == "done health":
            raise OSError("injected")
        if step == f"done restore {MAIN}":
            (rig.firewall / "rules").write_text(RULES)

    with pytest.raises(RolledBackError):
        rig.apply(rig.live_plan(), observe)
    assert rig.rules() == RULES_BEFORE


@pytest.mark.parametrize("wish", ["broken", "refuses"])
def test_a_firewall_that_cannot_is_refused_with_nothing_changed(rig: Rig, wish: str) -> None:
    before = rig.tree()
    rig.wish(wish)
    with pytest.raises(CheckFailedError, match="Nothing was changed"):
        rig.apply(rig.live_plan())
    assert (rig.tree(), rig.puts()) == (before, [])


def test_rules_changed_between_plan_and_apply(rig: Rig) -> None:
    plan = rig.live_plan()
    (rig.firewall / "rules").write_text("allow 203.0.113.1/32\nrefuse others\n")
    with pytest.raises(CheckFailedError, match="changed between plan and apply"):
        rig.apply(plan)
    assert rig.puts() == []


def test_rules_changed_while_files_are_written_are_not_overwritten(rig: Rig) -> None:
    before = rig.tree()
    edit = "allow 203.0.113.1/32\nrefuse others\n"

    def observe(step: str) -> None:
        if step == "done reload":
            (rig.firewall / "rules").write_text(edit)

    with pytest.raises(RolledBackError, match="changed between plan and apply"):
        rig.apply(rig.live_plan(), observe)
    assert (rig.tree(), rig.rules(), rig.puts()) == (before, edit, [])


def test_only_rules_leave_the_mail_system_alone(rig: Rig) -> None:
    rig.system.runs = False
    rig.system.not_ready = [Problem("not running")]
    rig.apply(only_rules())
    assert rig.rules() == RULES
    rig.undo()
    assert (rig.rules(), rig.system.calls) == (RULES_BEFORE, [])


def test_undo_stops_at_edited_rules(rig: Rig) -> None:
    rig.apply(rig.live_plan())
    applied = rig.tree()
    (rig.firewall / "rules").write_text("allow 203.0.113.1/32\nrefuse others\n")
    with pytest.raises(UndoConflictError) as caught:
        rig.undo()
    assert (caught.value.exit_code, caught.value.conflicts[0].path) == (5, FIREWALL)
    assert rig.tree() == applied


def test_undo_of_the_files_when_the_firewall_cannot_be_asked(rig: Rig) -> None:
    before = rig.tree()
    rig.apply(rig.live_plan())
    rig.wish("broken")
    receipt = rig.undo()
    assert rig.tree() == before
    assert f"not looked at ({FIREWALL})" in receipt.message


def test_another_root_gets_the_files_only(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "other", live=False)
    receipt = rig.apply(rig.live_plan(60))
    assert (receipt.state, rig.puts()) == (ChangeState.APPLIED, [])
    assert "rules are not put in force" in receipt.message
    assert rig.host.is_file(TABLE)
    rig.undo()
    assert (rig.host.is_file(TABLE), rig.puts()) == (False, [])
    with pytest.raises(CheckFailedError, match="only puts firewall rules"):
        rig.apply(only_rules())


def test_mail_system_judges_its_own_files_only(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []

    def judge(plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        seen.append(set(files))
        return []

    monkeypatch.setattr(rig.system, "judge", judge)
    plan = rig.live_plan()
    outside = dataclasses.replace(plan.files[2], path="/etc/conbool.rules")
    rig.apply(dataclasses.replace(plan, files=(*plan.files, outside)))
    assert seen == [{target.path for target in plan.files}]


def drift(rig: Rig) -> list[tuple[Status, str]]:
    return [(finding.status, finding.summary) for finding in check_drift(rig.host, STATE, live_for=FakeRules)]


def test_drift_of_rules(rig: Rig) -> None:
    rig.apply(rig.live_plan())
    assert [status for status, _ in drift(rig)] == [Status.OK]
    (rig.firewall / "rules").write_text("allow 203.0.113.1/32\nrefuse others\n")
    ((status, text),) = drift(rig)
    assert (status, "are not as applied" in text) == (Status.FAIL, True)
    (rig.firewall / "rules").unlink()
    assert "not in force any more" in drift(rig)[0][1]
    rig.wish("broken")
    assert drift(rig)[0][0] is Status.NOT_TESTED


def test_old_records_still_load(rig: Rig) -> None:
    receipt = rig.apply()
    place = rig.root / STATE.lstrip("/") / "changes" / receipt.id / "plan.json"
    document = json.loads(place.read_text())
    for name in ("live", "confirm_within", "answers", "ask_again"):
        del document[name]
    place.write_text(json.dumps(document))
    plan = load_plan(rig.host, STATE, receipt.id)
    assert (plan.live, plan.confirm_within, plan.answers) == ((), 0, "")
    assert list_changes(rig.host, STATE)[0].state is ChangeState.APPLIED
