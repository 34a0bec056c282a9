"""Small questions: yes or no, where to save, and a terminal that is too small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from conbool_tui.errors import ConboolError
from conbool_tui.receipt import ProgressSink
from conbool_tui.wizard_state import FieldError, FieldSpec, convert
from screens.base import BaseScreen
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.field import Field
from screens.widgets.lines import Text, TextPane

_PATH = FieldSpec(
    key="save.path",
    label="Save to",
    help="Full path of the file; only root can read it (mode 0600).",
    step="general",
    choices=(),
    example=None,
    form="file",
)
DEFAULT_PATH = "/root/conbool-answers.yaml"


class Question(BaseScreen):
    """Yes or no, the focus on no. Esc is no."""

    def __init__(self, question: str, lines: Sequence[str], *, yes: str, no: str) -> None:
        super().__init__()
        self._question = question
        self._lines = lines
        self._yes, self._no = yes, no

    def title_text(self) -> str:
        """The question."""
        return f" conbool-tui   {self._question}"

    def body(self) -> ComposeResult:
        """What the answer means."""
        yield TextPane(self._question, [Line(line) for line in self._lines], id="text")

    def buttons(self) -> Sequence[Button]:
        """The harmless answer first."""
        return (button(self._no, "no"), button(self._yes, "yes"))

    def first_focus(self) -> Optional[str]:
        """No."""
        return "#do-no"

    def do_no(self) -> None:
        """No."""
        self.dismiss(False)

    def do_yes(self) -> None:
        """Yes."""
        self.dismiss(True)

    def action_back(self) -> None:
        """Esc is no."""
        self.dismiss(False)


class SaveScreen(BaseScreen):
    """Asks where to save the answers."""

    DEFAULT_CSS = "SaveScreen #saved { margin-top: 1; }"

    def title_text(self) -> str:
        """What this is."""
        return " conbool-tui   Save answers"

    def body(self) -> ComposeResult:
        """One input."""
        yield Text([Line("The file repeats this set-up: sudo conbool-tui apply --answers FILE"), Line("")])
        yield Field(_PATH, self.wizard.state.saved_to or DEFAULT_PATH)
        yield Text([Line(f"  {_PATH.help}", "dim")])
        yield Text(id="saved")

    def buttons(self) -> Sequence[Button]:
        """Save or not."""
        return (button("Save", "save"), button("Back", "back"))

    def first_focus(self) -> Optional[str]:
        """The path."""
        return "TextBox"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the button."""
        event.stop()
        self.query_one("#do-save").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """An error disappears when the text is edited."""
        event.stop()
        self.query_one(Field).tell(None)

    def do_save(self) -> None:
        """Save in a thread."""
        field = self.query_one(Field)
        try:
            path = str(convert("file", field.box.value))
        except FieldError as error:
            field.tell(error)
            field.box.focus()
            return
        answers, session = self.wizard.state.draft.answers(), self.wizard.session

        def call(report: ProgressSink, path: str = path) -> str:
            session.save_answers(answers, path)
            return path

        self.run_job("save", "", call)

    def done_save(self, path: Any, error: Optional[ConboolError]) -> None:
        """Say where it is."""
        shown = self.query_one("#saved", Text)
        if error is not None:
            shown.show(error_lines(error))
            return
        state = self.wizard.state
        state.saved_to = path
        state.draft.keep()
        shown.show([Line(f"+ OK  Saved to {path}.", "ok")])
        self.query_one("#do-back").focus()


class TooSmallScreen(Screen[None]):
    """One line that asks for a larger terminal; goes away by itself."""

    DEFAULT_CSS = "TooSmallScreen, TooSmallScreen:ansi { background: ansi_default; color: ansi_default; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f10,q", "app.leave", show=False)]

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self._columns, self._rows = columns, rows
        self._text = f"Please enlarge the terminal to {columns}x{rows} or more."

    def compose(self) -> ComposeResult:
        """The line."""
        yield Text([Line(self._text)])

    def on_screen_resume(self) -> None:
        """A question on top hid that the terminal has grown meanwhile."""
        if self.app.size.width >= self._columns and self.app.size.height >= self._rows:
            self.app.call_later(self.app.pop_screen)
