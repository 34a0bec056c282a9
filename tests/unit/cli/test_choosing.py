"""The command line's side of conflicts, accepted drift, recorded answers, closing and pruning."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui import cli, log
from conbool_tui.answers import Answers
from conbool_tui.checks.drift import Drift
from conbool_tui.commands import choosing
from conbool_tui.errors import ExitCode, RollbackIncompleteError
from conbool_tui.receipt import ProgressSink, Receipt
from conbool_tui.transaction import KEEP, PUT_BACK, Choices, Conflict, UndoConflictError
from tests.unit.cli.test_command_line import RECEIPT, FakeSession

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

MAIN = "/etc/postfix/main.cf"
CONFLICTS = (
    Conflict(MAIN, "relayhost", "", "[ours]", "[mine]"),
    Conflict(MAIN, "biff", "no", "yes", "maybe"),
    Conflict("firewall:nftables", "", None, "ours", "mine"),
)


class EditedSession(FakeSession):
    """A change with later edits."""

    given: Optional[Choices] = None
    asked: Sequence[Conflict] = ()
    edited_again: Optional[Conflict] = None
    broken = False
    accepted: Sequence[str] = ()
    drifted: tuple[Drift, ...] = (Drift("x", MAIN, "relayhost", "a", "b", "now"),)
    pruned = False

    def undo_target(self, change_id: Optional[str] = None) -> Receipt:
        return RECEIPT

    def conflicts(self, change_id: Optional[str] = None) -> tuple[Conflict, ...]:
        return CONFLICTS

    def undo(
        self,
        change_id: Optional[str] = None,
        progress: Optional[ProgressSink] = None,
        *,
        choices: Optional[Choices] = None,
        asked: Sequence[Conflict] = (),
    ) -> Receipt:
        type(self).given, type(self).asked = choices, list(asked)
        again = self.edited_again
        if again is not None and (again not in asked or again.at not in (choices or {})):
            raise UndoConflictError(RECEIPT.id, [again])
        left = [item for item in CONFLICTS if item.at not in (choices or {})]
        if left:
            raise UndoConflictError(RECEIPT.id, left)
        return RECEIPT

    def unfinished(self) -> Optional[Receipt]:
        return RECEIPT if self.broken else None

    def recover(
        self, progress: Optional[ProgressSink] = None, *, now: bool = False, accept: bool = False
    ) -> Optional[Receipt]:
        if not accept:
            raise RollbackIncompleteError("It was edited.", "why", "Finish by hand.")
        type(self).broken = False
        return RECEIPT

    def drift(self) -> list[Drift]:
        return list(self.drifted)

    def accept_drift(self, drift: object) -> None:
        type(self).accepted = ["all"]

    def prunable(self, keep: int = 0) -> list[Receipt]:
        return [RECEIPT][keep:]

    def prune(self, keep: int = 0) -> list[Receipt]:
        type(self).pruned = True
        return [RECEIPT][keep:]

    def applied_answers(self) -> Answers:
        return Answers(domains=("recorded.example",))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[EditedSession]:
    made = type("Made", (EditedSession,), {})
    monkeypatch.setattr("conbool_tui.session.Session", made)
    monkeypatch.setattr(log, "record", lambda host, text: None)
    return made


def test_unattended_without_a_choice_stops_with_5(
    session: type[EditedSession], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["undo", "--yes"]) == ExitCode.ROLLBACK_INCOMPLETE
    told = capsys.readouterr().err
    assert "[mine]" in told
    assert "--put-back" in told


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--keep-mine"], [KEEP, KEEP, KEEP]),
        (["--put-back"], [PUT_BACK, PUT_BACK, PUT_BACK]),
        (["--keep-mine", "--put-back", f"{MAIN}:relayhost"], [PUT_BACK, KEEP, KEEP]),
        (["--put-back", "--keep-mine", "firewall:nftables"], [PUT_BACK, PUT_BACK, KEEP]),
    ],
)
def test_flags(session: type[EditedSession], flags: list[str], wanted: list[str]) -> None:
    assert cli.main(["undo", RECEIPT.id, "--yes", *flags]) == ExitCode.DONE
    assert session.given == dict(zip([item.at for item in CONFLICTS], wanted))


@pytest.mark.parametrize(
    "flags",
    [
        ["--keep-mine", "--put-back"],
        ["--keep-mine", f"{MAIN}:myhostname"],
        ["--keep-mine", f"{MAIN}:biff", "--put-back", f"{MAIN}:biff"],
    ],
)
def test_flags_that_cannot_be(session: type[EditedSession], flags: list[str]) -> None:
    assert cli.main(["undo", "--yes", *flags]) == ExitCode.USAGE
    assert session.given is None


def test_each_is_asked_on_a_terminal(
    session: type[EditedSession], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = iter(["k", "what?", "p", "keep"])
    monkeypatch.setattr(choosing, "may_ask", lambda context: True)
    monkeypatch.setattr("conbool_tui.commands.context.Context.typed", lambda self, question: next(said))
    monkeypatch.setattr("conbool_tui.commands.context.Context.confirmed", lambda self, *words: True)
    assert cli.main(["undo"]) == ExitCode.DONE
    assert session.given == dict(zip([item.at for item in CONFLICTS], [KEEP, PUT_BACK, KEEP]))
    told = capsys.readouterr().err
    assert "before us: no" in " ".join(told.split())


def test_what_was_edited_again_meanwhile_is_asked_about_again(
    session: type[EditedSession], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = iter(["p", "k", "k"])
    session.edited_again = Conflict(MAIN, "relayhost", "", "[ours]", "[newer]")
    monkeypatch.setattr(choosing, "may_ask", lambda context: True)
    monkeypatch.setattr("conbool_tui.commands.context.Context.typed", lambda self, question: next(said))
    monkeypatch.setattr("conbool_tui.commands.context.Context.confirmed", lambda self, *words: True)
    assert cli.main(["undo", "--keep-mine", f"{MAIN}:biff"]) == ExitCode.DONE
    assert session.given == dict.fromkeys([item.at for item in CONFLICTS], KEEP)
    # A flag is about whatever is there; what was typed is about what was shown.
    assert list(session.asked) == [session.edited_again, CONFLICTS[2]]
    assert "[newer]" in capsys.readouterr().err


def test_no_answer_about_what_was_edited_again_changes_nothing(
    session: type[EditedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["p", "p", "p", ""])
    session.edited_again = Conflict(MAIN, "relayhost", "", "[ours]", "[newer]")
    monkeypatch.setattr(choosing, "may_ask", lambda context: True)
    monkeypatch.setattr("conbool_tui.commands.context.Context.typed", lambda self, question: next(said))
    monkeypatch.setattr("conbool_tui.commands.context.Context.confirmed", lambda self, *words: True)
    assert cli.main(["undo"]) == ExitCode.ROLLBACK_INCOMPLETE


def test_a_cut_off_change_with_edits_can_be_closed(
    session: type[EditedSession], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["undo", "--accept", "--yes"]) == ExitCode.USAGE
    session.broken = True
    assert cli.main(["undo", "--yes"]) == ExitCode.ROLLBACK_INCOMPLETE
    assert f"conbool-tui undo {RECEIPT.id} --accept" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["undo", RECEIPT.id, "--accept", "--yes"]) == ExitCode.DONE
    assert not session.broken


def test_accepting_drift(session: type[EditedSession], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["accept"]) == ExitCode.USAGE
    assert not session.accepted
    assert cli.main(["accept", "--yes", "--json"]) == ExitCode.DONE
    assert session.accepted
    assert json.loads(capsys.readouterr().out) == {"accepted": [{"path": MAIN, "key": "relayhost"}]}
    session.accepted, session.drifted = (), ()
    assert cli.main(["accept"]) == ExitCode.DONE
    assert not session.accepted


def test_recorded_answers(session: type[EditedSession], tmp_path: Path) -> None:
    assert cli.main(["apply", "--recorded", "--yes"]) == ExitCode.DONE
    assert session.planned_for is not None
    assert session.planned_for.domains == ("recorded.example",)
    assert cli.main(["apply", "--recorded", "--yes", "--domains", "a.example"]) == ExitCode.USAGE


def test_pruning(session: type[EditedSession], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history", "--prune"]) == ExitCode.USAGE
    assert not session.pruned
    assert RECEIPT.id in capsys.readouterr().err
    assert cli.main(["history", "--prune", "--keep", "-1", "--yes"]) == ExitCode.USAGE
    assert cli.main(["history", "--prune", "--keep", "1", "--yes"]) == ExitCode.DONE
    assert not session.pruned
    assert cli.main(["history", "--prune", "--yes", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"removed": [RECEIPT.id]}
