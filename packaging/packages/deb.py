"""The .deb: dpkg-deb over the staged tree."""

from __future__ import annotations

import hashlib
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

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Ubuntu 20.04 has its python3.9 beside an older python3. The compiled part of psutil needs that libc.
DEPENDS = "libc6 (>= 2.17), python3 (>= 3.9) | python3.9"


def build(
    staged: Path, machine: str, libraries: Sequence[Library], work: Path, output: Path, now: int, effort: int
) -> Path:
    """Make the package from the staged tree and return its path. Raises BuildError."""
    root = work / f"deb-{machine}"
    shutil.copytree(staged, root, symlinks=True)
    tree.write(root / tree.DOC / "changelog.gz", tree.packed(documents.debian_changelog(now)))
    overrides = (tree.FILES / "deb" / "lintian-overrides").read_bytes()
    tree.write(root / "usr/share/lintian/overrides/conbool-tui", overrides)
    tree.settle(root, now)
    # Libraries need no execute bit where the dynamic linker opens them by name (Debian policy 10.2).
    for library in root.rglob("*.so"):
        library.chmod(0o644)
    control = root / "DEBIAN"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = "".join(
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files
    )
    tree.write(control / "md5sums", sums.encode())
    tree.write(control / "conffiles", "".join(f"/{place}\n" for place in tree.CONFFILES).encode())
    tree.write(control / "control", _control(root, machine).encode())
    for script in ("postinst", "prerm", "postrm"):
        tree.write(control / script, (tree.FILES / "deb" / script).read_bytes())
    for path in (control, *control.iterdir()):
        path.chmod(0o755 if path.is_dir() or path.name in ("postinst", "prerm", "postrm") else 0o644)
        os.utime(path, (now, now))
    os.utime(root, (now, now))
    package = output / f"{project.NAME}_{project.version()}_{ARCHITECTURES[machine]}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-Zxz", f"-z{effort}", "--build", str(root), str(package)]
    # One thread: the number of processors must not show in the result.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(now), "DPKG_DEB_THREADS_MAX": "1", "LC_ALL": "C"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise BuildError(f"dpkg-deb failed:\n{done.stdout}{done.stderr}")
    return package


def _control(root: Path, machine: str) -> str:
    # As dpkg-gencontrol counts: files in whole KiB, and one for everything else.
    size = sum(-(-path.stat().st_size // 1024) if path.is_file() else 1 for path in root.rglob("*"))
    description = "\n .\n".join(_folded(text) for text in project.DESCRIPTION)
    return (
        f"Package: {project.NAME}\n"
        f"Version: {project.version()}\n"
        f"Architecture: {ARCHITECTURES[machine]}\n"
        f"Maintainer: {project.MAINTAINER}\n"
        f"Installed-Size: {size}\n"
        f"Depends: {DEPENDS}\n"
        "Suggests: bash-completion, logrotate\n"
        "Enhances: postfix\n"
        "Section: mail\n"
        "Priority: optional\n"
        f"Homepage: {project.HOMEPAGE}\n"
        f"Description: {project.SUMMARY}\n{description}\n"
    )


def _folded(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 78, initial_indent=" ", subsequent_indent=" "))
