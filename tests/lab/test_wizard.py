"""The real wizard on a real server, by keyboard alone, in an 80x24 terminal."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Optional

import pytest

from tests.plain.terminal import Terminal as LineTerminal

from . import messages
from .lab import Lab
from .machine import Machine
from .postfix import PostfixMachine, PostfixSite
from .releases import one_release
from .test_detached import Rig, until

OUT_A = "friend@outside-a.example"
# With what is proposed: the questions of the first seven steps, and Next after each of them.
QUESTIONS = 1 + 3 + 8 + 7 + 6 + 2 + 2


class Terminal:
    """A tmux of its own with one 80x24 window that runs a command on a machine."""

    def __init__(
        self, machine: Machine, argv: list[str], environment: Optional[Mapping[str, str]] = None
    ) -> None:
        self._socket = f"conbool-lab-{os.getpid()}-{id(self)}"
        command = shlex.join(machine.command(argv, {"TERM": "screen-256color", **(environment or {})}))
        self._tmux(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "-s",
            "t",
            f"{command}; echo EXIT $?; sleep 300",
        )

    def _tmux(self, *args: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, *args], check=True, capture_output=True, text=True
        ).stdout

    def screen(self) -> str:
        """What a person sees."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", "-t", "t", *keys)

    def wait(self, text: str, timeout: float = 60) -> str:
        """Wait until the screen has ``text`` and return the screen.

        Raises:
            AssertionError: it did not come; the message has the screen.
        """
        deadline = time.monotonic() + timeout
        while True:
            seen = self.screen()
            if text in seen:
                return seen
            assert time.monotonic() < deadline, f"{text!r} did not appear:\n{seen}"
            time.sleep(0.1)

    def move_to(self, label: str) -> None:
        """Press Tab until the focus mark is at ``label``."""
        for _ in range(60):
            if re.search(r">\s+" + re.escape(label), self.screen()):
                return
            self.keys("Tab")
            time.sleep(0.15)
        raise AssertionError(f"the focus does not reach {label!r}:\n{self.screen()}")

    def press(self, label: str) -> None:
        """Move to a button and press Enter."""
        self.move_to(label)
        self.keys("Enter")

    def close(self) -> None:
        """End this terminal and what runs in it."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def machine(lab: Lab, suite: str) -> PostfixMachine:
    """A normal server, nothing done yet."""
    return lab.postfix(suite, PostfixSite(submission=True))


@pytest.fixture
def terminal(machine: PostfixMachine) -> Iterator[Terminal]:
    """The wizard in its terminal."""
    one = Terminal(machine, ["conbool-tui"])
    yield one
    one.close()


def through_the_wizard(machine: PostfixMachine, terminal: Terminal) -> None:
    """From the first screen to the last by keys, applying on the way; leaves the wizard."""
    before = machine.snapshot("/etc/postfix")
    terminal.wait("Postfix 3.")
    terminal.press("[ Start ]")
    terminal.wait("Prerequisites")
    terminal.press("[ Next ]")
    terminal.wait("guide step A")
    terminal.press("[ Next ]")
    terminal.wait("guide step B")
    terminal.keys("198.51.100.0/24, 2001:db8:c::/48")
    terminal.press("[ Next ]")
    terminal.wait("guide step C")
    terminal.press("[ Next ]")
    terminal.wait("guide step D")
    terminal.press("[ Next ]")
    terminal.wait("Who uses Conbool")
    terminal.press("[ Next ]")
    review = terminal.wait("Review")
    terminal.wait("senders in example.com, example.org, example.net")
    assert "mx1.example.com" not in review.split("In short")[-1].split("goes to")[0]
    assert machine.snapshot("/etc/postfix") == before, "nothing may be written before Apply"
    terminal.press("[ Next: apply ]")
    terminal.wait("Nothing has been changed yet")
    terminal.press("[ Apply now ]")
    terminal.wait("Take it back at any time", timeout=120)
    terminal.press("[ Next: test ]")
    terminal.wait("SMTP reachable", timeout=120)
    terminal.press("[ Next: done ]")
    done = terminal.wait("Setup Assistant")
    assert "mx1.example.com" in done
    assert "mail.conbool.com:25" in done
    terminal.press("[ Finish ]")
    left = terminal.wait("EXIT 0")
    assert "conbool-tui undo" in left


@one_release
def test_whole_wizard_by_keyboard(lab: Lab, machine: PostfixMachine, terminal: Terminal) -> None:
    before = machine.snapshot("/etc/postfix")
    through_the_wizard(machine, terminal)
    message = messages.plain()
    lab.send(machine, message, OUT_A)
    lab.expect(message, "conbool")
    undone = machine.conbool("undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    after = machine.snapshot("/etc/postfix")
    assert {path: entry for path, entry in after.items() if path != ""}.keys() == before.keys()


@one_release
def test_whole_wizard_in_lines(lab: Lab, machine: PostfixMachine) -> None:
    """On a terminal that cannot place text: to "SMTP reachable", with proof by mail, and back by the History."""
    before = machine.run(["postconf", "-n"], check=True).stdout
    # TERM of the machine is dumb; nobody asks for lines otherwise.
    lines = LineTerminal(machine.command(["conbool-tui"]), {})
    try:
        lines.until("Postfix 3.")
        lines.answer("")
        lines.until("Step 2 of 11")
        lines.answer("", "", "")
        lines.until("Step 3 of 11")
        lines.answer(*[""] * 8)
        lines.until("Step 4 of 11")
        lines.answer("198.51.100.0/24")
        lines.send("2001:db8:c::/48\n\n")
        lines.until("Close port 25 to others")
        lines.answer(*[""] * 5, "3")
        lines.until("What this step changes")
        lines.answer("")
        lines.until("Step 5 of 11")
        lines.answer(*[""] * 6)
        lines.until("Step 6 of 11")
        lines.answer("", "")
        lines.until("Step 7 of 11")
        lines.answer("", "")
        lines.until("senders in example.com, example.org, example.net")
        assert machine.run(["postconf", "-n"], check=True).stdout == before, "nothing is written before Apply"
        lines.answer("Next: apply")
        lines.until("Nothing has been changed yet")
        lines.answer("Apply now")
        lines.until("Take it back at any time")
        message = messages.plain()
        lab.send(machine, message, OUT_A)
        lab.expect(message, "conbool")
        lines.answer("Next: test")
        lines.until("SMTP reachable. The next screen says")
        lines.answer("Next: done")
        lines.until("Step 11 of 11")
        lines.answer("History", "1", "Undo this change", "Undo")
        lines.until("was taken back")
        lines.answer("", "Finish")
        assert lines.end() == 0, lines.text
    finally:
        lines.close()
    assert lines.raw.isascii()
    assert b"\x1b" not in lines.raw
    assert machine.run(["postconf", "-n"], check=True).stdout == before
    message = messages.plain()
    lab.send(machine, message, OUT_A)
    lab.expect(message, "outside_a")


@one_release
def test_lines_interrupted_or_lost_while_a_change_is_written(lab: Lab, machine: PostfixMachine) -> None:
    """Ctrl-C has the worker put everything back; without its terminal the worker ends its work, and the next start says so."""
    rig = Rig(lab, machine)
    before = rig.tree()
    rig.stop_at("write")
    lines = LineTerminal(machine.command(rig.argv, rig.env), {})
    again: Optional[LineTerminal] = None
    try:
        lines.answer(*[""] * QUESTIONS)
        lines.until("Step 8 of 11")
        lines.answer("Next: apply")
        lines.until("Nothing has been changed yet")
        lines.answer("Apply now")
        rig.stands()
        # From the keyboard it would also end nsenter, which stands between terminal and program here only.
        rig.signal(rig.callers()[0], "INT")
        lines.until("Stopping: what was done so far is put back.")
        worker = rig.worker()
        assert worker is not None
        rig.signal(worker, "CONT")
        lines.until("ROLLED BACK: the change failed and the old state is back.")
        rig.same(before)
        rig.stop_at("write")
        lines.answer("Apply now")
        rig.stands()
        worker = rig.worker()
        assert worker is not None
        lines.hang_up()
        until(lambda: not rig.callers(), "the end of the wizard without its terminal")
        assert rig.worker() == worker, "the worker lives on"
        rig.signal(worker, "CONT")
        until(lambda: rig.worker() is None, "the end of the worker")
        again = LineTerminal(machine.command(rig.argv, rig.env), {})
        said = again.until("Postfix 3.")
        assert "While you were away: change" in said
        again.answer("q")
        assert again.end() == 0
        assert rig.newest()["state"] == "applied"
    finally:
        pid = rig.worker()
        if pid is not None:
            rig.signal(pid, "CONT")
        lines.close()
        if again is not None:
            again.close()


def test_leaving_changes_nothing(machine: PostfixMachine, terminal: Terminal) -> None:
    before = machine.snapshot("/etc/postfix")
    terminal.wait("Postfix 3.")
    terminal.keys("F1")
    terminal.wait("Keys")
    terminal.keys("Escape")
    terminal.wait("[ Start ]")
    terminal.keys("q")
    terminal.wait("EXIT 0")
    assert machine.snapshot("/etc/postfix") == before


def test_terminal_that_goes_away_ends_the_program(machine: PostfixMachine, terminal: Terminal) -> None:
    terminal.wait("Postfix 3.")
    terminal.close()
    deadline = time.monotonic() + 10
    while "-m conbool_tui" in machine.run(["ps", "ax"]).stdout:
        assert time.monotonic() < deadline, "the program still runs without its terminal"
        time.sleep(0.2)


def apply_by_keys(terminal: Terminal) -> None:
    """From Welcome to the press of Apply now, with Conbool's addresses and else what is proposed."""
    terminal.wait("Postfix 3.")
    terminal.press("[ Start ]")
    for words in (
        "Prerequisites",
        "guide step A",
        "guide step B",
        "guide step C",
        "guide step D",
        "Step 7 of",
    ):
        terminal.wait(words)
        if words == "guide step B":
            terminal.keys("198.51.100.0/24, 2001:db8:c::/48")
        terminal.press("[ Next ]")
    terminal.wait("senders in example.com, example.org, example.net")
    terminal.press("[ Next: apply ]")
    terminal.wait("Nothing has been changed yet")
    terminal.press("[ Apply now ]")


