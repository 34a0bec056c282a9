"""How long detecting and planning take on a large site: 10,000 hosted domains, and 100,000 listed senders.

What is timed is the whole command, ``conbool-tui plan --answers FILE``, in the machine, from start to exit. Beside it, in turn, runs what no program
could do without: a Python that reads the same answers file line by line, and ``postconf -n``. The seconds of the parts come from a run with a clock
between them.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any, Callable, Iterator, Mapping

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.postfix import PostfixMachine, PostfixSite

from .figures import Figure, Report, Sample, alternate, number
from .names import many_domains, many_senders
from .processes import all_cpu, rounds, strict

DOMAINS, SENDERS = 10_000, 100_000
LIMIT_SECONDS = 1.0
LIMIT_RATIO = 20.0
LIBRARIES = "/usr/lib/conbool-tui"
ENVIRONMENT = {
    "PYTHONPATH": f"{LIBRARIES}/app:{LIBRARIES}/vendor",
    "PYTHONPYCACHEPREFIX": f"{LIBRARIES}/bytecode",
}

PARTS = """
import json, sys, time
begin = time.perf_counter()
laps = {}
def lap(name):
    global begin
    now = time.perf_counter()
    laps[name] = now - begin
    begin = now
from conbool_tui import answers_file, render
from conbool_tui.host import Host
from conbool_tui.session import Session
from conbool_tui.planners.postfix import plan_postfix
import detectors.postfix
lap("loading the program")
with open(sys.argv[1], "rb") as handle:
    answers = answers_file.load(handle.read(), sys.argv[1])
lap("reading the answers")
session = Session(Host("/"))
facts = session.detect()
lap("detecting")
plan = session.plan(answers, facts)
lap("checking the answers again and planning")
text = render.plan_text(plan)
lap("printing the plan")
assert plan.changes and text
print(json.dumps(laps))
"""

FLOOR = """
import sys
with open(sys.argv[1], "rb") as handle:
    print(sum(1 for line in handle))
"""


@pytest.fixture(scope="module")
def machine(bench_lab: Lab) -> Iterator[PostfixMachine]:
    """A server with 10,000 virtual mailbox domains in a table."""
    hosted = "".join(domain + " x\n" for domain in many_domains(DOMAINS))
    yield bench_lab.postfix(
        site=PostfixSite(
            mailboxes=(),
            files={"/etc/postfix/hosted": hosted, "/root/parts.py": PARTS, "/root/floor.py": FLOOR},
            postmap=("/etc/postfix/hosted",),
            main={"virtual_mailbox_domains": "hash:/etc/postfix/hosted"},
        )
    )


def timed(work: Callable[[], None]) -> Sample:
    """Wall-clock seconds of some work, and CPU seconds of the whole computer meanwhile."""
    cpu, start = all_cpu(), time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start, "cpu": all_cpu() - cpu}


CASES: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "3 domains listed": lambda: {"domains": ["example.com", "example.org", "example.net"]},
    f"{DOMAINS:,} domains detected": lambda: {},
    f"{DOMAINS:,} domains listed": lambda: {"domains": list(many_domains(DOMAINS))},
    f"{SENDERS:,} senders listed": lambda: {
        "domains": ["example.com"],
        "scope": {"mode": "senders", "senders": list(many_senders(SENDERS))},
    },
}


@pytest.mark.parametrize("case", list(CASES))
def test_detect_and_plan(bench_lab: Lab, machine: PostfixMachine, report: Report, case: str) -> None:
    answers = dict(bench_lab.answers(machine))
    del answers["domains"]
    machine.write("/root/answers.yaml", yaml.safe_dump({**answers, **CASES[case]()}), 0o600)

    def ours() -> None:
        done = machine.conbool("plan", "--answers", "/root/answers.yaml")
        assert done.returncode == 2, done.stderr

    def floor() -> None:
        machine.shell("python3 -X utf8 /root/floor.py /root/answers.yaml; postconf -n > /dev/null")

    ours()
    found = alternate(rounds(7), lambda: timed(floor), lambda: timed(ours))
    group = f"detect and plan: {case}"
    judged = report.pairs(group, "the whole command, against Python and postconf -n alone", found["seconds"], "s")
    seconds = statistics.median(found["seconds"].ours)
    if case != next(iter(CASES)):
        report.add(
            Figure(
                group,
                "the whole command",
                "",
                number(seconds, "s"),
                limit=f"< {LIMIT_SECONDS:g} s, ratio <= {LIMIT_RATIO:g}" if strict() else f"ratio <= {LIMIT_RATIO:g}",
                held=judged.ratio <= LIMIT_RATIO and (seconds < LIMIT_SECONDS or not strict()),
            )
        )
    laps = [parts(machine) for _ in range(3)]
    for name in laps[0]:
        report.add(Figure(group, "  of that: " + name, "", number(statistics.median(lap[name] for lap in laps), "s")))
    if case != next(iter(CASES)):
        assert judged.ratio <= LIMIT_RATIO
        assert not strict() or seconds < LIMIT_SECONDS, f"{seconds:.2f} s; CONBOOL_BENCH_STRICT=0 leaves only the ratio"


def parts(machine: PostfixMachine) -> dict[str, float]:
    """Seconds of each part of one run."""
    argv = ["python3", "-X", "utf8", "/root/parts.py", "/root/answers.yaml"]
    done = machine.run(argv, env=ENVIRONMENT, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
