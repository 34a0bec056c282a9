"""The Debian releases the lab tests on."""

from __future__ import annotations

import os

import pytest

from .roots import SUITES


def chosen_suites() -> tuple[str, ...]:
    """The Debian releases to test on: all, or those named in ``CONBOOL_LAB_SUITES`` (with commas between)."""
    named = tuple(name for name in os.environ.get("CONBOOL_LAB_SUITES", "").split(",") if name)
    unknown = [name for name in named if name not in SUITES]
    if unknown:
        raise pytest.UsageError(f"CONBOOL_LAB_SUITES names {unknown[0]}; known: {', '.join(SUITES)}")
    return named or SUITES


ONE = "bookworm" if "bookworm" in chosen_suites() else chosen_suites()[0]

one_release = pytest.mark.parametrize("suite", [ONE], indirect=True)
"""For what does not depend on the release and takes long: tried with one."""
