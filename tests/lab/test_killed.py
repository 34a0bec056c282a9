"""kill -9 of the worker at every record of its journal and at random moments, on real Postfix with mail going on all the time.

Afterwards the program is started once: the configuration is exactly the old or exactly the new one, Postfix runs, nothing is left over,
and every message was delivered exactly once, those whose session was open all the while among them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Callable

import pytest

from . import messages
from .killing import HERE, MOMENTS, OUT, Killed, Undisturbed
from .lab import CONBOOL, Lab
from .product import apply_answers
from .releases import ONE

CHUNKS = 4  # tests that share the work; each of them takes about a minute
MACHINES = 4  # in each of them, at the same time: most of the work is waiting
RANDOM = 100  # random moments of apply, and as many of undo
# Every run of a change that is to be accepted tries the same moments; at a desk every run tries others.
SEED = 1 if os.environ.get("CI", "").lower() in ("1", "true") else random.randrange(1 << 32)


LOOP = messages.marker_header(messages.loop_header_name("example.com"), "true")


@dataclass(frozen=True)
class Task:
    """One kill, as words and as what does it."""

    what: str
    do: Callable[[Killed], object]


def firsts(records: Sequence[str]) -> list[int]:
    """The numbers of the records before which stands one of another kind."""
    return [number for number, kind in enumerate(records, 1) if number == 1 or records[number - 2] != kind]


def at_records(do: str, records: Sequence[str]) -> Iterator[Task]:
    """Every record, written and on disk; and one of each kind in a row cut in the middle."""
    torn = firsts(records)
    for number, kind in enumerate(records, 1):
        for moment in MOMENTS:
            if moment != "torn" or number in torn:
                what = f"{do}: record {number} ({kind}), {moment}"
                yield Task(what, partial(Killed.kill, do=do, record=number, moment=moment))


def in_recovery(do: str) -> Iterator[Task]:
    """The worker is killed when it reloads the mail system, and so is the one that takes that back."""
    for kind in ("rollback", "restore", "reload", "rolled back"):
        yield Task(f"{do}: taking back, {kind}", partial(Killed.kill, do=do, kind="reload", again=kind))


def at_random(do: str, seconds: float) -> Iterator[Task]:
    """Moments of the whole time it takes, the first and the last ones among them."""
    chance = random.Random(f"{SEED} {do}")
    for number in range(RANDOM):
        part = (number + chance.random()) / RANDOM
        what = f"{do}: random moment {number} (seed {SEED}), {part:.4f} of {seconds:.2f} s"
        yield Task(what, partial(at_moment, do=do, part=part, seconds=seconds))


def at_moment(killed: Killed, do: str, part: float, seconds: float) -> None:
    """Kill a worker when ``part`` of its time is over."""
    while True:
        run = killed.kill(do, after=part * seconds)
        if run.killed:
            return
        # It was done before: it took less time than when that was measured.
        seconds = run.seconds * 0.97


def work(do: str, alone: Undisturbed) -> list[Task]:
    """All there is to do for apply or undo."""
    return [*at_records(do, alone.records), *in_recovery(do), *at_random(do, alone.seconds)]


def one_machine(killed: Killed, share: int) -> int:
    """A machine's share of the work; gives the number of kills."""
    applied = killed.toggle()
    undone = killed.toggle()
    shares = CHUNKS * MACHINES
    tasks = [*work("apply", applied)[share::shares], *work("undo", undone)[share::shares]]
    for task in tasks:
        try:
            task.do(killed)
        except BaseException as error:
            raise AssertionError(f"{task.what}: {error}\n{killed.report()}") from error
    killed.finish()
    assert killed.kills == len(tasks)
    return killed.kills


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_kill_9(lab: Lab, chunk: int) -> None:
    killed = [Killed(lab, lab.postfix(ONE)) for _ in range(MACHINES)]
    try:
        with ThreadPoolExecutor(MACHINES) as pool:
            shares = range(chunk * MACHINES, (chunk + 1) * MACHINES)
            kills = sum(pool.map(one_machine, killed, shares))
    finally:
        for one in killed:
            one.close()
    assert kills >= 2 * RANDOM // CHUNKS


def test_mail_that_waits_when_all_is_taken_back(lab: Lab) -> None:
    """What was filed for a transport of ours, and waits for its receiver, goes the old way after an undo."""
    machine = lab.postfix(ONE)
    apply_answers(lab, machine)
    lab.outside_a.refuse("rcpt", "451 4.3.0 later")
    waiting = [messages.loop(), messages.build([LOOP], b"x" * 70 + b"\r\n" + b"line\r\n" * 20_000)]
    for message in waiting:
        assert lab.send(machine, message, OUT, sender=HERE, source=CONBOOL).accepted
    lab.settle()
    assert [entry["queue_name"] for entry in machine.queue()] == ["deferred"] * len(waiting)
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stderr
    lab.outside_a.accept()
    machine.flush()
    for message in waiting:
        lab.expect(message, "outside_a")
    assert machine.queue() == []
