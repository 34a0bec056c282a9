"""Conflicts and what is chosen about them, accepted drift, pruning, and taking back in any order."""

from __future__ import annotations

import dataclasses
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
    asked_about,
    find_conflicts,
    list_changes,
)
from conbool_tui.transaction.lineage import prunable
from conbool_tui.transaction.merge import take_back
from conbool_tui.transaction.pruning import prune
from tests.unit.transaction.rig import (
    BLOCK,
    CONFIG,
    FIREWALL,
    MAIN,
    MASTER,
    RULES_BEFORE,
    STATE,
    TABLE,
    FakeRules,
    Rig,
)


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


@pytest.mark.parametrize("choice", [KEEP, PUT_BACK])
def test_a_choice_is_about_the_value_that_was_seen(rig: Rig, choice: str) -> None:
    first = rig.apply(rig.live_plan())
    edit(rig, "relayhost", "[mine]")
    rig.host.real(TABLE).write_bytes(b"mine\n")
    (rig.firewall / "rules").write_text("mine\n")
    seen = find_conflicts(rig.host, STATE, first.id, live_for=FakeRules)
    choices = {conflict.at: choice for conflict in seen}
    edit(rig, "relayhost", "[other]")
    rig.host.real(TABLE).write_bytes(b"other\n")
    (rig.firewall / "rules").write_text("other\n")
    before = rig.tree(folder_times=True)
    with pytest.raises(UndoConflictError) as told:
        rig.undo(first.id, choices=choices, asked=asked_about(seen))
    assert rig.tree(folder_times=True) == before
    again = told.value.conflicts
    assert {item.at: item.now for item in again} == {
        (MAIN, "relayhost"): "[other]",
        (TABLE, ""): "other\n",
        (FIREWALL, ""): "other\n",
    }
    rig.undo(first.id, choices=choices, asked=asked_about(again))
    assert value(rig, "relayhost") == ("[other]" if choice == KEEP else "")


def test_a_value_that_a_later_change_set_again_is_its_own(rig: Rig) -> None:
    ours = "[ours]"
    first = rig.apply(settings_plan(rig, relayhost=ours))
    rig.apply(settings_plan(rig, relayhost=""))
    third = rig.apply(settings_plan(rig, relayhost=ours))
    (conflict,) = find_conflicts(rig.host, STATE, first.id)
    assert conflict.later == third.id
    with pytest.raises(UndoConflictError):
        rig.undo(first.id)
    rig.undo(third.id)
    rig.undo()
    rig.undo(first.id)
    assert value(rig, "relayhost") == ""


def test_a_choice_that_still_holds_is_not_asked_for_again(rig: Rig) -> None:
    first = rig.apply(settings_plan(rig, biff="yes", myorigin="ours", relayhost="[ours]"))
    for name in ("biff", "myorigin", "relayhost"):
        edit(rig, name, "mine")
    seen = find_conflicts(rig.host, STATE, first.id)
    choices = {conflict.at: PUT_BACK for conflict in seen}
    edit(rig, "biff", "other")
    # Somebody put our own value there again: nothing is left to choose, and it is taken back like any other.
    edit(rig, "myorigin", "ours")
    with pytest.raises(UndoConflictError) as told:
        rig.undo(first.id, choices=choices, asked=asked_about(seen))
    assert [item.at for item in told.value.conflicts] == [(MAIN, "biff")]
    rig.undo(
        first.id, choices={**choices, (MAIN, "biff"): KEEP}, asked=asked_about((*seen, *told.value.conflicts))
    )
    assert [value(rig, name) for name in ("biff", "myorigin", "relayhost")] == ["other", None, ""]


def test_a_choice_nobody_was_asked_about_is_about_what_is_there(rig: Rig) -> None:
    first = rig.apply()
    edit(rig, "relayhost", "[mine]")
    rig.undo(first.id, choices={(MAIN, "relayhost"): PUT_BACK}, asked={})
    assert value(rig, "relayhost") == ""


