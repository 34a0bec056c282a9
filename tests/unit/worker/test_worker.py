"""Work done by a process of its own: every kind of outcome, the caller's end, the worker's end, stopping, two at once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    ExitCode,
    HostError,
    LockedError,
    NeedsRootError,
    RollbackIncompleteError,
    RolledBackError,
    UsageError,
)
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, MailTarget, Notice, Plan, Step
from conbool_tui.receipt import ChangeState, Progress, Receipt
from conbool_tui.render import unseen_text
from conbool_tui.session import Session
from conbool_tui.transaction import Conflict, UndoConflictError, list_changes, watching
from conbool_tui.transaction.jobs import CALLER, WORKER, Job, sweep
from conbool_tui.transaction.lock import locked
from conbool_tui.transaction.orders import (
    APPLY,
    RECOVER,
    Order,
    Outcome,
    order_from_json,
    order_to_json,
    outcome_from_json,
    outcome_to_json,
)
from conbool_tui.transaction.store import Store
from conbool_tui.worker import Worker
from tests.unit.transaction.rig import FIREWALL, MAIN, RULES, RULES_BEFORE, STATE, FakeRules, Rig
from tests.unit.worker.rig import WorkerRig, until

RECEIPT = Receipt(
    "20260101-000000-abcd",
    "postfix",
    ChangeState.UNCONFIRMED,
    "2026",
    "2027",
    ("a", "b"),
    ("/x",),
    "u",
    "m",
    "c",
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[WorkerRig]:
    made = WorkerRig(tmp_path / "root")
    yield made
    made.close()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def newest(rig: Rig) -> Receipt:
    return list_changes(rig.host, STATE)[0]


def left_over(rig: Rig) -> list[str]:
    """What lies in the jobs' folder."""
    return rig.host.listdir(f"{STATE}/jobs")


# --- the way through a file ------------------------------------------------------------------------------


def full_plan() -> Plan:
    """No field has its default value."""
    return Plan(
        "postfix",
        "postfix-in",
        "/etc/postfix-in",
        (
            Change(
                ChangeKind.SERVICE_OPTION, Step.SCOPE, "tit\u00e9", "why", "/p", "k", None, "caf\udce9\n", "u"
            ),
            Change(ChangeKind.FIREWALL, Step.B, "t", "", FIREWALL, "", "a", None, "u"),
        ),
        (
            FileTarget("/a", None, bytes(range(256)), 0o600),
            FileTarget("/b", b"", None, 0o640),
            FileTarget("/b", b"\r\n\x00", b"", 0o4755),
        ),
        (Notice("warn", "text", Step.A), Notice("note", "text")),
        ("postfix reload", "x"),
        (25, 10026),
        (LiveTarget(FIREWALL, None, "rules\n"), LiveTarget("x", "a", None)),
        300,
        "domains: [\u00fc]\n",
        "Really?",
        (MailTarget("dovecot", "-", "/etc/dovecot"),),
    )


def through_json(value: dict[str, Any]) -> Any:
    return json.loads(json.dumps(value, ensure_ascii=True).encode("ascii"))


