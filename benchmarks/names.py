"""Names for large tests: made up, always the same, and alike in the ways real ones are."""

from __future__ import annotations

import random
from collections.abc import Iterator

_SYLLABLES = [
    "an",
    "bau",
    "ber",
    "con",
    "der",
    "el",
    "fin",
    "gro",
    "hof",
    "in",
    "kel",
    "land",
    "mar",
    "neu",
    "ost",
    "per",
    "qua",
    "rot",
    "sol",
    "tec",
    "un",
    "ver",
    "wal",
    "xen",
    "zen",
]
_ENDINGS = ("example", "example.com", "example.net", "example.org")


def many_domains(count: int) -> Iterator[str]:
    """``count`` different domains below the reserved names (RFC 2606); a third are numbered customers."""
    source = random.Random(count)
    seen: set[str] = set()
    while len(seen) < count:
        if len(seen) % 3 == 0:
            name = f"customer-{len(seen):05d}"
        else:
            name = "".join(source.choice(_SYLLABLES) for _ in range(source.randint(2, 5)))
        domain = f"{name}.{source.choice(_ENDINGS)}"
        if domain not in seen:
            seen.add(domain)
            yield domain


def many_senders(count: int) -> Iterator[str]:
    """``count`` sender addresses, spread over a few hundred domains."""
    domains = list(many_domains(300))
    for number in range(count):
        yield f"user.{number:06d}@{domains[number % len(domains)]}"
