"""The product's libraries as a package would ship them, staged once, for the Pythons inside the roots."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .cache import LabError, cache_dir, locked

CHECKOUT = Path(__file__).resolve().parents[2]
LOCK = CHECKOUT / "packaging" / "vendor.lock"
VERSION = 1

# What the lock resolves to; used as long as a checkout has none.
FALLBACK = """\
textual==8.2.8
rich==15.0.0
dnspython==2.7.0
psutil==7.2.2
pyyaml==6.0.3
sh==2.3.0
markdown-it-py==3.0.0
mdit-py-plugins==0.4.2
linkify-it-py==2.0.3
mdurl==0.1.2
uc-micro-py==1.0.3
platformdirs==4.4.0
pygments
typing-extensions
"""


def ensure_vendor() -> Path:
    """The directory with the libraries, staged first when it is not in the cache yet.

    Raises:
        LabError: pip failed (its output is in the text).
    """
    hashed = LOCK.is_file()
    requirements = LOCK.read_bytes() if hashed else FALLBACK.encode()
    key = hashlib.sha256(requirements + f"{VERSION} {platform.machine()}".encode()).hexdigest()[:12]
    path = cache_dir("vendor") / key
    if not path.is_dir():
        with locked("vendor-" + key):
            if not path.is_dir():
                _stage(requirements, hashed, path)
    return path


def _stage(requirements: bytes, hashed: bool, path: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        listing = work / "requirements.txt"
        listing.write_bytes(requirements)
        target = work / "vendor"
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        argv += [
            "--python-version",
            "3.9",
            "--platform",
            f"manylinux2014_{platform.machine()}",
            "--no-compile",
        ]
        argv += ["--target", str(target), *(["--require-hashes"] if hashed else []), "-r", str(listing)]
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise LabError(f"The product's libraries could not be staged by pip:\n{done.stderr[-3000:]}")
        # The C half of PyYAML fits one Python only; without it the library uses its Python half.
        for compiled in (target / "yaml").glob("_yaml*.so"):
            compiled.unlink()
        os.chmod(target, 0o755)
        target.rename(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def byte_code_dir(suite: str) -> Path:
    """Where the Python of one Debian release keeps compiled files, from machine to machine and from run to run."""
    return cache_dir("bytecode", suite)
