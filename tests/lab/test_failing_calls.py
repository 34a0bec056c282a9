"""Real Postfix, and every system call of the worker that writes fails: the old state is back or the new one is there, and it was said."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import faults

from . import messages
from .faults import OUT, Call, Faulty, Watched
from .lab import Lab
from .product import write_answers
from .releases import ONE
from .snapshot import Entry, differences

SEED = 20240229
OTHERS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)


@pytest.fixture(scope="module")
def library(lab_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faulty(lab: Lab, library: Path) -> Iterator[Faulty]:
    one = Faulty(lab, lab.postfix(ONE), library)
    yield one
    one.close()


def learn(faulty: Faulty, do: str) -> list[Call]:
    """The calls of an apply, or of an undo."""
    # The first apply makes the state directory, too.
    for _ in range(2):
        faulty.toggle()
    applied = faulty.toggle()
    return applied if do == "apply" else faulty.toggle()


def sampled(calls: list[Call], each: int) -> list[Call]:
    """At most so many calls of each kind, the first among them."""
    lot = random.Random(SEED)
    kinds: dict[tuple[str, str, str], list[Call]] = {}
    for call in calls:
        kinds.setdefault(call.kind, []).append(call)
    chosen = [
        one for same in kinds.values() for one in [same[0], *lot.sample(same[1:], min(each, len(same)) - 1)]
    ]
    return sorted(chosen, key=lambda call: call.number)


@pytest.mark.parametrize(
    "do",
    [pytest.param(do, marks=pytest.mark.xdist_group(f"failing-{do}")) for do in ("apply", "undo")],
)
def test_every_call_failing_once(faulty: Faulty, do: str) -> None:
    """A broken disk: what fails includes removing.

    Of two sorts that are all alike only some fail: the lines for the watching side, and the copies below /run that Postfix's tools judge.
    """
    calls = learn(faulty, do)
    for_the_watcher = [call for call in calls if call.path.endswith("/progress.jsonl")]
    copies = [call for call in calls if call.path.startswith("/run/")]
    others = [call for call in calls if call not in for_the_watcher and call not in copies] + copies[::8]
    assert len(others) > 100
    assert {call.phase for call in others} >= {
        "",
        "begin",
        "backed up",
        "judged",
        "stage",
        "write",
        "reload",
        "commit",
    }
    for call in sorted([*others, *for_the_watcher[:: len(for_the_watcher) // 4]], key=lambda one: one.number):
        faulty.fail(do, call, errno.EIO)
    faulty.finish()
    assert set(faulty.ends) >= {"CheckFailedError", "RolledBackError", "silent", ""}


@pytest.mark.parametrize(
    "do",
    [pytest.param(do, marks=pytest.mark.xdist_group(f"failing-otherwise-{do}")) for do in ("apply", "undo")],
)
def test_other_errors(faulty: Faulty, do: str) -> None:
    """Every kind of call in every phase, and the errors in turns."""
    calls = learn(faulty, do)
    for number, call in enumerate(sampled(calls, 1)):
        faulty.fail(do, call, OTHERS[number % len(OTHERS)])
    faulty.finish()


@pytest.mark.xdist_group("failing-lasting")
@pytest.mark.parametrize("do", ["apply", "undo"])
def test_the_disk_stays_full(faulty: Faulty, do: str) -> None:
    """From one call on nothing can be written, also while it is taken back; then there is room again."""
    calls = [call for call in learn(faulty, do) if not call.path.endswith("/progress.jsonl")]
    for number, call in enumerate(random.Random(SEED).sample(calls, 12)):
        faulty.fail(do, call, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)[number % 3], lasts=True)
    faulty.finish()


@pytest.mark.xdist_group("failing-lasting")
def test_what_the_admin_is_told(lab: Lab, library: Path) -> None:
    """The real command and its detached worker: the exit code says how it stands, and nobody sees a traceback."""
    machine = lab.postfix(ONE)
    watched = Watched(machine, library)
    apply = ("apply", "--yes", "--answers", write_answers(lab, machine))
    undo = ("undo", "--yes")
    lot = random.Random(SEED)
    codes = set()
    for args, back in ((apply, undo), (undo, apply)):
        before = machine.snapshot("/etc/postfix")
        assert watched.run(*args).returncode == 0
        calls = watched.calls()
        after = machine.snapshot("/etc/postfix")
        assert watched.run(*back).returncode == 0
        live = [int(line.split(" ")[1]) for line in calls if "/journal.jsonl" in line][6:-3]
        for at, code, lasts, both in (
            (lot.choice(live), errno.EIO, False, False),
            (lot.choice(live), errno.ENOSPC, True, False),
            (lot.randrange(20, len(calls) // 2), errno.EROFS, True, True),
        ):
            done = watched.run(*args, at=at, code=code, lasts=lasts, both=both)
            what = (args, at, calls[at - 1], errno.errorcode[code], done)
            codes.add(done.returncode)
            assert done.returncode in (0, 3, 4, 5), what
            if done.returncode == 5:
                assert "Finish by hand" in done.stderr or "undo" in done.stderr, what
                assert "An earlier change was not finished" in watched.run("undo").stderr
            elif done.returncode:
                said = " ".join(done.stderr.split())
                # Where nothing can be written any more, the worker cannot leave its last word.
                assert os.strerror(code) in said or (lasts and "no disk space was left" in said), what
            assert same(before if done.returncode else after, machine.snapshot("/etc/postfix")), what
            assert machine.postfix_running()
            if done.returncode == 0:
                assert watched.run(*back).returncode == 0
        assert watched.run(*args).returncode == 0
    assert len(codes) > 1
    message = messages.plain()
    assert lab.send(machine, message, OUT, helo="desk.example.com").accepted
    lab.expect(message, "outside_a")


def same(first: dict[str, Entry], second: dict[str, Entry]) -> bool:
    """Whether both trees are alike but for times."""
    return differences(first, second, ignore_mtime=tuple(first)) == []
