"""Both front ends ask the same in the same words: what every screen of the wizard shows is also said in lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

import pytest

from conbool_tui.checks.drift import Drift
from conbool_tui.errors import RollbackIncompleteError
from conbool_tui.receipt import ChangeState
from conbool_tui.wizard_state import FIELDS
from screens import glyphs
from screens.dialogs import Question
from screens.flow import FLOW
from screens.step import StepScreen
from screens.texts import questions
from screens.texts.topics import TOPICS
from screens.widgets.button import Button
from screens.widgets.choice import Choice, Toggle
from screens.widgets.field import Field
from screens.widgets.lines import Text, TextPane
from screens.widgets.row_list import RowList
from tests.plain.conversation import (
    INBOUND,
    LOOP,
    RELEASE,
    SMART_HOST,
    WELCOME,
    Conversation,
    keep,
)
from tests.tui.conftest import Driver, Start
from tests.tui.conftest import wizard as wizard
from tests.tui.fake import MAIN, FakeSession, make_receipt, mixed_reports
from tests.tui.test_edits import CHANGE, ODD, edited
from tests.tui.test_snapshots import JOURNAL

NOW = 1_700_000_000.0
# What is only about how a screen is used: where its marks are, and keys of its own.
OF_SCREENS = (
    "(more fields",
    # In lines these two are Ctrl-C while something is being waited for; see test_jobs.
    "Cancel",
    "Stop",
    "nothing is being looked up",
    "nothing is being read",
    "no test is running",
    "(type a domain and press Enter to add it)",
)
# A list there marks one row, and its buttons are about that one.
MARKED = ("still comparing", "no change is marked", "the list is still being read", "it is being recorded")
DRIFT = (
    Drift(CHANGE, MAIN, "relayhost", "[mail.conbool.com]:25", "[other.example]", "2025-01-02T03:04:05Z"),
    Drift(CHANGE, MAIN, "header_checks", "pcre:/x", "", "2025-01-02T03:04:05Z"),
)
# Loading is two questions there and one after the other here: the file is read when its path is typed.
READ_AT_ONCE = ("Read", "Nothing has been read yet.")


@pytest.fixture(autouse=True)
def _same_time_and_signs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("screens.confirm.clock", lambda: NOW)
    monkeypatch.setattr("conbool_tui.plain.pages.confirm.clock", lambda: NOW)
    monkeypatch.setattr("screens.step.DEBOUNCE", 0.01)
    glyphs.use(glyphs.ASCII)
    yield
    glyphs.use(glyphs.UNICODE)


def flat(text: str) -> str:
    return " ".join(text.split())


class Shown:
    """The words of the screens that were looked at."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def look(self, driver: Driver) -> None:
        screen = driver.app.screen
        # The help of the focused field is compared for all of them.
        about = ("about",) if isinstance(screen, StepScreen) else ()
        fields = screen.query(Field)
        inside = {id(text) for field in fields for text in field.query(Text)}
        for widget in screen.walk_children():
            if (
                id(widget) in inside
                or not widget.display
                or any(not node.display for node in widget.ancestors if hasattr(node, "display"))
            ):
                continue
            if isinstance(widget, Field):
                self._add(driver, widget.label, widget.box.placeholder, widget.box.value)
                if isinstance(screen, StepScreen):
                    self._add(driver, widget.spec.help)
            elif isinstance(widget, Toggle):
                self._add(driver, widget.label)
            elif isinstance(widget, Choice):
                self._add(driver, *(option.text for option in widget.options))
                self._add(driver, *(option.reason for option in widget.options))
            elif isinstance(widget, Button):
                self._add(driver, widget.label, widget.reason)
            elif isinstance(widget, RowList):
                self._add(driver, *widget.rows)
            elif isinstance(widget, (Text, TextPane)) and widget.id not in ("keys", "notice", "more", *about):
                self._add(driver, *(line.text.replace("conbool-tui   ", "") for line in widget.lines))
                if isinstance(widget, TextPane):
                    self._add(driver, widget.title)

    def _add(self, driver: Driver, *texts: Optional[str]) -> None:
        for text in texts:
            if text and flat(text):
                self.words.setdefault(flat(text), driver.title)

    def missing_from(self, said: Conversation, *without: str) -> list[str]:
        out = (*OF_SCREENS, *without)
        return [
            f"{where}: {word}"
            for word, where in self.words.items()
            if word not in said.flat and not word.startswith(out)
        ]


def everything() -> FakeSession:
    session = FakeSession(
        elsewhere=("example.net",), reports=mixed_reports(), lists={"/root/list.txt": ("198.51.100.0/24",)}
    )
    session.now = lambda: NOW
    return session


