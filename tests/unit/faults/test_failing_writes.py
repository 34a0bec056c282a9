"""Every system call that writes fails in turn: afterwards the files are the old or the new ones, never a mixture, and it was said."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import faults

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of other owners are written"),
    pytest.mark.skipif(bool(faults.why_not()) and not os.environ.get("CI"), reason=faults.why_not() or "-"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.build(tmp_path_factory.mktemp("faults"))


CASES = [
    *((what, code, "once") for what in ("apply", "undo") for code in faults.ERRORS),
    *((what, code, "lasting") for what in ("apply", "undo") for code in (errno.ENOSPC, errno.EROFS)),
]


@pytest.mark.parametrize(
    ("what", "code", "how"), CASES, ids=[f"{what}-{errno.errorcode[code]}-{how}" for what, code, how in CASES]
)
def test_every_call_failing(library: Path, tmp_path: Path, what: str, code: int, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.faults.every_call", what, str(tmp_path), str(code), how],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    runs: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) > 60
    assert runs[-1]["end"] == "done"
    assert runs[-1]["state"] == "new"
    for run in runs[:-1]:
        told = (run["number"], run["call"], run["end"], run.get("told"), run["at_once"], run["state"])
        assert not run["trouble"], (told, run["trouble"])
        assert run["state"] in ("old", "new"), told
        assert run["loaded"], told
        assert not run["leftovers"], (told, run["leftovers"])
        if run["end"] == "done":
            assert run["state"] == "new", told
        if run["end"] in ("RolledBackError", "CheckFailedError", "HostError"):
            assert run["at_once"] == "old", told
            assert run["state"] == "old", told
    assert {run["end"] for run in runs} >= {"done", "RolledBackError"}
