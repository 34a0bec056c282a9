"""A server goes to the next Debian release while the package is installed and its change is in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab import messages
from tests.lab.lab import Lab
from tests.lab.machine import Mounts
from tests.lab.product import apply_answers
from tests.lab.roots import postfix_spec
from tests.lab.upgrades import ensure_upgrade

from .server import APT, server

OLD, NEW = "bullseye", "bookworm"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.parametrize("suite", [pytest.param(OLD, marks=pytest.mark.xdist_group("release-upgrade"))]),
]
MATERIAL = "/srv/upgrade"
OUT = "friend@outside-a.example"


def test_upgrade_to_the_next_release(lab: Lab, suite: str, deb: Path) -> None:
    material = ensure_upgrade(postfix_spec(suite), NEW)
    machine = server(lab, suite, Mounts([(str(material), MATERIAL, False)]))
    machine.install(deb)
    apply_answers(lab, machine)
    python = machine.shell("python3 -c 'import sys; print(sys.version_info[:2])'")

    machine.shell(f"cp {MATERIAL}/sources.list /etc/apt/sources.list; cp -r {MATERIAL}/lists /var/lib/apt/")
    # What was downloaded is used where it lies, without a lock on it.
    offline = ["-o", f"Dir::Cache::archives={MATERIAL}/archives", "-o", "Debug::NoLocking=true"]
    upgraded = machine.run([*APT, *offline, "--no-download", "full-upgrade"], timeout=600)
    assert upgraded.returncode == 0, (upgraded.stdout + upgraded.stderr)[-4000:]
    assert "12" in machine.read_text("/etc/debian_version")
    assert machine.shell("python3 -c 'import sys; print(sys.version_info[:2])'") != python

    machine.postfix_stop()
    machine.postfix_start()
    detected = machine.conbool("detect", "--json")
    assert detected.returncode == 0, detected.stderr
    assert json.loads(detected.stdout)
    assert "postfix" in detected.stdout
    message = messages.plain()
    lab.send(machine, message, OUT)
    lab.expect(message, "conbool")
    checked = machine.conbool("check", "--json")
    assert checked.returncode in (0, 3), checked.stdout + checked.stderr
    drift = [one for one in json.loads(checked.stdout)["findings"] if "drift" in one["id"]]
    assert {one["status"] for one in drift} == {"OK"}, drift
    undone = machine.conbool("undo", "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    message = messages.plain()
    lab.send(machine, message, OUT)
    lab.expect(message, "outside_a")
    assert "mail still goes" not in machine.apt("purge", "conbool-tui").stdout
