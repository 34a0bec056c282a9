"""A list of rows with a cursor, drawn row by row so that 10,000 entries cost what the screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Optional

from textual.binding import Binding, BindingType
from textual.message import Message

from screens import glyphs
from screens.texts.lines import Line, printable
from screens.widgets.lines import LineWidget


class RowList(LineWidget, can_focus=True):
    """Rows to move in with the arrows; ``>`` marks the row when the list has the focus.

    Args:
        rows: the text of every row.
        checks: for a list of check boxes, which rows are chosen; None for a plain list.
    """

    DEFAULT_CSS = "RowList { height: 4; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(-1)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("space", "change", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, owner: RowList, index: int) -> None:
            super().__init__()
            self.owner = owner
            self.index = index

        @property
        def control(self) -> RowList:
            """The list."""
            return self.owner

    class Toggled(Moved):
        """Space was pressed on a check box."""

    class Chosen(Moved):
        """Enter was pressed on a row."""

    def __init__(
        self,
        rows: Sequence[str] = (),
        checks: Optional[Sequence[bool]] = None,
        *,
        empty: str = "(none)",
        keys: tuple[tuple[str, str], ...] = (),
        id: Optional[str] = None,
    ) -> None:
        super().__init__(id=id)
        self.rows: list[str] = list(rows)
        self.checks: Optional[list[bool]] = None if checks is None else list(checks)
        self.kinds: tuple[str, ...] = ()
        self.empty = empty
        self.index = 0
        self.top = 0
        self.keys = keys or ((("Space", "Take in/leave out"),) if checks is not None else ())  # type: ignore[misc]

    def show(
        self, rows: Sequence[str], checks: Optional[Sequence[bool]] = None, *, kinds: Sequence[str] = ()
    ) -> None:
        """Replace the rows; the cursor stays where it is if it can. ``kinds``: the colour of each row (``Line``).
        Nothing is sent to the terminal when all are the same.
        """
        same = bool(rows) and self.rows == list(rows) and self.kinds == tuple(kinds)
        self.rows, self.kinds = list(rows), tuple(kinds)
        chosen = None if checks is None else list(checks)
        same, self.checks = same and self.checks == chosen, chosen
        self.index = max(0, min(self.index, len(self.rows) - 1))
        if not same:
            self.refresh()

    def cursor_row(self) -> int:
        """The row of the cursor on the screen."""
        return self.index - self.top

    def line_at(self, y: int, width: int) -> Line:
        """One row, with its marks; the last one says how many more there are."""
        height = max(1, self.size.height)
        self.top = max(0, min(self.top, len(self.rows) - height))
        self.top = min(max(self.top, self.index - height + 1), self.index)
        if not self.rows:
            return (
                Line("> " + self.empty if self.has_focus else "  " + self.empty, "dim")
                if y == 0
                else Line("")
            )
        index = self.top + y
        if index >= len(self.rows):
            return Line("")
        here = self.has_focus and index == self.index
        box = "" if self.checks is None else ("[x] " if self.checks[index] else "[ ] ")
        text = ("> " if here else "  ") + box + printable(self.rows[index])
        if len(self.rows) > height and y in (0, height - 1):
            hidden = self.top if y == 0 else len(self.rows) - self.top - height
            if hidden:
                note = f" ({hidden} more {'above' if y == 0 else 'below'})"
                text = text[: width - len(note)].ljust(width - len(note)) + note
        if len(text) > width:
            text = text[: width - len(glyphs.current().ellipsis)] + glyphs.current().ellipsis
        return Line(text, "title" if here else self.kinds[index] if self.kinds else "plain")

    def _go(self, index: int) -> None:
        index = max(0, min(index, len(self.rows) - 1))
        if index != self.index:
            self.index = index
            self.place_cursor()
            self.refresh()
            self.post_message(self.Moved(self, index))

    def action_move(self, rows: int) -> None:
        """Move the cursor; beyond the ends the focus moves on."""
        target = self.index + rows
        if target < 0:
            self.screen.focus_previous()
        elif target >= len(self.rows):
            self.screen.focus_next()
        else:
            self._go(target)

    def action_page(self, pages: int) -> None:
        """Move by screenfuls."""
        self._go(self.index + pages * max(1, self.size.height - 1))

    def action_edge(self, side: int) -> None:
        """Move to the first or last row."""
        self._go(0 if side < 0 else len(self.rows) - 1)

    def action_change(self) -> None:
        """Change a check box."""
        if self.checks is not None and self.rows:
            self.checks[self.index] = not self.checks[self.index]
            self.refresh()
            self.post_message(self.Toggled(self, self.index))

    def action_choose(self) -> None:
        """Act on the row: Enter changes a check box too, where nothing else is meant."""
        if self.checks is not None:
            self.action_change()
        elif self.rows:
            self.post_message(self.Chosen(self, self.index))
