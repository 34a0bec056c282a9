"""The plan as a shell script, run for real in a folder of its own."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
from pathlib import Path

import pytest

from conbool_tui.plan import FileTarget, Plan
from conbool_tui.plan_script import plan_script
from tests.unit.cli import samples

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the script insists on root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = tmp_path / "con fig"
    config.mkdir()
    (config / "main.cf").write_bytes(samples.BEFORE)
    (config / "main.cf").chmod(0o640)
    os.chown(config / "main.cf", 12, 13)
    (config / "real").write_bytes(b"one\n")
    (config / "link").symlink_to("real")
    (config / "old").write_bytes(b"gone\n")
    return config


def make(folder: Path, reload: str = "true") -> Plan:
    files = (
        FileTarget(f"{folder}/conbool/new", None, b"new\xff\x00'$(id)\n"),
        FileTarget(f"{folder}/conbool/empty", None, b"", 0o600),
        FileTarget(f"{folder}/main.cf", samples.BEFORE, samples.AFTER),
        FileTarget(f"{folder}/link", b"one\n", b"two\n"),
        FileTarget(f"{folder}/old", b"gone\n", None),
    )
    return dataclasses.replace(
        samples.plan(), system="none", config_directory=str(folder), files=files, reload=(reload,)
    )


def state(folder: Path) -> dict[str, tuple[bytes, int, int, bool]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.stat()
        if path.is_file():
            found[str(path.relative_to(folder))] = (
                path.read_bytes(),
                stat.S_IMODE(info.st_mode),
                info.st_uid,
                path.is_symlink(),
            )
        else:
            found[str(path.relative_to(folder))] = (b"", 0, 0, False)
    return found


def run(plan: Plan) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh"], input=plan_script(plan), capture_output=True, text=True, check=False)


def test_it_does_what_the_plan_says(folder: Path) -> None:
    done = run(make(folder))
    assert done.returncode == 0, done.stderr
    after = state(folder)
    assert after["conbool/new"] == (b"new\xff\x00'$(id)\n", 0o644, 0, False)
    assert after["conbool/empty"] == (b"", 0o600, 0, False)
    assert after["main.cf"] == (samples.AFTER, 0o640, 12, False)
    assert after["link"] == (b"two\n", 0o644, 0, True)
    assert after["real"][0] == b"two\n"
    assert "old" not in after
    assert set(after) == {"conbool", "conbool/new", "conbool/empty", "main.cf", "link", "real"}


@pytest.mark.parametrize("broken", ["main.cf", "link", "old"])
def test_a_changed_file_stops_it(folder: Path, broken: str) -> None:
    (folder / broken).write_bytes(b"edited\n")
    before = state(folder)
    done = run(make(folder))
    assert done.returncode == 3
    assert broken in done.stderr
    assert state(folder) == before


def test_a_file_that_came_meanwhile_stops_it(folder: Path) -> None:
    (folder / "conbool").mkdir()
    (folder / "conbool/new").write_bytes(b"")
    before = state(folder)
    assert run(make(folder)).returncode == 3
    assert state(folder) == before


def test_a_failing_command_brings_everything_back(folder: Path) -> None:
    before = state(folder)
    done = run(make(folder, "false"))
    assert done.returncode == 4, done.stderr
    assert state(folder) == before


def test_a_failing_write_brings_everything_back(folder: Path) -> None:
    plan = make(folder)
    missing = FileTarget(f"{folder}/missing/deeper/new", None, b"x")
    before = state(folder)
    done = run(dataclasses.replace(plan, files=(*plan.files, missing)))
    assert done.returncode == 4
    assert state(folder) == before


def test_empty_plan() -> None:
    assert run(samples.EMPTY).returncode == 0
    assert "Nothing to do" in plan_script(samples.EMPTY)


def test_postfix_commands_name_the_instance() -> None:
    script = plan_script(dataclasses.replace(samples.plan(), config_directory="/etc/postfix out"))
    assert "postfix -c '/etc/postfix out' check\n" in script
    assert "postfix -c '/etc/postfix out' reload\n" in script


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_syntax(shell: str) -> None:
    argv = [shell, "sh", "-n"] if shell == "busybox" else [shell, "-n"]
    try:
        done = subprocess.run(
            argv, input=plan_script(samples.plan()), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip(f"{shell} is not installed")
    assert done.returncode == 0, done.stderr
