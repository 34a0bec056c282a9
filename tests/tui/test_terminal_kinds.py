"""The real program on terminals of many kinds: sizes, other alphabets, keys that are not UTF-8, and what each key costs."""

from __future__ import annotations

import os
import re
import time

import pytest

from .test_terminal import STEPS, Terminal, go_to_next, open_wizard, terminals

__all__ = ["terminals"]

ARROWS = {"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D"}
AN_ARROW, A_TAB = 1500, 4000


def cells(terminal: Terminal) -> list[list[tuple[str, str, str, bool, bool, bool]]]:
    """Every character with its colours and attributes."""
    buffer, screen = terminal.screen.buffer, terminal.screen
    return [
        [
            (cell.data, cell.fg, cell.bg, cell.bold, cell.reverse, cell.underscore)
            for cell in (buffer[y][x] for x in range(screen.columns))
        ]
        for y in range(screen.lines)
    ]


@pytest.mark.parametrize("size", [(0, 0), (80, 24), (200, 60)], ids=str)
def test_a_window_of_any_size_is_filled(terminals: list[Terminal], size: tuple[int, int]) -> None:
    terminal = Terminal("0", size=size)
    terminals.append(terminal)
    terminal.until("Postfix 3.7.11, running")
    rows = terminal.screen.display
    assert rows[0].strip().startswith("conbool-tui   Step 1 of 11 - Welcome")
    assert all(
        cell.reverse for cell in (terminal.screen.buffer[0][x] for x in range(terminal.screen.columns))
    )
    assert rows[-1].strip(), "the keys are told in the last row"
    terminal.send("\r")
    terminal.until("2 domains looked up")
    terminal.send("\x1b[21~")
    assert terminal.end() == 0


@pytest.mark.parametrize("size", [(40, 20), (20, 5)], ids=str)
def test_a_window_too_small_at_the_start_says_so(terminals: list[Terminal], size: tuple[int, int]) -> None:
    terminal = Terminal("0", size=size)
    terminals.append(terminal)
    terminal.until("enlarge")
    terminal.resize(80, 24)
    terminal.until("Postfix 3.7.11, running")
    assert "> [ Start ]" in terminal.text()


def test_resizing_while_it_runs_leaves_no_trace(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    terminal.send("\r")
    terminal.until("2 domains looked up")
    before = cells(terminal)
    for columns, rows, words in (
        (200, 60, "2 domains looked up"),
        (20, 5, "enlarge"),
        (132, 43, "2 domains looked up"),
        (40, 20, "enlarge"),
        (80, 24, "2 domains looked up"),
    ):
        terminal.resize(columns, rows)
        terminal.until(words)
    end = time.monotonic() + 30
    while cells(terminal) != before and time.monotonic() < end:
        terminal.read(0.2)
    assert cells(terminal) == before


def cost(terminal: Terminal, keys: str) -> int:
    """The bytes that one key makes the program send."""
    terminal.send(keys)
    sent = 0
    patience = 0.5
    while data := terminal.read(patience):
        sent += len(data)
        patience = 0.12
    return sent


def go_on(terminal: Terminal) -> None:
    """Press the button that leads to the next step, wherever the focus is."""
    for _ in range(40):
        if re.search(r"> \[ (Start|Next)\b", terminal.text()):
            terminal.send("\r")
            return
        cost(terminal, "\t")
    raise AssertionError(terminal.text())


def test_what_each_key_costs(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    spent: dict[str, int] = {}

    def press(name: str, keys: str) -> None:
        title = terminal.screen.display[0].strip()
        spent[f"{name} at {title}"] = max(spent.get(f"{name} at {title}", 0), cost(terminal, keys))

    for words in (None, *STEPS, "In short"):
        if words is not None:
            go_on(terminal)
            terminal.until(words)
        while terminal.read(0.5):
            pass
        for _ in range(2):
            press("Tab", "\t")
            press("down", ARROWS["down"])
            press("up", ARROWS["up"])
        press("right", ARROWS["right"])
        press("left", ARROWS["left"])
        assert terminal.read(1.0) == b"", "idle"
    assert len({name.partition(" at ")[2] for name in spent}) == len(STEPS) + 2
    assert sum(spent.values()), "the keys did something"
    dear = {
        name: sent for name, sent in spent.items() if sent > (A_TAB if name.startswith("Tab") else AN_ARROW)
    }
    assert dear == {}


def test_what_others_write_on_the_terminal_can_be_painted_over(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    before = cells(terminal)
    terminal.stream.feed(b"\x1b[5;1HBroadcast message from root: going down" + b"\x1b[23;1H")
    assert cells(terminal) != before
    terminal.send("\x0c")
    end = time.monotonic() + 30
    while cells(terminal) != before and time.monotonic() < end:
        terminal.read(0.2)
    assert cells(terminal) == before


def test_keys_that_are_no_utf_8_are_passed_over(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals, LANG="de_DE.ISO-8859-1")
    terminal.send("\r")
    terminal.until("2 domains looked up")
    go_to_next(terminal)
    terminal.until("> Smart host")
    os.write(terminal.master, b"\xe4\xff\xc3x")
    terminal.until("mail.conbool.comx")
    assert terminal.process.poll() is None
    assert terminal.raw.isascii()
