"""Marks every test by where it lives and what it uses: ``make unit`` and ``make lab`` need no list."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import settings

# A run that decides about a change tries the same examples every time; at a desk every run looks for new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in ("1", "true") else "desk")

# A run started in the background inherits ignored signals, and so would every program the tests start.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0] if item.path.is_relative_to(_TESTS) else ""
        if folder == "lab":
            item.add_marker("lab")
        if "snap_compare" in getattr(item, "fixturenames", ()):
            item.add_marker("snapshot")
            item.add_marker("tui")
        if item.get_closest_marker("lab") is None:
            item.add_marker("unit")
