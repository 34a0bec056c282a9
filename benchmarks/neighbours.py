"""Other terminal programs to compare with: on the same machine, fetched once, kept in the laboratory's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.cache import cache_dir, locked
from tests.lab.machine import Machine
from tests.packages import built

# With the tree-sitter that pip would take, this version of posting crashes at its start.
POSTING = ("posting==2.11.1", "tree-sitter==0.25.2")
# The Python of Debian 12, whose servers the comparison runs on.
PYTHON = "3.11"


def posting() -> Path:
    """A folder with posting and its libraries; ``downloaded`` beside them says how many bytes came over the network."""
    path = cache_dir("neighbours") / "posting-2.11.1"
    with locked("neighbour-posting"):
        if not path.is_dir():
            work = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
            try:
                _pip("download", "--dest", str(work / "wheels"), *_selectors(), *POSTING)
                wheels = sorted((work / "wheels").iterdir())
                _pip(
                    "install",
                    "--no-deps",
                    "--no-compile",
                    "--target",
                    str(work / "posting"),
                    *_selectors(),
                    *map(str, wheels),
                )
                (work / "posting/downloaded").write_text(str(sum(wheel.stat().st_size for wheel in wheels)))
                (work / "posting").rename(path)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return path


def _selectors() -> list[str]:
    platforms = [f"--platform=manylinux{kind}_{built.MACHINE}" for kind in ("2014", "_2_17", "_2_28")]
    return ["--only-binary=:all:", f"--python-version={PYTHON}", *platforms]


def _pip(*arguments: str) -> None:
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)


def ours(folder: Path) -> tuple[Path, int]:
    """What our .deb installs, below ``folder``, and the package's size when it is made for publishing."""
    package = folder / "package"
    done = subprocess.run(
        [sys.executable, str(built.CHECKOUT / "packaging/packages/build.py"), "--only", "deb"]
        + ["--machine", built.MACHINE, "--output", str(package)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (deb,) = package.glob("*.deb")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--extract", str(deb), str(tree)], check=True)
    return tree, deb.stat().st_size


def size(folder: Path) -> int:
    """The bytes of all files below a folder, byte code left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc")


def compiled(folder: Path) -> int:
    """The bytes of the byte code below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.pyc"))


def compile_for(machine: Machine, *folders: str) -> None:
    """Make byte code with the machine's own Python, as installing a package does."""
    machine.shell(f"python3 -m compileall -q {' '.join(folders)} || true", timeout=600)


def evict(*folders: Path) -> None:
    """Let the kernel forget what it keeps in memory of these files; what a running program uses stays."""
    os.sync()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                handle = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(handle)
