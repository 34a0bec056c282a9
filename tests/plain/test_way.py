"""The whole way in lines: to the end, back, out, and what happens on a bad answer."""

from __future__ import annotations

from typing import Optional

import pytest

from conbool_tui.errors import RolledBackError
from conbool_tui.plain.app import run_plain
from conbool_tui.plain.console import Console
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, ProgressSink, Receipt
from tests.plain.conversation import (
    APPLY,
    CHANGE,
    PREREQUISITES,
    TO_INBOUND,
    TO_REVIEW,
    TO_SMART_HOST,
    WELCOME,
    Conversation,
    Script,
)
from tests.tui.fake import FakeSession, make_receipt


def test_to_the_end_with_what_is_proposed() -> None:
    said = Conversation(FakeSession(), *TO_REVIEW, *APPLY, "", "", "")
    assert said.keyboard.left == 0, said.text
    assert said.code == 0
    for words in (
        "Step 1 of 11 - Welcome",
        "+ OK Postfix 3.7.11, running",
        "2 domains looked up",
        "Step 8 of 11 - Review",
        "6 of 8 write phase write of the change",
        f"+ OK Applied as change {CHANGE}.",
        "SMTP reachable. The next screen says",
        "As relay host of the inbound mail server, type: mx1.example.com",
        f"Take it back: conbool-tui undo {CHANGE}",
    ):
        assert words in said.flat, said.text
    assert said.text.isascii()
    assert "\x1b" not in said.text


def test_the_end_of_the_answers_leaves_and_says_so() -> None:
    said = Conversation(FakeSession(), *TO_INBOUND)
    assert said.text.rstrip().endswith("Nothing was changed.")
    assert said.code == 0


def test_a_lost_terminal_is_left_without_a_word() -> None:
    said = Conversation(FakeSession(), *TO_INBOUND, lost=True)
    assert said.code == 129
    assert "Nothing was changed" not in said.text


def test_applying_is_not_the_answer_of_enter() -> None:
    session = FakeSession()
    said = Conversation(session, *TO_REVIEW, "", "", "q", "yes")
    assert not session.receipts
    assert said.after("Step 9 of 11 - Apply").count("Not yet (Enter)") == 1
    assert said.text.count("Step 8 of 11 - Review") == 2, "Enter goes back"


def test_the_beginning_of_a_word_does_not_apply() -> None:
    session = FakeSession()
    said = Conversation(session, *TO_REVIEW, "", "a", "appl", "Apply now!", "q", "2")
    assert said.text.count("is no choice. Type a number from 1 to 4.") == 3
    assert not session.receipts


def test_what_was_typed_before_the_last_question_does_not_answer_it() -> None:
    said = Conversation(FakeSession(), *TO_REVIEW, "", "1", "q", "2")
    assert said.keyboard.forgotten == 1


def test_leaving_asks_when_something_would_be_lost() -> None:
    said = Conversation(FakeSession(), *TO_SMART_HOST, "mx.example.com", "q", "", "q", "Leave")
    assert said.keyboard.left == 0
    asked = said.after("Leave now?")
    assert asked.startswith("Your answers have been neither applied nor saved.")
    assert "1 Stay (Enter) 2 Leave" in asked
    assert said.text.count("\nPort\n") == 2, "the question is asked again"
    assert said.text.rstrip().endswith("Nothing was changed.")


def test_leaving_at_once_when_nothing_is_lost() -> None:
    assert "Leave now?" not in Conversation(FakeSession(), *WELCOME, "q").text


def test_back_goes_one_question_back_and_then_one_step() -> None:
    said = Conversation(FakeSession(), *TO_SMART_HOST, "mx.example.com", "<", "b", "1", "q", "Leave")
    assert said.after("Step 3 of 11").count("Now: mx.example.com") == 2, "what was typed is kept"
    assert said.text.count("Step 2 of 11 - Prerequisites") == 2
    assert said.text.count("Step 3 of 11") == 2


def test_back_from_the_first_step_means_leaving() -> None:
    assert Conversation(FakeSession(), "<").text.rstrip().endswith("Nothing was changed.")


def test_help_at_every_question() -> None:
    said = Conversation(FakeSession(), "?", *WELCOME, "?", *PREREQUISITES, "?", "??")
    help_of_smart_host = said.after("Step 3 of 11")
    assert "Help Name of the smart host; no MX lookup is made for it." in help_of_smart_host
    assert "its certificate is checked" in help_of_smart_host
    assert "How to answer" in help_of_smart_host
    assert "conbool-tui support-bundle" in help_of_smart_host
    assert help_of_smart_host.count("Now: mail.conbool.com") == 3, "asked again after the help"
    assert "The program looks at this server and changes nothing." in said.flat


