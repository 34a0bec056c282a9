"""The real program on a pseudo-terminal that cannot place text: every byte it sends, and ends of every kind."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plain.terminal import PATIENCE, PROMPT, Terminal


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def start(terminals: list[Terminal], *arguments: str, **environment: str) -> Terminal:
    argv = [sys.executable, "-m", "tests.plain.program", *arguments]
    terminal = Terminal(argv, environment)
    terminals.append(terminal)
    return terminal


ON = ("", "", "", "", *("",) * 8, *("",) * 7, *("",) * 6, *("",) * 2, *("",) * 2)


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {}, {"TERM": "unknown"}], ids=["dumb", "unset", "unknown"]
)
def test_a_terminal_that_cannot_place_text_gets_lines(
    terminals: list[Terminal], environment: dict[str, str]
) -> None:
    terminal = start(terminals, **environment)
    terminal.answer(*ON)
    terminal.until("Step 8 of 11 - Review")
    terminal.answer("Files", "q")
    assert terminal.end() == 0
    raw = terminal.raw
    assert raw.isascii()
    strange = set(re.findall(rb"[^\x20-\x7e\r\n]", raw))
    assert not strange, "no escape, no carriage return of its own, no bell, no backspace"
    assert raw.count(b"\r") == raw.count(b"\r\n")
    assert max(len(line) for line in terminal.text.splitlines()) < 80
    assert terminal.text.rstrip().endswith("Nothing was changed.")


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--plain",), {}),
        ((), {"CONBOOL_PLAIN": "1"}),
        ((), {"ACCESSIBLE": "yes"}),
    ],
    ids=["flag", "CONBOOL_PLAIN", "ACCESSIBLE"],
)
def test_lines_can_be_asked_for(
    terminals: list[Terminal], arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    terminal = start(terminals, *arguments, TERM="xterm-256color", **environment)
    terminal.answer("q")
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.raw


def test_a_switch_that_says_no_leaves_the_whole_screen(terminals: list[Terminal]) -> None:
    terminal = start(terminals, TERM="xterm-256color", CONBOOL_PLAIN="0", ACCESSIBLE="1")
    terminal.until("\x1b[?1049h")


def test_the_whole_way_to_smtp_reachable(terminals: list[Terminal]) -> None:
    terminal = start(terminals, TERM="dumb")
    terminal.answer(*ON)
    terminal.until("Step 8 of 11 - Review")
    terminal.answer("")
    terminal.until("Step 9 of 11 - Apply")
    terminal.answer("2")
    terminal.until("Applied as change 20250102-0304-a1")
    terminal.answer("")
    terminal.until("SMTP reachable.")
    terminal.answer("")
    terminal.until("Setup Assistant, step Mail Server")
    terminal.answer("")
    assert terminal.end() == 0
    assert "Take it back: conbool-tui undo 20250102-0304-a1" in terminal.text


def test_a_paste_of_many_lines_is_one_list(terminals: list[Terminal]) -> None:
    terminal = start(terminals, TERM="dumb")
    terminal.answer(*ON[: ON.index("") + 12])
    terminal.until("Conbool's addresses (CIDR)")
    terminal.until(PROMPT)
    networks = "\n\n".join(f"198.51.{number}.0/24   # office {number}" for number in range(0, 80, 2))
    terminal.send(f"{networks}\n")
    time.sleep(1)
    terminal.send("\n")
    terminal.until("Close port 25 to others")
    terminal.answer(*("",) * 5, "Change an answer")
    terminal.until("Conbool's addresses: 40 entries: 198.51.0.0/24")
    assert "\nx " not in terminal.text


def test_what_is_typed_ahead_does_not_apply(terminals: list[Terminal]) -> None:
    terminal = start(terminals, TERM="dumb")
    terminal.answer(*ON)
    terminal.until("Step 8 of 11 - Review")
    terminal.until(PROMPT)
    terminal.send("\n2\n2\n")
    terminal.until("Not yet (Enter)")
    terminal.until(PROMPT)
    time.sleep(0.5)
    terminal.send("q\n")
    assert terminal.end() == 0
    assert terminal.text.rstrip().endswith("Nothing was changed.")


def test_end_of_file_leaves_cleanly(terminals: list[Terminal]) -> None:
    terminal = start(terminals, TERM="dumb")
    terminal.answer("")
    terminal.until(PROMPT)
    terminal.send("\x04")
    assert terminal.end() == 0
    assert "Nothing was changed." in terminal.text


def test_control_c_at_a_question_ends_it(terminals: list[Terminal]) -> None:
    terminal = start(terminals, TERM="dumb")
    terminal.answer("")
    terminal.until(PROMPT)
    terminal.send("\x03")
    assert terminal.end() == 130
    assert "Nothing was changed." in terminal.text
    assert "conbool-tui: interrupted." in terminal.text
    assert "Traceback" not in terminal.text


def test_what_takes_time_says_so_and_control_c_stops_it(terminals: list[Terminal], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    terminal = start(terminals, "--gate", str(gate), TERM="dumb")
    terminal.until("Looking at this server; nothing is changed (1 s)\n")
    gate.touch()
    terminal.until(PROMPT)
    gate.unlink()
    time.sleep(0.5)
    terminal.send("\n")
    terminal.until("Asking name service: 1 of 2 domains, 1 s: 1 OK. Ctrl-C: Cancel\n")
    terminal.send("\x03")
    terminal.until("Stopped after 1 of 2 domains")
    terminal.answer("q")
    assert terminal.end() == 0


@pytest.mark.parametrize("deaf", [False, True], ids=["SIGHUP", "deaf"])
def test_a_lost_terminal_ends_it(terminals: list[Terminal], deaf: bool) -> None:
    terminal = start(terminals, *(["--deaf"] if deaf else []), TERM="dumb")
    terminal.answer("")
    terminal.until(PROMPT)
    os.close(terminal.master)
    code = terminal.process.wait(PATIENCE)
    assert code == 129 if deaf else code in (129, -signal.SIGHUP)
