"""Run the product's own commands on a machine of the lab."""

from __future__ import annotations

import itertools
from subprocess import CompletedProcess as Completed
from typing import Any

import yaml

from .lab import Lab
from .machine import Machine

_numbers = itertools.count(1)


def write_answers(lab: Lab, machine: Machine, **changes: Any) -> str:
    """Write an answers file that fits the machine and return its path there."""
    path = f"/root/answers-{next(_numbers)}.yaml"
    machine.write(path, yaml.safe_dump(dict(lab.answers(machine, **changes))), 0o600)
    return path


def apply_answers(lab: Lab, machine: Machine, *, expect: int = 0, **changes: Any) -> Completed[str]:
    """Apply answers with ``conbool-tui apply --yes`` and insist on its exit code."""
    done = machine.conbool("apply", "--answers", write_answers(lab, machine, **changes), "--yes")
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def plan_answers(lab: Lab, machine: Machine, *flags: str, **changes: Any) -> Completed[str]:
    """Run ``conbool-tui plan`` with answers."""
    return machine.conbool("plan", "--answers", write_answers(lab, machine, **changes), *flags)
