"""Every character beyond ASCII that the wizard draws, with its ASCII twin. No other module of the wizard
holds any.
"""

from __future__ import annotations

import os
import sys
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

_PLAIN_TERMINALS = ("linux", "vt", "ansi", "dumb", "cons")
_current = UNICODE


def terminal_wants_ascii() -> bool:
    """True for terminals whose fonts or encoding cannot be trusted with more: the Linux console, vt*, ansi,
    output that is not UTF-8.
    """
    encoding = (getattr(sys.__stderr__, "encoding", None) or "").lower().replace("-", "")
    return encoding != "utf8" or os.environ.get("TERM", "").startswith(_PLAIN_TERMINALS)


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
