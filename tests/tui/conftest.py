"""Drives the wizard by keyboard over the false session."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Optional

import pytest
from textual import events
from textual.pilot import Pilot

from conbool_tui.answers import Answers
from conbool_tui.app import WizardApp
from screens import glyphs
from screens.texts.lines import Line
from screens.widgets.button import Button
from screens.widgets.choice import Choice, Toggle
from screens.widgets.field import TextBox
from screens.widgets.lines import LineWidget, Text, TextPane
from screens.widgets.row_list import RowList
from tests.tui.fake import FakeSession


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives the wizard."""
    for item in items:
        if "/tests/tui/" in str(item.path):
            item.add_marker(pytest.mark.tui)


@pytest.fixture(autouse=True)
def _unicode(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    glyphs.use(glyphs.UNICODE)
    monkeypatch.setattr("screens.step.DEBOUNCE", 0.01)
    yield
    glyphs.use(glyphs.UNICODE)


class Driver:
    """The wizard with its keyboard, read as the admin reads it: by the text on the screen."""

    def __init__(self, app: WizardApp, pilot: Pilot[int], session: FakeSession) -> None:
        self.app = app
        self.pilot = pilot
        self.session = session

    async def settle(self) -> None:
        """Wait until nothing is under way any more: no job, no delayed preview."""
        for _ in range(400):
            await self.pilot.pause()
            jobs = [job for screen in self.app.screen_stack for job in getattr(screen, "_jobs", {}).values()]
            delays = [getattr(screen, "_delay", None) for screen in self.app.screen_stack]
            waiting = any(
                delay is not None and delay._task is not None and not delay._task.done() for delay in delays
            )
            if not jobs and not waiting:
                await self.pilot.pause()
                return
            await self.pilot.pause(0.01)
        raise AssertionError("the wizard does not come to rest")

    async def press(self, *keys: str, settle: bool = True) -> None:
        """Press keys."""
        await self.pilot.press(*keys)
        if settle:
            await self.settle()

    async def type(self, text: str) -> None:
        """Replace the text of the focused input by pasting, as admins do (and in one go)."""
        box = self.app.focused
        assert isinstance(box, TextBox), f"the focus is on {box!r}, not on an input"
        await self.pilot.press("end", "ctrl+u")
        self.app.post_message(events.Paste(text))
        await self.settle()
        assert box.value == text.replace("\n", ", ")

    async def focus(self, label: str) -> None:
        """Press Tab until the field or button of that label has the focus."""
        for _ in range(40):
            if self.focused_text().strip("> ").startswith(label):
                return
            await self.pilot.press("tab")
            await self.pilot.pause()
        raise AssertionError(f"Tab does not lead to {label!r}; on the screen:\n{self.text()}")

    async def push(self, label: str, *, settle: bool = True) -> None:
        """Go to a button by Tab and press it."""
        await self.focus(f"[ {label} ]")
        await self.press("enter", settle=settle)

    def focused_text(self) -> str:
        """The text of the focused row."""
        widget = self.app.focused
        if isinstance(widget, TextBox):
            field = next(node for node in widget.ancestors if node.id and node.id.startswith("field-"))
            return field.query(Text).first().lines[0].text
        if isinstance(widget, LineWidget):
            return widget.line_at(widget.cursor_row(), widget.size.width).text
        return ""

    def text(self) -> str:
        """Everything on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    def pane(self, selector: str) -> str:
        """All lines of a pane, those beyond its edges too."""
        return "\n".join(line.text for line in self.app.screen.query_one(selector, TextPane).lines)

    @property
    def title(self) -> str:
        """The title line."""
        line: Line = self.app.screen.query_one("#title", Text).lines[0]
        return line.text.replace("conbool-tui", "").strip()

    def button(self, name: str) -> Button:
        """A button of the screen on top."""
        return self.app.screen.query_one(f"#do-{name}", Button)

    async def to(self, title: str) -> None:
        """Press Next (or what leads on) until the title begins so."""
        labels = {"Welcome": "Start", "Review": "Next: apply", "Apply": "Next: test", "Test": "Next: done"}
        for _ in range(12):
            name = self.title.partition(" - ")[2]
            if name.startswith(title):
                return
            if name.startswith("Apply") and self.button("next").reason:
                await self.push("Apply now")
            await self.push(labels.get(name.split(" (")[0], "Next"))
        raise AssertionError(f"{title} is not reached; on the screen:\n{self.text()}")


Start = Callable[..., "contextlib.AbstractAsyncContextManager[Driver]"]


@pytest.fixture
def wizard() -> Start:
    """``async with wizard() as driver``: the wizard at rest on its first screen."""

    @contextlib.asynccontextmanager
    async def start(
        session: Optional[FakeSession] = None,
        *,
        size: tuple[int, int] = (80, 24),
        answers: Optional[Answers] = None,
        settle: bool = True,
    ) -> AsyncIterator[Driver]:
        session = session or FakeSession()
        app = WizardApp(lambda: session, answers)
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot, session)
            if settle:
                await driver.settle()
            yield driver
            session.gate.set()
            job = app.shielded_job
            if job is not None and job.thread is not None:
                job.thread.join(5)

    return start


def focusable(driver: Driver) -> list[str]:
    """Kinds of the widgets Tab leads to."""
    kinds = (Button, Choice, Toggle, TextBox, RowList, TextPane)
    return [type(widget).__name__ for widget in driver.app.screen.focus_chain if isinstance(widget, kinds)]


@pytest.fixture
def threads() -> Iterator[None]:
    """No thread of the wizard may outlive a test that asks for this."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]
    assert not left