def test_a_plan_survives_exactly() -> None:
    plan = full_plan()
    for field in dataclasses.fields(Plan):
        if field.default is not dataclasses.MISSING:
            assert getattr(plan, field.name) != field.default, f"{field.name} is not put to the test"
    order = Order(
        APPLY,
        plan,
        ("192.0.2.0/24", "2001:db8::/32"),
        "id",
        True,
        True,
        {("/p", "k\udce9"): "keep"},
        {("/p", "k\udce9"): None, ("/p", ""): "x\udce9"},
    )
    plain = Order(APPLY)
    assert all(
        getattr(order, field.name) != getattr(plain, field.name) for field in dataclasses.fields(Order)[1:]
    )
    assert order_from_json(through_json(order_to_json(order))) == order
    assert order_from_json(through_json(order_to_json(Order(RECOVER)))) == Order(RECOVER)
    again = order_from_json(through_json(order_to_json(order)))
    assert again.plan is not None
    assert isinstance(again.plan.changes[0].kind, ChangeKind)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (CheckFailedError, ExitCode.CHECK_FAILED),
        (ConboolError, ExitCode.UNEXPECTED),
        (HostError, ExitCode.UNEXPECTED),
        (LockedError, ExitCode.LOCKED),
        (NeedsRootError, ExitCode.NEEDS_ROOT),
        (RollbackIncompleteError, ExitCode.ROLLBACK_INCOMPLETE),
        (RolledBackError, ExitCode.ROLLED_BACK),
        (UsageError, ExitCode.USAGE),
    ],
)
def test_an_error_keeps_its_kind_and_its_parts(kind: type[ConboolError], code: int) -> None:
    found = outcome_from_json(through_json(outcome_to_json(kind("what \udcff", "why", "todo\ntodo"))))
    assert isinstance(found, ConboolError)
    assert (type(found), found.exit_code, str(found)) == (kind, code, "what \udcff")
    assert found.lines() == ["what \udcff", "why", "todo\ntodo"]


def test_an_error_of_another_kind_keeps_its_exit_code() -> None:
    class OddError(LockedError):
        def __init__(self) -> None:
            super().__init__("odd")

    found = outcome_from_json(through_json(outcome_to_json(OddError())))
    assert type(found) is LockedError


def test_conflicts_survive() -> None:
    conflict = Conflict("/p", "k", None, "ours", "now \udce9")
    error = UndoConflictError("20260101-000000-abcd", [conflict])
    found = outcome_from_json(through_json(outcome_to_json(error)))
    assert isinstance(found, UndoConflictError)
    assert (found.conflicts, found.lines(), str(found)) == ((conflict,), error.lines(), str(error))


@pytest.mark.parametrize("outcome", [None, RECEIPT])
def test_receipts_survive(outcome: Outcome) -> None:
    assert outcome_from_json(through_json(outcome_to_json(outcome))) == outcome


# --- outcomes --------------------------------------------------------------------------------------------


def test_apply_and_undo(rig: WorkerRig) -> None:
    before = rig.tree()
    steps: list[Progress] = []
    receipt = rig.session.apply(rig.live_plan(), steps.append)
    assert (receipt.state, rig.rules()) == (ChangeState.APPLIED, RULES)
    assert receipt == newest(rig)
    phases = [step.phase for step in steps]
    assert phases[0] == "lock"
    assert phases[-1] == "done"
    assert {"check", "backup", "judge", "stage", "write", "reload", "firewall", "health"} <= set(phases)
    assert rig.session.undo(receipt.id).undo_of == receipt.id
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)
    assert left_over(rig) == []
    assert rig.system.calls == [], "the work was done by another process"


def test_the_work_has_a_session_of_its_own(rig: WorkerRig) -> None:
    rig.order("before judged", lambda: (rig.root / "sid").write_text(str(os.getsid(0))))
    rig.apply_it()
    assert int((rig.root / "sid").read_text()) in rig.workers


