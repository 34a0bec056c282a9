"""The libraries that ship inside the package: fetched by pip from the lock, by hash, for the oldest Python and one processor type."""

from __future__ import annotations

import email.parser
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

OLDEST_PYTHON = "3.9"
# What pip adds for itself, and what only type checkers and other installers read.
_NOT_SHIPPED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "entry_points.txt", "top_level.txt")
_LICENCE_NAMES = re.compile(r"(LICEN[CS]E|COPYING|NOTICE)([._-].*)?", re.IGNORECASE)
_COPYRIGHT = re.compile(r"^\W*(Copyright\b.*\d{4}.*)$", re.IGNORECASE | re.MULTILINE)
# The names of licences as SPDX and as Debian spell them, by what METADATA says.
_LICENCES = {
    "MIT": ("MIT", "Expat"),
    "MIT License": ("MIT", "Expat"),
    "ISC": ("ISC", "ISC"),
    "BSD-2-Clause": ("BSD-2-Clause", "BSD-2-clause"),
    "BSD-3-Clause": ("BSD-3-Clause", "BSD-3-clause"),
    "PSF-2.0": ("PSF-2.0", "PSF-2.0"),
}


class BuildError(Exception):
    """The packages cannot be built; the text says why."""


@dataclass(frozen=True)
class Library:
    """One vendored library.

    Attributes:
        name, version: as the package index spells them.
        sha256: of the wheel it came from.
        paths: its top-level files and folders in ``vendor``.
        metadata: name of its .dist-info folder.
        spdx, debian: its licence, in both spellings.
        licence_text: all its licence files.
        copyrights: the lines of these that name the holders.
        summary, homepage: what METADATA says.
    """

    name: str
    version: str
    sha256: str
    paths: tuple[str, ...]
    metadata: str
    spdx: str
    debian: str
    licence_text: str
    copyrights: tuple[str, ...]
    summary: str
    homepage: str

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def fetch(lock: Path, machine: str, target: Path, work: Path) -> list[Library]:
    """Put the libraries into ``target`` and say what they are, sorted by name.

    Args:
        lock: pins with hashes.
        machine: x86_64 or aarch64.
        target: folder to make.
        work: folder for pip's report.

    Raises:
        BuildError: pip failed, or a library's licence is not known here.
    """
    report = work / f"pip-{machine}.json"
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    argv += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--ignore-installed"]
    argv += [
        "--implementation",
        "cp",
        "--python-version",
        OLDEST_PYTHON,
        "--platform",
        f"manylinux2014_{machine}",
    ]
    argv += ["--report", str(report), "--target", str(target), "-r", str(lock)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"pip could not fetch the libraries of {lock.name}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    hashes = {
        item["metadata"]["name"]: item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in json.loads(report.read_text("utf-8"))["install"]
    }
    libraries = [_read(folder, hashes) for folder in sorted(target.glob("*.dist-info"))]
    if len(libraries) != len(hashes):
        raise BuildError(f"pip reports {len(hashes)} libraries, {len(libraries)} are there.")
    _prune(target)
    return sorted(libraries, key=lambda one: one.name.lower())


def _read(folder: Path, hashes: dict[str, str]) -> Library:
    """What a .dist-info folder tells, before it is pruned."""
    metadata = email.parser.Parser().parsestr((folder / "METADATA").read_text("utf-8"))
    name = str(metadata["Name"])
    said = _licence(metadata)
    paths = sorted(_top_levels(folder))
    # Parts taken over from other projects carry a licence file of their own.
    places = [folder, *(folder.parent / path for path in paths)]
    files = [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
    texts = [file for file in files if _LICENCE_NAMES.fullmatch(file.name)]
    if said not in _LICENCES or not texts:
        raise BuildError(
            f"{name}: the licence {said!r} is not known here, or its text is missing; look at it first."
        )
    text = "\n\n".join(dict.fromkeys(path.read_text("utf-8").strip() for path in texts)) + "\n"
    spdx, debian = _LICENCES[said]
    return Library(
        name=name,
        version=str(metadata["Version"]),
        sha256=hashes[name],
        paths=tuple(paths),
        metadata=folder.name,
        spdx=spdx,
        debian=debian,
        licence_text=text,
        copyrights=tuple(dict.fromkeys(line.strip() for line in _COPYRIGHT.findall(text))),
        summary=str(metadata["Summary"] or ""),
        homepage=_homepage(metadata),
    )


def _licence(metadata: Message) -> str:
    """The licence by its expression, its classifier or its name, whichever METADATA has."""
    for key in ("License-Expression", "License"):
        if metadata[key] and "\n" not in str(metadata[key]):
            return str(metadata[key]).strip()
    for line in metadata.get_all("Classifier", []):
        if str(line).startswith("License :: OSI Approved :: "):
            return str(line).rpartition(" :: ")[2]
    return ""


def _homepage(metadata: Message) -> str:
    links = {}
    for line in metadata.get_all("Project-URL", []):
        label, _, url = str(line).partition(",")
        links[label.strip().lower()] = url.strip()
    for label in ("homepage", "repository", "source", "source code"):
        if label in links:
            return links[label]
    return str(metadata["Home-page"] or "")


def _top_levels(folder: Path) -> set[str]:
    """The top-level names RECORD lists, without the metadata itself and scripts."""
    lines = (folder / "RECORD").read_text("utf-8").splitlines()
    names = {line.split(",")[0].split("/")[0] for line in lines if line}
    return {name for name in names if not name.endswith(".dist-info") and name not in ("..", "bin", "")}


def _prune(target: Path) -> None:
    shutil.rmtree(target / "bin", ignore_errors=True)
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir() and path.name == "__pycache__":
            shutil.rmtree(path)
        elif path.is_file() and (
            path.suffix in (".pyi", ".pyc")
            or (path.parent.suffix == ".dist-info" and path.name in _NOT_SHIPPED)
        ):
            path.unlink()
    # The C half of PyYAML fits one Python only; without it the library uses its Python half.
    for compiled in (target / "yaml").glob("_yaml*.so"):
        compiled.unlink()
