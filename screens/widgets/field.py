"""A labelled one-line input with its error below, and the one-line bars of every screen."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from conbool_tui.wizard_state import FieldError, FieldSpec
from screens import glyphs
from screens.pasting import pasted_networks
from screens.texts.lines import Line
from screens.widgets.lines import Text

LABEL_WIDTH = 22


class TextBox(Input):
    """A one-line input without border and blinking. Several pasted lines become a list with commas; with
    ``networks`` they are read as a list file is, with its comments.
    """

    DEFAULT_CSS = """
    TextBox, TextBox:focus, TextBox:ansi {
        border: none; height: 1; padding: 0; background: ansi_default; color: ansi_default;
        background-tint: transparent; text-style: underline;
    }
    TextBox > .input--cursor, TextBox:ansi > .input--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    TextBox > .input--selection { background: ansi_default; color: ansi_default; text-style: reverse; }
    """
    keys: ClassVar[tuple[tuple[str, str], ...]] = (("Enter", "Next field"),)

    def __init__(
        self, value: str, *, placeholder: str = "", id: Optional[str] = None, networks: bool = False
    ) -> None:
        super().__init__(value, placeholder=placeholder, select_on_focus=False, id=id, compact=True)
        self.cursor_blink = False
        self.networks = networks

    def place_cursor(self) -> None:
        """Move the terminal's cursor to the place of the next character."""
        self.app.cursor_position = self.cursor_screen_offset

    def _on_paste(self, event: events.Paste) -> None:
        text = pasted_networks(event.text) if self.networks else ""
        text = text or ", ".join(part.strip() for part in event.text.splitlines() if part.strip())
        self.insert_text_at_cursor("".join(char for char in text if char.isprintable()))
        event.prevent_default()
        event.stop()


class Field(Vertical):
    """Marker, label, input, and an error line that appears only when there is one."""

    DEFAULT_CSS = f"""
    Field {{ height: auto; }}
    Field > Horizontal {{ height: 1; }}
    Field .label {{ width: {LABEL_WIDTH}; height: 1; }}
    Field .problem {{ display: none; margin-left: {LABEL_WIDTH}; }}
    Field.-wrong .problem {{ display: block; }}
    """

    def __init__(self, spec: FieldSpec, value: str, *, placeholder: str = "", label: str = "") -> None:
        super().__init__(id=field_id(spec.key))
        self.spec = spec
        self.label = label or spec.label
        self.box = TextBox(value, placeholder=placeholder, networks=spec.form == "network")
        self._label = Text(self._label_lines(False), classes="label")
        self._problem = Text(classes="problem")

    def compose(self) -> ComposeResult:
        """Label and input in one row, the error below."""
        with Horizontal():
            yield self._label
            yield self.box
        yield self._problem

    def _label_lines(self, focused: bool) -> list[Line]:
        return [
            Line(f"{'>' if focused else ' '} {self.label}"[:LABEL_WIDTH], "title" if focused else "plain")
        ]

    def on_descendant_focus(self) -> None:
        """Set the focus marker."""
        self._label.show(self._label_lines(True))

    def on_descendant_blur(self) -> None:
        """Take the focus marker away."""
        self._label.show(self._label_lines(False))

    def tell(self, error: Optional[FieldError]) -> None:
        """Show what is wrong, or that nothing is."""
        self.set_class(error is not None, "-wrong")
        if error is not None:
            mark = glyphs.current().fail
            self._problem.show([Line(f"{mark} {error.what} {error.todo}", "fail")])


def field_id(key: str) -> str:
    """The widget id of a field."""
    return "field-" + key.replace(".", "-")
