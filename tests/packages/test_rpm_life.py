"""The .rpm in a root shaped like Enterprise Linux 8: installed by rpm itself, used, upgraded, erased.

What is real: rpm and its dependency check, the scriptlets, the launcher's search among the Pythons of /usr/bin, the program, and the
Postfix it changes. What stands in: the root is Debian's; the packages that the dependencies name are made up; ``/usr/bin/python3`` says it is
3.6 and refuses the syntax 3.6 does not know, but is run by Debian's Python; and ``/usr/bin/python3.12`` is Debian 13's 3.13 under that name
(Debian has no 3.12; what 3.12 no longer has, 3.13 has neither).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import conbool_tui
from tests.lab.lab import Lab
from tests.lab.product import apply_answers, plan_answers

from . import built, made_up
from .server import CONFIG, HOME, LOGS, STATE, PackagedMachine, server

SHAPED_FROM = "trixie"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.parametrize(
        "suite", [pytest.param(SHAPED_FROM, marks=pytest.mark.xdist_group("packages-build"))]
    ),
]

INTERPRETER = "/usr/libexec/interpreter"
PYTHON_36 = f"""#!{INTERPRETER} -IS
import ast, sys
arguments = sys.argv[1:]
while arguments and arguments[0].startswith("-"):
    option = arguments.pop(0)
    if option == "-X":
        arguments.pop(0)
    elif option not in ("-I", "-S"):
        sys.exit("python3: not a stand-in for " + option)
with open(arguments[0]) as handle:
    source = handle.read()
for node in ast.walk(ast.parse(source, feature_version=(3, 7))):
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        raise SyntaxError("3.6 does not know this future")
sys.argv = arguments
sys.version_info = (3, 6, 8, "final", 0)
exec(compile(source, arguments[0], "exec"), {{"__name__": "__main__", "__file__": arguments[0]}})
"""


def rpm_in(machine: PackagedMachine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this host's rpm on the machine's root."""
    argv = ["rpm", "--root", str(machine.merged), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def run_rpm(machine: PackagedMachine, *arguments: str) -> str:
    """The same; it must succeed, scriptlets included. What it printed."""
    done = rpm_in(machine, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: %" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def shape(machine: PackagedMachine) -> None:
    """Leave no Python but an old one."""
    machine.shell(f"mv $(readlink -f /usr/bin/python3) {INTERPRETER}; rm /usr/bin/python3*")
    machine.write("/usr/bin/python3", PYTHON_36, 0o755)


def test_life_of_the_rpm(lab: Lab, suite: str, rpm: Path, tmp_path: Path) -> None:
    machine = server(lab, suite)
    shape(machine)
    base = [str(made_up.build(package, tmp_path)) for package in made_up.EL8]
    run_rpm(machine, "--install", *base)

    refused = rpm_in(machine, "--install", str(rpm))
    assert refused.returncode != 0
    assert "python(abi) >= 3.9 is needed by conbool-tui" in refused.stderr
    forced = run_rpm(machine, "--install", "--nodeps", str(rpm))
    assert "no byte code could be made" in forced
    started = machine.conbool("--version")
    assert started.returncode == 69
    assert "the newest Python in /usr/bin is 3.6" in started.stderr
    assert "RHEL 8: python3.12" in started.stderr
    assert "Traceback" not in started.stderr + forced
    run_rpm(machine, "--erase", "conbool-tui")

    newer_python = made_up.python("3.12", links={"/usr/bin/python3.12": "../libexec/interpreter"})
    run_rpm(machine, "--install", str(made_up.build(newer_python, tmp_path)))
    run_rpm(machine, "--install", str(rpm))
    assert machine.conbool("--version").stdout == f"conbool-tui {conbool_tui.__version__}\n"
    assert machine.compiled()
    assert machine.shell(f"stat -c %a:%U:%G {STATE} {LOGS}").split() == ["700:root:root", "750:root:root"]
    assert run_rpm(machine, "--verify", "conbool-tui") == ""
    assert plan_answers(lab, machine).returncode == 2
    apply_answers(lab, machine)

    machine.append(CONFIG, "# The admin's own line.\n")
    run_rpm(machine, "--upgrade", str(built.newer_rpm(tmp_path / "newer")))
    assert machine.conbool("--version").stdout == f"conbool-tui {built.NEXT}\n"
    assert "admin's own" in machine.read_text(CONFIG)
    assert "next version's" in machine.read_text(CONFIG + ".rpmnew")
    assert machine.compiled()

    before = machine.snapshot("/etc/postfix")
    told = run_rpm(machine, "--erase", "conbool-tui")
    assert "mail still goes through Conbool" in told
    assert machine.snapshot("/etc/postfix") == before
    assert machine.path(f"{STATE}/changes").is_dir()
    assert "admin's own" in machine.read_text(CONFIG + ".rpmsave")
    for gone in (HOME, "/usr/bin/conbool-tui", "/etc/logrotate.d/conbool-tui"):
        assert not machine.exists(gone), gone
