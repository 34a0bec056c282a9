"""Real Postfix, and whoever asked for the change goes away, stops or dies at each phase; so does the worker."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Optional

import pytest

from . import messages
from .lab import Lab
from .machine import APP
from .postfix import PostfixMachine, PostfixSite
from .product import write_answers
from .releases import in_turns
from .snapshot import Entry, differences

pytestmark = in_turns

STATE = "/var/lib/conbool-tui"
LOG = "/var/log/conbool-tui/conbool-tui.log"
OUT = "friend@outside-a.example"
PATIENCE = 60.0
# The line of the journal at which something happens; the worker stands still there.
PHASES = ("begin", "judged", "write", "reload", "health")
ENDS = ("hangup", "killed", "pane", "pty")

# Loaded by every Python of the machine that says so: the worker stops itself (SIGSTOP) right after the journal got the line in
# /root/stop-at, once.
STOPPER = """
import os, signal
from conbool_tui.transaction.journal import Journal
append = Journal.append
def stopping(self, do, text, **fields):
    append(self, do, text, **fields)
    try:
        with open("/root/stop-at") as stream:
            wanted = stream.read()
        with open("/proc/self/cmdline", "rb") as stream:
            worker = b"conbool_tui.worker" in stream.read()
        if do == wanted and worker:
            os.rename("/root/stop-at", "/root/stopped")
            os.kill(os.getpid(), signal.SIGSTOP)
    except OSError:
        pass
Journal.append = stopping
"""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


class Rig:
    """A Postfix machine, its worker that can be made to stand still, and callers."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        self.answers = write_answers(lab, machine)
        # A copy of the program whose journal can stop its worker; the search path goes to the worker, too.
        self.env = {"PYTHONPATH": f"/root/app:{APP}/vendor", "PYTHONDONTWRITEBYTECODE": "1"}
        machine.shell(f"mkdir /root/app && cp -a {APP}/app/. /root/app/")
        machine.append("/root/app/conbool_tui/transaction/journal.py", "\n" + STOPPER)
        self.argv = ["python3", "-X", "utf8", "-m", "conbool_tui"]
        self.apply = [*self.argv, "apply", "--yes", "--answers", self.answers]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.machine.run([*self.argv, *args], env=self.env, timeout=180)

    def stop_at(self, phase: str) -> None:
        self.machine.shell("rm -f /root/stopped")
        self.machine.write("/root/stop-at", phase)

    def stands(self) -> None:
        until(
            lambda: self.machine.exists("/root/stopped") and self.worker_state() == "T",
            "the worker standing still",
        )

    def pids(self, word: str) -> list[int]:
        """Processes of the machine with this among their arguments."""
        found = self.machine.run(["pgrep", "-f", "--", word]).stdout
        return [int(line) for line in found.split()]

    def worker(self) -> Optional[int]:
        found = self.pids("[c]onbool_tui.worker")
        return found[0] if found else None

    def worker_state(self) -> str:
        pid = self.worker()
        return "" if pid is None else self.machine.run(["ps", "-o", "stat=", "-p", str(pid)]).stdout[:1]

    def callers(self) -> list[int]:
        return self.pids("[-]m conbool_tui")

    def signal(self, pid: int, name: str) -> None:
        self.machine.run(["kill", f"-{name}", str(pid)], check=True)

    def newest(self) -> Any:
        changes = json.loads(self.run("history", "--json").stdout)["changes"]
        return changes[0] if changes else None

    def tree(self) -> dict[str, Entry]:
        return self.machine.snapshot("/etc/postfix")

    def same(self, first: dict[str, Entry]) -> None:
        assert differences(first, self.tree(), ignore_mtime=(".",)) == []

    def cpu(self, pid: int) -> int:
        """Ticks (1/100 s) it used."""
        fields = self.machine.run(["cat", f"/proc/{pid}/stat"], check=True).stdout.rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