def test_what_stays_must_not_refer_to_what_goes_away(rig: Rig) -> None:
    first = rig.apply()
    second = rig.apply(settings_plan(rig, virtual_alias_maps="texthash:${config_directory}/conbool/policy"))
    before = rig.tree(folder_times=True)
    with pytest.raises(CheckFailedError, match="refer to what it takes away") as told:
        rig.undo(first.id)
    assert rig.tree(folder_times=True) == before
    assert told.value.why == f"{MAIN}: virtual_alias_maps refers to {TABLE}"
    assert told.value.todo == f"Take back {second.id} first."
    rig.undo(second.id)
    rig.undo(first.id)
    assert not rig.host.exists(TABLE)


@pytest.mark.parametrize(
    ("name", "text", "refers"),
    [
        ("default_transport", "lane:[192.0.2.1]", True),
        ("default_transport", "my-lane:", False),
        ("default_transport", "lane-2:", False),
        ("virtual_alias_maps", "texthash:/etc/postfix/conbool/policy-2", False),
        ("virtual_alias_maps", "hash:/srv/a, texthash:/etc/postfix/conbool/policy", True),
        ("virtual_alias_maps", "hash:$config_directory/old_table", False),
    ],
)
def test_edits_that_use_what_is_ours(rig: Rig, name: str, text: str, refers: bool) -> None:
    plan = rig.plan()
    block = "lane unix - - y - - smtp\n"
    changes = tuple(
        dataclasses.replace(change, after=block) if change.kind is ChangeKind.SERVICE_BLOCK else change
        for change in plan.changes
    )
    files = tuple(
        dataclasses.replace(item, after=(item.after or b"").replace(BLOCK.encode(), block.encode()))
        if item.path == MASTER
        else item
        for item in plan.files
    )
    rig.apply(dataclasses.replace(plan, changes=changes, files=files))
    edit(rig, name, text)
    if refers:
        with pytest.raises(CheckFailedError, match="refer to what it takes away"):
            rig.undo()
        edit(rig, name, "hash:/srv/a")
    rig.undo()
    assert value(rig, "smtp_tls_policy_maps") is None


@pytest.mark.parametrize(
    ("name", "ours", "now", "left"),
    [
        ("header_checks", "regexp:ours", "pcre:mine, regexp:ours", "pcre:mine"),
        (
            "mime_header_checks",
            "$header_checks, regexp:ours",
            "$header_checks, regexp:ours, pcre:mine",
            "$header_checks, pcre:mine",
        ),
        (
            "smtpd_client_restrictions",
            "permit_mynetworks, reject",
            "sleep 1, permit_mynetworks, reject",
            "sleep 1",
        ),
    ],
)
def test_a_list_that_was_not_set_before_us(rig: Rig, name: str, ours: str, now: str, left: str) -> None:
    rig.apply(settings_plan(rig, **{name: ours}))
    edit(rig, name, now)
    rig.undo()
    assert value(rig, name) == left


@pytest.mark.parametrize(
    ("name", "ours", "now"),
    [
        # What was in force before us is not known here, and the rest of the list alone would let anybody relay.
        ("smtpd_relay_restrictions", "permit_mynetworks, reject", "sleep 1, permit_mynetworks, reject"),
        ("mime_header_checks", "regexp:ours", "regexp:ours, pcre:mine"),
        ("header_checks", "regexp:ours", ""),
    ],
)
def test_a_list_whose_rest_is_not_certain(rig: Rig, name: str, ours: str, now: str) -> None:
    rig.apply(settings_plan(rig, **{name: ours}))
    edit(rig, name, now)
    with pytest.raises(UndoConflictError):
        rig.undo()


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


def test_undoing_removes_nothing_from_the_store(rig: Rig) -> None:
    def kept() -> dict[str, bytes]:
        top = rig.root / STATE.lstrip("/") / "changes"
        return {str(path): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    first = rig.apply()
    before = kept()
    undo = rig.undo(first.id)
    between = kept()
    assert before.items() <= between.items()
    rig.undo(undo.id)
    assert between.items() <= kept().items()


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
