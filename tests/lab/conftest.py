"""Fixtures for tests that need real machines."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Callable

import pytest

from .lab import Lab
from .prerequisites import why_not
from .releases import chosen_suites
from .times import seconds

HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Keep what shares a module's machine in one worker of pytest-xdist, and start what takes longest first."""
    for item in items:
        group = _group(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    # In one process the order of the files is easier to follow.
    if hasattr(config, "workerinput"):
        items.sort(key=_longest_first(items))


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One release for a test that is ``in_turns``."""
    if "suite" not in metafunc.fixturenames or not metafunc.definition.get_closest_marker("in_turns"):
        return
    tests = [name for name in vars(metafunc.module) if name.startswith("test_")]
    suites = chosen_suites()
    turn = tests.index(metafunc.definition.originalname) % len(suites)
    # A mark, because parameters given otherwise do not take the place of the fixture's own.
    metafunc.definition.add_marker(pytest.mark.parametrize("suite", [suites[turn]], indirect=True))


def _group(item: pytest.Item) -> str:
    """The name for the tests that share something with this one; empty for a test that has its machine for itself."""
    if HERE not in item.path.parents or not isinstance(item, pytest.Function):
        return ""
    if item.get_closest_marker("xdist_group"):
        return ""
    shared = [
        name
        for name, found in item._fixtureinfo.name2fixturedefs.items()
        if name != "suite" and found[-1].scope == "module"
    ]
    if not shared:
        return ""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return "-".join(
        [item.path.stem, *(str(parameters[name]) for name in ("suite", *shared) if name in parameters)]
    )


def _longest_first(items: list[pytest.Item]) -> Callable[[pytest.Item], tuple[float, str]]:
    names = {item: _unit(item) for item in items}
    total: defaultdict[str, float] = defaultdict(float)
    for item, name in names.items():
        total[name] += seconds(item)
    return lambda item: (-total[names[item]], names[item])


def _unit(item: pytest.Item) -> str:
    """What pytest-xdist gives to a worker as one piece."""
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else item.nodeid


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
