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
from screens.texts import actions
from screens.texts.asked import Asked, replace_file
from screens.texts.lines import Line, error_lines
from screens.texts.saving import (
    ANSWERS,
    PATH,
    TRANSCRIPT,
    Saved,
    saved_line,
    transcript,
    type_word,
    word_missing,
)
from screens.widgets.button import Button, button
from screens.widgets.field import Field
from screens.widgets.lines import Text, TextPane


class Question(BaseScreen):
    """Yes or no, the focus on no. Esc is no."""

    def __init__(self, question: str, lines: Sequence[str], *, yes: str, no: str) -> None:
        super().__init__()
        self._question = question
        self._lines = lines
        self._yes, self._no = yes, no

    @classmethod
    def of(cls, asked: Asked) -> Question:
        """The screen that asks this."""
        return cls(asked.question, asked.lines, yes=asked.yes, no=asked.no)

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
        self._spec = FieldSpec("typed.word", type_word(word), "", "general", (), None, "text")

    @classmethod
    def of(cls, asked: Asked) -> Question:
        """The screen that asks this."""
        return cls(asked.question, asked.lines, word=asked.word, yes=asked.yes, no=asked.no)

    def body(self) -> ComposeResult:
        """The word below the text."""
        yield from super().body()
        yield Field(self._spec, "")

    def buttons(self) -> Sequence[Button]:
        """Yes only once the word is there."""
        return (button(self._no, "no"), button(self._yes, "yes", self._missing))

    @property
    def _missing(self) -> str:
        return word_missing(self._word)

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
    saved: ClassVar[Saved] = ANSWERS

    def title_text(self) -> str:
        """What this is."""
        return f" conbool-tui   {self.saved.heading}"

    def default_path(self) -> str:
        """Where it is saved when nothing else is typed."""
        return self.wizard.state.saved_to or self.saved.path

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
        yield Text([Line(self.saved.purpose), Line("")])
        yield Field(PATH, self.default_path())
        yield Text([Line(f"  {PATH.help}", "dim")])
        yield Text(id="saved")

    def buttons(self) -> Sequence[Button]:
        """Save or not."""
        return (button(actions.SAVE, "save"), button(actions.BACK, "back"))

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

        self.app.push_screen(Question.of(replace_file(path)), answered)

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
        shown.show([saved_line(path)])
        self.query_one("#do-back").focus()


class SaveTranscriptScreen(SaveScreen):
    """Asks where to save the transcript of the last test."""

    saved = TRANSCRIPT

    def default_path(self) -> str:
        """In root's home directory."""
        return self.saved.path

    def writer(self) -> Callable[[str], None]:
        """The transcript is made where it is written, in the thread."""
        state, session = self.wizard.state, self.wizard.session
        findings, started = list(state.findings or ()), state.tested_at
        return lambda path: session.save_text(transcript(findings, started), path)

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
