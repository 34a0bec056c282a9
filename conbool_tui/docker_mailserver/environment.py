"""Environment files and ``${NAME}`` in compose files, as docker compose reads them (compose specification, "Interpolation" and "env_file")."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:=[ \t]*(.*))?")
_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-?+])(?P<word>[^}]*))?\})"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read_env_file(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    r"""The variables of an environment file; of several lines for one name the last counts.

    A name without ``=`` takes its value from ``variables``. Single quotes are literal, in double quotes ``\n`` and the like are
    characters; a value in quotes may go on over several lines. An unquoted value ends before `` #``.
    """
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\r"))
        if match is None:
            continue
        name, value = match.group(1), match.group(2)
        if value is None:
            if name in variables:
                found[name] = variables[name]
            continue
        quote = value[:1]
        if quote in ("'", '"'):
            while not _closed(value, quote):
                more = next(lines, None)
                if more is None:
                    break
                value += "\n" + more.rstrip("\r")
            found[name] = _unquoted(value, quote, {**variables, **found})
        else:
            found[name] = interpolate(
                re.split(r"(?:^|[ \t])#", value, maxsplit=1)[0].strip(), {**variables, **found}
            )
    return found


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME}``, ``${NAME:-word}``, ``${NAME-word}``, ``${NAME:+word}``, ``${NAME+word}``; ``$$`` is a dollar sign. What is not
    set is empty."""

    def value(match: re.Match[str]) -> str:
        if match.group("escaped"):
            return "$"
        name, operator = match.group("plain") or match.group("name"), match.group("operator") or ""
        there = variables.get(name)
        if operator.startswith(":") and not there:
            there = None
        if operator.endswith("-") and there is None:
            return interpolate(match.group("word"), variables)
        if operator.endswith("+"):
            return "" if there is None else interpolate(match.group("word"), variables)
        return there or ""

    return _REFERENCE.sub(value, text)


def unset_names(text: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Names that a text refers to without a default and that have no value."""
    found = []
    for match in _REFERENCE.finditer(text):
        name = match.group("plain") or match.group("name")
        if name and not match.group("operator") and name not in variables:
            found.append(name)
    return tuple(dict.fromkeys(found))


def _closed(value: str, quote: str) -> bool:
    return _end(value, quote) > 0


def _end(value: str, quote: str) -> int:
    """Where the closing quote is; -1 when it is not there."""
    index = 1
    while index < len(value):
        if value[index] == "\\" and quote == '"':
            index += 2
            continue
        if value[index] == quote:
            return index
        index += 1
    return -1


def _unquoted(value: str, quote: str, variables: Mapping[str, str]) -> str:
    end = _end(value, quote)
    inner = value[1:end] if end > 0 else value[1:]
    if quote == "'":
        return inner
    plain = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(0)), inner)
    return interpolate(plain, variables)
