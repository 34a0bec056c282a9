"""Postfix's own syntax inside values: lists, braces, table names, domain names. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

_SEPARATORS = frozenset(", \t\r\n")
_SEPARATED = re.compile(r"[, \t\r\n]+")
_LABEL = r"[a-z0-9_\u0080-\U0010ffff](?:[a-z0-9_\u0080-\U0010ffff-]{0,61}[a-z0-9_\u0080-\U0010ffff])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TABLE = re.compile(r"([a-z][a-z0-9_-]*):(.+)", re.DOTALL)
_LONGEST_DOMAIN = 253


@dataclass(frozen=True)
class Table:
    """A lookup table as written: ``hash:/etc/postfix/virtual`` (DATABASE_README). ``proxied`` for
    ``proxy:hash:…``."""

    type: str
    name: str
    proxied: bool = False

    def __str__(self) -> str:
        return f"{'proxy:' if self.proxied else ''}{self.type}:{self.name}"

    @property
    def direct(self) -> str:
        """``type:name`` without the proxy, as the command-line tools must open it."""
        return f"{self.type}:{self.name}"


def split_list(value: str) -> list[str]:
    """Split a list value as Postfix does: at commas and white space, but never inside ``{ }``; ``type:{ …
    }`` is one item."""
    if "{" not in value:
        return [item for item in _SEPARATED.split(value) if item]
    items: list[str] = []
    current: list[str] = []
    depth = 0
    for char in value:
        if depth == 0 and char in _SEPARATORS:
            if current:
                items.append("".join(current))
                current = []
            continue
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        current.append(char)
    if current:
        items.append("".join(current))
    return items


def unbrace(text: str) -> Optional[str]:
    """What is between the outer braces, None when the text is not in braces."""
    stripped = text.strip()
    if len(stripped) >= 2 and stripped[0] == "{" and stripped[-1] == "}":
        return stripped[1:-1]
    return None


def parse_table(item: str) -> Optional[Table]:
    """The table an item names, None for anything else (a domain, an address, ``/a/file``, ``[host]:25``)."""
    match = _TABLE.fullmatch(item)
    if match is None:
        return None
    kind, name = match.group(1), match.group(2)
    if kind == "proxy":
        inner = parse_table(name)
        return None if inner is None else Table(inner.type, inner.name, True)
    return Table(kind, name)


def tables_in(value: str, types: frozenset[str]) -> Iterator[Table]:
    """Every table of a known type in a value, restriction lists and nested ``{ }`` included."""
    for item in split_list(value):
        table = parse_table(item)
        if table is not None and table.type in types:
            if table.type in ("unionmap", "pipemap", "randmap"):
                inner = unbrace(table.name)
                if inner is not None:
                    yield from tables_in(inner, types)
                continue
            yield table
            continue
        inner = unbrace(item)
        if inner is not None:
            yield from tables_in(inner, types)


def inline_keys(name: str) -> Optional[list[str]]:
    """The keys of an ``inline:{ key=value, { key = text with blanks } }`` table; None when it is not written
    so (DATABASE_README)."""
    body = unbrace(name)
    if body is None:
        return None
    keys = []
    for item in split_list(body):
        pair = unbrace(item)
        keys.append((item if pair is None else pair).partition("=")[0].strip().lower())
    return keys


def is_domain(name: str) -> bool:
    """True for a name mail can be addressed to over the internet: at least two labels, no address literal,
    last label not a number."""
    if len(name) > _LONGEST_DOMAIN or _DOMAIN.fullmatch(name) is None or _SURROGATE.search(name):
        return False
    return not name.rpartition(".")[2].isdigit()
