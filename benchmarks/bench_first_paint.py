"""How long until the wizard shows something, against the smallest Textual program there is.

Both run in the same machine with the same Python and libraries on a terminal of 80x24; the clock runs from the start of the program to the moment its
text has come out of the terminal.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Sequence

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.lab.postfix import PostfixMachine

from .figures import Report, Sample, alternate
from .processes import cpu_below, peak_memory, rounds

LIMIT = 1.5
LIBRARIES = "/usr/lib/conbool-tui"
ONE_WIDGET_TEXT = "the only widget"
ONE_WIDGET = f"""
from textual.app import App, ComposeResult
from textual.widgets import Static


class OneWidget(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("{ONE_WIDGET_TEXT}")


OneWidget().run()
"""
LAUNCHER = f"""#!/bin/sh
export PYTHONPATH={LIBRARIES}/app:{LIBRARIES}/vendor PYTHONPYCACHEPREFIX={LIBRARIES}/bytecode
exec python3 -X utf8 -c 'import one_widget'
"""
WIZARD_TEXT = "Nothing changes before you say so"
_SEQUENCE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])"
)


@pytest.fixture(scope="module")
def machine(bench_lab: Lab) -> PostfixMachine:
    one = bench_lab.postfix()
    # A module below the program's own folders, so that its byte code is kept like ours.
    one.write("/usr/local/lib/one_widget/one_widget.py", ONE_WIDGET)
    one.write(
        "/usr/local/bin/one-widget", LAUNCHER.replace("/vendor ", "/vendor:/usr/local/lib/one_widget "), 0o755
    )
    return one


def first_paint(machine: Machine, argv: Sequence[str], text: str, timeout: float = 60) -> Sample:
    """Seconds until ``text`` is on the terminal, the bytes that took, the processor time, and the largest memory (resident).

    Raises:
        AssertionError: it never came; the message holds what did.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    start = time.perf_counter()
    process = machine.popen(argv, env=environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    raw = b""
    try:
        while text.encode() not in _SEQUENCE.sub(b"", raw):
            ready, _, _ = select.select([leader], [], [], max(0.0, start + timeout - time.perf_counter()))
            try:
                more = os.read(leader, 65536) if ready else b""
            except OSError:
                more = b""
            assert more, (
                f"{argv[0]} did not show {text!r}:\n{_SEQUENCE.sub(b'', raw).decode('utf-8', 'replace')}"
            )
            raw += more
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "bytes": float(len(raw)),
            "memory": peak_memory(process.pid),
            "processor": cpu_below(process.pid),
        }
    finally:
        machine.kill(process)
        os.close(leader)


def test_first_paint(machine: PostfixMachine, report: Report) -> None:
    def wizard() -> Sample:
        return first_paint(machine, ["conbool-tui"], WIZARD_TEXT)

    def one_widget() -> Sample:
        return first_paint(machine, ["one-widget"], ONE_WIDGET_TEXT)

    for program in (wizard, one_widget):
        program()
    found = alternate(rounds(11), one_widget, wizard)
    group = "first paint at 80x24, the wizard against a one-widget Textual program"
    judged = report.pairs(group, "until the first text is there", found["seconds"], "s", at_most=LIMIT)
    report.pairs(group, "processor time until then", found["processor"], "s")
    report.pairs(group, "bytes until then", found["bytes"], "bytes")
    assert judged.held, f"{judged.ratio:.3f}, limit {judged.limit}; single pairs {judged.spread}"
