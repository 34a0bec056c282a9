"""System calls that fail when the tests say so: a small library preloaded into Python."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("failing_writes.c")

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
"""A full disk, a broken one, one that became read-only, and one that is guarded."""


def why_not() -> str:
    """Why the library cannot be built here, or an empty string."""
    return "" if shutil.which("cc") else "missing: cc; run `apt-get install gcc libc6-dev`"


def build(folder: Path) -> Path:
    """Compile the library into ``folder``. Raises subprocess.CalledProcessError."""
    made = folder / "failing_writes.so"
    subprocess.run(
        ["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", str(made), str(SOURCE)],
        check=True,
        capture_output=True,
    )
    return made
