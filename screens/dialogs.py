"""Small questions: yes or no, where to save, and a terminal that is too small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from conbool_tui.errors import ConboolError
from conbool_tui.wizard_state import FieldError, FieldSpec, convert
from screens import work
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
DEFAULT_TRANSCRIPT = "/root/conbool-test.txt"


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


class TypedQuestion(Question):
    """A question whose yes is a word to be typed. Esc is no."""

    def __init__(self, question: str, lines: Sequence[str], *, word: str, yes: str, no: str) -> None:
        super().__init__(question, lines, yes=yes, no=no)
        self._word = word
        self._spec = FieldSpec("typed.word", f"Type {word}", "", "general", (), None, "text")

    def body(self) -> ComposeResult:
        """The word below the text."""
        yield from super().body()
        yield Field(self._spec, "")

    def buttons(self) -> Sequence[Button]:
        """Yes only once the word is there."""
        return (button(self._no, "no"), button(self._yes, "yes", self._missing))

    @property
    def _missing(self) -> str:
        return f"type the word {self._word} first"

    def first_focus(self) -> Optional[str]:
        """The input."""
        return "TextBox"

    def on_input_changed(self, event: Input.Changed) -> None:
        """The word, in whatever case."""
        event.stop()
        self.set_reason("yes", "" if event.value.strip().lower() == self._word else self._missing)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the button, it does not press it."""
        event.stop()
        self.query_one("#do-yes", Button).focus()


class SaveScreen(BaseScreen):
    """Asks where to save the answers, and before it replaces a file."""

    DEFAULT_CSS = "SaveScreen #saved { margin-top: 1; }"
    heading: ClassVar[str] = "Save answers"
    purpose: ClassVar[str] = "The file repeats this set-up: sudo conbool-tui apply --answers FILE"

    def title_text(self) -> str:
        """What this is."""
        return f" conbool-tui   {self.heading}"

    def default_path(self) -> str:
        """Where it is saved when nothing else is typed."""
        return self.wizard.state.saved_to or DEFAULT_PATH

    def writer(self) -> Callable[[str], None]:
        """What writes the file; called in a thread."""
        answers, session = self.wizard.state.draft.answers(), self.wizard.session
        return lambda path: session.save_answers(answers, path)

    def remember(self, path: str) -> None:
        """Called when it was written."""
        self.wizard.state.saved_to = path
        self.wizard.state.draft.keep()

    def body(self) -> ComposeResult:
        """One input."""
        yield Text([Line(self.purpose), Line("")])
        yield Field(_PATH, self.default_path())
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
        """Look whether the file is there already, then save in a thread."""
        field = self.query_one(Field)
        try:
            path = str(convert("file", field.box.value))
        except FieldError as error:
            field.tell(error)
            field.box.focus()
            return
        session, known = self.wizard.session, self.wizard.state.saved_to

        def call(report: work.Reporter) -> tuple[str, bool]:
            return path, path != known and session.path_exists(path)

        self.run_job("look", "", call)

    def done_look(self, found: Any, error: Optional[ConboolError]) -> None:
        """Ask before a file is replaced."""
        if error is not None:
            self.query_one("#saved", Text).show(error_lines(error))
            return
        path, exists = found
        if not exists:
            self._save(path)
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._save(path)

        self.app.push_screen(
            Question(
                "Replace the file?",
                [f"{path} is there already.", "What is in it now is lost."],
                yes="Replace",
                no="Keep it",
            ),
            answered,
        )

    def _save(self, path: str) -> None:
        write = self.writer()

        def call(report: work.Reporter) -> str:
            write(path)
            return path

        self.run_job("save", "", call)

    def done_save(self, path: Any, error: Optional[ConboolError]) -> None:
        """Say where it is."""
        shown = self.query_one("#saved", Text)
        if error is not None:
            shown.show(error_lines(error))
            return
        self.remember(path)
        shown.show([Line(f"+ OK  Saved to {path}.", "ok")])
        self.query_one("#do-back").focus()


class SaveTranscriptScreen(SaveScreen):
    """Asks where to save the transcript of the last test."""

    heading = "Save transcript"
    purpose = "Everything the test said and heard, as text: for your records, or for Conbool's support."

    def default_path(self) -> str:
        """In root's home directory."""
        return DEFAULT_TRANSCRIPT

    def writer(self) -> Callable[[str], None]:
        """The transcript is made where it is written, in the thread."""
        state, session = self.wizard.state, self.wizard.session
        findings, started = list(state.findings or ()), state.tested_at

        def write(path: str) -> None:
            from conbool_tui import __version__
            from conbool_tui.checks.transcript import transcript_text

            session.save_text(transcript_text(findings, started=started, version=__version__), path)

        return write

    def remember(self, path: str) -> None:
        """Nothing more to do."""


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
