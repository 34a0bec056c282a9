"""Lists of networks as they come from files and out of the clipboard."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any

from conbool_tui import answer_forms
from conbool_tui.answer_forms import FormError, shown
from conbool_tui.errors import ConboolError, NeedsRootError, UsageError
from conbool_tui.host import Host

LARGEST = 1024 * 1024
"""A list may have so many bytes."""

_NAMED = 3
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEPARATORS = re.compile(r"[\s,]+")
_INVISIBLE = str.maketrans(dict.fromkeys("\ufeff\u200b\u200c\u200d\u2060\u00ad", " "))
_BULLET = re.compile(r"\A\s*[-*\u2022]\s+")
# Dashes that word processors make.
_DASH = re.compile(r"\s+[-\u2010-\u2015]+\s+|[\u2010-\u2015]")
_MASK = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}/\d{1,3}(?:\.\d{1,3}){3}\Z")
_WRITE = "Write one network a line, such as 198.51.100.0/24; # begins a comment."


def read_list(host: Host, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The networks in a file; see ``parse_list``.

    Args:
        host: the machine.
        path: the file.

    Raises:
        UsageError: there is no such file, it cannot be read, or it is no list of networks.
        NeedsRootError: only root may read it.
    """
    try:
        if host.is_dir(path) or (host.exists(path) and not host.is_file(path)):
            raise UsageError(f"{path} is no ordinary file.", "", "Name a text file that holds networks.")
        if not host.exists(path):
            raise UsageError(f"{path} does not exist.", "", "Check the spelling of the file's name.")
        data = host.read_from(path, 0, LARGEST + 1)
    except (UsageError, NeedsRootError):
        raise
    except ConboolError as error:
        raise UsageError(error.what, error.why, error.todo) from None
    if len(data) > LARGEST:
        raise _too_large(path)
    try:
        return parse_list(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise _no_text(path) from None


def parse_list(text: str, source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The networks in a text, each once, in the order given.

    One or more in a line, with blanks or commas between: networks (CIDR), addresses, ranges ``first-last``; IPv4 and IPv6. From ``#``,
    or ``;`` with no network behind it, to the end of the line is a comment. What is there twice or lies in another network is left
    out, neighbours are joined. A default route, and prefixes shorter than ``answer_forms.SHORTEST_PREFIX``, are always refused.

    Args:
        text: the list.
        source: where it comes from, for messages.

    Returns:
        The networks in their normal spelling, and sentences about what was merged.

    Raises:
        UsageError: something is no network (with the line's number), there is none at all, or it is no text.
    """
    if len(text) > LARGEST:
        raise _too_large(source)
    if any(char in text for char in "\0\ufffd\x1b\x08\x7f"):
        raise _no_text(source)
    found: list[str] = []
    ranges: list[tuple[str, int]] = []
    for number, line in enumerate(_LINE_END.split(text), 1):
        for word in _words(line, source, number):
            networks = _networks(word, source, number)
            if len(networks) > 1:
                ranges.append((word, len(networks)))
            found += networks
    if not found:
        raise UsageError(
            f"{source} holds no network.",
            "An empty list would let nobody connect.",
            _WRITE,
        )
    kept, dropped = answer_forms.merged(found)
    result, joined = _joined(kept)
    return result, tuple(_remarks(ranges, dropped, joined))


def _words(line: str, source: str, number: int) -> Iterator[str]:
    """The entries of a line. Raises UsageError."""
    line = _BULLET.sub("", line.translate(_INVISIBLE).partition("#")[0])
    line = _DASH.sub("-", line)
    line, semicolon, comment = line.partition(";")
    if semicolon and line.strip():
        for word in _SEPARATORS.split(comment.replace(";", " ")):
            if _is_network(word):
                raise UsageError(
                    f"{source}, line {number}: {shown(word)} stands behind a semicolon.",
                    "A semicolon begins a comment, so this network would not count.",
                    "Put it into a line of its own, or begin the comment with #.",
                )
    for word in _SEPARATORS.split(line):
        bare = word.strip("\"'")
        if bare:
            yield bare


def _is_network(word: str) -> bool:
    """Whether a word is a network or an address, a usable one or not."""
    try:
        ipaddress.ip_interface(word)
    except ValueError:
        return False
    return True


def _networks(word: str, source: str, number: int) -> list[str]:
    """The networks one entry stands for. Raises UsageError."""
    # Postfix writes [2001:db8::]/32.
    plain = re.sub(r"\A\[([0-9A-Fa-f:.]+)\]", r"\1", word)
    try:
        if "-" in plain:
            return _range(plain)
        if _MASK.match(plain):
            masked = ipaddress.IPv4Interface(plain)
            return [answer_forms.network(f"{masked.ip}/{masked.network.prefixlen}")]
        return [answer_forms.network(plain)]
    except (FormError, ValueError) as error:
        reason = str(error) if isinstance(error, FormError) else "is no network."
        what, _, todo = reason.partition("; ")
        raise UsageError(
            f"{source}, line {number}: {shown(word)} {what.rstrip('.')}.",
            "Nothing was taken from the list: with a part of it some would be locked out.",
            todo[:1].upper() + todo[1:] if todo else _WRITE,
        ) from None


def _range(text: str) -> list[str]:
    """The networks of a range of addresses. Raises FormError."""
    first, _, last = text.partition("-")
    try:
        begin, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
        parts = list(ipaddress.summarize_address_range(begin, end))
    except (ValueError, TypeError):
        raise FormError(
            "is no range of addresses; write both ends whole and the smaller one first, such as "
            "203.0.113.10-203.0.113.20."
        ) from None
    return [answer_forms.network(str(part)) for part in parts]


def _joined(networks: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Networks (none inside another) with neighbours written as one, in the order of their first parts; and what was joined.

    Nothing is joined to a prefix too short to be given by itself.
    """
    found: list[tuple[int, str]] = []
    joined: list[str] = []
    parsed = [(ipaddress.ip_network(network), number) for number, network in enumerate(networks)]
    families: tuple[list[tuple[Any, int]], ...] = (
        [item for item in parsed if item[0].version == 4],
        [item for item in parsed if item[0].version == 6],
    )
    for family in families:
        parts = iter(sorted(family))
        # What is made of neighbours covers them exactly, so both lists go in step.
        for whole in ipaddress.collapse_addresses([network for network, _ in family]):
            places: list[int] = []
            covered = 0
            while covered < whole.num_addresses:
                network, place = next(parts)
                covered += network.num_addresses
                places.append(place)
            if len(places) == 1 or whole.prefixlen < answer_forms.SHORTEST_PREFIX[whole.version]:
                found += [(place, networks[place]) for place in places]
            else:
                found.append((min(places), str(whole)))
                joined.append(f"{whole} ({len(places)} parts)")
    return tuple(text for _, text in sorted(found)), joined


def _remarks(
    ranges: Sequence[tuple[str, int]], dropped: Sequence[tuple[str, str]], joined: Sequence[str]
) -> Iterator[str]:
    """One sentence for each kind of change."""
    twice = list(dict.fromkeys(first for first, second in dropped if first == second))
    inside = list(dict.fromkeys(f"{first} (in {second})" for first, second in dropped if first != second))
    if ranges:
        texts = [f"{word} ({count} networks)" for word, count in ranges]
        yield f"Written as networks: {_some(texts)}."
    if twice:
        yield f"Listed more than once, and counted once: {_some(twice)}."
    if inside:
        yield f"Left out because a larger network holds it: {_some(inside)}."
    if joined:
        yield f"Written as one because they are neighbours: {_some(joined)}."


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _too_large(source: str) -> UsageError:
    return UsageError(
        f"{source} is larger than {LARGEST // 1024 // 1024} MiB.",
        "That is no list of a few services' networks.",
        "Name the list itself; large networks are written shorter with a prefix, such as 198.51.100.0/24.",
    )


def _no_text(source: str) -> UsageError:
    return UsageError(
        f"{source} is no text in UTF-8.",
        "It may be a spreadsheet, a compressed file or text in another encoding.",
        "Save it as plain text in UTF-8, one network a line.",
    )
