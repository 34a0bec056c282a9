"""How long detecting and planning take on a large site: 10,000 hosted domains, and 100,000 listed senders.

What is timed is the whole command, ``conbool-tui plan --answers FILE``, in the machine, from start to exit; beside it, in turn, the same command on
the same machine with three domains. The seconds of the parts come from a run with a clock between them.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.postfix import PostfixMachine, PostfixSite

from .figures import Figure, Report, Sample, alternate, number
from .names import many_domains, many_senders
from .processes import all_cpu, rounds, strict

DOMAINS, SENDERS = 10_000, 100_000
LIMIT_SECONDS = 1.0
LIMIT_RATIO = 4.0
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


@pytest.fixture(scope="module")
def machine(bench_lab: Lab) -> PostfixMachine:
    """A server with 10,000 virtual mailbox domains in a table."""
    hosted = "".join(domain + " x\n" for domain in many_domains(DOMAINS))
    return bench_lab.postfix(
        site=PostfixSite(
            mailboxes=(),
            files={"/etc/postfix/hosted": hosted, "/root/parts.py": PARTS},
            postmap=("/etc/postfix/hosted",),
            main={"virtual_mailbox_domains": "hash:/etc/postfix/hosted"},
        )
    )


CASES: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    f"{DOMAINS:,} domains detected": dict,
    f"{DOMAINS:,} domains listed": lambda: {"domains": list(many_domains(DOMAINS))},
    f"{SENDERS:,} senders listed": lambda: {
        "domains": ["example.com"],
        "scope": {"mode": "senders", "senders": list(many_senders(SENDERS))},
    },
}


def write_answers(lab: Lab, machine: PostfixMachine, name: str, changes: Mapping[str, Any]) -> str:
    """Write an answers file and return its path."""
    answers = dict(lab.answers(machine))
    del answers["domains"]
    path = f"/root/{name}.yaml"
    machine.write(path, yaml.safe_dump({**answers, **changes}), 0o600)
    return path


@pytest.mark.parametrize("case", list(CASES))
def test_detect_and_plan(bench_lab: Lab, machine: PostfixMachine, report: Report, case: str) -> None:
    small = write_answers(
        bench_lab, machine, "small", {"domains": ["example.com", "example.org", "example.net"]}
    )
    large = write_answers(bench_lab, machine, "large", CASES[case]())

    def plan(path: str) -> Sample:
        cpu, start = all_cpu(), time.perf_counter()
        done = machine.conbool("plan", "--answers", path)
        seconds = time.perf_counter() - start
        assert done.returncode == 2, done.stderr
        return {"seconds": seconds, "cpu": all_cpu() - cpu}

    plan(small)
    plan(large)
    found = alternate(rounds(7), lambda: plan(small), lambda: plan(large))
    group = f"detect and plan: {case}"
    judged = report.pairs(
        group, "whole command, against 3 domains", found["seconds"], "s", at_most=LIMIT_RATIO
    )
    # Other work on the computer can only add to the time.
    seconds = min(found["seconds"].ours)
    fast = seconds < LIMIT_SECONDS
    limit = f"< {LIMIT_SECONDS:g} s" if strict() else ""
    report.add(Figure(group, "whole command, fastest run", "", number(seconds, "s"), limit=limit, held=fast))
    laps = [parts(machine, large) for _ in range(3)]
    for name in laps[0]:
        median = statistics.median(lap[name] for lap in laps)
        report.add(Figure(group, "  of that: " + name, "", number(median, "s")))
    assert judged.held, f"{judged.ratio:.2f}, limit {judged.limit}; single pairs {judged.spread}"
    assert fast or not strict(), f"{seconds:.2f} s; CONBOOL_BENCH_STRICT=0 leaves only the ratio"


def parts(machine: PostfixMachine, path: str) -> dict[str, float]:
    """Seconds of each part of one run."""
    argv = ["python3", "-X", "utf8", "/root/parts.py", path]
    done = machine.run(argv, env=ENVIRONMENT, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
