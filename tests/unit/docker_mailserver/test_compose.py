"""Compose files and environment files, in all the forms that docker compose takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui import text_blocks
from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.compose import Mount, mail_services
from conbool_tui.docker_mailserver.environment import interpolate, read_env_file
from conbool_tui.errors import CheckFailedError

ANCHORS = """\
x-common: &common
  restart: always
  environment: &settings
    RELAY_HOST: relay.example.net
    ENABLE_AMAVIS: 0
services:
  web:
    image: nginx:1
    volumes: [./config:/tmp/docker-mailserver]
  first:
    <<: *common
    image: "docker.io/mailserver/docker-mailserver:13.3.1@sha256:abc"
    env_file:
      - one.env
      - path: ./two.env
        required: false
    volumes:
      - type: bind
        source: ./config/
        target: /tmp/docker-mailserver/${SELINUX_LABEL}
        read_only: true
      - state:/var/mail-state
      - "${DATA:-/srv/data}/mail:/var/mail:ro,z"
  second:
    image: tvial/docker-mailserver
    environment:
      - "RELAY_HOST=other.example.net"
      - 'ENABLE_SRS=1'
      - FROM_SHELL
    env_file: three.env
    volumes: [/srv/second:/tmp/docker-mailserver]
volumes: {state: {}}
"""


def test_several_services_anchors_and_both_forms_of_volumes() -> None:
    """Anchors and merges, lists and mappings, long and short form; the web server that mounts the volume is none."""
    first, second = mail_services([("/srv/mail/compose.yaml", ANCHORS)], {})
    assert (first.name, second.name) == ("first", "second")
    assert first.mounts == (
        Mount("/srv/mail/config", "/tmp/docker-mailserver", read_only=True),
        Mount("state", "/var/mail-state", named=True),
        Mount("/srv/data/mail", "/var/mail", read_only=True),
    )
    assert first.environment == {"RELAY_HOST": "relay.example.net", "ENABLE_AMAVIS": "0"}
    assert first.places["RELAY_HOST"] == "/srv/mail/compose.yaml:4"
    assert first.env_files == ("/srv/mail/one.env", "/srv/mail/two.env")
    assert second.environment == {"RELAY_HOST": "other.example.net", "ENABLE_SRS": "1"}
    assert second.places["ENABLE_SRS"] == "/srv/mail/compose.yaml:28"
    assert second.env_files == ("/srv/mail/three.env",)
    assert names.tag_of(first.image) == "13.3.1"


def test_an_override_file_adds() -> None:
    """docker-compose.override.yml: lists add up, single values are replaced."""
    base = "services: {m: {image: 'x/docker-mailserver/docker-mailserver:14', volumes: ['./c:/tmp/docker-mailserver'], environment: {A: 1}}}"
    more = "services: {m: {image: 'x/docker-mailserver/docker-mailserver:15', environment: ['A=2', 'B=3'], env_file: e}}"
    (service,) = mail_services([("/p/compose.yaml", base), ("/p/compose.override.yaml", more)], {})
    assert (names.tag_of(service.image), dict(service.environment)) == ("15", {"A": "2", "B": "3"})
    assert service.env_files == ("/p/e",)
    assert service.places == {"A": "/p/compose.override.yaml:1", "B": "/p/compose.override.yaml:1"}


@pytest.mark.parametrize(
    ("image", "is_one"),
    [
        ("docker-mailserver/docker-mailserver", True),
        ("registry.example:5000/docker-mailserver/docker-mailserver:latest", True),
        ("mailserver/docker-mailserver@sha256:abc", True),
        ("my-docker-mailserver/docker-mailserver-admin:1", False),
        ("docker-mailserver", False),
    ],
)
def test_image_names(image: str, is_one: bool) -> None:
    """Registry, tag and digest do not count."""
    assert names.is_image(image) is is_one


@pytest.mark.parametrize(
    "text", ["services: [\n", "a: *nowhere\n", "services:\n\t- x\n", "a: &a [*a]\nb: !!python/none\n"]
)
def test_no_yaml(text: str) -> None:
    """A file that compose could not read either is named with what is wrong; nothing of it is executed."""
    with pytest.raises(CheckFailedError) as error:
        mail_services([("/p/compose.yaml", text)], {})
    assert "/p/compose.yaml" in error.value.what


def test_environment_files() -> None:
    """Quotes, comments, several lines for one name, values over several lines, CRLF."""
    text = (
        "# A=0\r\nA=1 # not this\nB='lit$eral # x'\nC=\"two\\nlines $A\"\nexport D = x#y\nE=\nA=2\n"
        'F="over\nlines"\nGIVEN\nMISSING\nnot a line\nG=${A:-no}${NOPE-yes}$$\n'
    )
    assert read_env_file(text, {"GIVEN": "g"}) == {
        "A": "2",
        "B": "lit$eral # x",
        "C": "two\nlines 1",
        "D": "x#y",
        "E": "",
        "F": "over\nlines",
        "GIVEN": "g",
        "G": "2yes$",
    }
    assert interpolate("${A:+set}${B:+set}${B+there}", {"A": "1", "B": ""}) == "setthere"


CORPUS = sorted(
    Path(__file__, "../../../../shared/corpus/docker-mailserver").resolve().glob("*/mailserver.env")
)
FILES = [path.read_bytes() for path in CORPUS] + [
    b"",
    b"A=1",
    b"# RELAY_HOST=\r\nRELAY_HOST='x' # y\r\n",
    b'A="1\nRELAY_HOST=no\n"\nRELAY_HOST = [a]:25',
]


@pytest.mark.parametrize("data", FILES, ids=range(len(FILES)))
def test_the_block_changes_one_variable_and_nothing_else(data: bytes) -> None:
    """The round trip over real files: our block decides its own variables, all others stay, and taking it out restores every byte."""
    changed = text_blocks.put(data, names.BLOCK, "# Why.\nRELAY_HOST=\n")
    before, after = (read_env_file(text.decode(), {}) for text in (data, changed))
    assert after == {**before, "RELAY_HOST": ""}
    assert text_blocks.put(changed, names.BLOCK, None) == data
