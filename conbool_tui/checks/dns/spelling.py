"""Names and record texts as they may be shown: what comes from the network must not steer a terminal or fill the memory."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST_VALUE = 4096
LONGEST_LOOKUP = 8192
_LETTERS = frozenset("LMN")
_PLAIN = re.compile(r"[ -~]*\Z")


def shown_name(name: str) -> str:
    """A domain or host name as people write it: without the final dot, A-labels as U-labels (RFC 5890).

    A label that encodes nothing, or characters that are no letters, marks or digits, stays as it is.
    """
    plain = name[:-1] if name.endswith(".") and len(name) > 1 else name
    if "xn--" not in plain.lower():
        return plain
    return ".".join(_u_label(label) for label in plain.split("."))


def _u_label(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        decoded = label[4:].lower().encode("ascii").decode("punycode")
        again = "xn--" + decoded.encode("punycode").decode("ascii")
    except (UnicodeError, ValueError, OverflowError):
        return label
    letters = all(char == "-" or unicodedata.category(char)[0] in _LETTERS for char in decoded)
    return decoded if letters and not decoded.isascii() and again == label.lower() else label


def harmless(text: str) -> str:
    """The text with everything a terminal would not print as a character written out as its code."""
    if _PLAIN.match(text):
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def joined(strings: Iterable[bytes]) -> str:
    """The strings of one TXT record as its readers see them: joined without blanks or quotes (RFC 7208, section 3.3)."""
    return harmless(b"".join(strings).decode("utf-8", "backslashreplace"))


def limited(values: Iterable[str]) -> tuple[str, ...]:
    """The values, the overlong ones and those beyond the limit of one lookup cut, saying so."""
    found: list[str] = []
    left = LONGEST_LOOKUP
    every = tuple(values)
    for number, value in enumerate(every):
        if left <= 0:
            found.append(f"… and {len(every) - number} more")
            break
        if len(value) > LONGEST_VALUE:
            value = f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
        found.append(value)
        # Records without text use memory, too.
        left -= len(value) + 32
    return tuple(found)
