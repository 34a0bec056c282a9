from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest

from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    LockedError,
    NeedsRootError,
    RollbackIncompleteError,
    RolledBackError,
    UsageError,
)
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.receipt import ChangeState, Progress
from conbool_tui.transaction import UndoConflictError, apply_plan, find_unfinished, list_changes
from tests.unit.transaction.rig import (
    CONFIG,
    MAIN,
    MAIN_BEFORE,
    MASTER,
    OLD_TABLE,
    STATE,
    TABLE,
    FakeSystem,
    LiveHost,
    Rig,
)


def test_apply_writes_the_plan_and_keeps_owner_mode_and_links(rig: Rig) -> None:
    plan = rig.plan()
    receipt = rig.apply(plan)
    assert receipt.state is ChangeState.APPLIED
    assert receipt.files == (MAIN, MASTER, TABLE, OLD_TABLE)
    for target in plan.files:
        if target.after is None:
            assert not rig.host.exists(target.path)
        else:
            assert rig.data(target.path) == target.after
    assert os.readlink(rig.root / "etc/postfix/main.cf") == "../../srv/conf/main.cf"
    assert stat.S_IMODE(os.stat(rig.root / "srv/conf/main.cf").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(rig.root / "etc/postfix/master.cf").st_mode) == 0o600
    assert rig.system.loaded == rig.data(MAIN)
    assert not [name for name in os.listdir(rig.root / "etc/postfix") if name.startswith(".conbool")]
    assert list_changes(rig.host, STATE) == [receipt]


def test_order_is_never_harmful(rig: Rig) -> None:
    steps: list[str] = []
    rig.apply(observer=steps.append)
    live = [step.split(" ", 1)[1] for step in steps if step.startswith("done") and "stage" not in step]
    wanted = [
        f"create folder {CONFIG}/conbool",
        f"write {TABLE}",
        f"write {MASTER}",
        f"write {MAIN}",
        "reload",
        f"remove {OLD_TABLE}",
        "health",
        "commit",
    ]
    assert [step for step in live if step in wanted] == wanted
    steps.clear()
    rig.undo(observer=steps.append)
    live = [step.split(" ", 1)[1] for step in steps if step.startswith("done") and "stage" not in step]
    wanted = [
        f"write {OLD_TABLE}",
        f"write {MAIN}",
        f"write {MASTER}",
        "reload",
        f"remove {TABLE}",
        f"remove {CONFIG}/conbool",
        "health",
        "commit",
    ]
    assert [step for step in live if step in wanted] == wanted


def test_undo_of_an_untouched_tree_is_identical(rig: Rig) -> None:
    before = rig.tree()
    applied = rig.apply()
    receipt = rig.undo()
    assert receipt.undo_of == applied.id
    assert rig.tree() == before
    assert rig.system.loaded == MAIN_BEFORE
    assert [item.state for item in list_changes(rig.host, STATE)] == [ChangeState.APPLIED, ChangeState.UNDONE]


def test_undo_of_an_undo_and_its_undo(rig: Rig) -> None:
    old = rig.tree()
    applied = rig.apply()
    new = {path: item[:4] for path, item in rig.tree().items()}
    undone = rig.undo()
    again = rig.undo(undone.id)
    assert {path: item[:4] for path, item in rig.tree().items()} == new
    states = {item.id: item.state for item in list_changes(rig.host, STATE)}
    assert states[applied.id] is ChangeState.APPLIED
    assert states[undone.id] is ChangeState.UNDONE
    rig.undo(again.id)
    assert rig.tree() == old
    assert {item.id: item.state for item in list_changes(rig.host, STATE)}[applied.id] is ChangeState.UNDONE


def test_apply_undo_apply_undo(rig: Rig) -> None:
    before = rig.tree()
    for _ in range(2):
        rig.apply()
        rig.undo()
    assert rig.tree() == before
    with pytest.raises(UsageError, match="no applied change"):
        rig.undo()


def test_store_is_private_whatever_the_umask(rig: Rig) -> None:
    old = os.umask(0)
    try:
        rig.apply()
    finally:
        os.umask(old)
    for folder, folders, files in os.walk(rig.root / STATE.lstrip("/")):
        for name in [*folders, "."]:
            assert stat.S_IMODE(os.stat(Path(folder, name)).st_mode) == 0o700
        for name in files:
            assert stat.S_IMODE(os.stat(Path(folder, name)).st_mode) == 0o600


def test_umask_does_not_shut_new_files(rig: Rig) -> None:
    old = os.umask(0o077)
    try:
        rig.apply()
    finally:
        os.umask(old)
    table = rig.root / TABLE.lstrip("/")
    assert stat.S_IMODE(table.stat().st_mode) == 0o644
    assert stat.S_IMODE(table.parent.stat().st_mode) == 0o755


