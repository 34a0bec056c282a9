"""The text of an access map (cf/README, "ANTI-SPAM CONFIGURATION CONTROL")."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from conbool_tui.networks import Network


@dataclass(frozen=True)
class AccessLine:
    """One entry: line number (from 1), key as written, and value."""

    number: int
    key: str
    value: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.key} {self.value}"


def access_lines(text: str) -> Iterator[AccessLine]:
    """Every entry; makemap(8) ignores blank lines and lines that begin with ``#``."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(None, 1)
        yield AccessLine(number, parts[0], parts[1].strip() if len(parts) > 1 else "")


def network_of(key: str) -> Optional[Network]:
    """The network an entry without tag, or with ``Connect:``, is about; None for names and other tags."""
    text = key[len("connect:") :] if key.lower().startswith("connect:") else key
    if text.lower().startswith("ipv6:"):
        return _six(text[len("ipv6:") :])
    if not re.fullmatch(r"\d+(\.\d+){0,3}\.?", text):
        return None
    octets = text.rstrip(".").split(".")
    try:
        address = ".".join(octets + ["0"] * (4 - len(octets)))
        return ipaddress.ip_network(f"{address}/{8 * len(octets)}")
    except ValueError:
        return None


def _six(text: str) -> Optional[Network]:
    try:
        if "::" in text:
            return ipaddress.ip_network(text)
        groups = text.rstrip(":").split(":")
        address = ":".join(groups) + ("::" if len(groups) < 8 else "")
        return ipaddress.ip_network(f"{address}/{16 * len(groups)}")
    except ValueError:
        return None
