"""Where compose projects are: what docker says about its containers, and a short look into the usual folders."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.compose import ComposeService, mail_services
from conbool_tui.docker_mailserver.environment import read_env_file
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

_TOPS = (
    "/opt",
    "/srv",
    "/root",
    "/home",
    "/docker",
    "/data",
    "/mnt",
    "/var/docker",
    "/var/lib/docker-compose",
)
_DEPTH = 3
_MOST_FOLDERS = 2000
# Without a sign of docker a compose file is unlikely, and a mail server's homes are full of mail: only a glance then.
_SIGNS = ("/var/lib/docker", "/run/docker.sock", "/var/lib/containerd")
_GLANCE = ("/opt", "/srv", "/docker")
_GLANCE_DEPTH = 2
_GLANCE_FOLDERS = 200
# Folders of mail hold no compose files, and may hold a million names.
_MAIL = frozenset(("Maildir", "maildir", "vhosts", "vmail", "cur", "new", "tmp"))
_LABEL = "com.docker.compose."


@dataclass(frozen=True)
class Container:
    """A container of docker-mailserver, from ``docker inspect``."""

    name: str
    image: str
    running: bool
    environment: tuple[tuple[str, str], ...]
    mounts: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    host_name: str

    def label(self, name: str) -> str:
        """A label's value, empty when it is not there."""
        return dict(self.labels).get(name, "")


def has_docker(host: Host) -> bool:
    """Whether the docker program can be used for this host."""
    return host.live and host.which("docker") is not None


def containers(host: Host) -> tuple[Container, ...]:
    """Every docker-mailserver container, running or not; none when docker does not answer."""
    if not has_docker(host):
        return ()
    try:
        return _containers(host)
    except ConboolError:
        return ()


def _containers(host: Host) -> tuple[Container, ...]:
    listed = host.run(["docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Image}}"], timeout=20)
    if not listed.ok:
        return ()
    lines = [line.split(None, 1) for line in listed.text().split("\n")]
    wanted = [line[0] for line in lines if len(line) == 2 and names.is_image(line[1])]
    if not wanted:
        return ()
    told = host.run(["docker", "inspect", *wanted], timeout=20)
    try:
        found = json.loads(told.text())
    except ValueError:
        return ()
    return tuple(_container(item) for item in found if isinstance(item, dict))


def _container(item: dict[str, Any]) -> Container:
    config = item.get("Config") or {}
    environment = [str(one).partition("=") for one in config.get("Env") or []]
    domain = str(config.get("Domainname") or "")
    name = str(config.get("Hostname") or "")
    return Container(
        name=str(item.get("Name") or "").lstrip("/"),
        image=str(config.get("Image") or ""),
        running=bool((item.get("State") or {}).get("Running")),
        environment=tuple((key, value) for key, _, value in environment),
        mounts=tuple(
            (str(one.get("Source") or ""), posixpath.normpath(str(one.get("Destination") or "/")))
            for one in item.get("Mounts") or []
        ),
        labels=tuple((str(key), str(value)) for key, value in (config.get("Labels") or {}).items()),
        host_name=f"{name}.{domain}" if domain and "." not in name else name,
    )


def compose_services(host: Host, found: tuple[Container, ...]) -> tuple[ComposeService, ...]:
    """The docker-mailserver services of all compose projects: those of the containers, and those in the usual folders.

    Raises:
        CheckFailedError: a compose file that names docker-mailserver cannot be read.
    """
    projects: dict[str, tuple[tuple[str, ...], str]] = {}
    for container in found:
        files = tuple(
            item.strip()
            for item in container.label(_LABEL + "project.config_files").split(",")
            if item.strip()
        )
        if files and all(host.is_file(path) for path in files):
            projects.setdefault(posixpath.dirname(files[0]), (files, container.label(_LABEL + "project")))
    for folder, inside in _folders(host):
        if folder not in projects:
            files = _project_files(folder, inside)
            if files:
                projects[folder] = (files, "")
    services: list[ComposeService] = []
    for folder, (files, project) in projects.items():
        texts = [(path, host.read_text(path)) for path in files if host.is_file(path)]
        files = tuple(path for path, _ in texts)
        if not any(name in text for _, text in texts for name in names.IMAGES):
            continue
        services += mail_services(texts, _variables(host, folder), project)
    return tuple(services)


def _variables(host: Host, folder: str) -> dict[str, str]:
    path = posixpath.join(folder, ".env")
    try:
        return read_env_file(host.read_text(path), {}) if host.is_file(path) else {}
    except ConboolError:
        return {}


def _project_files(folder: str, inside: list[str]) -> tuple[str, ...]:
    """The compose files that ``docker compose`` takes in a folder: the first of its names, with its override."""
    first = next((name for name in names.COMPOSE_FILES if name in inside), None)
    override = next((name for name in names.OVERRIDES if name in inside), None)
    return tuple(posixpath.join(folder, name) for name in (first, override) if name) if first else ()


def _folders(host: Host) -> Iterator[tuple[str, list[str]]]:
    """Folders in which admins keep compose projects with the names in them, breadth first and not for ever.

    Folders that this user may not read are passed over: what is in them is no business of this user's.
    """
    signs = host.which("docker") is not None or any(host.exists(path) for path in _SIGNS)
    tops, deepest, most = (
        (_TOPS, _DEPTH, _MOST_FOLDERS) if signs else (_GLANCE, _GLANCE_DEPTH, _GLANCE_FOLDERS)
    )
    pending = [(top, 0) for top in tops if host.is_dir(top)]
    seen = 0
    while pending and seen < most:
        folder, depth = pending.pop(0)
        seen += 1
        try:
            inside = host.listdir(folder)
        except (ConboolError, OSError):
            continue
        yield folder, inside
        if depth >= deepest:
            continue
        names_of_folders = (name for name in inside if not name.startswith(".") and name not in _MAIL)
        below = (posixpath.join(folder, name) for name in names_of_folders)
        pending.extend((path, depth + 1) for path in below if _is_folder(host, path))


def _is_folder(host: Host, path: str) -> bool:
    try:
        return not host.is_link(path) and host.is_dir(path)
    except OSError:
        return False
