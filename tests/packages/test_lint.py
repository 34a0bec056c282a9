"""The packages judged by lintian and rpmlint, and every exception with its reason."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .built import CHECKOUT

JUDGE = CHECKOUT / "packaging/lint-packages.sh"
OVERRIDES = CHECKOUT / "packaging/files/deb/lintian-overrides"
FILTERS = CHECKOUT / "packaging/files/rpm/rpmlint.toml"


def judged(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(JUDGE), str(folder)], capture_output=True, text=True, check=False)


@pytest.mark.lab
@pytest.mark.xdist_group("packages-build")
def test_nothing_to_complain_about(every_package: Path) -> None:
    assert len(list(every_package.iterdir())) == 4
    done = judged(every_package)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.lab
@pytest.mark.xdist_group("packages-build")
def test_what_is_wrong_is_found(deb: Path, rpm: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], check=True)
    (tree / "usr/share/man/man8/conbool-tui.8.gz").unlink()
    packages = tmp_path / "packages"
    packages.mkdir()
    argv = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(packages / deb.name)]
    subprocess.run(argv, check=True, capture_output=True)
    shutil.copyfile(rpm, packages / rpm.name)
    done = judged(packages)
    assert done.returncode != 0
    assert "no-manual-page" in done.stdout


@pytest.mark.parametrize("file", [OVERRIDES, FILTERS], ids=["lintian", "rpmlint"])
def test_every_exception_has_a_reason(file: Path) -> None:
    lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    exceptions = [number for number, line in enumerate(lines) if not line.startswith(("#", "Filters", "]"))]
    assert exceptions
    for number in exceptions:
        before = lines[:number]
        while before and before[-1][0] != "#" and before[-1] != "Filters = [":
            before.pop()
        assert before, lines[number]
        assert before[-1][0] == "#", lines[number]
