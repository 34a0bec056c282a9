"""Where settings of ours must stand so that they are in force: a file in conf.d, or a block in dovecot.conf.

Dovecot 2.3 takes the last value of a setting, so ours must come after every other one. In 2.4 scripts run in the order of their sections,
so ours must come before every other one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.planners.dovecot import names

_INCLUDE = re.compile(r"\s*!include(?:_try)?\s+(?P<what>\S+)\s*")
_SCRIPT = {"2.3": re.compile(r"sieve_before"), "2.4": re.compile(r"^\s*sieve_script\s", re.MULTILINE)}
_VERSION_LINE = re.compile(r"\s*(dovecot_config_version|dovecot_storage_version)\s*=")


@dataclass(frozen=True)
class Place:
    """The file, and for a block in dovecot.conf the line it goes before."""

    path: str
    before: str = ""
    warnings: tuple[str, ...] = ()


def find(host: Host, config_file: str, syntax: str) -> Place:
    """The place for this Dovecot. What cannot be read counts as having no scripts: the staged copy is judged later."""
    directory = posixpath.dirname(config_file)
    wanted = names.activation(directory, syntax)
    lines = _text(host, config_file).split("\n")
    include = next(
        (
            number
            for number, line in enumerate(lines)
            if (match := _INCLUDE.fullmatch(line))
            and posixpath.join(directory, match["what"]) == f"{posixpath.dirname(wanted)}/*.conf"
        ),
        None,
    )
    if include is not None and host.is_dir(posixpath.dirname(wanted)):
        folder = posixpath.dirname(wanted)
        rest = lines[include + 1 :] if syntax == "2.3" else lines[:include]
        own = posixpath.basename(wanted)
        others = [
            name for name in _conf_files(host, folder) if (name > own) == (syntax == "2.3") and name != own
        ]
        texts = ["\n".join(_bare(rest)), *(_text(host, f"{folder}/{name}") for name in others)]
        texts += [text for line in rest for text in _included(host, directory, line)]
        if not any(_SCRIPT[syntax].search(_uncommented(text)) for text in texts):
            return Place(wanted)
    if syntax == "2.3":
        return Place(config_file)
    first = next(
        (
            line
            for line in lines
            if line.strip() and not line.lstrip().startswith("#") and not _VERSION_LINE.match(line)
        ),
        "",
    )
    return Place(config_file, first)


def _bare(lines: list[str]) -> list[str]:
    return [line for line in lines if _INCLUDE.fullmatch(line) is None]


def _uncommented(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))


def _conf_files(host: Host, folder: str) -> list[str]:
    try:
        return sorted(name for name in host.listdir(folder) if name.endswith(".conf"))
    except ConboolError:
        return []


def _included(host: Host, directory: str, line: str) -> Iterator[str]:
    """The texts of the files that a line includes, one level deep."""
    match = _INCLUDE.fullmatch(line)
    if match is None:
        return
    path = posixpath.join(directory, match["what"])
    folder, pattern = posixpath.split(path)
    if "*" not in pattern:
        yield _text(host, path)
        return
    shape = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    try:
        found = host.listdir(folder)
    except ConboolError:
        return
    for name in sorted(found):
        if shape.fullmatch(name):
            yield _text(host, f"{folder}/{name}")


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace") if host.is_file(path) else ""
    except ConboolError:
        return ""
