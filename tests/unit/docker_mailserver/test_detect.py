"""Finding docker-mailserver on a host of plain files, and what is said about installations that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from conbool_tui.errors import HostError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.host import Host
from conbool_tui.render import facts_json
from conbool_tui.runner import CommandResult
from detectors.docker_mailserver import DockerMailserverDetector

IMAGE = "ghcr.io/docker-mailserver/docker-mailserver"
COMPOSE = f"""\
services:
  mailserver:
    image: {IMAGE}:15.1.0
    container_name: mail
    hostname: mail.example.com
    env_file: mailserver.env
    volumes:
      - ./config/:/tmp/docker-mailserver/
      - ./state/:/var/mail-state
"""
ACCOUNTS = (
    "# x@comment.example|y\nalice@example.com|{SHA512-CRYPT}$6$secretsalt\n Bob@Example.ORG |{PLAIN}hidden\n"
)


def write(root: Path, **files: str) -> Host:
    """A host with these files below /srv/mail (``__`` stands for a dot, ``_S_`` for a slash)."""
    for name, text in files.items():
        path = root / "srv/mail" / name.replace("__", ".").replace("_S_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(str(root))


def detect(host: Host, instance: str | None = None) -> Detection:
    """The detector's result."""
    return DockerMailserverDetector().detect(host, instance)


def test_found_by_its_compose_file(tmp_path: Path) -> None:
    """Release, volume, domains and settings; no secret is kept."""
    host = write(
        tmp_path,
        compose__yaml=COMPOSE,
        mailserver__env="ENABLE_AMAVIS=0\nRELAY_HOST='relay.example.net'\nRELAY_USER=me\nRELAY_PASSWORD=topsecret\n",
        **{
            "config_S_postfix-accounts__cf": ACCOUNTS,
            "config_S_postfix-virtual__cf": "info@example.net alice@example.com\nlocalname other@x.example\n",
            "config_S_postfix-relaymap__cf": "@example.org [smtp.example.net]:587\n@example.net\n",
        },
    )
    found = detect(host)
    facts = found.docker_mailserver
    assert found.outcome is Outcome.PRESENT
    assert facts is not None
    assert found.mta is not None
    assert (facts.container, facts.version, facts.major, facts.config) == (
        "mail",
        "15.1.0",
        15,
        "/srv/mail/config",
    )
    assert facts.postfix.domains.all() == ("example.com", "example.org", "example.net")
    assert facts.credentials == ("RELAY_USER", "RELAY_PASSWORD")
    assert facts.sender_relays == ("@example.org",)
    assert (facts.rendered, facts.running, facts.queue_kept) == ("documentation", False, True)
    assert found.mta.unavailable("inbound.firewall: auto")
    said = json.dumps(facts_json(HostFacts((found,)))) + repr(facts)
    assert not [secret for secret in ("topsecret", "secretsalt", "hidden}") if secret in said]


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        (
            {"compose__yaml": COMPOSE.replace("./config/:/tmp/docker-mailserver/", "./x:/x")},
            "no volume for",
            "Add ./docker-data",
        ),
        (
            {"compose__yaml": COMPOSE.replace("./config/", "./other/")},
            "is not there: /srv/mail/other",
            "Start the container once",
        ),
        ({"compose__yaml": COMPOSE.replace("./config/", "${WHERE}/config")}, "not set: WHERE", ".env"),
        (
            {"compose__yaml": COMPOSE + "  broken: [\n"},
            "cannot be read",
            "docker compose -f /srv/mail/compose.yaml config",
        ),
        ({"config_S_postfix-master__cf": "nosuch/inet/x=y\n"}, "has no such service", "Take the line out"),
        (
            {"compose__yaml": COMPOSE.replace("./config/", "named")},
            "is not there",
            "Start the container once",
        ),
    ],
)
def test_unusable(tmp_path: Path, change: Mapping[str, str], reason: str, remedy: str) -> None:
    """What is wrong and what to do about it; nothing is planned."""
    host = write(tmp_path, **{"compose__yaml": COMPOSE, "mailserver__env": "", "config_S_x": "", **change})
    found = detect(host)
    assert found.outcome is Outcome.BROKEN
    assert reason in found.reason
    assert remedy in found.remedy