class Caller:
    """The program at work for somebody, in a terminal that can be taken away."""

    def __init__(self, rig: Rig, how: str, argv: Optional[list[str]] = None) -> None:
        self.rig = rig
        self.how = how
        self.master = -1
        self.socket = f"conbool-lab-{os.getpid()}-{id(self)}"
        self.process: Optional[subprocess.Popen[bytes]] = None
        command = rig.machine.command(argv or rig.apply, {**rig.env, "TERM": "screen-256color"})
        if how == "pane":
            subprocess.run(
                [
                    "tmux",
                    "-L",
                    self.socket,
                    "-f",
                    "/dev/null",
                    "new-session",
                    "-d",
                    "-x",
                    "80",
                    "-y",
                    "24",
                    shlex.join(command),
                ],
                check=True,
            )
            return
        if how == "pty":
            pid, self.master = pty.fork()
            if pid == 0:
                os.execvp(command[0], command)
            self.pid = pid
            return
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def vanish(self) -> None:
        """Whoever watches is gone."""
        if self.how == "pane":
            subprocess.run(["tmux", "-L", self.socket, "kill-pane"], check=True)
        elif self.how == "pty":
            os.close(self.master)
            self.master = -1
        else:
            for pid in self.rig.callers():
                self.rig.signal(pid, "KILL" if self.how == "killed" else "HUP")
        until(lambda: not self.rig.callers(), f"the caller's end ({self.how})")

    def end(self) -> subprocess.CompletedProcess[bytes]:
        """Its exit code and what it said."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(self.rig.apply, self.process.returncode, out, err)

    def close(self) -> None:
        if self.how == "pane":
            subprocess.run(["tmux", "-L", self.socket, "kill-server"], check=False, capture_output=True)
        elif self.how == "pty":
            if self.master >= 0:
                os.close(self.master)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        elif self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            with suppress(ValueError):
                self.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def rig(lab_ready: None, suite: str) -> Iterator[Rig]:
    with Lab() as lab:
        yield Rig(lab, lab.postfix(suite, PostfixSite(submission=True)))


@pytest.fixture
def clean(rig: Rig) -> Iterator[Rig]:
    """The rig; afterwards everything is taken back, Postfix runs, and mail goes out."""
    before = rig.tree()
    yield rig
    rig.machine.shell("rm -f /root/stop-at /root/stopped")
    newest = rig.newest()
    if newest is not None and newest["state"] == "applied" and not newest["undo_of"]:
        done = rig.run("undo", "--yes")
        assert done.returncode == 0, done.stderr
    rig.same(before)
    assert rig.machine.postfix_running()
    assert rig.run("history").stderr == "", "told once only"


@pytest.fixture
def callers(clean: Rig) -> Iterator[Callable[..., Caller]]:
    """Starts callers, and ends them."""
    started: list[Caller] = []

    def start(how: str, argv: Optional[list[str]] = None) -> Caller:
        started.append(Caller(clean, how, argv))
        return started[-1]

    yield start
    pid = clean.worker()
    if pid is not None:
        clean.signal(pid, "CONT")
    for caller in started:
        caller.close()


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("phase", PHASES)
def test_the_caller_vanishes(clean: Rig, callers: Callable[..., Caller], phase: str, how: str) -> None:
    """The worker finishes by itself; the next start says so."""
    clean.stop_at(phase)
    caller = callers(how)
    clean.stands()
    caller.vanish()
    worker = clean.worker()
    assert worker is not None, "the worker lives on"
    clean.signal(worker, "CONT")
    until(lambda: clean.worker() is None, "the worker's end")
    told = clean.run("history")
    assert "While you were away: change" in told.stderr
    assert "was applied" in told.stderr
    assert clean.newest()["state"] == "applied"
    message = messages.plain()
    clean.lab.send(clean.machine, message, OUT)
    clean.lab.expect(message, "conbool")


@pytest.mark.parametrize("phase", PHASES)
def test_the_worker_is_killed(clean: Rig, callers: Callable[..., Caller], phase: str) -> None:
    """The caller takes it back and says so."""
    before = clean.tree()
    clean.stop_at(phase)
    caller = callers("watching")
    clean.stands()
    worker = clean.worker()
    assert worker is not None
    clean.signal(worker, "KILL")
    done = caller.end()
    assert done.returncode == 4, done.stderr
    assert b"ended without a word" in done.stderr
    clean.same(before)
    assert clean.newest()["state"] == "rolled back"


@pytest.mark.parametrize("phase", PHASES)
def test_worker_and_caller_are_killed(clean: Rig, callers: Callable[..., Caller], phase: str) -> None:
    """One start of the program, and the old state is back."""
    before = clean.tree()
    clean.stop_at(phase)
    caller = callers("killed")
    clean.stands()
    worker = clean.worker()
    assert worker is not None
    caller.vanish()
    clean.signal(worker, "KILL")
    until(lambda: clean.worker() is None, "the worker's end")
    done = clean.run("undo", "--yes")
    assert "An earlier change was not finished" in done.stderr, done.stderr
    clean.same(before)


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c(clean: Rig, callers: Callable[..., Caller], phase: str) -> None:
    before = clean.tree()
    clean.stop_at(phase)
    caller = callers("watching")
    clean.stands()
    (watcher,) = clean.callers()
    clean.signal(watcher, "INT")
    worker = clean.worker()
    assert worker is not None
    # The request waits for a worker that stands still.
    until(lambda: _pending(clean, worker) or None, "the request to stop")
    clean.signal(worker, "CONT")
    done = caller.end()
    assert done.returncode == 4, done.stderr
    assert b"SIGINT" in done.stderr
    clean.same(before)


def _pending(rig: Rig, pid: int) -> int:
    """The signals that wait for a process, as a bit mask (proc(5), ShdPnd)."""
    text = rig.machine.run(["cat", f"/proc/{pid}/status"]).stdout
    found = re.search(r"ShdPnd:\s*([0-9a-f]+)", text)
    return int(found.group(1), 16) if found else 0


def test_the_worker_hangs(clean: Rig, callers: Callable[..., Caller]) -> None:
    """The caller waits without work, says so, and stops and goes on, too."""
    clean.stop_at("write")
    caller = callers("watching")
    clean.stands()
    (watcher,) = clean.callers()
    spent = clean.cpu(watcher)
    assert caller.process is not None
    assert caller.process.stderr is not None
    seen = b""
    while b"still at it" not in seen:
        line = caller.process.stderr.readline()
        assert line, seen
        seen += line
    assert clean.cpu(watcher) - spent < 150, "1.5 s of work in 10 s of waiting"
    clean.signal(watcher, "STOP")
    worker = clean.worker()
    assert worker is not None
    clean.signal(worker, "CONT")
    until(lambda: clean.worker() is None, "the worker's end")
    # nsenter(1) stops with its child, and sends it on when it is sent on itself.
    caller.process.send_signal(signal.SIGCONT)
    done = caller.end()
    assert done.returncode == 0, done.stderr
    assert b"The change was applied." in done.stdout


def test_two_at_once(clean: Rig, callers: Callable[..., Caller]) -> None:
    clean.stop_at("write")
    caller = callers("watching")
    clean.stands()
    for args in (("apply", "--yes", "--answers", clean.answers), ("undo", "--yes")):
        done = clean.run(*args)
        assert done.returncode == 75, done.stderr
        assert "which is stopped (SIGSTOP)" in " ".join(done.stderr.split())
    looked = clean.run("history")
    assert (looked.returncode, "kill -CONT" in looked.stderr) == (0, True), looked.stderr
    worker = clean.worker()
    assert worker is not None
    clean.signal(worker, "CONT")
    assert caller.end().returncode == 0


def test_the_worker_s_place(clean: Rig, callers: Callable[..., Caller]) -> None:
    """A session of its own, no terminal, and nothing to be read in its command line."""
    clean.stop_at("write")
    caller = callers("pty")
    clean.stands()
    worker = clean.worker()
    assert worker is not None
    fields = clean.machine.run(["cat", f"/proc/{worker}/stat"]).stdout.rpartition(")")[2].split()
    assert (fields[1], fields[4]) == ("1", "0"), "child of process 1, without a terminal"
    command = clean.machine.run(["cat", f"/proc/{worker}/cmdline"]).stdout.split("\0")
    assert command[-4:-2] == ["conbool_tui.worker", STATE]
    assert clean.machine.run(["find", STATE, "-perm", "/077", "!", "-path", "*/changes/*/*"]).stdout == ""
    caller.vanish()
    clean.signal(worker, "CONT")
    until(lambda: clean.worker() is None, "the worker's end")
    assert clean.run("history").returncode == 0


def test_the_wizard_s_terminal_goes_away(clean: Rig, callers: Callable[..., Caller]) -> None:
    """While a change is written: the wizard is gone within seconds, the change is finished."""
    clean.stop_at("write")
    caller = callers("pane", clean.argv)

    def tmux(*args: str) -> str:
        return subprocess.run(
            ["tmux", "-L", caller.socket, *args], check=True, capture_output=True, text=True
        ).stdout

    def wait(text: str) -> None:
        until(lambda: text in tmux("capture-pane", "-p"), text)

    def press(label: str) -> None:
        for _ in range(60):
            if re.search(r">\s+" + re.escape(label), tmux("capture-pane", "-p")):
                break
            tmux("send-keys", "Tab")
            time.sleep(0.15)
        tmux("send-keys", "Enter")

    def moved_on(old: str) -> bool:
        return tmux("capture-pane", "-p").split("\n")[0] != old.split("\n")[0]

    wait("Postfix 3.")
    press("[ Start ]")
    for _ in range(8):
        seen = tmux("capture-pane", "-p")
        if "guide step C" in seen:
            tmux("send-keys", "198.51.100.0/24, 2001:db8:c::/48")
        if "[ Next: apply ]" in seen:
            break
        press("[ Next ]")
        until(partial(moved_on, seen), "the next step")
        time.sleep(1)
    press("[ Next: apply ]")
    wait("Nothing has been changed yet")
    press("[ Apply now ]")
    clean.stands()
    begun = time.monotonic()
    caller.vanish()
    assert time.monotonic() - begun < 15
    worker = clean.worker()
    assert worker is not None
    clean.signal(worker, "CONT")
    until(lambda: clean.worker() is None, "the worker's end")
    assert "was applied" in clean.run("history").stderr
    assert "goes on by itself" in clean.machine.read_text(LOG)
