"""Is the program called sendmail really Sendmail? Postfix, Exim and others bring a command of that name, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

# Debian's binary, and the name the alternatives system of Fedora and RHEL gives it.
_OWN_PATHS = ("/usr/libexec/sendmail/sendmail", "/usr/lib/sm.bin/sendmail", "/usr/sbin/sendmail.sendmail")
_COMMON_PATHS = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
# What others install beside their command of that name.
_OTHERS = re.compile(r"postfix|exim|msmtp|ssmtp|nullmailer|dma|opensmtpd|courier|esmtp|xmail")
_VERSION = re.compile(r"^\s*(?:> )?Version (8\.\S+)", re.M)
_SELECTED = re.compile(r"^\s*(Conf|Pid) file:\s+(\S+) \(selected\)", re.M)


@dataclass(frozen=True)
class Program:
    """Sendmail's binary and what it says about itself (``-d0.13``)."""

    path: str
    version: str
    flags: frozenset[str]
    cf: str
    pid_file: str


def find_program(host: Host) -> Optional[Program]:
    """The Sendmail of this host, None when there is none."""
    for path in (*_OWN_PATHS, *_COMMON_PATHS):
        if not host.is_file(path):
            continue
        if path in _COMMON_PATHS and (_is_other(host, path)):
            continue
        found = _asked(host, path)
        if found is not None:
            return found
    return None


def _is_other(host: Host, path: str) -> bool:
    """Whether the command belongs to another mail system; those are never run, their options mean other things."""
    if _OTHERS.search(host.resolve(path)):
        return True
    try:
        return b"sendmail.cf" not in host.read_bytes(path)
    except ConboolError:
        return True


def _asked(host: Host, path: str) -> Optional[Program]:
    try:
        result = host.run([path, "-d0.13", "-bt"])
    except ConboolError:
        return None
    text = result.text()
    version = _VERSION.search(text)
    if version is None:
        return None
    selected = dict(_SELECTED.findall(text))
    compiled = text.partition("SYSTEM IDENTITY")[0]
    return Program(
        path,
        version.group(1),
        frozenset(re.findall(r"\b_?[A-Z][A-Z0-9_]+\b", compiled)),
        selected.get("Conf", "/etc/mail/sendmail.cf"),
        selected.get("Pid", "/var/run/sendmail.pid"),
    )


def asked_classes(host: Host, path: str, queries: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What address test mode prints for ``$=w``, ``$j`` and the like, by query. Raises HostError, NeedsRootError."""
    result = host.run([path, "-bt"], stdin="".join(f"{one}\n" for one in queries).encode())
    answers = answered(result.text())
    return {
        query: tuple(answers[number]) if number < len(answers) else () for number, query in enumerate(queries)
    }


def answered(text: str) -> list[list[str]]:
    """The answers of address test mode, one list of lines for each command."""
    _, _, rest = text.partition("Enter <ruleset> <address>\n")
    found: list[list[str]] = []
    for line in rest.split("\n"):
        while line.startswith("> "):
            found.append([])
            line = line[2:]
        if line and found:
            found[-1].append(line)
    return found
