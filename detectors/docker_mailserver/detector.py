"""Puts the probes together: which container, which configuration volume, which release, what Postfix it makes."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.compose import ComposeService
from conbool_tui.docker_mailserver.environment import read_env_file
from conbool_tui.errors import CheckFailedError, ConboolError, HostError
from conbool_tui.facts import Capability, Detection, FileText, MtaFacts, Outcome, PostfixFacts
from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
from conbool_tui.host import Host
from conbool_tui.planners.postfix.mta import mta_of
from detectors.docker_mailserver import reading, search
from detectors.listening import owner_of_port, safe_listeners
from detectors.postfix.files import read_file

_KNOWN = frozenset(
    (
        "ACCOUNT_PROVISIONER",
        "DEFAULT_RELAY_HOST",
        "ENABLE_AMAVIS",
        "ENABLE_LDAP",
        "ENABLE_OPENDKIM",
        "ENABLE_OPENDMARC",
        "ENABLE_POLICYD_SPF",
        "ENABLE_POSTGREY",
        "ENABLE_QUOTAS",
        "ENABLE_RSPAMD",
        "ENABLE_SPAMASSASSIN",
        "ENABLE_SRS",
        "MOVE_SPAM_TO_JUNK",
        "ONE_DIR",
        "OVERRIDE_HOSTNAME",
        "PERMIT_DOCKER",
        "POSTFIX_INET_PROTOCOLS",
        "RELAY_HOST",
        "RELAY_PORT",
        "SMTP_ONLY",
        "SPAMASSASSIN_SPAM_TO_INBOX",
        "SPOOF_PROTECTION",
    )
)
_SECRET = re.compile(r"PASS|SECRET|TOKEN|SASL_PASSWD|_PW$|(?:^|_)KEY$")
_CREDENTIALS = ("RELAY_USER", "RELAY_PASSWORD", "SASL_PASSWD")
_FIREWALL = (
    "The host's firewall is left alone: docker leads published ports past it. Postfix in the container refuses everybody else, by "
    "the address it sees."
)
_STATE = ("/var/mail-state", "/var/spool/postfix")
_OWN_FILES = ("postfix-main.cf", "postfix-master.cf")


@dataclass(frozen=True)
class _Found:
    """A compose service with its container; one of them may be missing."""

    service: Optional[ComposeService]
    container: Optional[search.Container]

    @property
    def titles(self) -> tuple[str, ...]:
        """What ``--instance`` may call it."""
        own = (self.service.name, self.service.container_name) if self.service else ()
        return tuple(dict.fromkeys(filter(None, (*own, self.container.name if self.container else ""))))

    @property
    def place(self) -> str:
        """Where it is, for people."""
        if self.service is not None:
            return f"{self.titles[0]} in {self.service.files[0]}"
        return f"container {self.titles[0]}"


class DockerMailserverDetector:
    """Finds docker-mailserver on the docker host."""

    name = names.SYSTEM

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """Look for docker-mailserver; ``instance`` is the service or container when there are several."""
        try:
            return self._found(host, instance)
        except ConboolError as error:
            return _broken(error)
        except OSError as error:
            return _broken(
                HostError(
                    f"{_inside(host, error)} cannot be read: {error.strerror}.",
                    "Compose projects and volumes usually belong to root.",
                    "Use sudo.",
                )
            )

    def _found(self, host: Host, instance: Optional[str]) -> Detection:
        """As ``detect``. Raises ConboolError, OSError."""
        found = _all(host)
        if not found:
            return Detection(
                self.name,
                Outcome.ABSENT,
                "docker-mailserver is not set up on this host.",
                reason="No compose file names it.",
            )
        named = [one for one in found if instance is not None and instance in one.titles]
        if len(found) > 1 and len(named) != 1:
            listed = ", ".join(one.place for one in found)
            return Detection(
                self.name,
                Outcome.BROKEN,
                f"{len(found)} docker-mailserver services are set up here.",
                f"It is not known which one is meant: {listed}.",
                "Give --instance NAME (instance in the answers file), the service's or the container's name.",
            )
        facts = read_facts(host, named[0] if named else found[0])
        state = (
            "running" if facts.running else "not running" if facts.docker else "docker cannot be asked here"
        )
        release = f" {facts.version}" if facts.version else ""
        return Detection(
            self.name,
            Outcome.PRESENT,
            f"docker-mailserver{release} with its configuration in {facts.config}, {state}, {facts.postfix.domains.counted}.",
            evidence=facts.compose_files[0] if facts.compose_files else f"container {facts.container}",
            docker_mailserver=facts,
            covers=("dovecot",),
            mta=_mta(host, facts),
        )


def _inside(host: Host, error: OSError) -> str:
    """The path that an error is about, as the host has it."""
    path = str(error.filename or "A file")
    return path if host.live else path[len(host.root) :] if path.startswith(host.root) else path


def _mta(host: Host, facts: DockerMailserverFacts) -> MtaFacts:
    """The neutral half."""
    inside = mta_of(facts.postfix)
    listeners = safe_listeners(host)
    return dataclasses.replace(
        inside,
        title="docker-mailserver",
        version=facts.version or inside.version,
        running=facts.running,
        config_directory=facts.config,
        listeners=listeners,
        port_25_owner=owner_of_port(listeners, 25),
        capabilities=(*inside.capabilities, *_capabilities(facts)),
    )


def _capabilities(facts: DockerMailserverFacts) -> tuple[Capability, ...]:
    found = [Capability("inbound.firewall: auto", False, _FIREWALL)]
    if not facts.sieve:
        found.append(
            Capability("spam.action: folder", False, "SMTP_ONLY=1: the container keeps no mailboxes")
        )
    return tuple(found)


def _broken(error: ConboolError) -> Detection:
    return Detection(
        names.SYSTEM,
        Outcome.BROKEN,
        "docker-mailserver is here, but its configuration cannot be used.",
        " ".join(part for part in (error.what, error.why) if part),
        error.todo,
    )


def _all(host: Host) -> list[_Found]:
    """Every installation: containers with their services, then services without a container."""
    running = search.containers(host)
    services = list(search.compose_services(host, running))
    found = []
    for container in running:
        files = tuple(container.label("com.docker.compose.project.config_files").split(","))
        service = next(
            (
                one
                for one in services
                if (one.name == container.label("com.docker.compose.service") and set(one.files) & set(files))
                or (one.container_name and one.container_name == container.name)
            ),
            None,
        )
        if service is not None:
            services.remove(service)
        found.append(_Found(service, container))
    return found + [_Found(service, None) for service in services]


def read_facts(host: Host, found: _Found) -> DockerMailserverFacts:
    """Everything about one installation.

    Raises:
        CheckFailedError: it has no configuration volume, or the container's Postfix cannot be asked.
        HostError, NeedsRootError: a file cannot be read.
        ConfigTextError: one of the admin's files cannot be read.
    """
    service, container = found.service, found.container
    mounts = _mounts(host, service, container)
    config = _config(host, found, mounts)
    environment, set_in, credentials = _environment(host, service, container)
    version = _version(service, container)
    host_name = environment.get("OVERRIDE_HOSTNAME") or (
        (container.host_name if container else "") or (service.host_name if service else "")
    )

    def place(name: str) -> str:
        """A file of the volume; one that is mounted by itself lies elsewhere."""
        target = posixpath.join(names.CONFIG_MOUNT, name)
        return next(
            (source for source, one in mounts if one == target and source), posixpath.join(config, name)
        )

    own = {name: _bytes(host, place(name)) for name in _OWN_FILES}
    domains = reading.hosted_domains(
        _bytes(host, place("postfix-accounts.cf")),
        _bytes(host, place("postfix-virtual.cf")),
        environment,
        host_name,
    )
    in_force: Optional[bool] = None
    postfix: PostfixFacts
    running = container is not None and container.running
    if running and container is not None:
        asked = reading.read_container(host, container.name, domains)
        postfix, in_force, version = asked.postfix, asked.in_force, version or asked.release.lstrip("v")
    else:
        postfix = reading.known_postfix(
            _major(version),
            environment,
            host_name,
            own["postfix-main.cf"] or b"",
            own["postfix-master.cf"] or b"",
            domains,
        )
    return DockerMailserverFacts(
        service=service.name if service else "",
        compose_files=service.files if service else (),
        container=container.name if container else (service.container_name if service else ""),
        image=container.image if container else (service.image if service else ""),
        version=version,
        config=config,
        user_patches=place(names.USER_PATCHES),
        mounts=mounts,
        docker=search.has_docker(host),
        running=running,
        in_force=in_force,
        environment=environment,
        set_in=set_in,
        credentials=credentials,
        env_file=_env_file(host, service),
        files=_files(host, config, place(names.USER_PATCHES), _env_file(host, service)),
        postfix=postfix,
        rendered="container" if running else "documentation",
        queue_kept=any(target in _STATE for _, target in mounts) if mounts else None,
        sieve=environment.get("SMTP_ONLY") != "1",
        sender_relays=_sender_relays(_bytes(host, place("postfix-relaymap.cf")) or b""),
    )


def _mounts(
    host: Host, service: Optional[ComposeService], container: Optional[search.Container]
) -> tuple[tuple[str, str], ...]:
    """Every volume as a path of the host and one of the container."""
    if container is not None and container.mounts:
        return container.mounts
    found = []
    for mount in service.mounts if service else ():
        source = mount.source
        if mount.named:
            project = service.project if service else ""
            source = next(
                (
                    path
                    for path in (
                        f"/var/lib/docker/volumes/{project}_{mount.source}/_data",
                        f"/var/lib/docker/volumes/{mount.source}/_data",
                    )
                    if host.is_dir(path)
                ),
                "",
            )
        found.append((source, mount.target))
    return tuple(found)


def _config(host: Host, found: _Found, mounts: tuple[tuple[str, str], ...]) -> str:
    """The configuration volume on the host. Raises CheckFailedError, HostError."""
    source = next((source for source, target in mounts if target == names.CONFIG_MOUNT), None)
    if source is None:
        raise CheckFailedError(
            f"The service {found.place} has no volume for {names.CONFIG_MOUNT}.",
            "Settings would be lost with the container: docker-mailserver reads its configuration from that volume.",
            f"Add ./docker-data/dms/config/:{names.CONFIG_MOUNT}/ to its volumes, and create the container anew.",
        )
    unset = found.service.unset if found.service is not None and found.container is None else ()
    if unset:
        raise CheckFailedError(
            f"The volumes of {found.place} depend on variables that are not set: {', '.join(unset)}.",
            "The configuration volume cannot be found without them.",
            "Set them in the .env file beside the compose file.",
        )
    if not source or not host.is_dir(source):
        raise CheckFailedError(
            f"The configuration volume of {found.place} is not there{': ' + source if source else ''}.",
            "There is nothing that a plan could be made from.",
            "Start the container once, so that docker creates the volume, and look again.",
        )
    host.listdir(source)
    return source


def _environment(
    host: Host, service: Optional[ComposeService], container: Optional[search.Container]
) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """The settings that matter, where each is set, and the names of those that hold credentials.

    A compose file's own ``environment`` wins over its environment files. The files count, not what a running container was made with:
    they are what the admin wants. Raises HostError.
    """
    every: dict[str, str] = {}
    set_in: dict[str, str] = {}
    for path in service.env_files if service else ():
        if not host.is_file(path):
            continue
        for name, value in read_env_file(host.read_text(path), {}).items():
            every[name], set_in[name] = value, path
    if service is not None:
        for name, value in service.environment.items():
            every[name], set_in[name] = value, service.places.get(name, service.files[0])
    elif container is not None:
        every.update(container.environment)
        set_in.update((name, f"container {container.name}") for name, _ in container.environment)
    return (
        {name: value for name, value in every.items() if name in _KNOWN},
        {name: place for name, place in set_in.items() if name in _KNOWN},
        tuple(name for name in _CREDENTIALS if every.get(name)),
    )


def _sender_relays(data: bytes) -> tuple[str, ...]:
    """The senders that postfix-relaymap.cf names a relay host for; a sender alone on its line has none."""
    lines = (line.split() for line in data.decode("utf-8", "replace").split("\n"))
    return tuple(words[0] for words in lines if len(words) >= 2 and not words[0].startswith("#"))


def _version(service: Optional[ComposeService], container: Optional[search.Container]) -> str:
    """The release, from the image's label or variable, or from its tag; empty when only a moving tag is known."""
    if container is not None:
        told = dict(container.environment).get("DMS_RELEASE", "") or container.label(
            "org.opencontainers.image.version"
        )
        if told.lstrip("v")[:1].isdigit():
            return told.lstrip("v")
    image = (
        container.image if container is not None and container.image else (service.image if service else "")
    )
    tag = names.tag_of(image).lstrip("v")
    if tag.startswith("release-"):
        tag = tag[len("release-") :].lstrip("v")
    return tag if tag[:1].isdigit() else ""


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _env_file(host: Host, service: Optional[ComposeService]) -> Optional[str]:
    there = [path for path in (service.env_files if service else ()) if host.is_file(path)]
    return there[-1] if there else None


def _files(host: Host, config: str, user_patches: str, env_file: Optional[str]) -> Mapping[str, FileText]:
    """The files that a plan may change. Raises HostError, NeedsRootError."""
    folder = posixpath.join(config, names.FOLDER)
    paths = [user_patches, posixpath.join(config, names.RSPAMD)]
    if env_file is not None and not _has_secrets(host.read_text(env_file)):
        paths.append(env_file)
    if host.is_dir(folder):
        paths += host.walk(folder)
    return {path: read_file(host, path) for path in paths if host.is_file(path)}


def _has_secrets(text: str) -> bool:
    """Whether an environment file holds credentials: then nothing of it may appear in a plan."""
    return any(value and _SECRET.search(name) for name, value in read_env_file(text, {}).items())


def _bytes(host: Host, path: str) -> Optional[bytes]:
    return host.read_bytes(path) if host.is_file(path) else None
