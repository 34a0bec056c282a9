"""The installed program run as root where others have left traps: none of their code may run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.product import write_answers
from tests.lab.releases import ONE
from tests.lab.test_wizard import Terminal

from .server import HOME, STATE, PackagedMachine, server

pytestmark = [
    pytest.mark.lab,
    pytest.mark.parametrize(
        "suite", [pytest.param(ONE, marks=pytest.mark.xdist_group("packages-hostile"))], indirect=True
    ),
]

TRAPS = "/srv/traps"
SPRUNG = "/srv/sprung"
# Says in a file that it ran, and whose code it stood in for.
TRAP = f"open({SPRUNG!r}, 'a').write(__name__ + chr(10))\n"
LIBRARIES = ("textual", "rich", "yaml", "psutil", "dns", "sh", "conbool_tui", "screens", "detectors")
NAMES = (
    *LIBRARIES,
    "argparse",
    "json",
    "runpy",
    "ssl",
    "os",
    "sitecustomize",
    "usercustomize",
    "evil_driver",
    "start",
)
ENVIRONMENT = {
    "PYTHONPATH": TRAPS,
    "PYTHONSTARTUP": f"{TRAPS}/textual.py",
    "PYTHONHOME": TRAPS,
    "PYTHONUSERBASE": f"{TRAPS}/user",
    "PYTHONINSPECT": "1",
    "PYTHONBREAKPOINT": "textual.trap",
    "PYTHONWARNINGS": "error",
    "PYTHONPYCACHEPREFIX": f"{TRAPS}/cache",
    "PYTHONPLATLIBDIR": TRAPS,
    "TEXTUAL_DRIVER": "evil_driver:Driver",
    "TEXTUAL_PRESS": "ctrl+q",
}


@pytest.fixture(scope="module")
def machine(module_lab: Lab, suite: str, deb: Path) -> PackagedMachine:
    """A server with the package and a folder full of traps that everybody may write."""
    one = server(module_lab, suite, extra=("sudo",))
    one.install(deb)
    for name in NAMES:
        one.write(f"{TRAPS}/{name}.py", TRAP, 0o666)
    one.shell(f"chmod 1777 {TRAPS}; ln -s {TRAPS} {TRAPS}/lib; mkdir -p /root/.local/lib")
    version = one.shell("python3 -c 'import sys; print(\"python%d.%d\" % sys.version_info[:2])'").strip()
    for place in (f"/root/.local/lib/{version}/site-packages", f"/usr/local/lib/{version}/dist-packages"):
        for name in NAMES:
            one.write(f"{place}/{name}.py", TRAP)
    return one


LIBRARY_TRAP = """
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void spring(void)
{
    char name[64];
    snprintf(name, sizeof name, "/srv/loaded/%d", (int) getuid());
    FILE *mark = fopen(name, "w");
    if (mark) fclose(mark);
}
"""


def trapped(machine: PackagedMachine, *arguments: str) -> str:
    """Run the program in the middle of the traps; what it printed."""
    done = machine.run(["conbool-tui", *arguments], env=ENVIRONMENT, cwd=TRAPS, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def forget(machine: PackagedMachine) -> None:
    """Set the traps anew."""
    machine.shell(f"rm -rf {SPRUNG} {TRAPS}/__pycache__ {TRAPS}/cache")


def test_the_traps_work(machine: PackagedMachine) -> None:
    """Without the launcher's precautions each way in is open."""
    for argv, environment in (
        (["python3", "-c", "import textual"], {"PYTHONPATH": TRAPS}),
        (["python3", "-c", "import textual"], {}),
        (["python3", "-P", "-c", ""] if ONE != "bullseye" else ["python3", "-c", ""], {"PYTHONPATH": TRAPS}),
    ):
        machine.run(argv, env=environment, cwd=TRAPS)
        assert machine.exists(SPRUNG), argv
        forget(machine)


def test_commands_run_no_foreign_code(module_lab: Lab, machine: PackagedMachine) -> None:
    forget(machine)
    assert trapped(machine, "--version").startswith("conbool-tui ")
    assert "postfix" in trapped(machine, "detect", "--json")
    # The change is made by a process of its own, which must be as careful as the one that starts it.
    answers = write_answers(module_lab, machine)
    trapped(machine, "apply", "--answers", answers, "--yes")
    trapped(machine, "undo", "--yes")
    assert not machine.exists(SPRUNG), machine.read_text(SPRUNG)
    assert machine.shell(f"find {TRAPS} -name '*.pyc'") == ""


def test_maintenance_runs_no_foreign_code(machine: PackagedMachine) -> None:
    forget(machine)
    for action in ("leaving", "byte-code"):
        done = machine.run([f"{HOME}/maintain", action], env=ENVIRONMENT, cwd=TRAPS)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    assert not machine.exists(SPRUNG), machine.read_text(SPRUNG)
    assert machine.compiled()


def test_wizard_opens_and_runs_no_foreign_code(machine: PackagedMachine) -> None:
    forget(machine)
    exports = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    terminal = Terminal(machine, ["env", "-C", TRAPS, *exports, "conbool-tui"])
    try:
        terminal.wait("Postfix 3.")
        terminal.keys("F10")
        terminal.wait("EXIT 0")
    finally:
        terminal.close()
    assert not machine.exists(SPRUNG), machine.read_text(SPRUNG)


def test_libraries_are_kept_out_where_sudo_keeps_them_out(machine: PackagedMachine, tmp_path: Path) -> None:
    """LD_PRELOAD and LD_LIBRARY_PATH: whoever becomes root by sudo brings none."""
    source, library = tmp_path / "trap.c", tmp_path / "trap.so"
    source.write_text(LIBRARY_TRAP)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    machine.write(f"{TRAPS}/libtrap.so", library.read_bytes(), 0o755)
    machine.shell("mkdir -m 1777 /srv/loaded")
    machine.write("/etc/sudoers.d/alice", "alice ALL=(root) NOPASSWD: /usr/bin/conbool-tui\n", 0o440)
    # Without a slash in its name it is found by LD_LIBRARY_PATH alone.
    environment = {**ENVIRONMENT, "LD_LIBRARY_PATH": TRAPS, "LD_PRELOAD": "libtrap.so"}
    assignments = [f"{name}={value}" for name, value in environment.items()]
    forget(machine)
    done = machine.run(
        ["env", *assignments, "sudo", "-n", "conbool-tui", "detect", "--json"], user="alice", cwd=TRAPS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "postfix" in done.stdout
    assert not machine.exists("/srv/loaded/0")
    assert not machine.exists(SPRUNG), machine.read_text(SPRUNG)
    # The trap works: root's own environment is root's own affair.
    machine.run(["env", *assignments, "/bin/true"])
    assert machine.exists("/srv/loaded/0")


def test_unprivileged_users_leave_nothing_behind(machine: PackagedMachine) -> None:
    """Who is not root gets answers, and cannot make files that root's runs would read."""
    done = machine.run(["conbool-tui", "detect"], user="alice", cwd="/tmp")
    assert done.returncode == 0, done.stderr
    assert machine.shell(f"find {HOME} {STATE} -user alice -o -perm /022 ! -type l") == ""
