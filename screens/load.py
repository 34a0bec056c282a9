"""Load networks from a list file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from textual.app import ComposeResult
from textual.widgets import Input

from conbool_tui.errors import ConboolError
from conbool_tui.wizard_state import FIELDS, FieldError, convert
from screens import work
from screens.base import BaseScreen
from screens.texts import actions, loading, questions
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.choice import Choice, Option
from screens.widgets.field import Field
from screens.widgets.lines import Text, TextPane


class LoadListScreen(BaseScreen):
    """A path, which field the list is for, what was read, and only then: use it."""

    DEFAULT_CSS = "LoadListScreen #read { margin-top: 1; }"
    help_topic = "inbound"

    def __init__(self) -> None:
        super().__init__()
        self._networks: tuple[str, ...] = ()

    def title_text(self) -> str:
        """What this is."""
        return f" conbool-tui   {loading.TITLE}"

    def body(self) -> ComposeResult:
        """Path, target, result."""
        yield Text([Line(loading.INTRO), Line("")])
        yield Field(loading.PATH, "")
        yield Text([Line(f"  {questions.IT_REPLACES}")])
        options = [Option(key, FIELDS[key].label) for key in questions.LOAD_TARGETS]
        yield Choice(options, questions.LOAD_TARGETS[0], id="target")
        yield TextPane(loading.LIST, [Line("Nothing has been read yet.", "dim")], id="read")

    def buttons(self) -> Sequence[Button]:
        """Read first, use then."""
        return (
            button(actions.READ, "read"),
            button(actions.USE_LIST, "use", "no list has been read"),
            button(actions.BACK, "back"),
        )

    def first_focus(self) -> Optional[str]:
        """The path."""
        return "TextBox"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter reads it."""
        event.stop()
        self.do_read()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another path is another list."""
        event.stop()
        self.query_one(Field).tell(None)
        self.set_reason("use", "no list has been read")

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Which field is meant is asked when the list is used."""
        event.stop()

    def do_read(self) -> None:
        """Read the file in a thread."""
        field, session = self.query_one(Field), self.wizard.session
        try:
            path = str(convert("file", field.box.value))
        except FieldError as error:
            field.tell(error)
            field.box.focus()
            return

        def call(report: work.Reporter) -> tuple[tuple[str, ...], tuple[str, ...]]:
            return session.read_networks(path)

        self.run_job("read", f"Reading {path}", call)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self.query_one("#read", TextPane).show([Line(f"{job.text} ({job.elapsed} s)", "dim")])

    def done_read(self, result: Any, error: Optional[ConboolError]) -> None:
        """Show what is in it."""
        pane = self.query_one("#read", TextPane)
        if error is not None:
            pane.show(error_lines(error), loading.LIST)
            return
        self._networks, notes = result
        pane.show(loading.list_lines(self._networks, notes), keep_place=False)
        self.set_reason("use", "")
        self.query_one("#do-use").focus()

    def do_use(self) -> None:
        """Put it into the field."""
        self.wizard.state.draft.set(self.query_one(Choice).value, ", ".join(self._networks))
        self.action_back()
