"""Scope: whose mail uses the smart host."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual.app import ComposeResult

from screens.step import StepScreen
from screens.texts import questions
from screens.texts.lines import Line
from screens.widgets.choice import Choice
from screens.widgets.field import Field, field_id
from screens.widgets.lines import Text


class ScopeScreen(StepScreen):
    """Three modes, and the list of senders for the third."""

    field_keys: ClassVar[tuple[str, ...]] = questions.KEYS["scope"]

    def form(self) -> ComposeResult:
        """The modes and the senders."""
        yield Text([Line(questions.SCOPE)], classes="intro")
        yield self.choice("scope.mode")
        yield self.field("scope.senders")

    def first_focus(self) -> Optional[str]:
        """The modes."""
        return f"#{field_id('scope.mode')}"

    def opened(self) -> None:
        """Hide the senders where they mean nothing."""
        super().opened()
        self._show_senders()

    def chose(self, owner: Choice, word: str) -> None:
        """Senders matter in their own mode only."""
        super().chose(owner, word)
        self._show_senders()

    def _show_senders(self) -> None:
        senders = self.query_one(f"#{field_id('scope.senders')}", Field)
        senders.set_class(self.draft.text("scope.mode") != "senders", "-off")
