"""The .rpm unpacked by rpm itself into a server's root: installed, used, upgraded over, erased."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import conbool_tui
from tests.lab.lab import Lab
from tests.lab.product import apply_answers, plan_answers
from tests.lab.releases import ONE

from .server import CONFIG, HOME, LOGS, STATE, PackagedMachine, server

pytestmark = [
    pytest.mark.lab,
    pytest.mark.parametrize("suite", [pytest.param(ONE, marks=pytest.mark.xdist_group("packages-build"))]),
]


def run_rpm(machine: PackagedMachine, *arguments: str) -> str:
    """Run this host's rpm on the machine's root; what it printed. The root knows no Python of rpm's: no dependencies."""
    argv = ["rpm", "--root", str(machine.merged), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: %" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_life_of_the_rpm(lab: Lab, suite: str, rpm: Path) -> None:
    machine = server(lab, suite)
    run_rpm(machine, "--install", "--nodeps", str(rpm))
    assert machine.conbool("--version").stdout == f"conbool-tui {conbool_tui.__version__}\n"
    assert machine.compiled()
    assert machine.shell(f"stat -c %a:%U:%G {STATE} {LOGS}").split() == ["700:root:root", "750:root:root"]
    assert run_rpm(machine, "--verify", "--nodeps", "conbool-tui") == ""
    assert plan_answers(lab, machine).returncode == 2
    apply_answers(lab, machine)

    machine.append(CONFIG, "# The admin's own line.\n")
    run_rpm(machine, "--upgrade", "--force", "--nodeps", str(rpm))
    assert "admin's own" in machine.read_text(CONFIG)
    assert machine.compiled()

    before = machine.snapshot("/etc/postfix")
    told = run_rpm(machine, "--erase", "conbool-tui")
    assert "mail still goes through Conbool" in told
    assert machine.snapshot("/etc/postfix") == before
    assert machine.path(f"{STATE}/changes").is_dir()
    assert "admin's own" in machine.read_text(CONFIG + ".rpmsave")
    for gone in (HOME, "/usr/bin/conbool-tui", "/etc/logrotate.d/conbool-tui"):
        assert not machine.exists(gone), gone
