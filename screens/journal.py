"""The journal of one change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from textual.app import ComposeResult

from conbool_tui.errors import ConboolError
from screens import work
from screens.base import BaseScreen, elapsed_text
from screens.texts import actions
from screens.texts.history import journal_lines, journal_title
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import TextPane


class JournalScreen(BaseScreen):
    """Every step that was recorded before it was done, with its time."""

    help_topic = "history"

    def __init__(self, change_id: str) -> None:
        super().__init__()
        self._change_id = change_id

    def title_text(self) -> str:
        """Whose journal."""
        return f" conbool-tui   {journal_title(self._change_id)}"

    def body(self) -> ComposeResult:
        """One pane."""
        yield TextPane("Journal", [Line("Reading ...", "dim")], id="journal")

    def buttons(self) -> Sequence[Button]:
        """Back."""
        return (button(actions.BACK, "back"),)

    def first_focus(self) -> Optional[str]:
        """The text, so that the arrows scroll."""
        return "#journal"

    def opened(self) -> None:
        """Read it in a thread."""
        super().opened()
        session, change_id = self.wizard.session, self._change_id

        def call(report: work.Reporter) -> str:
            return session.journal(change_id)

        self.run_job("journal", "Reading", call)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self.query_one("#journal", TextPane).show([Line(elapsed_text(job), "dim")])

    def done_journal(self, text: Any, error: Optional[ConboolError]) -> None:
        """Show it."""
        lines = error_lines(error) if error is not None else journal_lines(text)
        self.query_one("#journal", TextPane).show(lines)
