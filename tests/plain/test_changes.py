"""The countdown, the history, later edits, what differs, and old records, in lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from conbool_tui.answers import Answers
from conbool_tui.checks.drift import Drift
from conbool_tui.errors import CheckFailedError, LockedError
from conbool_tui.findings import Finding, Status
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import KEEP, PUT_BACK
from tests.plain.conversation import (
    AFTER_INBOUND,
    CHANGE,
    TO_INBOUND,
    TO_REVIEW,
    Answer,
    Conversation,
    keep,
)
from tests.tui.fake import BAD, MAIN, FakeSession, make_receipt, moment
from tests.tui.test_edits import CHANGE as OLD
from tests.tui.test_edits import ODD, edited

START = 1_700_000_000.0
CLOSED: tuple[Answer, ...] = (*TO_INBOUND, "198.51.100.0/24", "", "yes", *keep(7), "", *AFTER_INBOUND, "")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> Answer:
        """A time in which nothing is typed."""

        def passes() -> Optional[str]:
            self.now += seconds
            return None

        return passes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("conbool_tui.plain.pages.confirm.clock", made)
    return made


@pytest.fixture
def session(clock: Clock) -> FakeSession:
    return FakeSession(now=clock)


# --- the countdown


def test_the_time_left_is_said_seldom_and_a_change_is_kept(clock: Clock, session: FakeSession) -> None:
    waits = [clock.wait(1) for _ in range(55)]
    said = Conversation(session, *CLOSED, "Apply now", *waits, "Keep it", "", "", "Finish")
    lines = [line for line in said.text.splitlines() if "Live now." in line]
    assert [line.partition("Taken back in ")[2].split(",")[0] for line in lines] == ["60 s", "30 s", "10 s"]
    assert said.after("Keep this change?").startswith("! WARN Live now.")
    assert "1 Test now (Enter) 2 Keep it 3 Take back now" in said.flat
    assert f"Applied as change {CHANGE}." in said.flat
    assert session.receipts[0].state is ChangeState.APPLIED
    assert said.code == 0


def test_a_change_is_taken_back_now(clock: Clock, session: FakeSession) -> None:
    said = Conversation(session, *CLOSED, "Apply now", "<", "3", "q", "2")
    assert "! Decide first: Keep it or Take back now." in said.text
    assert f"! WARN TAKEN BACK: change {CHANGE} is gone, and the old state is back." in said.flat
    assert "Apply now (not now: go back to Review first" in said.flat


def test_the_test_does_not_stop_the_clock(clock: Clock, session: FakeSession) -> None:
    session.check_findings = BAD
    said = Conversation(session, *CLOSED, "Apply now", "", clock.wait(10), "3", "q", "2")
    assert "x FAIL 1 of 2 checks failed. Take it back if you are not sure." in said.flat
    assert "1 Test again (Enter)" in said.flat


def test_the_end_of_the_time_is_told_and_its_outcome(clock: Clock, session: FakeSession) -> None:
    def guard() -> Optional[str]:
        session.settle(ChangeState.ROLLED_BACK, "Nobody confirmed it in time.")
        return clock.wait(6)()  # type: ignore[operator]

    said = Conversation(session, *CLOSED, "Apply now", clock.wait(61), "2", guard, "q", "2")
    assert f"Nobody kept change {CHANGE} in time." in said.flat
    assert "! Keep it: the time is over" in said.text
    assert f"TAKEN BACK: change {CHANGE} is gone" in said.flat
    assert "Nobody confirmed it in time." in said.text


def test_somebody_else_keeps_it(clock: Clock, session: FakeSession) -> None:
    def other() -> Optional[str]:
        session.settle(ChangeState.APPLIED)
        return clock.wait(6)()  # type: ignore[operator]

    said = Conversation(session, *CLOSED, "Apply now", other, "", "", "Finish")
    assert f"Applied as change {CHANGE}." in said.flat


def test_leaving_while_it_waits_asks_and_says_how_to_keep_it(clock: Clock, session: FakeSession) -> None:
    said = Conversation(session, *CLOSED, "Apply now", "q", "", "q", "Leave")
    asked = said.after("Leave now?")
    assert "waits for confirmation" in asked
    assert "The countdown goes on without this program." in asked
    assert said.text.count("unless you run: conbool-tui confirm") == 3, "twice when asked, and at the end"
    assert session.receipts[0].state is ChangeState.UNCONFIRMED


def test_the_end_of_the_answers_leaves_it_waiting(clock: Clock, session: FakeSession) -> None:
    said = Conversation(session, *CLOSED, "Apply now")
    assert session.receipts[0].state is ChangeState.UNCONFIRMED
    assert "conbool-tui confirm" in said.flat


def test_a_change_that_waits_from_an_earlier_run_comes_first(clock: Clock, session: FakeSession) -> None:
    waits = make_receipt(OLD, ChangeState.UNCONFIRMED)
    session.receipts.append(replace(waits, confirm_by=moment(START + 50)))
    said = Conversation(session, "Keep it", "q")
    assert said.text.index("Taken back in 50 s") < said.text.index("Postfix 3.7.11")
    assert f"+ OK Kept: change {OLD} stays." in said.flat


def test_a_decision_that_fails_is_told(clock: Clock, session: FakeSession) -> None:

    def lost() -> Optional[str]:
        session.receipts[0] = replace(session.receipts[0], state=ChangeState.RUNNING)
        return "Keep it"

    said = Conversation(session, *CLOSED, "Apply now", lost)
    assert "That did not work" in said.text
    assert "x FAIL It is too late." in said.flat


# --- the history


def test_undo_is_asked_and_told() -> None:
    session = FakeSession(receipts=[make_receipt(OLD, ChangeState.APPLIED)], done=True)
    said = Conversation(
        session, "History", "1", "Undo this change", "", "1", "Undo this change", "Undo", "", "q"
    )
    assert said.flat.count(f"Take back change {OLD}?") == 2
    assert "1 Keep it (Enter) 2 Undo" in said.flat
    assert f"+ OK Change {OLD} was taken back." in said.flat
    assert len(session.undone) == 1
    assert f"Undone: change {OLD}" in said.text


def test_an_undo_is_undone() -> None:
    session = FakeSession(receipts=[make_receipt(OLD, ChangeState.APPLIED)], done=True)
    said = Conversation(
        session,
        "History",
        "1",
        "Undo this change",
        "Undo",
        "1",
        "Put in force again",
        "Put in force",
        "",
        "q",
    )
    assert f"Put change {OLD} in force again?" in said.flat
    assert f"+ OK Change {OLD} is in force again." in said.flat


def test_edits_are_shown_in_three_versions_and_chosen_one_by_one() -> None:
    session = edited()
    answers = ("Choose for each", "", "p", "", "2", "k", "", "Undo", "Undo", "", "q")
    said = Conversation(session, "History", "1", "Undo this change", "", *answers)
    flat = said.flat
    for words in ("Before the change", "(empty)", "[mail.conbool.com]:25", "[other.example]", "(not there)"):
        assert words in flat
    assert r"[red]mine[/red] \x1b[31m\x07" in flat
    assert "1 Keep mine (chosen, Enter keeps it) 2 Put back" in flat
    lost = said.after("Your edits that are lost")
    assert lost.index("smtpd_banner") < lost.index("Your edits that stay")
    back = {ODD[1].at, ODD[3].at}
    assert session.undone == [(OLD, {item.at: PUT_BACK if item.at in back else KEEP for item in ODD}, ODD)]


def test_all_edits_at_once_and_nothing_on_the_way_back() -> None:
    session = edited()
    ways = ("Put back all", "", "Keep all", "", "Cancel")
    said = Conversation(session, "History", "1", "Undo this change", "", *ways, "", "q")
    assert "PUT BACK" in said.text
    assert not session.undone


def test_what_is_edited_while_one_chooses_is_asked_again() -> None:
    session = edited(*ODD[:3])
    session.edited_again.append((replace(ODD[0], now="[third.example]"),))
    said = Conversation(
        session,
        "History",
        "1",
        "Undo this change",
        "",
        "Put back all",
        "",
        "Undo",
        "Undo",
        "",
        "Undo",
        "Undo",
        "",
        "q",
    )
    assert "! Edited again just now: 1. Nothing was changed." in said.flat
    assert session.undone[1][1][ODD[0].at] == KEEP
    assert session.undone[1][1][ODD[1].at] == PUT_BACK


def test_an_undo_may_have_to_be_confirmed(clock: Clock, session: FakeSession) -> None:
    session.receipts, session.undo_waits = [make_receipt(OLD, ChangeState.APPLIED)], 60
    said = Conversation(session, "History", "1", "Undo this change", "Undo", "Keep it", "", "q")
    assert "+ OK Kept: change" in said.flat


def test_why_a_change_cannot_be_taken_back_and_its_journal() -> None:
    session = FakeSession(
        receipts=[make_receipt(OLD, ChangeState.UNDONE)], journals={OLD: "1  begin\n2  caf\u00e9 \x1b[2J"}
    )
    said = Conversation(session, "History", "9", "x", "1", "Undo this change", "Journal", "", "", "q")
    assert "! Undo this change: it is undone already" in said.text
    assert f"Journal of change {OLD}" in said.text
    assert "caf\\xe9 \\x1b[2J" in said.text
    assert "x 9 is not in the list." in said.text


def test_old_records_are_removed_after_asking() -> None:
    old = make_receipt("20240101-0000-aa", ChangeState.UNDONE)
    session = FakeSession(receipts=[make_receipt(OLD, ChangeState.APPLIED), old], old=[old])
    said = Conversation(session, "History", "r", "", "r", "Remove", "r", "", "q")
    assert said.flat.count("1 record of 2 can go") == 2
    assert "+ OK Removed: 1 old records." in said.flat
    assert "All records are still needed" in said.flat
    assert len(session.receipts) == 1


def test_an_empty_history_and_one_that_cannot_be_read() -> None:
    class Broken(FakeSession):
        def history(self) -> tuple[()]:
            raise CheckFailedError("The journal cannot be read.", "", "")

    assert "nothing has been changed on this server" in Conversation(FakeSession(), "History", "q").text
    assert "The journal cannot be read." in Conversation(Broken(), "History", "q").text


# --- what differs


DRIFT = (
    Drift(OLD, MAIN, "relayhost", "[mail.conbool.com]:25", "[other.example]", "2025-01-02T03:04:05Z"),
    Drift(OLD, MAIN, "header_checks", "pcre:/x", "", "2025-01-02T03:04:05Z"),
)


@pytest.fixture
def drifted() -> FakeSession:
    return FakeSession(differing=list(DRIFT), recorded=Answers(domains=("example.com",)), done=True)


def test_one_difference_is_accepted_then_all(drifted: FakeSession) -> None:
    said = Conversation(
        drifted, "Edited since", "1", "a", "", "1", "Accept this", "Accept", "", "Accept all", "Accept", "q"
    )
    assert "2 places are not as applied. Choose Edited since to see them." in said.flat
    assert "Set by change" in said.flat
    assert "[other.example]" in said.flat
    assert drifted.accepted == list(DRIFT)
    assert said.flat.count("+ OK Accepted: 1.") == 2
    assert "Nothing differs from what was applied." in said.flat


def test_an_acceptance_that_fails_is_told(drifted: FakeSession) -> None:
    drifted.accept_error = LockedError("Another run holds the lock.", "", "Wait.")
    said = Conversation(drifted, "Edited since", "", "Accept all", "Accept", "", "", "q")
    assert "Another run holds the lock." in said.text
    assert not drifted.accepted


def test_applying_again_goes_to_review_with_the_recorded_answers(drifted: FakeSession) -> None:
    drifted.done = False
    said = Conversation(drifted, "Edited since", "", "Apply again", "To Review", "Back", "q")
    assert "The recorded answers of what is in force are taken" in said.flat
    assert said.text.index("Step 8 of 11 - Review") < said.text.rindex("Step 1 of 11 - Welcome")
    assert drifted.planned[-1].domains == ("example.com",)


def test_the_test_offers_what_differs(drifted: FakeSession) -> None:
    drifted.check_findings = [Finding("drift", Status.FAIL, "main.cf was edited", remedy="Look.")]
    said = Conversation(drifted, *TO_REVIEW, "", "Edited since", "", "", "q")
    assert said.after("Step 10 of 11").startswith("- Test Findings x FAIL")
    assert "2 places are not as applied." in said.after("Step 10 of 11")