def test_several_services_are_not_guessed(tmp_path: Path) -> None:
    """Two installations: one must be named."""
    second = (
        COMPOSE.replace("services:\n", "")
        .replace("mailserver:\n", "other:\n")
        .replace("container_name: mail", "container_name: two")
    )
    host = write(tmp_path, compose__yaml=COMPOSE + second, mailserver__env="", config_S_x="")
    found = detect(host)
    assert found.outcome is Outcome.BROKEN
    assert "--instance" in found.remedy
    assert "other in /srv/mail/compose.yaml" in found.reason
    chosen = detect(host, "two").docker_mailserver
    assert chosen is not None
    assert (chosen.service, chosen.container) == ("other", "two")


def test_another_compose_project_is_none(tmp_path: Path) -> None:
    """A compose file without docker-mailserver, and no compose file at all."""
    assert detect(write(tmp_path, compose__yaml="services: {web: {image: nginx}}")).outcome is Outcome.ABSENT


def test_a_named_volume_is_found(tmp_path: Path) -> None:
    """The volume of the project ``mail`` in docker's own folder."""
    volume = tmp_path / "var/lib/docker/volumes/mail_conf/_data"
    volume.mkdir(parents=True)
    facts = detect(
        write(tmp_path, compose__yaml=COMPOSE.replace("./config/", "conf"), mailserver__env="")
    ).docker_mailserver
    assert facts is not None
    assert facts.config == "/var/lib/docker/volumes/mail_conf/_data"


class DockerHost(Host):
    """A running host whose docker answers from a description."""

    def __init__(self, root: Path, inspected: str, listed: str) -> None:
        super().__init__(str(root))
        self.inspected, self.listed = inspected, listed

    @property
    def live(self) -> bool:
        return True

    def which(self, name: str) -> str | None:
        return "/usr/bin/docker" if name == "docker" else None

    def run(self, argv: Sequence[str], **_: object) -> CommandResult:
        out = self.listed if argv[1] == "ps" else self.inspected if argv[1] == "inspect" else ""
        return CommandResult(tuple(argv), 0 if out else 1, out.encode(), b"" if out else b"no such container")


def test_a_stopped_container_without_compose_and_a_docker_that_says_nonsense(tmp_path: Path) -> None:
    """``docker run``: the volume comes from the container; output that is no JSON is no container."""
    config = tmp_path / "data/config"
    config.mkdir(parents=True)
    item = {
        "Name": "/mymail",
        "State": {"Running": False},
        "Config": {
            "Image": f"{IMAGE}:v14.0.0",
            "Env": ["PERMIT_DOCKER=host", "RELAY_PASSWORD=x"],
            "Hostname": "mx",
        },
        "Mounts": [{"Source": "/data/config", "Destination": "/tmp/docker-mailserver/"}],
    }
    listed = f"0123 {IMAGE}:v14.0.0\n4567 nginx\n"
    facts = detect(DockerHost(tmp_path, json.dumps([item]), listed)).docker_mailserver
    assert facts is not None
    assert (facts.container, facts.version, facts.config, facts.docker) == (
        "mymail",
        "14.0.0",
        "/data/config",
        True,
    )
    assert (dict(facts.environment), facts.credentials) == ({"PERMIT_DOCKER": "host"}, ("RELAY_PASSWORD",))
    assert detect(DockerHost(tmp_path, "nonsense", listed)).outcome is Outcome.ABSENT


def test_folders_that_this_user_may_not_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are passed over: a user without rights must not be told that an installation is broken."""
    host = write(tmp_path, compose__yaml="services: {}", secret_S_compose__yaml=COMPOSE)

    def refused(path: str) -> list[str]:
        if path == "/srv/mail/secret":
            raise HostError(f"{path} cannot be read: permission denied.", "", "")
        return Host.listdir(host, path)

    monkeypatch.setattr(host, "listdir", refused)
    assert detect(host).outcome is Outcome.ABSENT
    monkeypatch.undo()
    assert detect(host).outcome is Outcome.BROKEN
