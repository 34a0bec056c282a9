"""What the processes of a laboratory machine cost: CPU time and memory, read from /proc of this host.

Times are nanosecond sums (``/proc/PID/schedstat``) of the living, plus what their parents collected from the dead (``cutime`` and
``cstime``, proc(5)).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests.lab.machine import Machine

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One process as this host numbers it."""

    pid: int
    parent: int
    name: str
    dead_children: float


def parse_stat(text: str) -> Process:
    """One line of ``/proc/PID/stat``; the name may hold blanks and parentheses."""
    head, _, tail = text.rpartition(")")
    pid, _, name = head.partition(" (")
    words = tail.split()
    return Process(int(pid), int(words[1]), name, (int(words[13]) + int(words[14])) / _TICK)


def _all() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                yield parse_stat(Path("/proc", entry, "stat").read_text())
            except OSError:
                continue


def below(top: int) -> list[Process]:
    """A process and everything below it, parents first."""
    children: dict[int, list[Process]] = {}
    found: list[Process] = []
    for process in _all():
        children.setdefault(process.parent, []).append(process)
        if process.pid == top:
            found.append(process)
    for process in found:
        found.extend(children.get(process.pid, []))
    return found


def own_cpu(pid: int) -> float:
    """Seconds of CPU time of one living process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def memory(pid: int) -> float:
    """Private memory of a process in MiB: what one more of its kind would cost."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kilobytes = [int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")]
    return sum(kilobytes) / 1024


def peak_memory(top: int) -> float:
    """The largest resident memory so far of a process or one of its descendants, in bytes (proc(5), VmHWM)."""
    peaks = [0]
    for process in below(top):
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            continue
        peaks += [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return float(max(peaks))


def cpu_below(top: int) -> float:
    """Seconds of CPU time of the living threads of a process and its descendants."""
    total = 0
    for process in below(top):
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            try:
                total += int(thread.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def init_of(machine: Machine) -> int:
    """The number of a machine's process 1 on this host: what its commands enter."""
    command = machine.command(["true"])
    return int(command[command.index("--target") + 1])


def postfix_master(machine: Machine) -> int:
    """The number of Postfix's master process on this host.

    Raises:
        LookupError: none runs.
    """
    for process in below(init_of(machine)):
        if process.name == "master":
            return process.pid
    raise LookupError(f"{machine.place.hostname}: no Postfix master process")


def postfix_cpu(machine: Machine) -> float:
    """Seconds of CPU time of Postfix so far, all its daemons together, the dead ones included."""
    return sum(own_cpu(process.pid) + process.dead_children for process in below(postfix_master(machine)))


def all_cpu() -> float:
    """Seconds of CPU time this computer has spent so far, idle and waiting left out (proc(5), /proc/stat)."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, hardware, software = (int(word) for word in words[1:8])
    return (user + nice + system + hardware + software) / _TICK


def daemons(machine: Machine, name: str) -> list[int]:
    """The living Postfix daemons of one kind."""
    return [process.pid for process in below(postfix_master(machine)) if process.name == name]


def child_cpu(pid: int) -> tuple[float, int]:
    """Wait for a child of this process; seconds of CPU time it and its children took, and its status."""
    _, status, usage = os.wait4(pid, 0)
    return usage.ru_utime + usage.ru_stime, os.waitstatus_to_exitcode(status)


def strict() -> bool:
    """Whether limits in seconds count; ``CONBOOL_BENCH_STRICT=0`` leaves only ratios, for slow computers."""
    return os.environ.get("CONBOOL_BENCH_STRICT", "1") != "0"


def rounds(default: int) -> int:
    """How many pairs to measure: ``CONBOOL_BENCH_ROUNDS`` when set."""
    named: Optional[str] = os.environ.get("CONBOOL_BENCH_ROUNDS")
    return max(1, int(named)) if named else default
