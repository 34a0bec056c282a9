"""A change of two mail systems: each judges and reads its own files, and what stands beside the MTA is ready first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.errors import RolledBackError
from conbool_tui.mail_system import MailTarget, Problem
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step, combine
from conbool_tui.receipt import ChangeState
from conbool_tui.systems.composite import CompositeSystem
from conbool_tui.transaction import apply_plan, list_changes, recover, undo_change
from tests.unit.transaction.rig import CONFIG, MAIN, STATE, FakeSystem, Rig

DOVECOT = "/etc/dovecot"
SCRIPT = f"{DOVECOT}/conbool/before.sieve"
CONF = f"{DOVECOT}/conf.d/95.conf"
THEIRS = b"# theirs\n"
TARGET = MailTarget("dovecot", "-", DOVECOT)


class Beside(FakeSystem):
    """The system beside; it notes what it was asked to judge."""

    name = "dovecot"
    log: list[str]

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        assert (plan.system, plan.config_directory, plan.also) == ("dovecot", DOVECOT, ())
        assert plan.health_ports == ()
        assert {change.path for change in plan.changes} == set(files) == {SCRIPT, CONF}
        self.log.append("judge beside")
        return self.refusal

    def reload(self) -> list[Problem]:
        self.log.append("reload beside")
        self.calls.append("reload")
        return self.reload_problems.pop(0) if self.reload_problems else []

    def start(self) -> list[Problem]:
        self.log.append("start beside")
        self.runs = True
        return []


class Pair:
    """The machine with both."""

    def __init__(self, root: Path) -> None:
        self.rig = Rig(root)
        (root / CONF[1:]).parent.mkdir(parents=True)
        (root / CONF[1:]).write_bytes(THEIRS)
        self.log: list[str] = []
        self.beside = Beside(self.rig.host)
        self.beside.log = self.log
        main_reload = self.rig.system.reload
        self.rig.system.reload = self._main_reloads(main_reload)  # type: ignore[method-assign]

    def _main_reloads(self, real: Callable[[], list[Problem]]) -> Callable[[], list[Problem]]:
        def reload() -> list[Problem]:
            self.log.append("reload main")
            return real()

        return reload

    def system_for(self, target: MailTarget) -> CompositeSystem:
        assert [one.system for one in target.all] == ["postfix", "dovecot"]
        assert target.also == (TARGET,)
        return CompositeSystem(target.all, [self.rig.system, self.beside])

    def plan(self) -> Plan:
        block = "plugin {\n}\n"
        conf = THEIRS + b"# BEGIN conbool-tui sieve\nplugin {\n}\n# END conbool-tui sieve\n"
        script = b"stop;\n"
        changes = (
            Change(ChangeKind.BLOCK, Step.C, "block", "", CONF, "sieve", None, block, ""),
            Change(ChangeKind.FILE, Step.C, "script", "", SCRIPT, "", None, script.decode(), ""),
        )
        files = (FileTarget(CONF, THEIRS, conf), FileTarget(SCRIPT, None, script))
        other = Plan("dovecot", "-", DOVECOT, changes, files, (Notice("note", "x"),), ("doveadm reload",))
        return combine(self.rig.plan(), other)

    def apply(self) -> ChangeState:
        plan = self.plan()
        return apply_plan(self.rig.host, STATE, self.system_for(plan.target), plan).state


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "root")


def test_applied_together_and_taken_back_together(pair: Pair) -> None:
    before = pair.rig.tree()
    assert pair.plan().reload[-1] == "doveadm reload"
    assert pair.apply() is ChangeState.APPLIED
    assert pair.log == ["judge beside", "reload beside", "reload main"]
    conf = pair.rig.root / CONF[1:]
    conf.write_bytes(b"# mine\n" + conf.read_bytes())
    undo_change(pair.rig.host, STATE, pair.system_for)
    assert conf.read_bytes() == b"# mine\n" + THEIRS
    after = pair.rig.tree()
    assert {name for name in after if after[name] != before.get(name)} == {str(conf)}
    assert set(after) == set(before)


def test_a_refusal_of_either_changes_nothing(pair: Pair) -> None:
    before = pair.rig.tree()
    pair.beside.refusal = [Problem("sievec says no")]
    with pytest.raises(Exception, match="sievec says no"):
        pair.apply()
    assert pair.rig.tree() == before
    assert pair.log == ["judge beside"]


def test_one_that_dies_of_it_is_started_again(pair: Pair) -> None:
    before = pair.rig.tree()

    def dies() -> list[Problem]:
        pair.log.append("reload beside")
        pair.beside.runs = False
        return [Problem("it is gone")]

    pair.beside.reload = dies  # type: ignore[method-assign]
    with pytest.raises(RolledBackError, match="it is gone"):
        pair.apply()
    assert pair.rig.tree() == before
    assert (pair.beside.runs, pair.log.count("start beside")) == (True, 1)


def test_one_that_did_not_run_is_left_alone(pair: Pair) -> None:
    assert pair.apply() is ChangeState.APPLIED
    pair.beside.runs = False
    del pair.log[:]
    undo_change(pair.rig.host, STATE, pair.system_for)
    assert pair.log == ["reload main"]


def test_a_crash_is_recovered_for_both(pair: Pair) -> None:
    before = pair.rig.tree()

    def crash(step: str) -> None:
        if step == f"done write {MAIN}":
            raise SystemError("killed")

    plan = pair.plan()
    # What writes the journal's last lines is gone, too: as after kill -9.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conbool_tui.transaction.work.RollBack.after_failure", lambda self: SystemError("gone"))
        with pytest.raises(SystemError):
            apply_plan(pair.rig.host, STATE, pair.system_for(plan.target), plan, observer=crash)
    assert pair.rig.tree() != before
    assert list_changes(pair.rig.host, STATE)[0].state is ChangeState.UNFINISHED
    recover(pair.rig.host, STATE, pair.system_for)
    assert pair.rig.tree() == before


def test_what_is_beside_is_written_first(pair: Pair) -> None:
    system = pair.system_for(pair.plan().target)
    ranks = [system.write_rank(path) for path in (SCRIPT, CONF, f"{CONFIG}/conbool/x", MAIN)]
    assert ranks == sorted(ranks)
    assert ranks[1] < ranks[2]


def test_an_empty_plan_adds_no_system() -> None:
    plan = Plan("postfix", "-", CONFIG, (), ())
    other = Plan("dovecot", "-", DOVECOT, (), ())
    assert combine(plan, other) is plan
    told = dataclasses.replace(other, notices=(Notice("warn", "no plugin"),))
    assert combine(plan, told) == dataclasses.replace(plan, notices=told.notices)


def test_only_a_system_whose_files_change_generates(pair: Pair) -> None:
    """A map of the one that fits its source no more is no part of a change of the other."""

    class Generating(FakeSystem):
        def generate(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
            return (FileTarget(f"{CONFIG}/built", None, repr(sorted(files)).encode(), generated=True),)

    main = MailTarget("postfix", "", CONFIG)
    both = CompositeSystem([main, TARGET], [Generating(pair.rig.host), pair.beside])
    assert both.generate({SCRIPT: b""}) == ()
    (made,) = both.generate({SCRIPT: b"", MAIN: b""})
    assert made.after == repr([MAIN]).encode()
    assert len(both.generate({})) == 1
