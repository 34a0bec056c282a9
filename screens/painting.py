"""What goes to the terminal: only the cells that differ from what it already shows.

Textual repaints a whole widget, and on many occasions the whole screen, when anything in it changes: several thousand
bytes for one key, which a slow line or a serial console shows as a wave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional, Union

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from textual._compositor import CompositorUpdate
from textual.geometry import Offset
from textual.strip import Strip

Cell = tuple[str, Style]
_ERASE_TO_THE_END = "\x1b[K"
_PLAIN = Style()


class Painter:
    """Remembers what is on the terminal."""

    def __init__(self) -> None:
        self._shown: list[Strip] = []
        self._cursor: Optional[Offset] = None

    def forget(self) -> None:
        """The terminal may show anything: the next picture is sent whole."""
        self._shown, self._cursor = [], None

    def update(self, picture: Sequence[Strip], cursor: Offset) -> Optional[CompositorUpdate]:
        """What has to be sent to show this picture with the cursor there; None: nothing."""
        widths = [strip.cell_length for strip in picture]
        if widths != [strip.cell_length for strip in self._shown]:
            self.forget()
        pieces = [
            (x, y, strip)
            for y, row in enumerate(picture)
            for x, strip in _piece(row, self._shown[y] if self._shown else None)
        ]
        moved = cursor != self._cursor
        self._shown, self._cursor = list(picture), cursor
        return _Pieces(pieces) if pieces or moved else None


class _Pieces(CompositorUpdate):
    """Parts of rows and where they belong."""

    def __init__(self, pieces: Sequence[tuple[int, int, Union[str, Strip]]]) -> None:
        self._pieces = pieces

    def render_segments(self, console: Console) -> str:
        """The bytes for the terminal; a piece that is text erases its row from there to the end."""
        return "".join(
            f"\x1b[{y + 1};{x + 1}H{piece if isinstance(piece, str) else piece.render(console)}"
            for x, y, piece in self._pieces
        )


def _piece(row: Strip, shown: Optional[Strip]) -> Iterator[tuple[int, Union[str, Strip]]]:
    """From the first to the last cell of a row that differs, and the erasing of a blank end."""
    if row == shown:
        return
    new, old = _cells(row), None if shown is None else _cells(shown)
    if new is None or (shown is not None and old is None):
        # A character takes no cell or two: which cell shows what is the terminal's affair.
        yield 0, row
        return
    width = len(new)
    first = 0
    last = width
    if old is not None:
        differs = [x for x in range(width) if new[x] != old[x]]
        if not differs:
            return
        first, last = differs[0], differs[-1] + 1
    blank = width
    while blank and _is_blank(new[blank - 1]):
        blank -= 1
    end = min(last, max(blank, first))
    if last - end <= len(_ERASE_TO_THE_END):
        end = last
    if end > first:
        yield first, row.crop(first, end)
    if end < last:
        yield end, _ERASE_TO_THE_END


def _cells(strip: Strip) -> Optional[list[Cell]]:
    """The cells of a row; None: some character takes none or two."""
    cells = []
    for text, style, _ in strip:
        if not text.isascii() and any(cell_len(char) != 1 for char in text):
            return None
        cells += [(char, style or _PLAIN) for char in text]
    return cells


def _is_blank(cell: Cell) -> bool:
    """Whether the terminal's own empty cell looks like this one."""
    char, style = cell
    ground = style.bgcolor is None or style.bgcolor.is_default
    return char == " " and ground and not (style.reverse or style.underline or style.strike)
