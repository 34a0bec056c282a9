"""Machines that get the program as admins do: from the package, not from the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import lab, lab_ready, module_lab, suite

from . import built

__all__ = ["deb", "lab", "lab_ready", "module_lab", "newer_deb", "rpm", "suite"]


@pytest.fixture(scope="session")
def deb(lab_ready: None) -> Path:
    """The package of this checkout."""
    return built.the_deb()


@pytest.fixture(scope="session")
def newer_deb(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that an upgrade brings."""
    return built.newer(deb, tmp_path_factory.mktemp("newer"))


@pytest.fixture(scope="session")
def rpm(lab_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .rpm of this checkout."""
    (made,) = built.build(tmp_path_factory.mktemp("rpm"), "--only", "rpm")
    return made
