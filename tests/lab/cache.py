"""Where the laboratory keeps what is expensive to build, and the locks that guard it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LabError(Exception):
    """The laboratory cannot do what was asked; the text says why and what to do next."""


def cache_dir(*parts: str) -> Path:
    """A directory of the cache, created: ``parts`` below ``${XDG_CACHE_HOME:-~/.cache}/conbool-tui/lab``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base, "conbool-tui", "lab", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock ``name`` against every other process of this machine; waits without a limit."""
    with open(cache_dir("locks") / (name + ".lock"), "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
