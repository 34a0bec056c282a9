"""Help on the screen one came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from textual.app import ComposeResult

from screens.base import BaseScreen
from screens.texts import actions
from screens.texts.topics import help_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import TextPane


class HelpScreen(BaseScreen):
    """One text."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self._topic = topic

    def title_text(self) -> str:
        """Help has no number."""
        return " conbool-tui   Help"

    def body(self) -> ComposeResult:
        """The text."""
        yield TextPane("Help", help_lines(self._topic), id="text")

    def buttons(self) -> Sequence[Button]:
        """Back."""
        return (button(actions.BACK, "back"),)

    def first_focus(self) -> Optional[str]:
        """The text, so that the arrows scroll."""
        return "#text"

    def action_help(self) -> None:
        """F1 again closes it."""
        self.action_back()
