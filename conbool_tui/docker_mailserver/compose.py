"""Compose files: which services run docker-mailserver, with what volumes and environment. Reading only; nothing here writes YAML.

This program never edits a compose file: what it has to say in the environment goes into an environment file as a marked block, so that
comments, order, anchors and quoting of the YAML stay whatever they are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import yaml

from conbool_tui.docker_mailserver.environment import interpolate, unset_names
from conbool_tui.docker_mailserver.names import is_image
from conbool_tui.errors import CheckFailedError

_LONGEST = 1_000_000


@dataclass(frozen=True)
class Mount:
    """A volume of a service. ``source`` is a path of the host, or the name of a volume when ``named``."""

    source: str
    target: str
    named: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class ComposeService:
    """One service that runs docker-mailserver.

    Attributes:
        files: the compose files it is made from, the first one first.
        project: the project's name.
        environment: what the compose files themselves set; it wins over ``env_files``.
        places: where they set it, ``file:line`` by variable.
        env_files: absolute paths, in the order in which they count (the last wins).
        unset: variables that volumes refer to and that have no value.
    """

    files: tuple[str, ...]
    project: str
    name: str
    image: str
    container_name: str
    host_name: str
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    env_files: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


def mail_services(
    texts: Sequence[tuple[str, str]], variables: Mapping[str, str], project: str = ""
) -> tuple[ComposeService, ...]:
    """The docker-mailserver services of a project.

    Args:
        texts: path and text of its compose files; a later one adds to the earlier ones.
        variables: what ``${NAME}`` stands for (the project's ``.env``).
        project: its name, when it is known.

    Raises:
        CheckFailedError: a file is no YAML, or not a compose file's shape.
    """
    merged: dict[str, dict[str, Any]] = {}
    places: dict[str, dict[str, str]] = {}
    title = ""
    for path, text in texts:
        data = _load(path, text)
        title = str(data.get("name") or "") or title
        services = data.get("services")
        if services is None and data.get("version") is None:
            # The first format had the services at the top.
            services = {key: value for key, value in data.items() if isinstance(value, dict)}
        if not isinstance(services, dict):
            services = {}
        for name, service in services.items():
            if isinstance(service, dict):
                _merge(merged.setdefault(str(name), {}), service, posixpath.dirname(path))
                places.setdefault(str(name), {}).update(_places(path, text, str(name)))
    first = texts[0][0] if texts else ""
    fallback = posixpath.basename(posixpath.dirname(first)).lower()
    found = []
    for name, service in merged.items():
        image = interpolate(str(service.get("image") or ""), variables)
        if not is_image(image):
            continue
        mounts, unset = _mounts(service["volumes"], variables)
        host, domain = (
            interpolate(str(service.get(key) or ""), variables) for key in ("hostname", "domainname")
        )
        found.append(
            ComposeService(
                files=tuple(path for path, _ in texts),
                project=project or interpolate(title, variables) or fallback,
                name=name,
                image=image,
                container_name=interpolate(str(service.get("container_name") or ""), variables),
                host_name=f"{host}.{domain}" if host and domain and "." not in host else host,
                mounts=mounts,
                environment={
                    key: interpolate(value, variables) for key, value in service["environment"].items()
                },
                places=places.get(name, {}),
                env_files=tuple(
                    posixpath.normpath(posixpath.join(folder, interpolate(item, variables)))
                    for folder, item in service["env_file"]
                ),
                unset=unset,
            )
        )
    return tuple(found)


def _load(path: str, text: str) -> dict[str, Any]:
    if len(text) > _LONGEST:
        raise CheckFailedError(f"{path} is too large for a compose file.", "It was not read.", "")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise CheckFailedError(
            f"{path} cannot be read: {problem}{where}.",
            "Docker compose could not read it either.",
            f"Repair it until `docker compose -f {path} config` works.",
        ) from None
    return data if isinstance(data, dict) else {}


def _merge(service: dict[str, Any], more: dict[str, Any], folder: str) -> None:
    """Lay one file's part of a service over the earlier ones': lists add up, single values are replaced."""
    for key in ("image", "container_name", "hostname", "domainname"):
        if more.get(key) is not None:
            service[key] = more[key]
    environment = service.setdefault("environment", {})
    environment.update(_environment(more.get("environment")))
    service.setdefault("env_file", []).extend((folder, item) for item in _env_files(more.get("env_file")))
    volumes = service.setdefault("volumes", [])
    volumes.extend((folder, item) for item in _list(more.get("volumes")))


def _environment(value: Any) -> dict[str, str]:
    """``environment`` as a mapping or as a list of ``NAME=value``; a name without a value comes from docker's own environment and is left out."""
    if isinstance(value, dict):
        return {str(key): _scalar(item) for key, item in value.items() if item is not None}
    pairs = (str(item).partition("=") for item in _list(value) if isinstance(item, str))
    return {name.strip(): text for name, equals, text in pairs if equals}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _env_files(value: Any) -> list[str]:
    """``env_file``: one path, a list of paths, or of mappings with ``path``."""
    found = []
    for item in _list(value):
        path = item.get("path") if isinstance(item, dict) else item
        if isinstance(path, str) and path:
            found.append(path)
    return found


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _mounts(
    volumes: Iterable[tuple[str, Any]], variables: Mapping[str, str]
) -> tuple[tuple[Mount, ...], tuple[str, ...]]:
    """The volumes in their short and long form; of several for one target the last counts."""
    found: dict[str, Mount] = {}
    unset: list[str] = []
    for folder, item in volumes:
        raw, target, read_only, kind = _volume(item)
        source = interpolate(raw, variables)
        place = posixpath.normpath(interpolate(target, variables) or "/")
        if not source or not target:
            continue
        is_path = source.startswith(("/", ".", "~"))
        named = kind == "volume" or (kind == "" and not is_path)
        if not named and not source.startswith("/"):
            home = source[1:].lstrip("/") if source.startswith("~") else None
            source = posixpath.join("/root", home) if home is not None else posixpath.join(folder, source)
        if unset_names(raw, variables):
            unset += unset_names(raw, variables)
        found[place] = Mount(source if named else posixpath.normpath(source), place, named, read_only)
    return tuple(found.values()), tuple(dict.fromkeys(unset))


def _volume(item: Any) -> tuple[str, str, bool, str]:
    """Source, target, read-only and kind (bind, volume, or empty when the form does not say)."""
    if isinstance(item, dict):
        return (
            str(item.get("source") or item.get("src") or ""),
            str(item.get("target") or item.get("dst") or item.get("destination") or ""),
            bool(item.get("read_only") or item.get("readonly")),
            str(item.get("type") or "volume"),
        )
    parts = _split(str(item))
    if len(parts) < 2:
        return "", "", False, ""
    options = parts[2].split(",") if len(parts) > 2 else []
    return parts[0], parts[1], "ro" in options, ""


def _split(text: str) -> list[str]:
    """``source:target:options`` at the colons that are not inside ``${ }``."""
    parts, depth, current = [], 0, ""
    for index, char in enumerate(text):
        if char == "{" and index and text[index - 1] == "$":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        if char == ":" and not depth:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]


def _places(path: str, text: str, service: str) -> dict[str, str]:
    """Where a file sets each variable of a service's ``environment``, as ``file:line``; aliases lead to the anchor's lines."""
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    node = _child(_child(_child(top, "services") or top, service), "environment")
    found = {}
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                found[key.value] = f"{path}:{key.start_mark.line + 1}"
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if isinstance(item, yaml.ScalarNode):
                found[item.value.partition("=")[0].strip()] = f"{path}:{item.start_mark.line + 1}"
    return found


def _child(node: Optional[yaml.Node], name: str) -> Optional[yaml.Node]:
    """The value of a key of a mapping, looked for in merged mappings (``<<``), too."""
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return value if isinstance(value, yaml.Node) else None
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "<<":
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                inner = _child(one, name)
                if inner is not None:
                    return inner
    return None