def test_a_bad_answer_says_why_and_asks_again() -> None:
    said = Conversation(
        FakeSession(), *TO_SMART_HOST, "[mail.conbool.com]:25", "", "70000", "26", "\x1b[A", "", "q", "2"
    )
    flat = said.flat
    assert '"70000" is no port. Ports are whole numbers from 1 to 65535' in flat
    assert flat.count("Port Now: 25") == 1, "the old value stands"
    assert "control characters" in flat


def test_a_number_that_is_no_choice() -> None:
    said = Conversation(FakeSession(), "9", "none of these", "Recover", "Start", "q")
    assert 'x "9" is no choice. Type a number from 1 to 5.' in said.text
    assert 'x "none of these" is no choice.' in said.text
    assert "! Recover: no change is unfinished" in said.text
    assert "Step 2 of 11" in said.text


def test_a_change_that_fails_is_told_and_can_be_tried_again() -> None:
    session = FakeSession(apply_error=RolledBackError("postfix check failed.", "It was not used.", "Look."))
    said = Conversation(session, *TO_REVIEW, *APPLY, "q", "2")
    assert "! WARN ROLLED BACK: the change failed and the old state is back." in said.flat
    assert "What to do: Look." in said.flat
    assert said.code == 4


def test_text_wraps_at_the_width() -> None:
    said = Conversation(FakeSession(), *TO_REVIEW, *APPLY, "", "", "", width=40)
    assert max(len(line) for line in said.text.splitlines()) < 40


def test_interrupted_it_says_what_it_did() -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    parts: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_plain(FakeSession, console=Console(parts.append), keyboard=Script("", interrupt))
    assert parts[-1] == "\nNothing was changed.\n"


def test_told_to_end_it_says_nothing_and_leaves_the_outcome_to_the_next_start() -> None:
    class Ended(FakeSession):
        def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
            self.missed = make_receipt(CHANGE, ChangeState.APPLIED)
            raise SystemExit(129)

    session = Ended()
    parts: list[str] = []
    with pytest.raises(SystemExit):
        run_plain(lambda: session, console=Console(parts.append), keyboard=Script(*TO_REVIEW, *APPLY))
    assert session.missed is not None, "nobody has read it"


def test_a_terminal_that_goes_while_a_change_is_written_does_not_stop_it() -> None:
    parts: list[str] = []

    def write(text: str) -> None:
        if "3 of 8" in text:
            raise OSError(5, "Input/output error")
        parts.append(text)

    class Watched(FakeSession):
        heard: Optional[BaseException] = None

        def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
            assert progress is not None
            try:
                return super().apply(plan, progress)
            except OSError as error:
                # As conbool_tui.transaction.watching does: nobody hears it any more, and the work goes on.
                self.heard = error
                return super().apply(plan, None)

    session = Watched()
    run_plain(lambda: session, console=Console(write), keyboard=Script(*TO_REVIEW, *APPLY))
    assert isinstance(session.heard, OSError)
    assert session.receipts[0].state is ChangeState.APPLIED


def test_an_unforeseen_error_is_handed_on_after_the_summary() -> None:
    class Faulty(FakeSession):
        def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
            raise ZeroDivisionError("division by zero")

    parts: list[str] = []
    with pytest.raises(ZeroDivisionError):
        run_plain(Faulty, console=Console(parts.append), keyboard=Script(*TO_REVIEW, *APPLY))
    assert parts[-1] == "\nNothing was changed.\n"


def test_an_unforeseen_error_in_a_thread_is_a_sentence() -> None:
    class Faulty(FakeSession):
        def unfinished(self) -> None:
            raise ZeroDivisionError("division by zero")

    said = Conversation(Faulty(), "q")
    assert "x FAIL Unexpected: ZeroDivisionError: division by zero" in said.flat


def test_a_line_that_the_terminal_cuts_off_is_refused() -> None:
    long = ", ".join(f"198.51.100.{number}" for number in range(250)) + ", " + "1" * 1000
    said = Conversation(FakeSession(), *TO_INBOUND, long, "198.51.100.7", long, "192.0.2.7", "")
    assert said.flat.count("x The line has more than the 4,095 characters") == 2
    assert said.state.draft.text("conbool_networks") == "192.0.2.7/32"
