"""The real program on a pseudo-terminal: what an emulator shows, bytes when idle, ends of every kind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import pyte
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
STEPS = tuple(f"Step {number} of 11" for number in range(2, 8))


class Terminal:
    """The program over the false session, or a command, on a terminal (of 80x24, unless told otherwise), with an emulator
    that reads what it writes.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Optional[dict[str, str]] = None,
        size: tuple[int, int] = (80, 24),
        command: Sequence[str] = (),
    ) -> None:
        self.master, slave = pty.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # With COLUMNS and LINES, which pytest-xdist sets for its workers, the window would have that size for ever.
        kept_out = ("NO_COLOR", "TEXTUAL", "COLORTERM", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE")
        env = {key: value for key, value in os.environ.items() if key not in kept_out}
        env.update({"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}, **(environment or {}))
        self.process = subprocess.Popen(
            list(command) or [sys.executable, "-m", "tests.tui.demo", *arguments],
            cwd=ROOT,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        # A terminal that does not tell its size is taken for 80x24.
        self.screen = pyte.Screen(columns or 80, rows or 24)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def read(self, seconds: float) -> bytes:
        """What comes within this time."""
        end = time.monotonic() + seconds
        found = b""
        while (rest := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], rest)[0]:
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            found += data
            self.raw += data
            # pyte takes private mode reports with < for text; they draw nothing.
            self.stream.feed(data.replace(b"\x1b[<u", b"").replace(b"\x1b[>1u", b""))
        return found

    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(row.rstrip() for row in self.screen.display)

    def until(self, words: str) -> None:
        """Read until the words are on the screen."""
        end = time.monotonic() + PATIENCE
        while words not in self.text():
            assert time.monotonic() < end, f"{words!r} does not appear:\n{self.text()}"
            assert self.process.poll() is None or self.read(0.2), f"the program ended:\n{self.text()}"
            self.read(0.1)
        while self.read(0.15):
            pass

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)
        self.process.send_signal(signal.SIGWINCH)

    def end(self) -> int:
        """Exit code, once it has ended by itself."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.text()}"
            with contextlib.suppress(OSError):
                self.read(0.1)
        with contextlib.suppress(OSError):
            self.read(0.2)
        return self.process.returncode

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def open_wizard(terminals: list[Terminal], *arguments: str, **environment: str) -> Terminal:
    terminal = Terminal(*arguments, environment=environment)
    terminals.append(terminal)
    terminal.until("Postfix 3.7.11, running")
    return terminal


def go_to_next(terminal: Terminal) -> None:
    for _ in range(40):
        if "> [ Next ]" in terminal.text():
            break
        terminal.send("\t")
        terminal.read(0.3)
    terminal.send("\r")


def test_it_paints_and_idle_costs_no_byte(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    assert terminal.text().splitlines()[0].strip().startswith("conbool-tui   Step 1 of 11 - Welcome")
    assert "> [ Start ]" in terminal.text()
    terminal.read(1.0)
    assert terminal.read(2.0) == b""
    terminal.send("\r")
    terminal.until("2 domains looked up")
    terminal.read(1.0)
    assert terminal.read(2.0) == b"", "not even where something was just counted"
    go_to_next(terminal)
    terminal.until("> Smart host")
    terminal.until("smtp_tls_policy_maps")
    terminal.read(1.0)
    assert terminal.read(2.0) == b"", "not even with the cursor in an input"
    terminal.send("\x1b[21~")
    assert terminal.end() == 0
    assert "Nothing was changed." in terminal.text()


def test_mouse_reports_are_never_asked_for(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    for mode in (b"?1000h", b"?1003h", b"?1006h"):
        assert mode not in terminal.raw


def test_to_the_end_with_enter_and_tab(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    terminal.send("\r")
    for words in STEPS:
        terminal.until(words)
        go_to_next(terminal)
    terminal.until("In short")
    terminal.until("[ Next: apply ]")
    terminal.send("\t\r")
    terminal.until("> [ Not yet ]")
    terminal.send("\t\r")
    terminal.until("Applied as change 20250102-0304-a1")
    terminal.send("\r")
    terminal.until("SMTP reachable.")
    terminal.send("\r")
    terminal.until("Setup Assistant, step Mail Server")
    terminal.send("\r")
    assert terminal.end() == 0
    text = terminal.text()
    for words in (
        "Change 20250102-0304-a1: applied",
        "conbool-tui undo 20250102-0304-a1",
        "/var/lib/conbool-tui",
    ):
        assert words in text


@pytest.mark.parametrize(
    "kind", ["xterm-256color", "screen", "linux", "vt100", "ansi", "NO_COLOR", "--ascii"]
)
def test_plain_terminals_show_every_state_in_text(terminals: list[Terminal], kind: str) -> None:
    environment = {"NO_COLOR": "1"} if kind == "NO_COLOR" else {"TERM": kind} if kind[0] != "-" else {}
    terminal = open_wizard(terminals, *(["0", kind] if kind[0] == "-" else []), **environment)
    text = terminal.text()
    assert "> [ Start ]" in text
    assert "( Recover )" in text
    assert "OK  Postfix" in text
    for y, row in enumerate(terminal.screen.display):
        for x, _char in enumerate(row.rstrip()):
            cell = terminal.screen.buffer[y][x]
            assert cell.fg != cell.bg or cell.fg == "default", f"invisible at {x},{y}"
            if kind == "NO_COLOR":
                assert (cell.fg, cell.bg) == ("default", "default")
    plain = kind in ("linux", "vt100", "ansi", "--ascii")
    assert text.isascii() is plain
    terminal.send("\r")
    terminal.until("2 domains looked up")
    assert "OK" in terminal.text()
    go_to_next(terminal)
    terminal.until("> Smart host")
    cursor = [(x, y) for y in range(1, 22) for x in range(80) if terminal.screen.buffer[y][x].reverse]
    assert len(cursor) == 1, "the place of the next character can be seen without colour"
    assert terminal.raw.isascii() is plain


def test_the_terminal_is_left_in_order(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM
    assert b"\x1b[?1049l" in terminal.raw, "back from the alternate screen"
    assert b"\x1b[?25h" in terminal.raw, "the cursor is shown again"
    assert b"Traceback" not in terminal.raw


def test_a_closed_terminal_ends_it(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals)
    os.close(terminal.master)
    assert terminal.process.wait(PATIENCE) in (128 + signal.SIGHUP, 129, -signal.SIGHUP)


def test_a_terminal_that_goes_without_a_signal_ends_it(terminals: list[Terminal]) -> None:
    terminal = open_wizard(terminals, "0", "--deaf")
    os.close(terminal.master)
    assert terminal.process.wait(PATIENCE) == 129


def test_a_fault_of_the_screens_leaves_the_terminal_in_order_and_is_handed_on(
    terminals: list[Terminal],
) -> None:
    terminal = Terminal("0", "--fault")
    terminals.append(terminal)
    assert terminal.end() == 1
    assert b"\x1b[?1049l" in terminal.raw
    assert "handed on: AttributeError" in terminal.text()
    assert b"Traceback" not in terminal.raw
    assert "locals" not in terminal.text()


def test_a_lost_connection_does_not_cut_off_a_change(terminals: list[Terminal], tmp_path: Path) -> None:
    mark = tmp_path / "applied"
    terminal = open_wizard(terminals, "0", "--mark", str(mark))
    terminal.send("\r")
    for words in STEPS:
        terminal.until(words)
        go_to_next(terminal)
    terminal.until("In short")
    terminal.send("\t\r")
    terminal.until("> [ Not yet ]")
    terminal.send("\t\r")
    terminal.until("6 of 8  write")
    os.close(terminal.master)
    assert not mark.exists()
    assert terminal.process.wait(PATIENCE) in (128 + signal.SIGHUP, 129)
    assert mark.exists(), "the change was finished after the terminal had gone"


def left(terminal: Terminal) -> int:
    """The seconds on the screen."""
    found = re.search(r"Taken back in (\d+) s", terminal.text())
    assert found is not None, terminal.text()
    return int(found.group(1))


@pytest.mark.parametrize("kind", ["linux", "NO_COLOR"])
def test_the_countdown_costs_one_line_a_second(terminals: list[Terminal], kind: str) -> None:
    environment = {"NO_COLOR": "1"} if kind == "NO_COLOR" else {"TERM": kind}
    terminal = Terminal("0", "--waiting", environment=environment)
    terminals.append(terminal)
    terminal.until("> [ Test now ]")
    assert "! WARN  Live now." in terminal.text()
    before = left(terminal)
    sent = 0
    while left(terminal) > before - 3:
        sent += len(terminal.read(0.5))
    assert sent < 200 * (before - left(terminal) + 1)
    terminal.send("q")
    terminal.until("> [ Stay ]")
    assert "conbool-tui confirm" in terminal.text()
    terminal.send("\t\r")
    assert terminal.end() == 0
    assert "unless you run: conbool-tui confirm" in " ".join(terminal.text().split())


@pytest.mark.parametrize("size", [(40, 20), (20, 5)])
@pytest.mark.parametrize("arguments", [(), ("--waiting",)], ids=["prerequisites", "countdown"])
def test_a_tiny_terminal_breaks_nothing(
    terminals: list[Terminal], size: tuple[int, int], arguments: tuple[str, ...]
) -> None:
    terminal = Terminal("0", *arguments)
    terminals.append(terminal)
    terminal.until("> [ Test now ]" if arguments else "Postfix 3.7.11, running")
    if not arguments:
        terminal.send("\r")
        terminal.until("2 domains looked up")
    columns, rows = size
    terminal.resize(columns, rows)
    terminal.until("Please enlarge")
    terminal.resize(80, 24)
    terminal.until("Taken back in" if arguments else "2 domains looked up")
    assert terminal.process.poll() is None
