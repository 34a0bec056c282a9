"""The table at the end of ``make bench``, and the laboratory for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.prerequisites import why_not

from . import figures

_KEY = pytest.StashKey[figures.Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = figures.Report()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    report = config.stash[_KEY]
    if report.figures:
        terminalreporter.section("benchmarks")
        terminalreporter.write_line(figures.machine())
        for line in report.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> figures.Report:
    """Where figures go."""
    return request.config.stash[_KEY]


@pytest.fixture(scope="session")
def lab_here() -> None:
    """Skips where no laboratory can run."""
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def bench_lab(lab_here: None) -> Iterator[Lab]:
    """A laboratory of the module's own."""
    with Lab() as one:
        yield one