def test_refused(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.system.refusal = [Problem("bad", "line 3")]
    with pytest.raises(CheckFailedError, match="line 3"):
        rig.apply_it()
    assert rig.tree() == before
    assert left_over(rig) == []


def test_rolled_back(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.wish("closed fails")
    with pytest.raises(RolledBackError, match="no memory"):
        rig.apply_it()
    assert rig.tree() == before


def test_rollback_incomplete(rig: WorkerRig) -> None:
    rig.wish("closed fails")
    rig.wish("open fails")
    with pytest.raises(RollbackIncompleteError) as caught:
        rig.apply_it()
    assert "conbool-tui undo" in caught.value.todo


def test_conflict(rig: WorkerRig) -> None:
    rig.apply_it()
    place = rig.root / "srv/conf/main.cf"
    place.write_bytes(place.read_bytes().replace(b"[mail.conbool.com]:25\n", b"other\n"))
    with pytest.raises(UndoConflictError) as caught:
        rig.session.undo()
    assert [conflict.now for conflict in caught.value.conflicts] == ["other"]


def test_nothing_to_recover(rig: WorkerRig) -> None:
    assert rig.session.recover() is None
    rig.apply_it()
    assert rig.session.recover() is None
    assert len(rig.workers) == 1, "nobody is asked for nothing"


def test_unconfirmed_and_taken_back(rig: WorkerRig) -> None:
    before = rig.tree()
    receipt = rig.session.apply(rig.live_plan(60))
    assert receipt.state is ChangeState.UNCONFIRMED
    taken = rig.session.undo()
    assert (taken.id, taken.state, rig.tree()) == (receipt.id, ChangeState.ROLLED_BACK, before)


def test_a_defect_is_told(rig: WorkerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AttributeError("no such thing")

    monkeypatch.setattr("conbool_tui.worker.perform", broken)
    with pytest.raises(ConboolError, match="AttributeError: no such thing") as caught:
        rig.apply_it()
    assert caught.value.exit_code == ExitCode.UNEXPECTED
    assert "Traceback" in (rig.root / "var/log/conbool-tui/conbool-tui.log").read_text()


def test_it_cannot_be_started(rig: WorkerRig) -> None:
    def broken(host: Host, state_dir: str, job_id: str) -> None:
        raise HostError("no more processes")

    before = rig.tree()
    with pytest.raises(CheckFailedError, match=r"no more processes Nothing was changed\."):
        Session(rig.host, STATE, start_worker=broken).apply(rig.plan())
    assert (rig.tree(), left_over(rig)) == (before, [])


def test_a_worker_that_begins_too_late_does_nothing(rig: WorkerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rig.tree()
    late: list[str] = []
    monkeypatch.setattr(watching, "_READY", 0.1)
    session = Session(rig.host, STATE, start_worker=lambda host, state, job: late.append(job))
    with pytest.raises(CheckFailedError, match=r"did not begin within 0\.1 seconds"):
        session.apply(rig.plan())
    rig.start_worker(rig.host, STATE, late[0])
    os.waitpid(rig.workers.pop(), 0)
    assert (rig.tree(), list_changes(rig.host, STATE)) == (before, [])


def test_only_the_real_root_is_worked_on_by_a_real_worker(rig: WorkerRig) -> None:
    with pytest.raises(HostError, match="not below"):
        watching.start_process(rig.host, STATE, "0" * 16)
    assert not Session(rig.host, STATE).detached
    assert Session(Host("/"), STATE).detached


def test_nobody_else_can_read_an_order(rig: WorkerRig) -> None:
    os.umask(os.umask(0))
    seen: list[tuple[str, int]] = []

    def start(host: Host, state_dir: str, job_id: str) -> None:
        folder = rig.root / STATE[1:] / "jobs"
        seen.extend(
            (place.name, stat.S_IMODE(place.stat().st_mode)) for place in [folder, *folder.rglob("*")]
        )
        raise HostError("enough")

    old = os.umask(0)
    try:
        with pytest.raises(CheckFailedError):
            Session(rig.host, STATE, start_worker=start).apply(rig.plan())
    finally:
        os.umask(old)
    assert dict(seen)["order.json"] == 0o600
    assert {mode for name, mode in seen if "." not in name and name not in (CALLER, WORKER)} == {0o700}
    assert {mode for name, mode in seen if "." in name or name in (CALLER, WORKER)} == {0o600}


def test_the_worker_takes_the_order_away(rig: WorkerRig) -> None:
    rig.order("before judged", rig.mark("there"))
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    (job,) = rig.jobs()
    assert not rig.host.exists(job.path("order.json"))
    rig.go()
    assert rig.end_of(pid) == 0


# --- who goes away ---------------------------------------------------------------------------------------


def steps() -> list[str]:
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        plain = Rig(Path(folder, "root"))
        plain.apply(plain.live_plan(), found.append)
    return found


STEPS = [step for step in dict.fromkeys(steps()) if step.startswith(("announced", "before"))]
LIVE = [step for step in STEPS if step.startswith("announced")]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("step", ["before judged", f"announced write {MAIN}", "announced commit"])
def test_the_caller_goes_away(rig: WorkerRig, number: signal.Signals, step: str) -> None:
    rig.order(step, rig.mark("there"))
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    os.kill(pid, number)
    # At once, while the worker still works.
    assert rig.end_of(pid) == (-9 if number == signal.SIGKILL else 128 + number)
    assert not rig.idle()
    assert rig.session.unfinished() is None or rig.session.unfinished().state is ChangeState.RUNNING  # type: ignore[union-attr]
    rig.go()
    until(rig.idle, "the worker's end")
    assert (newest(rig).state, rig.rules()) == (ChangeState.APPLIED, RULES)
    text = (rig.root / "var/log/conbool-tui/conbool-tui.log").read_text()
    assert ("goes on by itself" in text) is (number != signal.SIGKILL)
    # Told once at the next start, which tidies up, too.
    told = rig.new_session()
    missed = told.unseen()
    assert missed == newest(rig)
    assert missed is not None
    assert unseen_text(missed).startswith(f"While you were away: change {missed.id} was applied at 20")
    told.seen()
    assert told.unseen() is None
    rig.at = None
    told.undo()
    assert left_over(rig) == []
    assert told.unseen() is None


@pytest.mark.parametrize(
    "step", [step for step in STEPS if step != "announced commit"], ids=lambda step: step.replace("/", ".")
)
def test_the_worker_is_killed(rig: WorkerRig, step: str) -> None:
    before = rig.tree()
    rig.order(step, die)
    ours = os.getpid()
    with pytest.raises(RolledBackError) as caught:
        rig.apply_it()
    assert os.getpid() == ours
    assert "without a word" in caught.value.what
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)
    assert rig.session.unfinished() is None
    assert rig.session.unseen() is None, "it was told"
    assert left_over(rig) == []
    rig.at = None
    rig.apply_it()


@pytest.mark.parametrize("step", ["announced commit", "done commit"])
def test_the_worker_is_killed_after_the_commit(rig: WorkerRig, step: str) -> None:
    rig.order(step, die)
    assert cast("Receipt", rig.apply_it()).state is ChangeState.APPLIED


def test_the_worker_of_an_undo_is_killed(rig: WorkerRig) -> None:
    rig.apply_it()
    applied = rig.tree()
    rig.order(f"announced write {MAIN}", die)
    with pytest.raises(RolledBackError):
        rig.session.undo()
    assert (rig.tree(), rig.rules()) == (applied, RULES)


def test_the_worker_of_a_recovery_is_killed(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.order(f"announced write {MAIN}", die)
    pid = rig.caller(rig.apply_it)
    until(lambda: rig.rules() == RULES_BEFORE and list_changes(rig.host, STATE), "the change")
    assert rig.end_of(pid) == 99
    assert rig.tree() == before


def test_a_worker_killed_with_nobody_watching(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.order(f"announced write {MAIN}", rig.mark("there"))
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    worker = rig.worker_pid()
    os.kill(pid, signal.SIGKILL)
    rig.end_of(pid)
    os.kill(worker, signal.SIGKILL)
    until(rig.idle, "the worker's end")
    assert rig.session.unseen() is None, "unfinished work comes first"
    found = rig.session.unfinished()
    assert found is not None
    assert found.state is ChangeState.UNFINISHED
    rig.at = None
    taken = rig.session.recover()
    assert taken is not None
    assert (taken.state, rig.tree()) == (ChangeState.ROLLED_BACK, before)


def test_killed_before_it_began(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.order("before create record", die)
    with pytest.raises(RolledBackError, match=r"before it began\. Nothing was changed"):
        rig.apply_it()
    assert rig.tree() == before


def killed_at(call: str, name: str) -> Callable[[], None]:
    """A worker that dies when it is about to call this function of ``os`` for one of its job's files."""
    real = getattr(os, call)

    def dying(path: Any, *more: Any, **named: Any) -> Any:
        if any(os.fsdecode(one).endswith(name) for one in (path, *more)):
            die()
        return real(path, *more, **named)

    return lambda: setattr(os, call, dying)


def test_killed_with_its_word_half_written(rig: WorkerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_READY", 0.5)
    before = rig.tree()
    rig.before_begin = killed_at("rename", "worker.json")
    with pytest.raises(CheckFailedError, match=r"did not begin within .* Nothing was changed"):
        rig.apply_it()
    assert (rig.tree(), rig.jobs()) == (before, [])


def test_killed_between_its_word_and_the_order(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.before_begin = killed_at("unlink", "order.json")
    with pytest.raises(RolledBackError, match=r"before it began\. Nothing was changed"):
        rig.apply_it()
    assert (rig.tree(), rig.jobs()) == (before, [])


def test_a_worker_that_hangs_costs_nothing(rig: WorkerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_STILL", 0.2)
    rig.order(f"announced write {MAIN}", rig.mark("there"))
    told: list[str] = []
    ended: list[Receipt] = []
    thread = threading.Thread(
        target=lambda: ended.append(rig.session.apply(rig.live_plan(), lambda step: told.append(step.text)))
    )
    thread.start()
    rig.reached("there")
    worker = rig.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    rig.go()
    spent = time.process_time()
    until(lambda: any("still at it" in text for text in told), "word that it still waits")
    assert time.process_time() - spent < 2.0
    assert not ended
    os.kill(worker, signal.SIGCONT)
    thread.join()
    assert ended[0].state is ChangeState.APPLIED


# --- stopping --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["before judged", f"announced write {MAIN}", "before health"])
def test_ctrl_c_takes_it_back(rig: WorkerRig, step: str) -> None:
    before = rig.tree()
    rig.order(step, rig.mark("there"))

    def work() -> None:
        rig.session.apply(rig.live_plan(), lambda one: (rig.root / one.phase).touch())

    pid = rig.caller(work)
    rig.reached("there")
    os.kill(pid, signal.SIGINT)
    rig.reached("rollback")
    rig.go()
    assert rig.end_of(pid) == 99
    error = (rig.root / "error").read_text()
    assert error.startswith("RolledBackError")
    assert "SIGINT" in error
    assert (rig.tree(), rig.rules()) == (before, RULES_BEFORE)


def test_ctrl_c_before_the_worker_is_there(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.before_begin = rig.mark("there")
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    os.kill(pid, signal.SIGINT)
    assert rig.end_of(pid) == 99
    assert "Nothing was changed" in (rig.root / "error").read_text()
    rig.go()
    until(rig.idle, "the worker's end")
    assert (rig.tree(), list_changes(rig.host, STATE)) == (before, [])


def test_ctrl_c_twice_leaves_it_alone(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.order(f"announced write {MAIN}", rig.mark("there"))

    def work() -> None:
        rig.session.apply(rig.live_plan(), lambda one: (rig.root / one.phase).touch())

    pid = rig.caller(work)
    rig.reached("there")
    os.kill(pid, signal.SIGINT)
    rig.reached("rollback")
    os.kill(pid, signal.SIGINT)
    assert rig.end_of(pid) == 130
    rig.go()
    until(rig.idle, "the worker's end")
    assert (newest(rig).state, rig.tree()) == (ChangeState.ROLLED_BACK, before)
    missed = rig.session.unseen()
    assert missed is not None
    assert "rolled back" in unseen_text(missed)


def test_a_recovery_is_not_stopped(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.order(f"announced write {MAIN}", rig.mark("there"))
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    os.kill(pid, signal.SIGKILL)
    rig.end_of(pid)
    os.kill(rig.worker_pid(), signal.SIGKILL)
    until(rig.idle, "the worker's end")
    (rig.root / "there").unlink()
    rig.order("announced rollback", rig.mark("there"))
    pid = rig.caller(rig.session.recover)
    rig.reached("there")
    os.kill(pid, signal.SIGINT)
    rig.go()
    assert rig.end_of(pid) == 0
    assert (newest(rig).state, rig.tree()) == (ChangeState.ROLLED_BACK, before)


def test_the_system_goes_down(rig: WorkerRig) -> None:
    """SIGTERM to the worker itself, as systemd sends it."""
    before = rig.tree()
    rig.order(f"announced write {MAIN}", rig.mark("there"))
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    os.kill(rig.worker_pid(), signal.SIGTERM)
    rig.go()
    assert rig.end_of(pid) == 99
    assert "SIGTERM" in (rig.root / "error").read_text()
    assert rig.tree() == before


def test_whoever_watches_and_fails_stops_it(rig: WorkerRig) -> None:
    before = rig.tree()
    rig.order("before judged", lambda: time.sleep(0.5))

    def watcher(step: Progress) -> None:
        if step.phase == "judge":
            raise ValueError("given up")

    with pytest.raises(RolledBackError):
        rig.session.apply(rig.live_plan(), watcher)
    assert rig.tree() == before


def test_a_closed_terminal_does_not_stop_it(rig: WorkerRig) -> None:
    def watcher(step: Progress) -> None:
        raise OSError("closed")

    assert rig.session.apply(rig.live_plan(), watcher).state is ChangeState.APPLIED


# --- two at once -----------------------------------------------------------------------------------------


def test_two_at_once(rig: WorkerRig) -> None:
    rig.order("before judged", rig.mark("there"))
    pid = rig.caller(rig.apply_it)
    rig.reached("there")
    other = WorkerRig.new_session(rig)
    for work in (
        lambda: other.apply(rig.plan()),
        lambda: other.recover(),
    ):
        with pytest.raises(LockedError) as caught:
            cast("Callable[[], object]", work)()
        assert caught.value.exit_code == 75
    rig.go()
    assert rig.end_of(pid) == 0
    assert [receipt.state for receipt in list_changes(rig.host, STATE)] == [ChangeState.APPLIED]


def test_the_caller_holds_no_lock(rig: WorkerRig) -> None:
    rig.order("before create record", die)
    held: list[bool] = []

    def start(host: Host, state_dir: str, job_id: str) -> None:
        with locked(host, Store(host, state_dir)):
            held.append(True)
        rig.start_worker(host, state_dir, job_id)

    with pytest.raises(RolledBackError):
        Session(rig.host, STATE, start_worker=start).apply(rig.plan())
    assert held == [True]


def test_one_order_is_done_once(rig: WorkerRig) -> None:
    """Two workers for one job: one does it."""

    def start(host: Host, state_dir: str, job_id: str) -> None:
        rig.start_worker(host, state_dir, job_id)
        rig.start_worker(host, state_dir, job_id)

    assert Session(rig.host, STATE, start_worker=start).apply(rig.live_plan()).state is ChangeState.APPLIED
    for pid in rig.workers:
        os.waitpid(pid, 0)
    rig.workers.clear()
    assert len(list_changes(rig.host, STATE)) == 1


# --- what is left in the store ---------------------------------------------------------------------------


def test_only_what_nobody_needs_is_swept(rig: WorkerRig) -> None:
    rig.apply_it()
    store = Store(rig.host, STATE)
    fresh, used, watched, worked, torn = (Job.create(store) for _ in range(5))
    rig.host.write_atomic(torn.path(".conbool-0123456789abcdef"), b'{"pid"', mode=0o600)
    for job in (used, watched, worked):
        job.end(None)
    with watched.held(CALLER), worked.held(WORKER):
        sweep(store)
        assert set(rig.host.listdir(store.jobs)) == {fresh.id, watched.id, worked.id}
    os.utime(rig.root / fresh.folder[1:], (0, 0))
    rig.host.make_folder(f"{store.jobs}/not-ours", 0o700)
    sweep(store)
    assert rig.host.listdir(store.jobs) == ["not-ours"]


def test_a_folder_of_somebody_else_is_refused(rig: WorkerRig, tmp_path: Path) -> None:
    rig.apply_it()
    os.rmdir(rig.root / STATE[1:] / "jobs")
    os.symlink(tmp_path, rig.root / STATE[1:] / "jobs")
    with pytest.raises(CheckFailedError, match="symbolic link"):
        rig.session.undo()


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"format": 99}'])
def test_an_order_that_cannot_be_understood(rig: WorkerRig, damage: bytes) -> None:
    def start(host: Host, state_dir: str, job_id: str) -> None:
        (rig.root / STATE[1:] / "jobs" / job_id / "order.json").write_bytes(damage)
        rig.start_worker(host, state_dir, job_id)

    before = rig.tree()
    with pytest.raises(CheckFailedError, match="cannot be understood"):
        Session(rig.host, STATE, start_worker=start).apply(rig.plan())
    assert rig.tree() == before


def test_without_room_for_the_outcome_the_journal_tells(
    rig: WorkerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise HostError("no space")

    monkeypatch.setattr(Job, "end", full)
    monkeypatch.setattr(Job, "tell", full)
    assert cast("Receipt", rig.apply_it()).state is ChangeState.APPLIED


# --- told once -------------------------------------------------------------------------------------------


def test_old_changes_are_no_news(rig: WorkerRig) -> None:
    assert rig.session.unseen() is None
    rig.apply()
    assert rig.session.unseen() is None, "from a version that did not note what was told"
    rig.session.undo()
    assert rig.session.unseen() is None


def test_a_countdown_that_ended_while_nobody_watched(rig: WorkerRig) -> None:
    receipt = rig.session.apply(rig.live_plan(60))
    assert rig.session.unseen() is None
    rig.move_time(61)
    assert rig.session.unseen() is None, "overdue is unfinished"
    until(lambda: newest(rig).state is ChangeState.ROLLED_BACK, "the way back")
    missed = rig.session.unseen()
    assert missed is not None
    assert missed.id == receipt.id
    assert "Nobody confirmed the change within 60 seconds." in unseen_text(missed)


def test_confirming_is_seen(rig: WorkerRig) -> None:
    rig.session.apply(rig.live_plan(60))
    rig.session.confirm()
    assert rig.session.unseen() is None


@pytest.mark.parametrize(
    ("state", "undo_of", "words"),
    [
        (ChangeState.APPLIED, "", "was applied at 2027"),
        (ChangeState.APPLIED, "old", "change old was taken back at 2027"),
        (ChangeState.ROLLED_BACK, "", "was rolled back at 2027"),
        (ChangeState.UNCONFIRMED, "", "conbool-tui confirm"),
        (ChangeState.INCOMPLETE, "", "conbool-tui undo 20260101-000000-abcd"),
    ],
)
def test_words(state: ChangeState, undo_of: str, words: str) -> None:
    text = unseen_text(dataclasses.replace(RECEIPT, state=state, undo_of=undo_of))
    assert text.startswith("While you were away: ")
    assert words in text


def test_a_damaged_mark_is_a_reason_to_tell(rig: WorkerRig) -> None:
    rig.apply_it()
    (rig.root / STATE[1:] / "seen.json").write_bytes(b"\x00")
    assert rig.session.unseen() == newest(rig)


def test_worker_of_an_unknown_job(rig: WorkerRig) -> None:
    rig.apply_it()
    job = Job.create(Store(rig.host, STATE))
    worker = Worker(rig.host, STATE, job.id, rig.system_for, FakeRules)
    worker.serve()
    assert not job.ended()


def test_the_real_worker_is_started_and_ends(tmp_path: Path) -> None:
    """Through the real start; there is nothing to do, and it says so."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    told: list[Progress] = []
    state = str(tmp_path / "state")
    assert watching.hand_over(Host("/"), state, Order(RECOVER), told.append) is None
    assert told == []
    assert os.listdir(f"{state}/jobs") == []
