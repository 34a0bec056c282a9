"""Texts of the header check tables (header_checks(5)). One syntax serves pcre: and regexp: alike; both
ignore case unless a flag says otherwise.

A header reaches the table as one logical line, folded parts included, so blanks are matched as
``[[:space:]]``, which includes line ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from conbool_tui.planners.postfix.names import ORIGIN_HEADER

_NAMES_PER_PATTERN = 50
_PREFIX = "X-Conbool-"
UNTRUSTED, HANDED_OVER = "untrusted", "handed-over"
"""The words in the note about the client: its markers are not believed; it is one of Conbool's addresses."""

_SPECIAL = set(".^$*+?()[]{}|\\/")

# A parameter named method outside of quoted strings: only such a text/calendar part is an iTIP message
# (RFC 6047, section 2.4). The bounds keep a hostile header of header_size_limit bytes from using up the stack
# of PCRE 8 (which ends cleanup(8) with a signal) or seconds of time: no group may repeat once per character.
_QUOTED = r'"[^"\\]*(\\.[^"\\]*){0,20}"'
_CALENDAR = (
    r"/^Content-Type:[[:space:]]*text\/calendar[[:space:]]*;"
    rf'([^"]*({_QUOTED}[^"]*){{0,20}};)?[[:space:]]*method[[:space:]]*=/'
)


def _escape(name: str) -> str:
    return "".join("\\" + char if char in _SPECIAL else char for char in name)


def _common_prefix(names: Sequence[str]) -> str:
    """What all names begin with, whatever their case."""
    first, last = min(names, key=str.lower), max(names, key=str.lower)
    length = 0
    while length < min(len(first), len(last)) and first[length].lower() == last[length].lower():
        length += 1
    return first[:length]


def _pattern(names: Sequence[str], value: str) -> str:
    """One pattern for a few names; what they share stands once, which keeps compiled regexp: tables small."""
    prefix = _common_prefix(names)
    if len(names) > 1 and len(prefix) == min(map(len, names)):
        # One name begins all others; POSIX leaves an empty alternative undefined.
        prefix = prefix[:-1]
    rest = [_escape(name[len(prefix) :]) for name in names]
    alternatives = rest[0] if len(rest) == 1 else f"({'|'.join(rest)})"
    return f"/^{_escape(prefix)}{alternatives}:[[:space:]]*{value}[[:space:]]*$/"


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _NAMES_PER_PATTERN):
        yield names[start : start + _NAMES_PER_PATTERN]


def _tree(names: Sequence[str], value: str, action: str) -> list[str]:
    """Rules for any number of names (sorted, in lower case each once): large groups stand behind a test
    of the character in which they
    begin to differ, so that a header meets some hundred names, not all of them."""
    if len(names) <= _NAMES_PER_PATTERN:
        return [f"{_pattern(names, value)} {action}"]
    length = len(_common_prefix(names))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name[: length + 1].lower(), []).append(name)
    lines: list[str] = []
    few: list[str] = []
    for group in groups.values():
        if len(group) <= _NAMES_PER_PATTERN:
            few += group
            continue
        lines += [f"if /^{_escape(group[0][: length + 1])}/", *_tree(group, value, action), "endif"]
    return lines + [f"{_pattern(chunk, value)} {action}" for chunk in _chunks(few)]


def _guarded(names: Iterable[str], value: str, action: str) -> list[str]:
    """Rules for header names with one value. Many of them stand behind one test of prefix and value:
    every other header, also one that
    Conbool or this server adds to each message, costs one match and not thousands."""
    unique = sorted({name.lower(): name for name in names}.values(), key=str.lower)
    inside = [name for name in unique if name.lower().startswith(_PREFIX.lower())]
    outside = [name for name in unique if not name.lower().startswith(_PREFIX.lower())]
    lines: list[str] = []
    for part in (inside, outside):
        rules = _tree(part, value, action) if part else []
        if len(rules) > 1:
            rules = [
                f"if /^{_escape(_common_prefix(part))}[^:]*:[[:space:]]*{value}[[:space:]]*$/",
                *rules,
                "endif",
            ]
        lines += rules
    return lines


def marker_rules(loop_headers: Iterable[str], released: str, action: str) -> list[str]:
    """Loop markers (value true, step C) and the release marker (value yes, step D) lead to ``action``."""
    return _guarded(loop_headers, "true", action) + _guarded([released], "yes", action)


def released_rule(released: str, action: str) -> list[str]:
    """The release marker alone."""
    return _guarded([released], "yes", action)


def spam_rules(spam: Sequence[str]) -> list[str]:
    """Step C: what Conbool flagged gets the header that mailbox servers and mail programs know."""
    return _guarded(spam, "yes", "PREPEND X-Spam-Flag: YES") if spam else []


def calendar_rule(action: str) -> list[str]:
    """Calendaring (RFC 5546, 6047): text/calendar with a method, as the message's own type or as a part's."""
    return [f"{_CALENDAR} {action}"]


def origin_note(word: str, host: str) -> str:
    """The note about a client as a header. It names the host that wrote it: the note of another server, which
    a message may bring along, says nothing here.
    """
    return f"{ORIGIN_HEADER}: {word} {host}"


def origin_rule(word: str, host: str, action: str) -> list[str]:
    """Mail with that note."""
    return [f"/^{ORIGIN_HEADER}:[[:space:]]*{word}[[:space:]]+{_escape(host)}[[:space:]]*$/ {action}"]


def next_hop_rule(host: str, policy: str) -> list[str]:
    """A policy for one host as next hop, in brackets or not, with a port or without."""
    return [f"/^\\[?{_escape(host)}\\]?(:[^:]*)?$/ {policy}"]


def drop_headers(names: Iterable[str]) -> list[str]:
    """Remove headers whatever their value."""
    unique = sorted({name.lower(): name for name in names}.values(), key=str.lower)
    return [f"/^({'|'.join(map(_escape, chunk))}):/ IGNORE" for chunk in _chunks(unique)]


def drop_conbool_headers(others: Iterable[str]) -> list[str]:
    """Remove every X-Conbool- header and the markers that are named otherwise."""
    foreign = [name for name in others if not name.lower().startswith(_PREFIX.lower())]
    return [f"/^{_PREFIX}/ IGNORE", *drop_headers(foreign)]
