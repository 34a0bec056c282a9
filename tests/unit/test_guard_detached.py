"""Processes that live on by themselves, and that the guard has all it needs from its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conbool_tui import detached
from conbool_tui.errors import HostError
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import json, os, signal, sys
said = {
    "pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(), "argv": sys.argv[1:],
    "files": [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)],
    "open": sorted(int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2),
}
with open(sys.argv[1] + ".new", "w") as stream:
    json.dump(said, stream)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


class Plain(Host):
    """The machine without systemd."""

    def has_systemd(self) -> bool:
        return False


class Systemd(Host):
    """A machine whose systemd-run only takes notes."""

    def __init__(self, code: int) -> None:
        super().__init__("/")
        self.code = code
        self.ran: list[list[str]] = []

    def has_systemd(self) -> bool:
        return True

    def run(self, argv: Sequence[str], **_: Any) -> CommandResult:
        self.ran.append(list(argv))
        return CommandResult(tuple(argv), self.code if argv[0] == "systemd-run" else 0, b"", b"no bus")


def test_it_has_a_session_of_its_own_and_no_open_files(tmp_path: Path) -> None:
    place = tmp_path / "said"
    inherited = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        how = detached.spawn(Plain("/"), [sys.executable, "-c", PROBE, str(place), "a $b"], unit="x")
    finally:
        os.close(inherited)
    assert how == "setsid"
    end = time.monotonic() + 30
    while not place.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    said = json.loads(place.read_text())
    # Not a session's leader: opening a terminal must not make it its own.
    assert said["session"] not in (os.getsid(0), said["pid"])
    assert (said["cwd"], said["files"], said["argv"][1]) == ("/", ["/dev/null"] * 3, "a $b")
    assert len(said["open"]) == 1, "only the descriptor of the listing itself"


def test_systemd_gets_a_transient_unit() -> None:
    host = Systemd(0)
    assert detached.spawn(host, ["/bin/x", "costs $5"], unit="conbool-x") == "systemd"
    (argv,) = host.ran
    assert argv[0] == "systemd-run"
    assert {"--no-block", "--collect", "--unit=conbool-x"} <= set(argv)
    assert argv[argv.index("--") + 1 :] == ["/bin/x", "costs $$5"]


def test_without_an_answering_systemd_it_is_started_directly() -> None:
    host = Systemd(1)
    assert detached.spawn(host, ["/bin/x"], unit="conbool-x") == "setsid"
    assert host.ran[1][0] == sys.executable


def test_it_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(HostError):
        detached.spawn(Plain("/"), ["/bin/x"], unit="x")
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(HostError, match="own program file"):
        detached.python_command("conbool_tui.guard")


def test_a_module_is_run_with_this_process_s_search_path_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, evil = tmp_path / "good", tmp_path / "evil"
    for folder in (good, evil):
        folder.mkdir()
    (good / "probe_module.py").write_text("import json, sys\nprint(json.dumps([sys.argv[1:], __name__]))\n")
    (evil / "probe_module.py").write_text("raise SystemExit('evil')\n")
    (evil / "json.py").write_text("raise SystemExit('evil')\n")
    monkeypatch.syspath_prepend(str(good))
    argv = detached.python_command("probe_module", "a", "b c")
    done = subprocess.run(
        argv, cwd=evil, env={"PYTHONPATH": str(evil)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [["a", "b c"], "__main__"]


REPLACED = """
import sys, tempfile
from pathlib import Path
from tests.unit.transaction.rig import FakeRules, Rig, STATE
from tests.unit.test_guard import newest
from conbool_tui import guard

with tempfile.TemporaryDirectory() as folder:
    rig = Rig(Path(folder, "root"))
    rig.guard = rig.no_guard
    rig.apply(rig.live_plan(60))
    watcher = guard.Guard(rig.host, STATE, newest(rig).id, rig.system_for, FakeRules, sleep=lambda _: None)
    guard.load_everything()
    known = set(sys.modules)
    rig.move_time(61)
    watcher.watch()
    print(newest(rig).state.value, sorted(set(sys.modules) - known))
"""


def test_the_way_back_imports_nothing_any_more() -> None:
    """An upgrade may replace the program's files while the guard waits."""
    done = subprocess.run(
        [sys.executable, "-c", REPLACED], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "rolled back []\n", done.stderr


def test_everything_is_loaded_at_the_start() -> None:
    program = (
        "import sys\nfrom conbool_tui import guard\nguard.load_everything()\n"
        "print(*sorted(name for name in sys.modules if name.startswith('conbool_tui.firewall.')), 'sh' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    drivers = sorted(
        f"conbool_tui.firewall.{path.stem}"
        for path in (ROOT / "conbool_tui/firewall").glob("*.py")
        if path.stem != "__init__"
    )
    assert done.stdout.split() == [*drivers, "True"], done.stderr
