"""Machines that get the program as admins do: from the package, not from the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import lab, lab_ready, module_lab, suite

from . import built

__all__ = ["deb", "every_package", "lab", "lab_ready", "module_lab", "newer_deb", "rpm", "suite"]


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


@pytest.fixture(scope="session")
def every_package(deb: Path, rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of both formats for both processors."""
    folder = tmp_path_factory.mktemp("every")
    built.build(folder, machines=(built.OTHER_MACHINE,))
    for package in (deb, rpm):
        (folder / package.name).symlink_to(package)
    return folder
