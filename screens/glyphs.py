"""Every character beyond ASCII that the wizard draws, with its ASCII twin. No other module of the wizard
holds any.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from conbool_tui.findings import Status
from conbool_tui.mail_flow import Arrows


@dataclass(frozen=True)
class Glyphs:
    """One set of characters. Focus (``>``), ``(*)`` and ``[x]`` are ASCII in both sets and therefore not
    here.
    """

    ok: str
    warn: str
    fail: str
    unknown: str
    note: str
    rule: str
    bullet: str
    ellipsis: str
    continued: str
    arrows: Arrows


UNICODE = Glyphs(
    ok="\u2713",
    warn="!",
    fail="\u2717",
    unknown="?",
    note="\u2022",
    rule="\u2500",
    bullet="\u2022",
    ellipsis="\u2026",
    continued="\u21b3",
    arrows=Arrows(plain="\u2500", secure="\u2550", head="\u25ba"),
)
ASCII = Glyphs(
    ok="+",
    warn="!",
    fail="x",
    unknown="?",
    note="*",
    rule="-",
    bullet="*",
    ellipsis="...",
    continued="\\",
    arrows=Arrows(),
)

_PLAIN_TERMINALS = re.compile(r"linux|vt\d|ansi|dumb|cons")
# What Python itself sets when the locale is C, or is not installed (PEP 538): that says nothing of the terminal.
_SET_BY_PYTHON = ("C.UTF-8", "C.utf8")
_current = UNICODE


def locale_name() -> str:
    """The name of the locale that the user's environment asks for (locale(7)); empty when it asks for none."""
    everything, letters = os.environ.get("LC_ALL", ""), os.environ.get("LC_CTYPE", "")
    return everything or ("" if letters in _SET_BY_PYTHON else letters) or os.environ.get("LANG", "")


def terminal_wants_ascii() -> bool:
    """True for terminals whose fonts or encoding cannot be trusted with more: the Linux console, vt*, ansi, and a locale
    whose name does not say UTF-8. Whether the locale is installed here does not matter: it tells what the terminal reads.
    """
    encoding = locale_name().partition("@")[0].rpartition(".")[2].lower().replace("-", "")
    return encoding != "utf8" or _PLAIN_TERMINALS.match(os.environ.get("TERM", "")) is not None


def use(glyphs: Glyphs) -> None:
    """Draw with this set from now on."""
    global _current
    _current = glyphs


def current() -> Glyphs:
    """The set in use."""
    return _current


def status_mark(status: Status) -> str:
    """Symbol and word of a status: never colour alone."""
    glyphs = current()
    symbol = {
        Status.OK: glyphs.ok,
        Status.WARN: glyphs.warn,
        Status.FAIL: glyphs.fail,
        Status.NOT_TESTED: glyphs.unknown,
    }[status]
    return f"{symbol} {status.value}"
