"""The .deb on real servers: installed, used, upgraded, removed, purged; the same file on every release."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

import conbool_tui
from tests.lab import messages
from tests.lab.lab import Lab
from tests.lab.product import apply_answers, plan_answers
from tests.lab.releases import ONE, packaged_suites
from tests.lab.test_wizard import Terminal, through_the_wizard

from .built import NEXT
from .server import CONFIG, HOME, LOGS, STATE, PackagedMachine, server

pytestmark = pytest.mark.lab

RULE = "/etc/logrotate.d/conbool-tui"
OUT = "friend@outside-a.example"


def goes_to(lab: Lab, machine: PackagedMachine, *places: str) -> None:
    """Send mail of a hosted sender to the outside and insist on where it arrives."""
    message = messages.plain()
    lab.send(machine, message, OUT)
    lab.expect(message, *places)


@pytest.mark.parametrize(
    "suite",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"deb-life-{name}")) for name in packaged_suites()],
)
def test_life_of_the_package(lab: Lab, suite: str, deb: Path, newer_deb: Path) -> None:
    machine = server(lab, suite)

    installed = machine.install(deb)
    assert "error" not in (installed.stdout + installed.stderr).lower().replace("liberror", "")
    assert machine.conbool("--version").stdout == f"conbool-tui {conbool_tui.__version__}\n"
    assert machine.compiled()
    assert machine.shell("dpkg --verify conbool-tui") == ""
    assert machine.shell(f"stat -c %a:%U:%G {STATE} {LOGS}").split() == ["700:root:root", "750:root:root"]
    assert machine.exists("/usr/share/man/man8/conbool-tui.8.gz")

    detected = machine.conbool("detect", "--json")
    assert detected.returncode == 0, detected.stderr
    assert "postfix" in detected.stdout
    assert plan_answers(lab, machine).returncode == 2
    goes_to(lab, machine, "outside_a")
    terminal = Terminal(machine, ["conbool-tui"])
    try:
        through_the_wizard(machine, terminal)
    finally:
        terminal.close()
    goes_to(lab, machine, "conbool")
    undone = machine.conbool("undo", "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    goes_to(lab, machine, "outside_a")
    apply_answers(lab, machine)

    machine.append(CONFIG, "# The admin's own line.\n")
    upgraded = machine.install(newer_deb)
    assert machine.conbool("--version").stdout == f"conbool-tui {NEXT}\n"
    assert "admin's own" in machine.read_text(CONFIG)
    assert "next version's" in machine.read_text(CONFIG + ".dpkg-dist"), upgraded.stdout
    assert machine.compiled()
    assert not machine.exists(f"{HOME}/vendor/mdit_py_plugins/wordcount")
    assert "directory not empty" not in upgraded.stdout + upgraded.stderr

    before = machine.snapshot("/etc/postfix")
    removed = machine.apt("remove", "conbool-tui")
    assert "mail still goes through Conbool" in removed.stdout
    assert '"conbool-tui undo"' in removed.stdout
    assert "directory not empty" not in removed.stdout + removed.stderr
    assert not machine.exists(HOME)
    assert not machine.exists("/usr/bin/conbool-tui")
    assert machine.snapshot("/etc/postfix") == before
    goes_to(lab, machine, "conbool")

    machine.install(newer_deb)
    assert machine.conbool("undo", "--yes").returncode == 0
    goes_to(lab, machine, "outside_a")
    purged = machine.apt("purge", "conbool-tui")
    assert "mail still goes" not in purged.stdout
    assert f"in {STATE}" in purged.stdout
    assert machine.path(f"{STATE}/changes").is_dir()
    for gone in (LOGS, "/etc/conbool-tui", "/etc/logrotate.d/conbool-tui", HOME):
        assert not machine.exists(gone), gone


def rotate(machine: PackagedMachine, state: Path) -> None:
    """What this host's logrotate does with the machine's rule, at once."""
    rule = state.with_suffix(".conf")
    rule.write_text(machine.read_text(RULE).replace(LOGS, str(machine.path(LOGS))))
    argv = ["logrotate", "--force", "--state", str(state), str(rule)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


def logs_are_rotated(lab: Lab, machine: PackagedMachine, folder: Path) -> None:
    """The log goes on in a new file that only root may read, and old ones are compressed."""
    apply_answers(lab, machine)
    rotate(machine, folder / "state")
    assert not machine.exists(f"{LOGS}/conbool-tui.log")
    assert machine.conbool("undo", "--yes").returncode == 0
    rotate(machine, folder / "state")
    apply_answers(lab, machine)
    found = machine.shell(f"cd {LOGS} && stat -c '%n %a %U' conbool-tui.log*").splitlines()
    assert found == [f"conbool-tui.log{end} 600 root" for end in ("", ".1", ".2.gz")]
    assert machine.conbool("undo", "--yes").returncode == 0


one_server = pytest.mark.parametrize(
    "suite", [pytest.param(ONE, marks=pytest.mark.xdist_group(f"deb-countdown-{ONE}"))]
)


@one_server
def test_a_countdown_goes_on_when_the_package_is_removed(
    lab: Lab, suite: str, deb: Path, tmp_path: Path
) -> None:
    machine = server(lab, suite)
    machine.install(deb)
    logs_are_rotated(lab, machine, tmp_path)
    inbound = {"relay_host": machine.place.hostname, "restrict_port_25": True, "firewall": "none"}

    def configuration() -> tuple[bytes, bytes]:
        return machine.read("/etc/postfix/main.cf"), machine.read("/etc/postfix/master.cf")

    before = configuration()
    apply_answers(lab, machine, inbound={**inbound, "confirm_within": 600})
    kept = machine.conbool("confirm")
    assert kept.returncode == 0, kept.stderr
    assert configuration() != before
    assert machine.conbool("undo", "--yes").returncode == 0
    assert configuration() == before
    apply_answers(lab, machine, inbound={**inbound, "confirm_within": 10})
    removed = machine.apt("remove", "conbool-tui")
    assert "mail still goes through Conbool" in removed.stdout
    assert not machine.exists(HOME)
    deadline = time.monotonic() + 120
    while "conbool_tui.guard" in machine.shell("ps axww -o args"):
        assert time.monotonic() < deadline, machine.shell(f"cat {LOGS}/*")
        time.sleep(0.2)
    assert configuration() == before
    goes_to(lab, machine, "outside_a")


@one_server
def test_purge_of_a_program_that_was_never_used_leaves_nothing(lab: Lab, suite: str, deb: Path) -> None:
    machine = server(lab, suite)
    machine.install(deb)
    purged = machine.apt("purge", "conbool-tui")
    assert STATE not in purged.stdout
    left = machine.shell("find / -xdev -name '*conbool*' ! -path '/root/*'").split()
    assert [path for path in left if "conbool-lab" not in path] == []
