"""Fixtures for tests that need real machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .lab import Lab
from .prerequisites import why_not
from .releases import chosen_suites

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a module's machine in one worker of pytest-xdist (``--dist loadgroup``)."""
    for item in items:
        parameters = (
            item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        )
        if HERE in item.path.parents and "suite" in parameters:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{parameters['suite']}"))


@pytest.fixture(scope="session")
def lab_ready() -> None:
    """Skips where the lab cannot run; in CI, where it must, fails instead."""
    reason = why_not()
    if reason and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"In CI the lab has to run, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture(params=chosen_suites(), scope="module")
def suite(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    return str(request.param)


@pytest.fixture
def lab(lab_ready: None) -> Iterator[Lab]:
    """A lab for one test."""
    with Lab() as one:
        yield one


@pytest.fixture(scope="module")
def module_lab(lab_ready: None) -> Iterator[Lab]:
    """A lab that the tests of a module share: look for tokens, not for counts, and undo what you set."""
    with Lab() as one:
        yield one
