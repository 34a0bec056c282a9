"""Files the wizard writes for the admin: the answers, and the transcript of a test."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from conbool_tui.findings import Finding
from conbool_tui.wizard_state import FieldSpec
from screens.texts.lines import Line

PATH = FieldSpec(
    key="save.path",
    label="Save to",
    help="Full path of the file; only root can read it (mode 0600).",
    step="general",
    choices=(),
    example=None,
    form="file",
)


@dataclass(frozen=True)
class Saved:
    """What is saved: heading, purpose, and where to when nothing else is typed."""

    heading: str
    purpose: str
    path: str


ANSWERS = Saved(
    "Save answers",
    "The file repeats this set-up: sudo conbool-tui apply --answers FILE",
    "/root/conbool-answers.yaml",
)
TRANSCRIPT = Saved(
    "Save transcript",
    "Everything the test said and heard, as text: for your records, or for Conbool's support.",
    "/root/conbool-test.txt",
)


def saved_line(path: str) -> Line:
    """It was written."""
    return Line(f"+ OK  Saved to {path}.", "ok")


def transcript(findings: Sequence[Finding], started: datetime.datetime) -> str:
    """The text of a transcript; made where it is written, because it loads what makes it."""
    from conbool_tui import __version__
    from conbool_tui.checks.transcript import transcript_text

    return transcript_text(findings, started=started, version=__version__)


def word_missing(word: str) -> str:
    """Why yes is not taken yet."""
    return f"type the word {word} first"


def type_word(word: str) -> str:
    """The label of a question whose yes is a word."""
    return f"Type {word}"
