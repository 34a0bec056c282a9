"""Conflicts and what is chosen about them, accepted drift, pruning, and taking back in any order."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conbool_tui.checks.drift import check_drift, find_drift
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.findings import Status
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.postfix_config import MainCf
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction import (
    KEEP,
    PUT_BACK,
    UndoConflictError,
    accept,
    find_conflicts,
    list_changes,
)
from conbool_tui.transaction.lineage import prunable
from conbool_tui.transaction.merge import take_back
from conbool_tui.transaction.pruning import prune
from tests.unit.transaction.rig import CONFIG, MAIN, RULES_BEFORE, STATE, TABLE, FakeRules, Rig


def settings_plan(rig: Rig, **values: str) -> Plan:
    """Sets parameters."""
    before = rig.data(MAIN)
    main = MainCf.parse(before)
    changes = []
    for name, value in values.items():
        old = main.get(name)
        main.set(name, value)
        changes.append(Change(ChangeKind.PARAMETER, Step.A, name, "", MAIN, name, old, value, ""))
    return Plan("postfix", "", CONFIG, tuple(changes), (FileTarget(MAIN, before, main.to_bytes()),))


def edit(rig: Rig, name: str, value: str) -> None:
    main = MainCf.parse(rig.data(MAIN))
    main.set(name, value)
    rig.host.real(MAIN).write_bytes(main.to_bytes())


def value(rig: Rig, name: str) -> str | None:
    return MainCf.parse(rig.data(MAIN)).get(name)


@pytest.mark.parametrize(("choice", "left"), [(KEEP, "[mine]"), (PUT_BACK, "")])
def test_a_choice_about_a_conflict(rig: Rig, choice: str, left: str) -> None:
    first = rig.apply()
    edit(rig, "relayhost", "[mine]")
    (conflict,) = find_conflicts(rig.host, STATE, first.id, live_for=FakeRules)
    assert (conflict.at, conflict.base, conflict.now) == ((MAIN, "relayhost"), "", "[mine]")
    assert rig.undo(choices={conflict.at: choice}).state is ChangeState.APPLIED
    assert value(rig, "relayhost") == left
    assert value(rig, "smtp_tls_policy_maps") is None


@pytest.mark.parametrize(("choice", "left"), [(KEEP, b"mine\n"), (PUT_BACK, None)])
def test_a_choice_about_a_whole_file(rig: Rig, choice: str, left: bytes | None) -> None:
    rig.apply()
    rig.host.real(TABLE).write_bytes(b"mine\n")
    rig.undo(choices={(TABLE, ""): choice})
    assert (rig.data(TABLE) if rig.host.exists(TABLE) else None) == left


@pytest.mark.parametrize(("choice", "left"), [(KEEP, "mine\n"), (PUT_BACK, RULES_BEFORE)])
def test_a_choice_about_rules(rig: Rig, choice: str, left: str) -> None:
    first = rig.apply(rig.live_plan())
    (rig.firewall / "rules").write_text("mine\n")
    (conflict,) = find_conflicts(rig.host, STATE, first.id, live_for=FakeRules)
    rig.undo(choices={conflict.at: choice})
    assert rig.rules() == left


def test_an_undo_with_something_kept_can_be_undone(rig: Rig) -> None:
    first = rig.apply()
    edit(rig, "relayhost", "[mine]")
    undo = rig.undo(first.id, choices={(MAIN, "relayhost"): KEEP})
    edit(rig, "relayhost", "[other]")
    rig.undo(undo.id)
    assert value(rig, "relayhost") == "[other]"
    assert value(rig, "smtp_tls_policy_maps") is not None


def test_an_unknown_choice(rig: Rig) -> None:
    rig.apply()
    before = rig.tree()
    with pytest.raises(UsageError, match="no choice"):
        rig.undo(choices={(MAIN, "relayhost"): "both"})
    assert rig.tree() == before


def test_a_key_of_a_later_change_is_a_conflict_that_names_it(rig: Rig) -> None:
    first = rig.apply(settings_plan(rig, relayhost="[a]", biff="yes"))
    second = rig.apply(settings_plan(rig, relayhost="[b]"))
    with pytest.raises(UndoConflictError) as caught:
        rig.undo(first.id)
    (conflict,) = caught.value.conflicts
    assert conflict.later == second.id
    assert caught.value.todo.startswith(f"Take back {second.id} first")
    assert value(rig, "biff") == "yes"


@pytest.mark.parametrize("choice", [KEEP, PUT_BACK])
def test_the_older_of_two_changes_of_one_key_first(rig: Rig, choice: str) -> None:
    before = rig.data(MAIN)
    first = rig.apply(settings_plan(rig, relayhost="[a]", biff="yes"))
    second = rig.apply(settings_plan(rig, relayhost="[b]"))
    rig.undo(first.id, choices={(MAIN, "relayhost"): choice})
    assert value(rig, "biff") == "no"
    assert value(rig, "relayhost") == ("[b]" if choice == KEEP else "")
    rig.undo(second.id)
    assert MainCf.parse(rig.data(MAIN)).get("relayhost") == MainCf.parse(before).get("relayhost")


def lists_change(before: str | None, after: str) -> Change:
    return Change(
        ChangeKind.PARAMETER, Step.A, "", "", MAIN, "smtpd_recipient_restrictions", before, after, ""
    )


def line(text: str | None) -> bytes:
    return b"x = y\n" if text is None else f"smtpd_recipient_restrictions = {text}\n".encode()


def test_only_our_entries_go_out_of_a_list_and_its_lines_stay() -> None:
    base, ours = "permit_mynetworks,\n  reject", "check_client_access cidr:/c, permit_mynetworks,\n  reject"
    now = "check_client_access cidr:/c, permit_mynetworks,\n  reject_rbl_client x.example,\n  reject"
    found = take_back([lists_change(base, ours)], MAIN, line(base), line(ours), line(now))
    assert found.conflicts == ()
    assert found.data == line("permit_mynetworks,\n  reject_rbl_client x.example,\n  reject")


@pytest.mark.parametrize(
    ("base", "ours", "now"),
    [
        (None, "a, reject", "a, b, reject"),
        ("reject", "a, reject", "changed, reject"),
        ("reject", "a, reject", "a, a, reject"),
        ("b, reject", "a, reject", "a, c, reject"),
        ("a, reject", "a, a, reject", "a, a, b, reject"),
    ],
    ids=["default", "edited entry", "twice", "we removed one", "like the admin's"],
)
def test_a_list_where_it_is_not_certain_is_a_conflict(base: str | None, ours: str, now: str) -> None:
    """Without a base the default would be lost, and with it what keeps others from relaying."""
    found = take_back([lists_change(base, ours)], MAIN, line(base), line(ours), line(now))
    assert [item.key for item in found.conflicts] == ["smtpd_recipient_restrictions"]
    assert found.data == line(now)


# --- accepted drift ----------------------------------------------------------------------------------------


def accept_all(rig: Rig) -> None:
    found: dict[str, dict[tuple[str, str], str | None]] = {}
    for item in find_drift(rig.host, STATE, live_for=FakeRules):
        found.setdefault(item.change_id, {})[item.path, item.key] = item.now
    accept(rig.host, STATE, found)


def drifted(rig: Rig) -> list[str]:
    return [item.key or item.path for item in find_drift(rig.host, STATE, live_for=FakeRules)]


def test_accepted_values_are_quiet_until_they_change_again_and_undo_keeps_them(rig: Rig) -> None:
    rig.apply()
    edit(rig, "relayhost", "[mine]")
    assert drifted(rig) == ["relayhost"]
    (finding,) = check_drift(rig.host, STATE, live_for=FakeRules)
    assert "apply --recorded" in finding.remedy
    assert "conbool-tui accept" in finding.remedy
    accept_all(rig)
    assert [item.status for item in check_drift(rig.host, STATE, live_for=FakeRules)] == [Status.OK]
    rig.host.real(TABLE).write_bytes(b"mine\n")
    assert drifted(rig) == [TABLE]
    accept_all(rig)
    assert drifted(rig) == []
    edit(rig, "relayhost", "[other]")
    assert drifted(rig) == ["relayhost"]
    rig.undo()
    assert value(rig, "relayhost") == "[other]"
    assert rig.data(TABLE) == b"mine\n"
    assert value(rig, "smtp_tls_policy_maps") is None


def test_a_damaged_list_of_accepted_values_is_not_used(rig: Rig) -> None:
    first = rig.apply()
    edit(rig, "relayhost", "[mine]")
    accept_all(rig)
    place = rig.host.real(f"{STATE}/changes/{first.id}/accepted.json")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    place.write_bytes(b"{")
    before = rig.tree()
    with pytest.raises(Exception, match="damaged"):
        rig.undo()
    assert rig.tree() == before


# --- pruning -----------------------------------------------------------------------------------------------


def ids(receipts: list[Receipt]) -> list[str]:
    return [item.id for item in receipts]


def history(rig: Rig) -> list[Receipt]:
    return list_changes(rig.host, STATE)


def test_only_what_is_over_is_pruned(rig: Rig) -> None:
    first = rig.apply()
    assert prunable(history(rig)) == []
    undo = rig.undo()
    again = rig.undo(undo.id)
    assert prunable(history(rig)) == []
    last = rig.undo(first.id)
    second = rig.apply()
    assert set(ids(prunable(history(rig)))) == {first.id, undo.id, again.id, last.id}
    assert prunable(history(rig), keep=5) == []
    assert prunable(history(rig), keep=2) == []
    before = rig.tree()
    assert len(prune(rig.host, STATE)) == 4
    assert ids(history(rig)) == [second.id]
    assert rig.tree() == before
    rig.undo()


def test_what_another_undo_needs_stays(rig: Rig) -> None:
    first = rig.apply(settings_plan(rig, relayhost="[a]"))
    second = rig.apply(settings_plan(rig, relayhost="[b]"))
    rig.undo(first.id, choices={(MAIN, "relayhost"): KEEP})
    assert prune(rig.host, STATE) == []
    rig.undo(second.id)
    assert value(rig, "relayhost") == ""
    assert len(prune(rig.host, STATE)) == 4


def test_pruning_that_was_cut_off_is_finished_by_the_next(rig: Rig) -> None:
    first = rig.apply()
    undo = rig.undo()
    for name in ("journal.jsonl",):
        os.unlink(rig.host.real(f"{STATE}/changes/{first.id}/{name}"))
    assert ids(prunable(history(rig))) == [undo.id]
    prune(rig.host, STATE)
    assert history(rig) == []


def test_a_change_that_did_not_begin_is_pruned(rig: Rig) -> None:
    rig.system.refusal = [Problem("no")]
    with pytest.raises(CheckFailedError):
        rig.apply()
    assert len(prune(rig.host, STATE)) == 1


def test_folder_of_a_change_taken_back_earlier_goes_with_the_last(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "root")
    first = rig.apply()
    extra = f"{CONFIG}/conbool/more"
    change = Change(ChangeKind.FILE, Step.A, "more", "", extra, "", None, "x\n", "")
    rig.apply(Plan("postfix", "", CONFIG, (change,), (FileTarget(extra, None, b"x\n"),)))
    rig.undo(first.id)
    assert rig.host.is_dir(f"{CONFIG}/conbool")
    rig.undo()
    assert not rig.host.exists(f"{CONFIG}/conbool")
