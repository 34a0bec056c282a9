"""The packages of this checkout, built once for every process that tests them."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab.cache import cache_dir, locked

CHECKOUT = Path(__file__).resolve().parents[2]
MACHINE = platform.machine()
OTHER_MACHINE = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]
NEXT = "99.0.0"
# Any moment will do; a commit's would make every commit a new package.
MOMENT = "1700000000"
_INPUTS = ("conbool_tui", "screens", "detectors", "packaging", "CHANGELOG.md", "LICENSE")


def build(
    output: Path,
    *flags: str,
    checkout: Path = CHECKOUT,
    machines: Sequence[str] = (MACHINE,),
    mask: int = 0o022,
    **environment: str,
) -> list[Path]:
    """Build packages for this machine's processor, unless others are named, into ``output``."""
    argv = [sys.executable, str(checkout / "packaging/packages/build.py")]
    argv += [word for machine in machines for word in ("--machine", machine)]
    done = subprocess.run(
        [*argv, "--quick", "--output", str(output), *flags],
        env={**os.environ, "SOURCE_DATE_EPOCH": MOMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        umask=mask,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(output.glob("conbool-tui*"))


def the_deb() -> Path:
    """The .deb of the checkout as it is now, from the cache when it was built before."""
    digest = hashlib.sha256(MOMENT.encode())
    for name in _INPUTS:
        top = CHECKOUT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes() + b"\0")
    key = digest.hexdigest()[:12]
    folder = cache_dir("packages") / key
    with locked("package-" + key):
        if not folder.is_dir():
            _forget_old(folder.parent)
            work = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
            build(work, "--only", "deb")
            work.rename(folder)
    (made,) = folder.glob("*.deb")
    return made


def _forget_old(folder: Path) -> None:
    known = sorted((path for path in folder.glob("[0-9a-f]*")), key=lambda path: path.stat().st_mtime)
    for path in known[:-4]:
        shutil.rmtree(path, ignore_errors=True)


def copy_checkout(target: Path) -> Path:
    """What the packages are made of, copied to ``target``."""
    for name in _INPUTS:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target / name)
    return target


def newer_rpm(folder: Path) -> Path:
    """An .rpm of this checkout with a higher version and another config.yaml."""
    checkout = copy_checkout(folder / "checkout")
    module, log = checkout / "conbool_tui/__init__.py", checkout / "CHANGELOG.md"
    module.write_text(re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{NEXT}"', module.read_text()))
    log.write_text(log.read_text().replace("\n## [", f"\n## [{NEXT}] - 2026-01-01\n\n- New.\n\n## [", 1))
    with open(checkout / "packaging/files/config.yaml", "a") as handle:
        handle.write("# The next version's last line.\n")
    (made,) = build(folder / "out", "--only", "rpm", checkout=checkout)
    return made


def newer(deb: Path, folder: Path) -> Path:
    """The same package with a higher version, a module less, and another config.yaml."""
    tree = folder / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], check=True, capture_output=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEXT}", control.read_text()))
    with open(tree / "etc/conbool-tui/config.yaml", "a") as handle:
        handle.write("# The next version's last line.\n")
    module = tree / "usr/lib/conbool-tui/app/conbool_tui/__init__.py"
    module.write_text(re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{NEXT}"', module.read_text()))
    # A folder that this version has no more.
    shutil.rmtree(tree / "usr/lib/conbool-tui/vendor/mdit_py_plugins/wordcount")
    target = folder / f"conbool-tui_{NEXT}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(target)],
        check=True,
        capture_output=True,
    )
    return target