def test_journal_and_plan_are_complete_and_readable(rig: Rig) -> None:
    receipt = rig.apply()
    folder = rig.root / STATE.lstrip("/") / "changes" / receipt.id
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert lines[0]["format"] == 1
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["text"] for line in lines)
    plan = json.loads((folder / "plan.json").read_text())
    assert [(item["key"], item["before"], item["after"]) for item in plan["changes"]][2] == (
        "relayhost",
        "",
        "[mail.conbool.com]:25",
    )
    files = json.loads((folder / "files.json").read_text())["files"]
    assert files[0]["links"] == [[MAIN, "../../srv/conf/main.cf"]]
    assert files[0]["resolved"] == "/srv/conf/main.cf"
    assert files[0]["before"]["mode"] == "0640"
    assert (folder / files[0]["before"]["content"]).read_bytes() == MAIN_BEFORE


def test_extended_attributes_survive(rig: Rig) -> None:
    place = rig.root / "srv/conf/main.cf"
    try:
        os.setxattr(place, "user.note", b"\x00keep")
    except OSError:
        pytest.skip("no user attributes on this file system")
    rig.apply()
    assert os.getxattr(place, "user.note") == b"\x00keep"
    rig.undo()
    assert os.getxattr(place, "user.note") == b"\x00keep"


def test_another_root_is_written_without_reload(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "root", live=False)
    before = rig.tree()
    rig.system.runs = False
    rig.apply()
    rig.undo()
    assert rig.tree() == before
    assert not {"reload", "start", "health"} & set(rig.system.calls)


# --- refused before anything is written -----------------------------------------------------------


def refused(rig: Rig, match: str, plan: Plan | None = None) -> ConboolError:
    """Apply must fail with nothing changed, folder times included."""
    before = rig.tree(folder_times=True)
    with pytest.raises(CheckFailedError, match=match) as caught:
        rig.apply(plan)
    assert rig.tree(folder_times=True) == before
    assert find_unfinished(rig.host, STATE) is None
    assert "reload" not in rig.system.calls
    return caught.value


def test_refuses_a_file_changed_since_the_plan(rig: Rig) -> None:
    plan = rig.plan()
    rig.put("/srv/conf/main.cf", MAIN_BEFORE + b"# edited\n", 0o640)
    refused(rig, "changed between plan and apply", plan)


def test_refuses_a_file_that_appeared_since_the_plan(rig: Rig) -> None:
    plan = rig.plan()
    rig.host.make_folder(f"{CONFIG}/conbool")
    rig.put(TABLE, b"theirs\n", 0o600)
    refused(rig, "changed between plan and apply", plan)


def test_refuses_when_not_ready(rig: Rig) -> None:
    rig.system.not_ready = [Problem("Postfix is not running", "start it first")]
    refused(rig, "Postfix is not running")


def test_refuses_what_the_tools_refuse(rig: Rig) -> None:
    rig.system.refusal = [Problem("unused parameter", "foo=bar")]
    refused(rig, "unused parameter")
    assert list_changes(rig.host, STATE)[0].state is ChangeState.ROLLED_BACK


def test_refuses_hard_links(rig: Rig) -> None:
    os.link(rig.root / "srv/conf/main.cf", rig.root / "srv/other")
    assert "-samefile" in refused(rig, "2 names").todo


def test_refuses_a_folder_in_place_of_a_file(rig: Rig) -> None:
    rig.host.make_folder(f"{CONFIG}/conbool")
    rig.host.make_folder(TABLE)
    refused(rig, "no regular file")


