"""Texts of the header check tables (header_checks(5)). One syntax serves pcre: and regexp: alike; both ignore case unless a flag says otherwise.

A header reaches the table as one logical line, folded parts included, so blanks are matched as ``[[:space:]]``, which includes line ends.
"""

from __future__ import annotations

from typing import Iterable, Sequence

from conbool_tui.planners.postfix.names import ORIGIN_HEADER

_NAMES_PER_PATTERN = 50
_PREFIX = "X-Conbool-"
_SPECIAL = set(".^$*+?()[]{}|\\/")

# A parameter named method outside of quoted strings: only such a text/calendar part is an iTIP message (RFC 6047, section 2.4).
_CALENDAR = r'/^Content-Type:[[:space:]]*text\/calendar[[:space:]]*;(([^"]|"([^"\\]|\\.)*")*;)?[[:space:]]*method[[:space:]]*=/'


def _escape(name: str) -> str:
    return "".join("\\" + char if char in _SPECIAL else char for char in name)


def _pattern(names: Sequence[str], value: str) -> str:
    alternatives = "|".join(_escape(name) for name in names)
    return f"/^({alternatives}):[[:space:]]*{value}[[:space:]]*$/"


def _guarded(names: Iterable[str], value: str, action: str) -> list[str]:
    """Rules for many header names: names of Conbool's own form stand behind one test, so that other headers cost one match, not thousands."""
    unique = sorted({name.lower(): name for name in names}.values(), key=str.lower)
    inside = [name for name in unique if name.lower().startswith(_PREFIX.lower())]
    outside = [name for name in unique if not name.lower().startswith(_PREFIX.lower())]
    lines: list[str] = []
    if inside:
        lines.append(f"if /^{_PREFIX}/")
        for start in range(0, len(inside), _NAMES_PER_PATTERN):
            lines.append(f"{_pattern(inside[start : start + _NAMES_PER_PATTERN], value)} {action}")
        lines.append("endif")
    for start in range(0, len(outside), _NAMES_PER_PATTERN):
        lines.append(f"{_pattern(outside[start : start + _NAMES_PER_PATTERN], value)} {action}")
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


def origin_rule(action: str) -> list[str]:
    """Mail of clients that are not believed."""
    return [f"/^{ORIGIN_HEADER}:[[:space:]]*untrusted[[:space:]]*$/ {action}"]


def drop_headers(names: Iterable[str]) -> list[str]:
    """Remove headers whatever their value."""
    unique = sorted({name.lower(): name for name in names}.values(), key=str.lower)
    lines: list[str] = []
    for start in range(0, len(unique), _NAMES_PER_PATTERN):
        alternatives = "|".join(_escape(name) for name in unique[start : start + _NAMES_PER_PATTERN])
        lines.append(f"/^({alternatives}):/ IGNORE")
    return lines


def drop_conbool_headers(others: Iterable[str]) -> list[str]:
    """Remove every X-Conbool- header and the markers that are named otherwise."""
    foreign = [name for name in others if not name.lower().startswith(_PREFIX.lower())]
    return [f"/^{_PREFIX}/ IGNORE", *drop_headers(foreign)]