async def test_every_step_is_asked_in_the_same_words(wizard: Start) -> None:
    shown = Shown()
    async with wizard(everything(), size=(132, 43)) as driver:
        for step in FLOW[:3]:
            if step.id != "welcome":
                await driver.to(step.title.split(" (")[0])
            shown.look(driver)
        await driver.to("Inbound")
        shown.look(driver)
        await driver.push("Load list")
        await driver.type("/root/list.txt")
        await driver.press("enter")
        shown.look(driver)
        await driver.push("Use this list")
        await driver.focus("[ ] Close port 25")
        await driver.press("space")
        shown.look(driver)
        await driver.push("Who is cut off")
        shown.look(driver)
        await driver.push("Let it in")
        shown.look(driver)
        await driver.press("escape")
        await driver.push("Next")
        shown.look(driver)
        assert driver.title.startswith("Step 4"), "the plan wants it confirmed"
        await driver.press("space")
        for title in ("Loop", "Release", "Who uses"):
            await driver.to(title)
            if title == "Who uses":
                await driver.press("down", "down", "space", "tab")
                await driver.type("alice@example.com")
            shown.look(driver)
        await driver.to("Review")
        shown.look(driver)
        await driver.push("Save answers")
        shown.look(driver)
        await driver.push("Save")
        shown.look(driver)
        await driver.press("escape")
        await driver.push("Next: apply")
        shown.look(driver)
        await driver.push("Apply now")
        assert isinstance(driver.app.screen, Question)
        shown.look(driver)
        await driver.type("close")
        await driver.push("Apply now")
        assert driver.title == "Keep this change?"
        shown.look(driver)
        await driver.push("Test now")
        shown.look(driver)
        await driver.push("Keep it")
        shown.look(driver)
        await driver.push("Next: test")
        shown.look(driver)
        await driver.push("Transcript")
        shown.look(driver)
        await driver.push("Save")
        shown.look(driver)
        await driver.press("escape")
        await driver.push("Next: done")
        shown.look(driver)
    assert len(shown.words) > 250

    said = Conversation(
        everything(),
        *WELCOME,
        *keep(2),
        *("Details", "1-4", "", ""),
        *SMART_HOST[:-1],
        *("What this step changes", ""),
        *INBOUND[:-1],
        *("What this step changes", "Change an answer", "Close port 25", "yes", *keep(3)),
        *("What this step changes", "Load list", "/root/list.txt", "1", "Use this list"),
        *("Who is cut off", "1", "Let it in", "1", "Back", "3", "Back", "", "Back"),
        *("What this step changes", "Next", "yes"),
        *("What this step changes",),
        *("", "1", "", *LOOP[1:-1]),
        *("What this step changes", ""),
        *RELEASE[:-1],
        *("What this step changes", ""),
        *("senders", "alice@example.com", "What this step changes", ""),
        *("a", "Files", "a", "Save answers", "", "Next: apply"),
        *("Apply now", "clos", "Apply now", "close", "Apply now", "Test now", "Keep it", "Next: test"),
        *("Transcript", "Save", "", "Next: done", "Finish"),
    )
    missing = shown.missing_from(said, *READ_AT_ONCE)
    assert not missing, "\n".join(missing)
    assert said.code == 0


async def test_history_edits_and_differences_are_told_in_the_same_words(wizard: Start) -> None:
    shown = Shown()

    def recorded() -> FakeSession:
        old = make_receipt("20240101-0000-aa", ChangeState.UNDONE)
        session = replace(edited(), journals={CHANGE: JOURNAL}, old=[old], differing=list(DRIFT))
        session.receipts.append(old)
        return session

    async with wizard(recorded(), size=(132, 43)) as driver:
        shown.look(driver)
        await driver.push("Edited since")
        shown.look(driver)
        await driver.push("Accept this")
        shown.look(driver)
        await driver.push("Accept")
        shown.look(driver)
        await driver.push("Apply again")
        shown.look(driver)
        await driver.press("escape", "escape")
        await driver.push("History")
        shown.look(driver)
        await driver.push("Journal")
        shown.look(driver)
        await driver.press("escape")
        await driver.push("Remove old ones")
        shown.look(driver)
        await driver.press("escape")
        await driver.push("Undo this change")
        for _ in ODD:
            shown.look(driver)
            await driver.press("p", "down")
        shown.look(driver)
        await driver.push("Undo")
        shown.look(driver)
        await driver.push("Undo")
        shown.look(driver)
    said = Conversation(
        recorded(),
        *("Edited since", "1", "Accept this", "Accept", "1", "Back", "", "Apply again", "", "", ""),
        *("History", "1", "Journal", "Remove old ones", "", "1", "Undo this change", "1", "k", ""),
        *("Choose for each", *["p"] * len(ODD), "", "Undo", "Undo", "1", "", "", "q"),
    )
    missing = shown.missing_from(said, *MARKED)
    assert not missing, "\n".join(missing)


async def test_what_is_stuck_is_told_in_the_same_words(wizard: Start) -> None:
    shown = Shown()

    def stuck() -> FakeSession:
        error = RollbackIncompleteError("main.cf was edited meanwhile.", "It stays.", "Look at it.")
        crashed = make_receipt(CHANGE, ChangeState.UNFINISHED)
        return FakeSession(crashed=crashed, recover_error=error)

    async with wizard(stuck(), size=(132, 43)) as driver:
        shown.look(driver)
        await driver.push("Recover")
        shown.look(driver)
        await driver.push("Leave as is")
        shown.look(driver)
        await driver.push("Close the change")
        shown.look(driver)
    said = Conversation(stuck(), "Recover", "Leave as is", "Close the change", "q")
    missing = shown.missing_from(said)
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_every_help_is_there(topic: str) -> None:
    """The pages' topics are those of the screens, so that ? finds what F1 finds."""
    used = {step.id for step in FLOW} | {"senders", "confirm", "history", "conflicts", "drift"}
    assert topic in used


def test_every_answer_of_the_wizard_is_asked() -> None:
    """A field that is added to the wizard's draft must be asked in lines, too."""
    from conbool_tui.wizard_state import _TEXT_KEYS

    asked = {key for keys in questions.KEYS.values() for key in keys}
    assert asked == {*_TEXT_KEYS, questions.DOMAINS, questions.LOOP_HEADERS}
    assert asked <= set(FIELDS)
