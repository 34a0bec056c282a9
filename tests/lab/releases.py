"""The Debian releases the lab tests on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from .roots import COMING, SUITES


def _named() -> tuple[str, ...]:
    named = tuple(name for name in os.environ.get("CONBOOL_LAB_SUITES", "").split(",") if name)
    unknown = [name for name in named if name not in (*SUITES, COMING)]
    if unknown:
        known = ", ".join((*SUITES, COMING))
        raise pytest.UsageError(f"CONBOOL_LAB_SUITES names {unknown[0]}; known: {known}")
    return named


def chosen_suites() -> tuple[str, ...]:
    """The Debian releases to test on: all, or those named in ``CONBOOL_LAB_SUITES`` (with commas between)."""
    return tuple(name for name in _named() if name in SUITES) or SUITES


def packaged_suites() -> tuple[str, ...]:
    """The same for what is tested with the package: one file for all of them, and for the release to come."""
    return _named() or (*SUITES, COMING)


ONE = "bookworm" if "bookworm" in chosen_suites() else chosen_suites()[0]

one_release = pytest.mark.parametrize("suite", [ONE], indirect=True)
"""For what does not depend on the release and takes long: tried with one."""


in_turns = pytest.mark.in_turns
"""For tests of a module that need not run on every release: each takes one, the next one the next."""


def spread(names: str, values: Sequence[Any], everywhere: Sequence[Any] = ()) -> pytest.MarkDecorator:
    """Parameters for ``suite`` and ``names``: each of ``values`` with one release, in turn, and ``everywhere`` with all.

    For cases that do not depend on the release, of a test that shall run on each. With several names (commas
    between), each value is a tuple.
    """
    suites = chosen_suites()
    several = "," in names
    pairs = [(suites[number % len(suites)], value) for number, value in enumerate(values)]
    pairs += [(suite, value) for suite in suites for value in everywhere]
    # What a module's machine is made for comes together.
    pairs.sort(key=lambda pair: suites.index(pair[0]))
    rows = [(suite, *value) if several else (suite, value) for suite, value in pairs]
    return pytest.mark.parametrize(f"suite,{names}", rows, indirect=["suite"])


SENDMAIL = tuple(name for name in chosen_suites() if name != "bullseye")
"""The releases with a Sendmail that is tested: 8.17 and 8.18."""
