"""What our configuration costs Exim: 10,000 hosted domains against one, and the delay of a first delivery against Exim without us.

CPU time is that of the whole machine: Exim's processes live for one connection or one delivery each.
"""

from __future__ import annotations

import time

import pytest

from tests.lab import messages
from tests.lab.exim import EximMachine, EximSite
from tests.lab.lab import Lab
from tests.lab.product import apply_answers

from .figures import Report, Sample, alternate
from .processes import below, init_of, own_cpu, rounds

MESSAGES = 40
DOMAINS = 10_000
OUT = "y@outside-a.example"


def cpu(machine: EximMachine) -> float:
    """Seconds of CPU time of a machine so far, ended processes included."""
    return sum(own_cpu(process.pid) + process.dead_children for process in below(init_of(machine)))


def send(lab: Lab, machine: EximMachine, sender: str, place: str) -> Sample:
    """Send messages one after the other, each with a marker that is none; milliseconds from its acceptance to its arrival, and of CPU."""
    before, waited = cpu(machine), 0.0
    for _ in range(MESSAGES):
        message = messages.build(["X-Conbool-elsewhere-example: true"])
        assert lab.send(machine, message, OUT, sender=sender).accepted
        start = time.monotonic()
        lab.sinks[place].wait(token=message.token)
        waited += time.monotonic() - start
    while machine.busy():
        time.sleep(0.01)
    return {"delay": waited * 1000 / MESSAGES, "cpu": (cpu(machine) - before) * 1000 / MESSAGES}


@pytest.mark.parametrize("subject", ["domains", "stock"])
def test_exim(bench_lab: Lab, report: Report, subject: str) -> None:
    """The median of pairs measured in turn."""
    others = [f"d{number}.example" for number in range(DOMAINS - 1)]
    # Both host them all; what is compared is how many of them Conbool knows.
    site = EximSite(
        macros="MAIN_LOCAL_DOMAINS = @ : localhost : example.com : lsearch;/etc/exim4/hosted\n",
        files={"/etc/exim4/hosted": "".join(f"{name}:\n" for name in others)},
    )
    base, ours = bench_lab.exim(site=site), bench_lab.exim(site=site)
    sender, place = "x@elsewhere.example", "outside_a"
    if subject == "domains":
        sender, place = "alice@example.com", "conbool"
        apply_answers(bench_lab, base, domains=["example.com"])
        # The sender's domain is the last one that is looked at.
        apply_answers(bench_lab, ours, domains=[*others, "example.com"])
        group = f"Exim with {DOMAINS} hosted domains, against one"
    else:
        apply_answers(bench_lab, ours)
        group = "Exim, mail out of scope, against Exim without us"
    for machine in (base, ours):
        send(bench_lab, machine, sender, place)
    found = alternate(
        rounds(7),
        lambda: send(bench_lab, base, sender, place),
        lambda: send(bench_lab, ours, sender, place),
    )
    figures = [
        report.pairs(group, "CPU time of the machine a message", found["cpu"], "ms", at_most=1.2),
        report.pairs(group, "delay until the first delivery", found["delay"], "ms", at_most=1.2),
    ]
    for figure in figures:
        assert figure.held, f"{figure.text}: {figure.ratio:.3f}, limit {figure.limit}; pairs {figure.spread}"