@one_release
def test_undo_keeps_one_edit_and_puts_another_back(machine: PostfixMachine, terminal: Terminal) -> None:
    """What the admin chose by keys is what Postfix reads afterwards, and nothing else of ours is left."""
    before = machine.run(["postconf", "-n"], check=True).stdout
    apply_by_keys(terminal)
    terminal.wait("Take it back at any time", timeout=120)
    ours = set(machine.run(["postconf", "-n"], check=True).stdout.splitlines()) - set(before.splitlines())
    # Tables: any name of one is a value that Postfix takes.
    tables = sorted(
        name for name in (line.split(" = ")[0] for line in ours) if name.endswith(("_maps", "_checks"))
    )
    kept, back = tables[:2]
    for key in (kept, back):
        machine.run(["postconf", "-e", f"{key} = hash:/etc/postfix/mine-{key}"], check=True)
    terminal.press("[ History ]")
    terminal.wait("Details")
    terminal.keys("Enter")
    seen = terminal.wait("2 places were edited")
    assert seen.count("KEEP MINE") == 3, "two rows, and what the first choice means"
    row = next(number for number, line in enumerate(_rows(seen)) if f" {back} " in line)
    terminal.keys(*["Down"] * row, "p")
    terminal.wait(f"> PUT BACK   {back}")
    terminal.press("[ Undo ]")
    asked = terminal.wait("Your edits that are lost")
    assert asked.index(f"  {back}  (") < asked.index("Your edits that stay") < asked.index(f"  {kept}  (")
    terminal.press("[ Undo ]")
    terminal.wait("was taken back", timeout=120)
    left = machine.run(["postconf", "-n"], check=True).stdout
    assert sorted(left.splitlines()) == sorted(
        [*before.splitlines(), f"{kept} = hash:/etc/postfix/mine-{kept}"]
    )
    assert machine.postfix_running()


