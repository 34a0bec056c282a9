"""One-line buttons. A button that cannot act stays visible and says why."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from screens.texts.lines import Line
from screens.widgets.lines import LineWidget


class Button(LineWidget, can_focus=True):
    """``> [ Next ]`` when focused. With a ``reason`` it is drawn as ``( Next )`` and Enter tells the reason
    instead of acting.
    """

    DEFAULT_CSS = "Button { height: 1; width: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "press", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("left", "app.focus_previous", show=False),
    ]
    keys = (("Enter", "Do it"),)

    class Pressed(Message):
        """The button acts."""

        def __init__(self, button: Button) -> None:
            super().__init__()
            self.button = button

        @property
        def control(self) -> Button:
            """The button."""
            return self.button

    class Refused(Pressed):
        """The button was pressed but cannot act; ``button.reason`` says why."""

    def __init__(self, label: str, *, id: str, reason: str = "") -> None:
        super().__init__(id=id)
        self.label = label
        self._reason = reason

    @property
    def reason(self) -> str:
        """Why the button cannot act; empty when it can."""
        return self._reason

    @reason.setter
    def reason(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            self.refresh()

    def set_label(self, label: str) -> None:
        """Change the label."""
        if label != self.label:
            self.label = label
            self.refresh(layout=True)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Marker, brackets, label and a blank behind."""
        return len(self.label) + 7

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row."""
        return 1

    def line_at(self, y: int, width: int) -> Line:
        """Marker and label."""
        text = f"( {self.label} )" if self._reason else f"[ {self.label} ]"
        kind = "dim" if self._reason else "title" if self.has_focus else "plain"
        return Line(f"{'>' if self.has_focus else ' '} {text} ", kind)

    def action_press(self) -> None:
        """Act, or say why not."""
        self.post_message(self.Refused(self) if self._reason else self.Pressed(self))


def button(label: str, name: str, reason: Optional[str] = None) -> Button:
    """A button whose id is ``do-<name>``: the screen's method ``do_<name>`` is called."""
    return Button(label, id=f"do-{name}", reason=reason or "")