def test_refuses_when_the_disk_is_full(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Host.write_new

    def full(self: Host, path: str, data: bytes, *args: object, **more: object) -> None:
        if path.startswith("/srv"):
            raise ConboolError(f"{path} cannot be written: No space left on device.", "", "Make room.")
        real(self, path, data, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Host, "write_new", full)
    before = rig.tree(folder_times=True)
    with pytest.raises(ConboolError, match="No space left"):
        rig.apply()
    assert rig.tree(folder_times=True) == before
    assert find_unfinished(rig.host, STATE) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs chattr")
def test_refuses_an_immutable_file(rig: Rig) -> None:
    host = Host("/")
    place = str(rig.root / "srv/conf/main.cf")
    if not host.run(["chattr", "+i", place]).ok:
        pytest.skip("no immutable flag on this file system")
    try:
        assert "immutable" in refused(rig, "Operation not permitted").todo
    finally:
        host.run(["chattr", "-i", place])


def test_refuses_an_empty_plan(rig: Rig) -> None:
    with pytest.raises(CheckFailedError, match="nothing to apply"):
        rig.apply(dataclasses.replace(rig.plan(), files=()))


def test_refuses_a_linked_or_foreign_state_directory(rig: Rig) -> None:
    os.symlink("../../srv", rig.root / STATE.lstrip("/"))
    with pytest.raises(CheckFailedError, match="symbolic link"):
        rig.apply()
    assert not (rig.root / "srv/lock").exists()
    os.unlink(rig.root / STATE.lstrip("/"))
    if os.geteuid() == 0:
        os.mkdir(rig.root / STATE.lstrip("/"))
        os.chown(rig.root / STATE.lstrip("/"), 1234, 1234)
        with pytest.raises(CheckFailedError, match="belongs to user 1234"):
            rig.apply()


def test_needs_root_on_the_running_system(rig: Rig) -> None:
    class Poor(LiveHost):
        @property
        def is_root(self) -> bool:
            return False

    host = Poor(str(rig.root))
    with pytest.raises(NeedsRootError):
        apply_plan(host, STATE, FakeSystem(host), rig.plan())


def test_one_run_at_a_time(rig: Rig) -> None:
    rig.apply()
    rig.undo()
    before = rig.tree()
    held = rig.host.lock(f"{STATE}/lock")
    with pytest.raises(LockedError):
        rig.apply()
    rig.host.unlock(held)
    held = rig.host.lock_folder(CONFIG)
    with pytest.raises(LockedError):
        apply_plan(rig.host, "/var/lib/other", rig.system, rig.plan())
    rig.host.unlock(held)
    assert rig.tree() == before


# --- failing after the first write ----------------------------------------------------------------


@pytest.mark.parametrize("problem", ["reload_problems", "health_problems"])
def test_unwell_after_the_change_rolls_back(rig: Rig, problem: str) -> None:
    before = rig.tree()
    setattr(rig.system, problem, [[Problem("qmgr is dead", "fatal: bad table")]])
    with pytest.raises(RolledBackError, match="qmgr is dead"):
        rig.apply()
    assert rig.tree() == before
    assert rig.system.loaded == MAIN_BEFORE
    receipt = list_changes(rig.host, STATE)[0]
    assert receipt.state is ChangeState.ROLLED_BACK
    assert "qmgr is dead" in receipt.message


def test_a_configuration_that_kills_the_system_is_started_again(rig: Rig) -> None:
    before = rig.tree()

    def kill(step: str) -> None:
        if step == "done reload" and rig.system.calls.count("reload") == 1 and rig.system.runs:
            rig.system.runs = False
            rig.system.health_problems = [[Problem("master is gone")]]

    with pytest.raises(RolledBackError):
        rig.apply(observer=kill)
    assert rig.system.runs
    assert rig.tree() == before


def test_rollback_that_cannot_complete_says_what_to_do(rig: Rig) -> None:
    def vandal(step: str) -> None:
        if step == "done reload":
            (rig.root / "srv/conf/main.cf").write_bytes(b"relayhost = elsewhere\n")
            raise OSError("disk on fire")

    with pytest.raises(RollbackIncompleteError, match="disk on fire") as caught:
        rig.apply(observer=vandal)
    assert MAIN in caught.value.why
    assert f"before/001-main.cf > {MAIN}" in caught.value.todo
    assert rig.data(MASTER).startswith(b"smtp inet n - y - - smtpd\n  -o smtpd_tls_security_level=may\n")
    unfinished = find_unfinished(rig.host, STATE)
    assert unfinished is not None
    assert unfinished.state is ChangeState.INCOMPLETE
    with pytest.raises(CheckFailedError, match="rollback incomplete"):
        rig.apply()
    with pytest.raises(RollbackIncompleteError):
        rig.undo()
    done = rig.recover(accept=True)
    assert done is not None
    assert done.state is ChangeState.ROLLED_BACK
    assert rig.data(MAIN) == b"relayhost = elsewhere\n"


def test_watcher_whose_terminal_is_gone_does_not_stop_the_work(rig: Rig) -> None:
    def gone(progress: Progress) -> None:
        if progress.phase not in ("lock", "check"):
            raise BrokenPipeError

    receipt = apply_plan(rig.host, STATE, rig.system, rig.plan(), gone)
    assert receipt.state is ChangeState.APPLIED


# --- undo on a changed system ---------------------------------------------------------------------


def edit(rig: Rig, path: str, old: bytes, new: bytes) -> None:
    place = rig.host.real(path)
    data = place.read_bytes()
    assert old in data
    place.write_bytes(data.replace(old, new))


def test_later_edits_survive_undo(rig: Rig) -> None:
    rig.apply()
    edit(rig, MAIN, b"biff = no\n", b"biff = yes\n# mine\n")
    edit(rig, MASTER, b"pickup unix", b"# note\npickup unix")
    receipt = rig.undo()
    assert rig.data(MAIN) == MAIN_BEFORE.replace(b"biff = no\n", b"biff = yes\n# mine\n")
    assert b"conbool" not in rig.data(MASTER)
    assert b"# note\npickup unix" in rig.data(MASTER)
    assert b"smtpd_tls_security_level=may" in rig.data(MASTER)
    assert MAIN in receipt.message


def test_edit_next_to_ours_survives_undo(rig: Rig) -> None:
    rig.apply()
    edit(
        rig,
        MAIN,
        b"texthash:$config_directory/conbool/policy\n",
        b"texthash:$config_directory/conbool/policy\nx = y\n",
    )
    rig.undo()
    assert rig.data(MAIN) == MAIN_BEFORE + b"x = y\n"


def test_conflict_stops_undo_and_shows_three_versions(rig: Rig) -> None:
    rig.apply()
    edit(rig, MAIN, b"[mail.conbool.com]:25\n", b"[other.example]:25\n")
    before = rig.tree(folder_times=True)
    with pytest.raises(UndoConflictError) as caught:
        rig.undo()
    assert rig.tree(folder_times=True) == before
    conflict = caught.value.conflicts[0]
    assert (conflict.key, conflict.base, conflict.ours, conflict.now) == (
        "relayhost",
        "",
        "[mail.conbool.com]:25",
        "[other.example]:25",
    )
    assert caught.value.exit_code == 5
    assert "[other.example]:25" in caught.value.why


def test_edited_table_of_ours_is_a_conflict(rig: Rig) -> None:
    rig.apply()
    rig.put(TABLE, b"edited\n", 0o644)
    with pytest.raises(UndoConflictError, match="was not undone"):
        rig.undo()


def test_folder_with_foreign_files_is_kept(rig: Rig) -> None:
    rig.apply()
    rig.put(f"{CONFIG}/conbool/mine", b"x", 0o644)
    receipt = rig.undo()
    assert rig.data(f"{CONFIG}/conbool/mine") == b"x"
    assert not rig.host.exists(TABLE)
    assert "was kept" in receipt.message


def test_mode_changed_since_stays(rig: Rig) -> None:
    rig.apply()
    os.chmod(rig.host.real(MAIN), 0o600)
    rig.undo()
    assert rig.data(MAIN) == MAIN_BEFORE
    assert stat.S_IMODE(os.stat(rig.host.real(MAIN)).st_mode) == 0o600


def test_undo_when_the_system_does_not_run(rig: Rig) -> None:
    before = rig.tree()
    rig.apply()
    rig.system.runs = False
    rig.system.calls.clear()
    receipt = rig.undo()
    assert rig.tree() == before
    assert "not running" in receipt.message
    assert not {"reload", "start", "health"} & set(rig.system.calls)


def test_undo_of_a_system_that_was_unwell_before(rig: Rig) -> None:
    before = rig.tree()
    rig.apply()
    rig.system.health_problems = [[Problem("fatal: theirs")], [Problem("fatal: theirs")]]
    assert "not well before" in rig.undo().message
    assert rig.tree() == before


def test_undo_that_makes_a_well_system_unwell_is_taken_back(rig: Rig) -> None:
    rig.apply()
    applied = rig.tree()
    rig.system.health_problems = [[], [Problem("the old relay is gone")]]
    with pytest.raises(RolledBackError, match="old relay"):
        rig.undo()
    assert rig.tree() == applied
    assert [item.state for item in list_changes(rig.host, STATE)] == [
        ChangeState.ROLLED_BACK,
        ChangeState.APPLIED,
    ]


def test_undo_of_an_unknown_or_undone_change(rig: Rig) -> None:
    with pytest.raises(UsageError):
        rig.undo("20260101-000000-abcd")
    receipt = rig.apply()
    rig.undo()
    with pytest.raises(UsageError, match="undone"):
        rig.undo(receipt.id)


def test_damaged_backup_is_not_used(rig: Rig) -> None:
    receipt = rig.apply()
    (rig.root / STATE.lstrip("/") / "changes" / receipt.id / "before/001-main.cf").write_bytes(b"rotten")
    before = rig.tree()
    with pytest.raises(CheckFailedError, match="damaged"):
        rig.undo()
    assert rig.tree() == before


def test_two_changes_undone_in_the_other_order(rig: Rig) -> None:
    start = rig.tree()
    first = rig.apply()
    second = rig.apply(second_plan(rig.data(MAIN)))
    rig.undo(first.id)
    assert b"second_key = 1" in rig.data(MAIN)
    assert b"mail.conbool.com" not in rig.data(MAIN)
    rig.undo(second.id)
    contents = {path: item[3] for path, item in rig.tree().items()}
    assert contents == {path: item[3] for path, item in start.items()}


def second_plan(main: bytes) -> Plan:
    change = Change(ChangeKind.PARAMETER, Step.A, "second", "", MAIN, "second_key", None, "1", "")
    target = FileTarget(MAIN, main, b"second_key = 1\n" + main)
    return Plan("postfix", "", CONFIG, (change,), (target,), reload=("postfix reload",))
