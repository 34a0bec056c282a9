"""From what went wrong in a dialog to the words for it: every way of failing has its own text and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conbool_tui.checks.dialog import DialogError, Reply

# (stage, kind): summary and remedy. Stages: connect, banner, ehlo, starttls, handshake, inside (EHLO within TLS),
# mail, rcpt. Kinds: those of DialogError, and later (4xx), never (5xx). In the summary {who}, {why} and {reply}.
Texts = Mapping[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Failure:
    """What to tell: ``summary`` what happened, ``remedy`` what to do; ``refusal``: the server spoke, and said no."""

    summary: str
    remedy: str
    refusal: bool = False


def broken(texts: Texts, stage: str, who: str, error: DialogError) -> Failure:
    """The words for a dialog that ended at ``stage``."""
    if (stage, error.kind) == ("connect", "reset"):
        # The connection was there, else it would have been refused.
        stage = "banner"
    summary, remedy = texts[(stage, _known(texts, stage, error.kind))]
    return Failure(summary.format(who=who, why=error.text, reply=""), remedy)


def refused(texts: Texts, stage: str, who: str, reply: Reply) -> Failure:
    """The words for a reply that is a refusal, for the moment (4xx) or for good (5xx)."""
    summary, remedy = texts[(stage, "later" if reply.code < 500 else "never")]
    return Failure(summary.format(who=who, why="", reply=reply.text[:300]), remedy, refusal=True)


def _known(texts: Texts, stage: str, kind: str) -> str:
    """The kind itself, or the closest one that has words at this stage."""
    for candidate in (
        kind,
        {"reset": "closed", "tls": "closed", "filtered": "unreachable"}.get(kind, "closed"),
    ):
        if (stage, candidate) in texts:
            return candidate
    return "closed"
