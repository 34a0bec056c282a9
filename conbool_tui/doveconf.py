"""What doveconf(1) prints, read into sections. The output of Dovecot 2.3 and 2.4 has one form: ``name = value``, ``name [argument] {``, ``}``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional, Union

_VALUE = re.compile(r"(?P<name>[^\s={}]+)\s*=\s?(?P<value>.*)")
_OPENING = re.compile(r'(?P<name>[^\s={}]+)(?:\s+(?P<argument>"(?:[^"\\]|\\.)*"|[^{]*?))?\s*\{')


@dataclass
class Section:
    """One section: its values and sections in their order. ``argument`` is the word after its name, empty without one."""

    name: str = ""
    argument: str = ""
    items: list[Union[tuple[str, str], Section]] = field(default_factory=list)

    def get(self, name: str) -> Optional[str]:
        """The last value of that name; None when there is none."""
        found: Optional[str] = None
        for item in self.items:
            if isinstance(item, tuple) and item[0] == name:
                found = item[1]
        return found

    def values(self) -> dict[str, str]:
        """All values by name."""
        return dict(item for item in self.items if isinstance(item, tuple))

    def sections(self, name: str) -> Iterator[Section]:
        """The sections of that name, in order."""
        return (item for item in self.items if isinstance(item, Section) and item.name == name)

    def switched_on(self, name: str) -> tuple[str, ...]:
        """The words of a list: ``name = a b`` (2.3), or a section with ``a = yes`` (2.4)."""
        words = (self.get(name) or "").replace(",", " ").split()
        for section in self.sections(name):
            words += [word for word, value in section.values().items() if value.lower() in ("yes", "true")]
        return tuple(dict.fromkeys(words))


def parse(text: str) -> Section:
    """Read what doveconf printed. A line that is none of the three forms, such as a comment, is left out."""
    top = Section()
    stack = [top]
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped == "}":
            if len(stack) > 1:
                stack.pop()
            continue
        opening = _OPENING.fullmatch(stripped)
        if opening is not None:
            section = Section(opening["name"], _plain(opening["argument"] or ""))
            stack[-1].items.append(section)
            stack.append(section)
            continue
        value = _VALUE.fullmatch(stripped)
        if value is not None:
            stack[-1].items.append((value["name"], _plain(value["value"])))
    return top


def flat(section: Section, prefix: str = "") -> dict[str, str]:
    """Every value by its full name, for comparing two readings; a repeated section gets a number."""
    found: dict[str, str] = {}
    seen: dict[str, int] = {}
    for item in section.items:
        if isinstance(item, tuple):
            found[prefix + item[0]] = item[1]
            continue
        name = f"{item.name} {item.argument}".strip()
        seen[name] = seen.get(name, 0) + 1
        number = f" #{seen[name]}" if seen[name] > 1 else ""
        found[f"{prefix}{name}{number} {{}}"] = ""
        found.update(flat(item, f"{prefix}{name}{number} / "))
    return found


def _plain(text: str) -> str:
    """A value without its quotes."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
