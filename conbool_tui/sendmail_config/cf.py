"""What a sendmail.cf says, as far as it matters here (op.me, "The Whole Scoop on the Configuration File")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

_OPTION = re.compile(r"O\s*([A-Za-z][\w.]*)\s*=\s*(.*)")
_RULESET = re.compile(r"S\s*([A-Za-z_]\w*|\d+)")
_HEADER = re.compile(r"H(?:\?[^?]*\?)?([^:\s]+)\s*:\s*(.*)")
_NAME = re.compile(r"(?:\{(\w+)\}|(\S))(.*)")


@dataclass(frozen=True)
class Named:
    """Something with a name: the line number (from 1) and the text of the line that says it."""

    name: str
    number: int
    text: str


@dataclass(frozen=True)
class CfFile:
    """A sendmail.cf.

    Attributes:
        options: the last value of every long-named option.
        daemons: the values of DaemonPortOptions, in order.
        macros: the values of D lines by macro name.
        class_files: paths of F lines by class name.
        rulesets: rulesets that have a rule, by name, with the first rule.
        headers: H lines that call a ruleset, by lower-case header name.
        mailers: M lines by mailer name.
        maps: K lines by map name, without the name.
    """

    options: Mapping[str, str]
    daemons: tuple[str, ...]
    macros: Mapping[str, str]
    class_files: Mapping[str, tuple[str, ...]]
    rulesets: Mapping[str, Named]
    headers: Mapping[str, Named]
    mailers: Mapping[str, Named]
    maps: Mapping[str, str]

    def map_file(self, name: str) -> Optional[tuple[str, str]]:
        """Type and path of a map, without its options; None when there is no such map."""
        words = [word for word in self.maps.get(name, "").split() if not word.startswith("-")]
        return (words[0], words[-1]) if len(words) > 1 else None

    def mailer_path(self, name: str) -> str:
        """The program of a mailer (``P=``), empty when there is no such mailer."""
        found = self.mailers.get(name)
        match = re.search(r"\bP=([^,\s]+)", found.text) if found else None
        return match.group(1) if match else ""


def parse_cf(text: str) -> CfFile:
    """Read a sendmail.cf. Lines that are not understood are passed over: Sendmail itself is the judge."""
    options: dict[str, str] = {}
    daemons: list[str] = []
    macros: dict[str, str] = {}
    files: dict[str, tuple[str, ...]] = {}
    rulesets: dict[str, Named] = {}
    headers: dict[str, Named] = {}
    mailers: dict[str, Named] = {}
    maps: dict[str, str] = {}
    current = ""
    for number, line in _logical(text):
        kind = line[0]
        if kind == "O":
            match = _OPTION.match(line)
            if match and match.group(1).lower() == "daemonportoptions":
                daemons.append(match.group(2).strip())
            elif match:
                options[match.group(1)] = match.group(2).strip()
        elif kind == "S":
            match = _RULESET.match(line)
            current = match.group(1) if match else ""
        elif kind == "R" and current:
            rulesets.setdefault(current, Named(current, number, line))
        elif kind == "H":
            match = _HEADER.match(line)
            if match and match.group(2).startswith("$>"):
                headers[match.group(1).lower()] = Named(match.group(1), number, line)
        elif kind == "M":
            name = line[1:].split(",")[0].strip()
            mailers[name] = Named(name, number, line)
        elif kind == "K":
            name, _, rest = line[1:].strip().partition(" ")
            maps[name] = rest.strip()
        elif kind in "DF":
            match = _NAME.match(line[1:])
            if match:
                name, value = match.group(1) or match.group(2), match.group(3).strip()
                if kind == "D":
                    macros[name] = value
                else:
                    files[name] = (*files.get(name, ()), value)
    return CfFile(options, tuple(daemons), macros, files, rulesets, headers, mailers, maps)


def differences(one: str, other: str) -> list[str]:
    """Lines that only one of two files has, comments left out: ``- line`` for the first, ``+ line`` for the second.

    What m4 builds carries the time and place of building as comments.
    """
    import difflib

    first, second = ([line for _, line in _logical(text)] for text in (one, other))
    found = difflib.unified_diff(first, second, lineterm="", n=0)
    return [
        f"{line[0]} {line[1:]}" for line in found if line[:1] in "+-" and not line.startswith(("+++", "---"))
    ]


def _logical(text: str) -> list[tuple[int, str]]:
    """Lines that say something, each with its number; a line that begins with a blank goes on with the one before."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip()
        if not line or line.startswith("#"):
            continue
        if line[0] in " \t" and found:
            found[-1] = (found[-1][0], found[-1][1] + "\n" + line)
        else:
            found.append((number, line))
    return found
