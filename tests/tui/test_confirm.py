"""A change that waits for confirmation: the countdown, every way it can end, and leaving meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conbool_tui.receipt import ChangeState, Receipt
from screens.confirm import ConfirmScreen
from tests.tui.conftest import Driver, Start
from tests.tui.fake import BAD, FakeSession, make_receipt, moment
from tests.tui.test_inbound import close_port_25


@dataclass
class Clock:
    """Time stands still until a test moves it."""

    seconds: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("screens.confirm.clock", made)
    return made


async def go_on(driver: Driver, clock: Clock, seconds: float) -> None:
    """Let time pass."""
    clock.seconds += seconds
    screen = next(screen for screen in driver.app.screen_stack if isinstance(screen, ConfirmScreen))
    screen.tick()
    await driver.settle()


async def live(driver: Driver) -> None:
    """Close port 25 and apply."""
    await close_port_25(driver)
    await driver.to("Apply")
    assert "Once it is live you have 60 seconds to keep it." in driver.text()
    await driver.push("Apply now")
    assert driver.title == "Keep this change?"


def waiting(clock: Clock) -> Receipt:
    """A change of an earlier run that waits."""
    made = make_receipt("20250101-0000-zz", ChangeState.UNCONFIRMED)
    return replace(made, confirm_by=moment(clock() + 42))


async def test_it_counts_and_keeping_is_a_deliberate_act(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        assert "Taken back in 60 s, at 22:14:20 UTC, unless you keep it." in driver.text()
        assert driver.focused_text() == "> [ Test now ] "
        await go_on(driver, clock, 3)
        assert "Taken back in 57 s" in driver.text()
        await driver.press("enter")
        assert "No check failed." in driver.pane("#about")
        assert driver.focused_text() == "> [ Test again ] ", "the focus does not wander to Keep it"
        await driver.press("escape")
        assert "Decide first" in driver.text()
        await driver.push("Keep it")
        assert session.receipts[0].state is ChangeState.APPLIED
        assert driver.title == "Step 9 of 11 - Apply"
        assert "Applied as change 20250102-0304-a1" in driver.text()
        assert not driver.app.state.draft.changed
        await driver.press("enter")
        assert driver.title == "Step 10 of 11 - Test"
        assert "SMTP reachable" in driver.text()
        await driver.press("q")
    farewell = "\n".join(driver.app.state.farewell("/x", "/y"))
    assert "Change 20250102-0304-a1: applied" in farewell
    assert "conbool-tui confirm" not in farewell


async def test_the_old_state_comes_back_when_nobody_keeps_it(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        await go_on(driver, clock, 60)
        assert "The time is over." in driver.text()
        for name in ("keep", "take", "test"):
            assert driver.button(name).reason
        session.settle(ChangeState.ROLLED_BACK, "Nobody confirmed the change within 60 seconds.")
        await go_on(driver, clock, 1)
        assert driver.title == "Step 9 of 11 - Apply"
        text = " ".join(driver.text().split())
        assert "! WARN TAKEN BACK: change 20250102-0304-a1 is gone, and the old state is back." in text
        assert "Nobody confirmed the change within 60 seconds." in text
        assert driver.button("next").reason
        assert driver.app.state.draft.changed, "the answers have not been applied after all"
        assert driver.app.state.unconfirmed is None


async def test_what_nobody_takes_back_can_be_taken_back_here(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        clock.seconds += 60
        for _ in range(22):
            await go_on(driver, clock, 1)
        assert not driver.button("take").reason
        await driver.push("Take back now")
        assert session.receipts[0].state is ChangeState.ROLLED_BACK


async def test_taken_back_at_once_and_applied_again(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        await driver.push("Take back now")
        assert session.receipts[0].state is ChangeState.ROLLED_BACK
        assert "TAKEN BACK" in driver.text()
        assert driver.app.state.exit_code == 0
        await driver.press("escape")
        assert driver.title == "Step 8 of 11 - Review"
        assert "Countdown" in driver.pane("#summary")
        await driver.push("Next: apply")
        await driver.push("Apply now")
        assert driver.title == "Keep this change?"


async def test_too_late_to_keep_is_said(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        session.settle(ChangeState.UNFINISHED)
        await driver.push("Keep it")
        assert "It is too late." in driver.pane("#about")
        assert driver.title == "Keep this change?"


async def test_a_confirmation_from_elsewhere_is_noticed(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        session.settle(ChangeState.APPLIED)
        for _ in range(5):
            if driver.title == "Keep this change?":
                await go_on(driver, clock, 1)
        assert "Applied as change" in driver.text()


async def test_a_failing_test_advises_to_take_it_back(wizard: Start, clock: Clock) -> None:
    async with wizard(FakeSession(now=clock, check_findings=BAD)) as driver:
        await live(driver)
        await driver.press("enter")
        assert "1 of 2 checks failed. Take it back if you are not sure." in " ".join(
            driver.pane("#about").split()
        )


async def test_leaving_asks_and_says_how_to_keep_it(wizard: Start, clock: Clock) -> None:
    async with wizard(FakeSession(now=clock)) as driver:
        await live(driver)
        await driver.press("q")
        text = " ".join(driver.text().split())
        assert "waits for confirmation. It is taken back by itself at 22:14:20 UTC" in text
        assert driver.focused_text().startswith("> [ Stay ]")
        await driver.push("Leave")
    farewell = driver.app.state.farewell("/x", "/y")
    assert farewell[0].startswith("Change 20250102-0304-a1: waiting for confirmation")
    assert "It is taken back at 22:14:20 UTC unless you run: conbool-tui confirm" in farewell


async def test_the_end_is_shown_after_a_question_on_top(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock)
    async with wizard(session) as driver:
        await live(driver)
        await driver.press("f1")
        assert driver.title == "Help"
        session.settle(ChangeState.ROLLED_BACK)
        await go_on(driver, clock, 61)
        assert driver.title == "Help"
        await driver.press("escape")
        assert driver.title == "Step 9 of 11 - Apply"
        assert "TAKEN BACK" in driver.text()


async def test_a_waiting_change_comes_before_everything_else(wizard: Start, clock: Clock) -> None:
    session = FakeSession(now=clock, receipts=[waiting(clock)])
    async with wizard(session) as driver:
        assert driver.title == "Keep this change?"
        assert "Taken back in 42 s" in driver.text()
        assert session.detected == [], "nothing slow before the question"
        await driver.push("Keep it")
        assert driver.title == "Step 1 of 11 - Welcome"
        assert "Kept: change 20250101-0000-zz stays." in driver.text()
        assert "Postfix 3.7.11, running" in driver.text()
        assert session.receipts[0].state is ChangeState.APPLIED


async def test_leaving_a_waiting_change_of_an_earlier_run(wizard: Start, clock: Clock) -> None:
    async with wizard(FakeSession(now=clock, receipts=[waiting(clock)])) as driver:
        await driver.press("q")
        await driver.push("Leave")
    assert driver.app.state.farewell("/x", "/y")[:2] == [
        "Change 20250101-0000-zz: waiting for confirmation.",
        "It is taken back at 22:14:02 UTC unless you run: conbool-tui confirm",
    ]


async def test_a_change_under_way_elsewhere_is_no_crash(wizard: Start) -> None:
    async with wizard(FakeSession(crashed=make_receipt("20250101-0000-zz", ChangeState.RUNNING))) as driver:
        assert "is being written by another process" in driver.text()
        assert driver.button("recover").reason
        assert driver.button("start").reason
        assert not driver.app.state.pending
        driver.session.crashed = None
        await driver.push("Search again")
        assert not driver.button("start").reason


# --- transcripts


async def test_a_transcript_is_saved_and_replaces_nothing_unasked(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Test")
        await driver.push("Save")
        await driver.push("Save")
        assert "Saved to /root/conbool-test.txt." in driver.text()
        saved = driver.session.texts["/root/conbool-test.txt"]
        assert "250-STARTTLS" in saved
        assert "SMTP reachable" in saved
        driver.session.texts["/root/conbool-test.txt"] = "old"
        await driver.push("Save")
        assert driver.title == "Replace the file?"
        assert driver.focused_text().startswith("> [ Keep it ]")
        await driver.press("enter")
        assert driver.session.texts["/root/conbool-test.txt"] == "old"
        await driver.push("Save")
        await driver.push("Replace")
        assert driver.session.texts["/root/conbool-test.txt"] == saved
