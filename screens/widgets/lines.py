"""Widgets that draw their own lines: a base class, a scrolling text pane and a static text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Optional

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Size
from textual.strip import Strip
from textual.widget import Widget

from screens import glyphs
from screens.texts.lines import Line, wrap

STYLES = {
    "plain": Style(),
    "title": Style(bold=True),
    "head": Style(bold=True),
    "add": Style(color="green"),
    "del": Style(color="red"),
    "ok": Style(color="green"),
    "warn": Style(color="yellow"),
    "fail": Style(color="red", bold=True),
    "note": Style(color="cyan"),
    "dim": Style(dim=True),
    "bar": Style(reverse=True),
}
Hint = tuple[str, str]


class LineWidget(Widget):
    """A widget made of lines of text; subclasses give ``line_at``."""

    keys: ClassVar[tuple[Hint, ...]] = ()

    def line_at(self, y: int, width: int) -> Line:
        """The line to draw at row ``y`` (0 is the top) in ``width`` columns."""
        raise NotImplementedError

    def cursor_row(self) -> int:
        """The row the hardware cursor belongs on."""
        return 0

    def render_line(self, y: int) -> Strip:
        """Draw one line, cut and padded to the width."""
        width = self.size.width
        line = self.line_at(y, width)
        strip = Strip([Segment(line.text, STYLES[line.kind])])
        return strip.adjust_cell_length(width, STYLES["bar"] if line.kind == "bar" else None)

    def place_cursor(self) -> None:
        """Move the terminal's cursor to the focused row, so that screen readers and magnifiers follow."""
        if self.has_focus:
            self.app.cursor_position = Offset(
                self.content_region.x, self.content_region.y + self.cursor_row()
            )

    def on_focus(self) -> None:
        """Draw the focus marker."""
        self.place_cursor()
        self.refresh()

    def on_blur(self) -> None:
        """Take the focus marker away."""
        self.refresh()


class Text(LineWidget):
    """Lines that are only read and never scroll; as high as they are."""

    DEFAULT_CSS = "Text { height: auto; width: 1fr; }"

    def __init__(
        self, lines: Sequence[Line] = (), *, id: Optional[str] = None, classes: Optional[str] = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._lines = tuple(lines)
        self._wrapped: list[Line] = []
        self._wrapped_for = -1

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines as given, before they are wrapped."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Replace the text; nothing is sent to the terminal when it is the same."""
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._wrapped_for = -1
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the wrapped text has."""
        return len(self._wrap(width))

    def line_at(self, y: int, width: int) -> Line:
        """The wrapped line at row ``y``."""
        wrapped = self._wrap(width)
        return wrapped[y] if y < len(wrapped) else Line("")

    def _wrap(self, width: int) -> list[Line]:
        if width != self._wrapped_for:
            self._wrapped = wrap(self._lines, width, glyphs.current().continued)
            self._wrapped_for = width
        return self._wrapped


class TextPane(LineWidget, can_focus=True):
    """A scrolling text below a title line that says where in the text it is. Only the rows on the screen
    are drawn.
    """

    DEFAULT_CSS = "TextPane { height: 1fr; width: 1fr; min-height: 2; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_by(-1)", show=False),
        Binding("down", "scroll_by(1)", show=False),
        Binding("pageup", "scroll_page(-1)", show=False),
        Binding("pagedown,space", "scroll_page(1)", show=False),
        Binding("home", "scroll_to_edge(-1)", show=False),
        Binding("end", "scroll_to_edge(1)", show=False),
    ]
    keys = (("Up/Down", "Scroll"),)

    def __init__(self, title: str, lines: Sequence[Line] = (), *, id: Optional[str] = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.top = 0
        self._lines = tuple(lines)
        self._wrapped: list[Line] = []
        self._wrapped_for = -1

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines as given, before they are wrapped."""
        return self._lines

    def show(self, lines: Sequence[Line], title: Optional[str] = None, *, keep_place: bool = True) -> None:
        """Replace the text (and the title); nothing is sent to the terminal when both are the same."""
        title = self.title if title is None else title
        if (tuple(lines), title) == (self._lines, self.title):
            return
        self._lines, self.title = tuple(lines), title
        self._wrapped_for = -1
        self.top = self.top if keep_place else 0
        self.refresh()

    @property
    def rows(self) -> int:
        """Rows for text below the title."""
        return max(1, self.size.height - 1)

    def line_at(self, y: int, width: int) -> Line:
        """The title, or a row of the text."""
        wrapped = self._wrap(width)
        self.top = max(0, min(self.top, len(wrapped) - self.rows))
        if y == 0:
            return self._title_line(width, len(wrapped))
        index = self.top + y - 1
        return wrapped[index] if index < len(wrapped) else Line("")

    def _title_line(self, width: int, total: int) -> Line:
        rule = glyphs.current().rule
        place = ""
        if total > self.rows:
            place = f" lines {self.top + 1}-{min(total, self.top + self.rows)} of {total} "
        marker = ">" if self.has_focus else rule
        head = f"{marker}{rule} {self.title} "
        fill = rule * max(0, width - len(head) - len(place) - 2)
        return Line(head + fill + place + rule * 2, "title" if self.has_focus else "plain")

    def _wrap(self, width: int) -> list[Line]:
        if width != self._wrapped_for:
            self._wrapped = wrap(self._lines, width, glyphs.current().continued)
            self._wrapped_for = width
        return self._wrapped

    def action_scroll_by(self, rows: int) -> None:
        """Move the text by rows."""
        last = max(0, len(self._wrap(self.size.width)) - self.rows)
        top = max(0, min(last, self.top + rows))
        if top != self.top:
            self.top = top
            self.refresh()

    def action_scroll_page(self, pages: int) -> None:
        """Move the text by screenfuls, one row kept."""
        self.action_scroll_by(pages * max(1, self.rows - 1))

    def action_scroll_to_edge(self, side: int) -> None:
        """Move to the first or the last row."""
        self.action_scroll_by(side * len(self._wrap(self.size.width)))
