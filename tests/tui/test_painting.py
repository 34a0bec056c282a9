"""What is sent for a new picture: an emulator that gets only the differences shows the picture whole."""

from __future__ import annotations

import random

import pyte
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.strip import Strip

from screens import glyphs
from screens.painting import Painter
from screens.texts.lines import printable

STYLES = (
    None,
    Style(),
    Style(bold=True),
    Style(reverse=True),
    Style(underline=True),
    Style(color="green"),
    Style(bgcolor="blue"),
)
WORDS = ("a", " ", "  ", "mail", "          ", "─", "\u00e4x")
WIDTH, HEIGHT = 30, 6
CONSOLE = Console(color_system="standard", force_terminal=True)


def row(source: random.Random, words: tuple[str, ...]) -> Strip:
    segments = [Segment(source.choice(words), source.choice(STYLES)) for _ in range(source.randint(0, 9))]
    return Strip(segments).adjust_cell_length(WIDTH)


def show(screen: pyte.Screen, painter: Painter, picture: list[Strip]) -> int:
    """Send the differences; how many bytes they took."""
    update = painter.update(picture, Offset(0, 0))
    text = update.render_segments(CONSOLE) if update is not None else ""
    pyte.Stream(screen).feed(text)
    return len(text)


def look(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    """What can be seen: the colour and weight of a blank cannot."""
    return [
        [
            (" ", cell.bg)
            if cell.data == " " and not (cell.reverse or cell.underscore)
            else (cell.data, cell.fg, cell.bg, cell.bold, cell.reverse, cell.underscore)
            for cell in (screen.buffer[y][x] for x in range(WIDTH))
        ]
        for y in range(HEIGHT)
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("words", [WORDS, (*WORDS, "\u4e2d", "e\u0301")], ids=["one cell", "any width"])
def test_differences_make_the_whole_picture(seed: int, words: tuple[str, ...]) -> None:
    source = random.Random(seed)
    painter, screen = Painter(), pyte.Screen(WIDTH, HEIGHT)
    # What the terminal showed before is not known.
    pyte.Stream(screen).feed("\x1b[44mrubbish" * 30 + "\x1b[0m\x1b[?7l")
    picture = [row(source, words) for _ in range(HEIGHT)]
    for _ in range(12):
        for y in source.sample(range(HEIGHT), source.randint(0, HEIGHT)):
            picture[y] = row(source, words)
        show(screen, painter, picture)
        whole = pyte.Screen(WIDTH, HEIGHT)
        pyte.Stream(whole).feed("\x1b[?7l")
        show(whole, Painter(), picture)
        assert look(screen) == look(whole)
        assert "rubbish" not in "".join(screen.display)


def test_the_same_picture_costs_nothing() -> None:
    source = random.Random(1)
    painter, screen = Painter(), pyte.Screen(WIDTH, HEIGHT)
    picture = [row(source, WORDS) for _ in range(HEIGHT)]
    assert show(screen, painter, picture) > 0
    assert painter.update(list(picture), Offset(0, 0)) is None
    assert painter.update(list(picture), Offset(3, 2)) is not None, "the cursor moves"
    painter.forget()
    assert painter.update(list(picture), Offset(3, 2)) is not None


def test_other_letters_are_told_by_their_numbers_in_ascii() -> None:
    assert printable("B\u00fccher \u2026") == "B\u00fccher \u2026"
    glyphs.use(glyphs.ASCII)
    assert printable("B\u00fccher \u2026 \u4e2d\t|") == "B\\xfccher ... \\u4e2d |"


@pytest.mark.parametrize(
    ("environment", "plain"),
    [
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "de_DE.utf8@euro"}, False),
        ({"LANG": "en_US.UTF-8", "TERM": "vte-256color"}, False),
        ({"LANG": "en_US.UTF-8", "TERM": "vt220"}, True),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, True),
        ({"LC_CTYPE": "UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8"}, False),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "de_DE"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({}, True),
    ],
)
def test_when_ascii_is_chosen(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], plain: bool
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    assert glyphs.terminal_wants_ascii() is plain
