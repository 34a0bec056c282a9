"""The files around the code agree with each other and with the code."""

from __future__ import annotations

import importlib
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import conbool_tui

ROOT = Path(__file__).resolve().parents[2]
# psutil brings one library for every Python; PyYAML runs without its compiled part.
MAY_BE_COMPILED = {"psutil", "pyyaml"}


def project() -> dict[str, Any]:
    # By name, because the type checker judges everything as a Python older than tomllib (3.11).
    content: dict[str, Any] = importlib.import_module("tomllib").loads(
        (ROOT / "pyproject.toml").read_text("utf-8")
    )
    return content


def pins(lock: str) -> dict[str, str]:
    """Name and version of every pin; fails on a line that is neither a pin with hashes nor a comment."""
    found: dict[str, str] = {}
    text = (ROOT / "packaging" / lock).read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert match, f"{lock}: not a pin with hashes: {line}"
        found[canonicalize_name(match[1])] = match[2]
    return found


def test_packaging_is_no_import_package() -> None:
    """With an __init__.py, ``import packaging`` would get our folder instead of the library pytest needs."""
    assert not (ROOT / "packaging" / "__init__.py").exists()
    import packaging

    assert packaging.__file__ is not None
    assert ROOT / "packaging" not in Path(packaging.__file__).parents


def test_wheel_holds_the_three_packages() -> None:
    config = project()
    packages = config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["conbool_tui", "screens", "detectors"]
    for package in packages:
        assert (ROOT / package / "__init__.py").is_file(), package
    assert config["tool"]["importlinter"]["root_packages"] == packages
    assert set(packages) <= set(config["tool"]["mypy"]["files"])


def test_version_is_in_one_place_and_in_the_changelog() -> None:
    assert "version" not in project()["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", conbool_tui.__version__)
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    assert headings[0] == conbool_tui.__version__


def test_changelog_headings() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    versions = [line for line in lines if line.startswith("## ")]
    assert versions
    for line in versions:
        assert re.fullmatch(r"## \[\d+\.\d+\.\d+\] - (\d{4}-\d{2}-\d{2}|unreleased)", line), line
    kinds = {line for line in lines if line.startswith("### ")}
    assert kinds <= {
        f"### {kind}" for kind in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
    }


def test_locks_agree() -> None:
    vendor, dev = pins("vendor.lock"), pins("dev.lock")
    shared = vendor.keys() & dev.keys()
    assert {"textual", "rich"} <= shared
    assert {name: vendor[name] for name in shared} == {name: dev[name] for name in shared}


def test_lock_satisfies_the_project() -> None:
    vendor = pins("vendor.lock")
    for text in project()["project"]["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(vendor[canonicalize_name(requirement.name)]), text


def test_requirements_name_what_the_project_needs() -> None:
    lines = (ROOT / "packaging" / "requirements.in").read_text("utf-8").splitlines()
    named = {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")}
    needed = {canonicalize_name(Requirement(text).name) for text in project()["project"]["dependencies"]}
    assert named == needed


@pytest.mark.parametrize("name", sorted(pins("vendor.lock")))
def test_what_ships_is_pure_python_and_runs_on_the_oldest_python(name: str) -> None:
    installed = metadata.distribution(name)
    assert installed.version == pins("vendor.lock")[name], "run make venv"
    oldest = Requirement(f"x{installed.metadata['Requires-Python'] or ''}").specifier
    assert oldest.contains("3.9.2"), "Debian 11 has Python 3.9.2"
    if name not in MAY_BE_COMPILED:
        wheel = installed.read_text("WHEEL")
        assert wheel is not None
        assert "Root-Is-Purelib: true" in wheel
        assert not [path for path in installed.files or [] if path.suffix in {".so", ".pyd"}]


def test_console_script() -> None:
    assert project()["project"]["scripts"] == {"conbool-tui": "conbool_tui.cli:main"}
    scripts = metadata.distribution("conbool-tui").entry_points
    assert callable(next(iter(scripts.select(name="conbool-tui"))).load())


@pytest.mark.parametrize(
    "script", ["packaging/dev-deps.sh", "packaging/dev-venv.sh", "packaging/lock.sh", ".ci/run"]
)
def test_scripts_are_strict(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111, "not executable"
    assert "\nset -euo pipefail\n" in path.read_text("utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_readme_commands_exist() -> None:
    """Every ``make something`` the documents name is a target of the Makefile."""
    rules = "".join((ROOT / name).read_text("utf-8") for name in ("Makefile", "packaging/packages.mk"))
    targets = set(re.findall(r"^([a-z][a-z-]*):", rules, re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text("utf-8")
        named = set(re.findall(r"(?:`|^\s*(?:sudo )?)make ([a-z-]+)", text, re.MULTILINE))
        assert named, document
        assert named <= targets, f"{document}: {sorted(named - targets)}"
