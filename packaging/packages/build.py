"""Builds the packages: ``build.py [--only deb|rpm] [--machine x86_64|aarch64] [--output FOLDER]``. Needs neither root nor a network
beyond the package index; the same commit gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import deb
import project
import rpm
import tree
from vendored import BuildError

# The manual page and the completion come from the program's own parser.
sys.path.insert(1, str(project.ROOT))

FORMATS = {"deb": deb.build, "rpm": rpm.build}
MACHINES = ("x86_64", "aarch64")


def main() -> int:
    """Build what is asked for and say where it is."""
    parser = argparse.ArgumentParser(description="Build the .deb and .rpm packages.")
    parser.add_argument("--only", choices=sorted(FORMATS), help="one format (default: both)")
    parser.add_argument(
        "--machine", choices=MACHINES, action="append", help="a processor type (default: all)"
    )
    parser.add_argument(
        "--output", type=Path, default=project.ROOT / "dist", help="where the packages go (default: dist)"
    )
    parser.add_argument("--quick", action="store_true", help="compress little: for tests, not for publishing")
    options = parser.parse_args()
    effort = 1 if options.quick else 9
    os.umask(0o022)
    try:
        now = project.source_date()
        options.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="conbool-tui-packages-") as folder:
            for machine in options.machine or MACHINES:
                work = Path(folder)
                staged = work / f"tree-{machine}"
                libraries = tree.stage(staged, machine, work, now)
                for name, build in FORMATS.items():
                    if options.only in (None, name):
                        _tell(build(staged, machine, libraries, work, options.output.resolve(), now, effort))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 69
    return 0


def _tell(package: Path) -> None:
    data = package.read_bytes()
    print(f"{hashlib.sha256(data).hexdigest()}  {package.name}  {len(data) / 1e6:.2f} MB")


if __name__ == "__main__":
    sys.exit(main())
