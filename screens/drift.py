"""Edited since: what differs from what was applied; apply it again, or accept it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from screens import work
from screens.base import BaseScreen, elapsed_text
from screens.dialogs import Question
from screens.texts import actions, asked
from screens.texts.drift import (
    COMPARING,
    NO_SYSTEM,
    READING_ANSWERS,
    RECORDING,
    TITLE,
    accepted_line,
    drift_lines,
    drift_row,
    summary,
)
from screens.texts.lines import Line, error_lines
from screens.texts.versions import VERSIONS
from screens.widgets.button import Button, button
from screens.widgets.lines import Text, TextPane
from screens.widgets.row_list import RowList

if TYPE_CHECKING:
    from conbool_tui.checks.drift import Drift

_ROWS = 6


class DriftScreen(BaseScreen):
    """A list of what differs, both versions of the marked one below. Space marks for Accept marked."""

    DEFAULT_CSS = """
    DriftScreen #about { margin-bottom: 1; }
    DriftScreen #versions { height: 1fr; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "accept_one", show=False)]
    help_topic = "drift"

    def __init__(self) -> None:
        super().__init__()
        self._drift: list[Drift] = []
        self._outcome: list[Line] = []

    def title_text(self) -> str:
        """What it shows."""
        return f" conbool-tui   {TITLE}"

    def body(self) -> ComposeResult:
        """A sentence, the list, both versions."""
        yield Text([Line(f"{COMPARING} ...", "dim")], id="about")
        yield RowList(empty="(nothing)", keys=(("a", "Accept this one"),), id="edited")
        yield TextPane(VERSIONS, id="versions")

    def buttons(self) -> Sequence[Button]:
        """Both ways ask first."""
        wait = "still comparing"
        return (
            button(actions.BACK, "back"),
            button(actions.ACCEPT_THIS, "one", wait),
            button(actions.ACCEPT_ALL, "all", wait),
            button(actions.APPLY_AGAIN, "again", wait),
        )

    def first_focus(self) -> Optional[str]:
        """The list."""
        return "#edited"

    def opened(self) -> None:
        """Compare in a thread."""
        super().opened()
        self.look()

    def resumed(self) -> None:
        """Applying again may have put things right."""
        super().resumed()
        if self.wizard.state.stale and self.job("drift") is None:
            self.look()

    def look(self) -> None:
        """Compare."""
        session = self.wizard.session

        def call(report: work.Reporter) -> list[Drift]:
            return session.drift()

        self.run_job("drift", COMPARING, call)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self.query_one("#about", Text).show([Line(elapsed_text(job), "dim")])

    def done_drift(self, drift: Any, error: Optional[ConboolError]) -> None:
        """Show the list."""
        changes = self.query_one("#edited", RowList)
        about = self.query_one("#about", Text)
        self._drift = [] if error is not None else list(drift)
        rows = [drift_row(item) for item in self._drift]
        changes.styles.height = min(_ROWS, max(2, len(rows)))
        changes.show(rows)
        if error is not None:
            about.show([*self._outcome, *error_lines(error)])
        else:
            about.show([*self._outcome, summary(self._drift)])
        self._show()

    def _show(self) -> None:
        item = self._marked
        self.query_one("#versions", TextPane).show(
            [] if item is None else drift_lines(item), keep_place=False
        )
        none = "" if self._drift else "nothing differs"
        for name in ("one", "all", "again"):
            self.set_reason(name, none)
        if self._drift and self.wizard.state.mta is None:
            self.set_reason("again", NO_SYSTEM)

    @property
    def _marked(self) -> Optional[Drift]:
        index = self.query_one("#edited", RowList).index
        return self._drift[index] if index < len(self._drift) else None

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the versions of the marked one."""
        event.stop()
        self._show()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter goes to its versions."""
        event.stop()
        self.query_one("#versions").focus()

    # --- accepting

    def action_accept_one(self) -> None:
        """The key for Accept this."""
        self.query_one("#do-one", Button).action_press()

    def do_one(self) -> None:
        """Accept the marked one."""
        item = self._marked
        if item is not None:
            self._ask([item])

    def do_all(self) -> None:
        """Accept all of them."""
        self._ask(list(self._drift))

    def _ask(self, items: list[Drift]) -> None:
        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._accept(items)

        self.app.push_screen(Question.of(asked.accept(items)), answered)

    def _accept(self, items: list[Drift]) -> None:
        session = self.wizard.session

        def call(report: work.Reporter) -> int:
            session.accept_drift(items)
            return len(items)

        for name in ("one", "all", "again"):
            self.set_reason(name, "it is being recorded")
        self.wizard.shield(self.run_job("accept", RECORDING, call, shielded=True), here=True)

    def done_accept(self, count: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended, and compare again."""
        if error is not None:
            self._outcome = error_lines(error)
        else:
            self._outcome = [accepted_line(count)]
            self.wizard.state.findings = None
        self.look()

    # --- applying again

    def do_again(self) -> None:
        """Ask, then read the recorded answers."""

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._read_answers()

        question = asked.apply_again(draft_lost=self.wizard.state.draft.changed)
        self.app.push_screen(Question.of(question), answered)

    def _read_answers(self) -> None:
        session = self.wizard.session

        def call(report: work.Reporter) -> Answers:
            return session.applied_answers()

        self.run_job("answers", READING_ANSWERS, call)

    def done_answers(self, answers: Any, error: Optional[ConboolError]) -> None:
        """On to Review with them."""
        if error is not None:
            self._outcome = []
            self.query_one("#about", Text).show(error_lines(error))
            return
        self._outcome = []
        self.wizard.state.take_answers(answers)
        self.wizard.go_to_id("review")

    def action_back(self) -> None:
        """Not while something is being recorded."""
        if self.job("accept") is not None:
            self.say([Line("! Please wait: it is being recorded.", "warn")])
        else:
            super().action_back()