def _rows(screen: str) -> list[str]:
    """The rows of the list of edits."""
    return [
        line for line in screen.splitlines() if line.lstrip(" >").startswith(("KEEP MINE  ", "PUT BACK  "))
    ]


@one_release
def test_a_terminal_that_dies_while_a_change_is_written(lab: Lab, machine: PostfixMachine) -> None:
    """The wizard leaves at once, the worker ends its work, and the next start says that first."""
    rig = Rig(lab, machine)
    rig.stop_at("write")
    first = Terminal(machine, rig.argv, rig.env)
    second: Optional[Terminal] = None
    try:
        apply_by_keys(first)
        rig.stands()
        assert rig.callers()
        first.close()
        until(lambda: not rig.callers(), "the end of the wizard without its terminal")
        worker = rig.worker()
        assert worker is not None, "the worker lives on"
        # Another start meanwhile says so, and how it ended.
        second = Terminal(machine, rig.argv, rig.env)
        second.wait("is being written by another process")
        rig.signal(worker, "CONT")
        until(lambda: rig.worker() is None, "the end of the worker")
        seen = second.wait("While you were away: change")
        assert seen.index("While you were away") < seen.index("Postfix 3.")
        assert rig.newest()["state"] == "applied"
        second.keys("q")
        second.wait("EXIT 0")
        assert rig.run("history").stderr == "", "told once only"
    finally:
        pid = rig.worker()
        if pid is not None:
            rig.signal(pid, "CONT")
        first.close()
        if second is not None:
            second.close()
    message = messages.plain()
    lab.send(machine, message, OUT_A)
    lab.expect(message, "conbool")
