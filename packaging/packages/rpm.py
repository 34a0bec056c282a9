"""The .rpm: rpmbuild over the staged tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path

import documents
import project
import tree
from vendored import BuildError, Library

SPEC = tree.FILES / "rpm" / "conbool-tui.spec.in"


def build(
    staged: Path, machine: str, libraries: Sequence[Library], work: Path, output: Path, now: int, effort: int
) -> Path:
    """Make the package from the staged tree and return its path. Raises BuildError."""
    if shutil.which("rpmbuild") is None:
        raise BuildError("rpmbuild is missing: install the package rpm, or build the .deb alone (make deb).")
    top = work / f"rpm-{machine}"
    top.mkdir()
    spec = top / "conbool-tui.spec"
    spec.write_text(_spec(libraries, now), "utf-8")
    argv = ["rpmbuild", "-bb", "--quiet", "--target", f"{machine}-unknown-linux", "--nodeps"]
    for name, value in {
        "_topdir": str(top),
        "_rpmdir": str(top / "out"),
        "staged": str(staged),
        "_buildhost": "localhost",
        "_binary_payload": f"w{effort}.xzdio",
        "_tmppath": str(top),
        "dbpath": str(top / "db"),
        "_dbpath": str(top / "db"),
    }.items():
        argv += ["--define", f"{name} {value}"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(now), "LC_ALL": "C", "TZ": "UTC", "HOME": str(top)}
    done = subprocess.run(
        [*argv, str(spec)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    made = list((top / "out").rglob("*.rpm"))
    if done.returncode or len(made) != 1:
        raise BuildError(f"rpmbuild failed ({done.returncode}):\n{(done.stdout + done.stderr)[-4000:]}")
    package = output / made[0].name
    shutil.copyfile(made[0], package)
    return package


def _spec(libraries: Sequence[Library], now: int) -> str:
    bundled = "".join(
        f"Provides: bundled(python3-{one.purl[9:].partition('@')[0]}) = {one.version}\n" for one in libraries
    )
    licences = " AND ".join(sorted({"MIT", *(one.spdx for one in libraries)}))
    return (
        SPEC.read_text("utf-8")
        .replace("@VERSION@", project.version())
        .replace("@LICENCES@", licences)
        .replace("@SUMMARY@", project.SUMMARY[0].upper() + project.SUMMARY[1:])
        .replace("@HOMEPAGE@", project.HOMEPAGE)
        .replace("@MAINTAINER@", project.MAINTAINER)
        .replace("@BUNDLED@", bundled)
        .replace("@DESCRIPTION@", "\n\n".join(textwrap.fill(text, 78) for text in project.DESCRIPTION))
        .replace("@CHANGELOG@", documents.rpm_changelog(now))
    )
