"""What a real dnf makes of the .rpm's dependencies, on repositories that carry the names of Enterprise Linux 8 and 9."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import made_up
from .made_up import Solver

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("packages-build")]
BASE = {"glibc", "bash", "findutils"}


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The repositories by name."""
    top = tmp_path_factory.mktemp("repositories")
    made = {
        "el8-base": made_up.EL8,
        "el8-appstream": made_up.EL8_APPSTREAM,
        "el9-base": made_up.EL9,
        "el9-appstream": made_up.EL9_APPSTREAM,
    }
    return {name: made_up.repository(top / name, packages) for name, packages in made.items()}


def test_el8_gets_a_newer_python_beside_its_own(
    repositories: dict[str, Path], rpm: Path, tmp_path: Path
) -> None:
    el8 = Solver(tmp_path, (repositories["el8-base"], repositories["el8-appstream"]))
    # Which of two good ones is the solver's choice, and one is enough.
    assert el8.solve(rpm) - BASE in ({"conbool-tui", "python3.12"}, {"conbool-tui", "python3.11"})


def test_a_python_that_is_there_is_enough(repositories: dict[str, Path], rpm: Path, tmp_path: Path) -> None:
    el8 = Solver(tmp_path, (repositories["el8-base"], repositories["el8-appstream"]))
    done = el8.run("install", "--assumeyes", "platform-python", "python36", "python3.11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert el8.solve(rpm) - BASE == {"conbool-tui"}


def test_el9_needs_no_other_python(repositories: dict[str, Path], rpm: Path, tmp_path: Path) -> None:
    el9 = Solver(tmp_path, (repositories["el9-base"], repositories["el9-appstream"]))
    installed = el9.run("install", "--assumeyes", "python3")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert el9.solve(rpm) - BASE == {"conbool-tui"}


def test_without_a_new_python_the_refusal_names_it(
    repositories: dict[str, Path], rpm: Path, tmp_path: Path
) -> None:
    bare = Solver(tmp_path, (repositories["el8-base"],))
    done = bare.run("install", "--assumeno", str(rpm))
    assert done.returncode == 1
    assert "nothing provides python(abi) >= 3.9 needed by conbool-tui" in done.stdout + done.stderr
