"""Looking for compose files costs nothing where docker is not: a mail server's homes may hold a million files."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.host import Host
from detectors.docker_mailserver.search import compose_services

COMPOSE = "services:\n  mail:\n    image: ghcr.io/docker-mailserver/docker-mailserver:13\n"


class Listing(Host):
    """Notes which folders are listed."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.listed: list[str] = []

    def listdir(self, path: str) -> list[str]:
        self.listed.append(path)
        return super().listdir(path)


def put(root: Path, path: str, text: str = "") -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.mark.parametrize("docker", [False, True])
def test_homes_are_looked_into_only_beside_docker(tmp_path: Path, docker: bool) -> None:
    put(tmp_path, "home/alice/compose.yaml", COMPOSE)
    put(tmp_path, "home/alice/Maildir/cur/1", "x")
    if docker:
        (tmp_path / "var/lib/docker").mkdir(parents=True)
    host = Listing(tmp_path)
    assert len(compose_services(host, ())) == int(docker)
    assert ("/home/alice" in host.listed) is docker
    assert not any("Maildir" in path for path in host.listed)


def test_a_glance_finds_the_usual_place(tmp_path: Path) -> None:
    put(tmp_path, "opt/mail/compose.yaml", COMPOSE)
    assert len(compose_services(Host(str(tmp_path)), ())) == 1
