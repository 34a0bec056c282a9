"""The one tree both packages are made of, laid out as it will be installed."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import documents
import manual
import project
import vendored

FILES = project.ROOT / "packaging" / "files"
LOCK = project.ROOT / "packaging" / "vendor.lock"
HOME = "usr/lib/conbool-tui"
DOC = "usr/share/doc/conbool-tui"
CONFFILES = ("etc/conbool-tui/config.yaml", "etc/logrotate.d/conbool-tui")
PRODUCT = ("conbool_tui", "screens", "detectors")
_PROGRAMS = ("usr/bin/conbool-tui", f"{HOME}/maintain")


def stage(target: Path, machine: str, work: Path, now: int) -> list[vendored.Library]:
    """Lay the tree out below ``target`` (made here) for x86_64 or aarch64; every mode and date is set. Raises BuildError."""
    for package in PRODUCT:
        source = project.ROOT / package
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _copy(path, target / HOME / "app" / path.relative_to(project.ROOT))
    libraries = vendored.fetch(LOCK, machine, target / HOME / "vendor", work)
    for name, place in (
        ("conbool-tui.sh", "usr/bin/conbool-tui"),
        ("start.py", f"{HOME}/start.py"),
        ("maintain.sh", f"{HOME}/maintain"),
        ("config.yaml", "etc/conbool-tui/config.yaml"),
        ("logrotate", "etc/logrotate.d/conbool-tui"),
    ):
        _copy(FILES / name, target / place)
    for place, text in (
        (f"{DOC}/copyright", documents.copyright_file(libraries)),
        (f"{DOC}/sbom.cdx.json", documents.bill_of_materials(libraries, machine, now)),
        ("usr/share/bash-completion/completions/conbool-tui", manual.completion()),
    ):
        write(target / place, text.encode())
    write(target / f"usr/share/man/man8/conbool-tui.{manual.SECTION}.gz", packed(manual.page(now)))
    settle(target, now)
    return libraries


def packed(text: str) -> bytes:
    """The text compressed by gzip, without date and name."""
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def write(path: Path, data: bytes) -> None:
    """Write a file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def settle(target: Path, now: int) -> None:
    """Give everything below ``target``, itself included, its mode and the date ``now``."""
    programs = {target / place for place in _PROGRAMS}
    for path in (target, *target.rglob("*")):
        library = path.suffix == ".so"
        path.chmod(0o755 if path.is_dir() or path in programs or library else 0o644)
        os.utime(path, (now, now))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
