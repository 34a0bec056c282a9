"""Done: what to type into the Setup Assistant, and how to take everything back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from textual.app import ComposeResult

from screens.base import WizardScreen
from screens.texts import actions
from screens.texts.summary import done_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import TextPane


class DoneScreen(WizardScreen):
    """The last screen."""

    def body(self) -> ComposeResult:
        """One pane."""
        state = self.wizard.state
        assert state.mta is not None
        answers = state.draft.answers()
        relay_host = answers.inbound.relay_host or state.mta.host_name
        yield TextPane("Done", done_lines(answers, state.mta, state.last_applied, relay_host), id="text")

    def buttons(self) -> Sequence[Button]:
        """Leave is the likely choice."""
        return (
            button(actions.FINISH, "leave"),
            button(actions.SAVE_ANSWERS, "save"),
            button(actions.HISTORY, "history"),
            button(actions.BACK, "back"),
        )

    def first_focus(self) -> Optional[str]:
        """Finish."""
        return "#do-leave"

    def do_save(self) -> None:
        """Ask for a path and save the answers."""
        self.wizard.ask_save()
