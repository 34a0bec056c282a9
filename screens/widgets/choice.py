"""Radio buttons and check boxes whose states differ in their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Optional

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from screens.texts.lines import Line, printable
from screens.widgets.lines import LineWidget


@dataclass(frozen=True)
class Option:
    """One of the choices: its word in the answers file and what it means. With a ``reason`` it cannot be chosen."""

    value: str
    text: str
    reason: str = ""


class Choice(LineWidget, can_focus=True):
    """One of several: ``(*)`` and ``( )``, and ``(-)`` for what cannot be chosen. Arrows move, Space or Enter
    chooses.
    """

    DEFAULT_CSS = "Choice { height: auto; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("space,enter", "choose", show=False),
    ]
    keys = (("Space", "Choose"),)

    class Changed(Message):
        """Another option was chosen."""

        def __init__(self, owner: Choice, value: str) -> None:
            super().__init__()
            self.owner = owner
            self.value = value

        @property
        def control(self) -> Choice:
            """The choice."""
            return self.owner

    class Refused(Changed):
        """An option was pressed that cannot be chosen."""

    def __init__(self, options: Sequence[Option], value: str, *, id: Optional[str] = None) -> None:
        super().__init__(id=id)
        self.options = tuple(options)
        self.value = value
        self.index = next((index for index, option in enumerate(self.options) if option.value == value), 0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row per option."""
        return len(self.options)

    def reason(self, value: str) -> str:
        """Why an option cannot be chosen; empty when it can."""
        return next((option.reason for option in self.options if option.value == value), "")

    def cursor_row(self) -> int:
        """The row of the cursor."""
        return self.index

    def line_at(self, y: int, width: int) -> Line:
        """One option."""
        option = self.options[y]
        here = self.has_focus and y == self.index
        mark = "(*)" if option.value == self.value else "(-)" if option.reason else "( )"
        kind = "title" if here else "dim" if option.reason else "plain"
        return Line(f"{'>' if here else ' '} {mark} {printable(option.text)}", kind)

    def action_move(self, rows: int) -> None:
        """Move the cursor; beyond the ends the focus moves on."""
        target = self.index + rows
        if target < 0:
            self.screen.focus_previous()
        elif target >= len(self.options):
            self.screen.focus_next()
        else:
            self.index = target
            self.place_cursor()
            self.refresh()

    def action_choose(self) -> None:
        """Choose the option below the cursor."""
        value = self.options[self.index].value
        if self.options[self.index].reason:
            self.post_message(self.Refused(self, value))
        elif value != self.value:
            self.value = value
            self.refresh()
            self.post_message(self.Changed(self, value))


class Toggle(LineWidget, can_focus=True):
    """Yes or no: ``[x]`` and ``[ ]``. Space or Enter changes it."""

    DEFAULT_CSS = "Toggle { height: 1; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,enter", "change", show=False)]
    keys = (("Space", "Change"),)

    class Changed(Message):
        """The box was changed."""

        def __init__(self, owner: Toggle, value: bool) -> None:
            super().__init__()
            self.owner = owner
            self.value = value

        @property
        def control(self) -> Toggle:
            """The box."""
            return self.owner

    def __init__(self, label: str, value: bool = False, *, id: Optional[str] = None) -> None:
        super().__init__(id=id)
        self.label = label
        self.value = value

    def line_at(self, y: int, width: int) -> Line:
        """The box and its label."""
        mark = f"{'>' if self.has_focus else ' '} [{'x' if self.value else ' '}]"
        return Line(f"{mark} {self.label}", "title" if self.has_focus else "plain")

    def action_change(self) -> None:
        """Change the box."""
        self.value = not self.value
        self.refresh()
        self.post_message(self.Changed(self, self.value))
