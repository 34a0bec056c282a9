"""Guide step D: mail released from quarantine."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual.app import ComposeResult

from screens.step import StepScreen
from screens.texts import questions
from screens.texts.lines import Line
from screens.widgets.field import field_id
from screens.widgets.lines import Text


class StepDScreen(StepScreen):
    """The header of released mail."""

    field_keys: ClassVar[tuple[str, ...]] = questions.KEYS["release"]

    def form(self) -> ComposeResult:
        """One input."""
        yield Text(
            [Line(questions.RELEASE)],
            classes="intro",
        )
        yield self.field("markers.released")

    def first_focus(self) -> Optional[str]:
        """The header; it is right for nearly everybody, so Enter goes on to Next."""
        return f"#{field_id('markers.released')} TextBox"
