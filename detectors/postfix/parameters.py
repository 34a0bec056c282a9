"""The effective settings of one Postfix instance, read with postconf(1) and judged with postmap(1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import CheckFailedError, HostError
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult

_TIMEOUT = 20.0
_TYPE = re.compile(r"[a-z][a-z0-9_-]*")
_PREFIX = re.compile(r"^[\w./-]+: (?:warning|fatal|error|panic): ")
_FATAL = re.compile(r"^[\w./-]+: (?:fatal|panic): (.*)", re.MULTILINE)


@dataclass(frozen=True)
class Parameters:
    """What postconf says, and what it warned about."""

    raw: Mapping[str, str]
    expanded: Mapping[str, str]
    explicit: frozenset[str]
    table_types: frozenset[str]
    warnings: tuple[str, ...]


class Tools:
    """Postfix's commands for one configuration directory.

    Args:
        host: the machine.
        config_directory: what ``-c`` gets; None asks the tools for their default.
    """

    def __init__(self, host: Host, config_directory: Optional[str] = None) -> None:
        self.host = host
        self.config_directory = config_directory

    def run(self, program: str, *arguments: str, timeout: float = _TIMEOUT) -> CommandResult:
        """Run one of Postfix's commands. Raises HostError, NeedsRootError."""
        chosen = () if self.config_directory is None else ("-c", self.config_directory)
        return self.host.run((program, *chosen, *arguments), timeout=timeout)

    def postconf(self, *arguments: str) -> CommandResult:
        """Run postconf(1).

        Raises:
            CheckFailedError: it failed, so no setting can be trusted.
        """
        result = self.run("postconf", *arguments)
        fatal = fatal_text(result)
        if fatal or not result.ok:
            raise CheckFailedError(
                fatal or _last_line(result) or f"postconf ended with status {result.returncode}",
                "Postfix cannot read its own configuration, so nothing can be planned on top of it.",
                "Repair the configuration until `postconf -n` works without an error, then start again.",
            )
        return result


def read_parameters(tools: Tools) -> Parameters:
    """All settings of the instance, in four commands.

    Raises:
        CheckFailedError: postconf or the configuration is broken.
        HostError: a command is missing or hangs.
    """
    plain = tools.postconf()
    raw = parse_settings(plain.text())
    if "mail_version" not in raw:
        raise CheckFailedError(
            "postconf printed no settings.",
            "The installation of Postfix is damaged, or the program is not Postfix's.",
            "Reinstall the postfix package and start again.",
        )
    expanded = dict(raw)
    expanded.update(parse_settings(tools.postconf("-x").text()))
    changed = tools.postconf("-n")
    types = tools.postconf("-m").text().split()
    return Parameters(
        raw,
        expanded,
        frozenset(parse_settings(changed.text())),
        frozenset(name for name in types if _TYPE.fullmatch(name)),
        tuple(dict.fromkeys(warnings_of(plain) + warnings_of(changed))),
    )


def refusal(tools: Tools) -> str:
    """Why the daemons would refuse this main.cf, empty when they would not.

    postconf(1) prints any value; the mail system's programs check numbers, times and users when they start.
    postmap(1) does the same check, changes nothing (``postfix check`` creates folders and copies files) and
    needs no root.
    """
    try:
        result = tools.run("postmap", "-q", "conbool-tui", "static:yes")
    except HostError as error:
        return error.what
    return fatal_text(result)


def parse_settings(text: str) -> dict[str, str]:
    """``name = value`` lines as postconf prints them, one line each."""
    settings: dict[str, str] = {}
    for line in text.split("\n"):
        name, separator, value = line.partition("=")
        # The process id is postconf's own, and would make two readings of one configuration differ.
        if separator and name.strip() != "process_id":
            settings[name.strip()] = value.strip()
    return settings


def fatal_text(result: CommandResult) -> str:
    """The reason a Postfix command gave for giving up, empty when it did not."""
    match = _FATAL.search(result.error_text())
    return match.group(1).strip() if match else ""


def warnings_of(result: CommandResult) -> list[str]:
    """What a Postfix command warned about, without the program's name."""
    return [
        _PREFIX.sub("", line.strip()) for line in result.error_text().split("\n") if ": warning: " in line
    ]


def _last_line(result: CommandResult) -> str:
    """The last thing a failed command said."""
    return result.error_text().rpartition("\n")[2]
