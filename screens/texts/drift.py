"""What differs from what was applied, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from conbool_tui.findings import Status
from screens.texts.lines import Line, status_line
from screens.texts.versions import place, version_lines

if TYPE_CHECKING:
    from conbool_tui.checks.drift import Drift


TITLE = "Edited since it was applied"
COMPARING = "Comparing with what was applied"
RECORDING = "Recording"
READING_ANSWERS = "Reading the recorded answers"
NO_SYSTEM = "there is no mail system to set up here"


def summary(drift: Sequence[Drift]) -> Line:
    """How many places differ."""
    if not drift:
        return status_line(Status.OK, "Nothing differs from what was applied.")
    what = "place is" if len(drift) == 1 else "places are"
    return status_line(Status.WARN, f"{len(drift)} {what} not as applied.")


def accepted_line(count: int) -> Line:
    """It was recorded."""
    return status_line(Status.OK, f"Accepted: {count}.")


def drift_news(drift: Sequence[Drift]) -> list[Line]:
    """One sentence for the first screen."""
    if not drift:
        return []
    what = "place is" if len(drift) == 1 else "places are"
    return [
        status_line(Status.WARN, f"{len(drift)} {what} not as applied. Choose Edited since to see them."),
        Line(""),
    ]


def drift_row(item: Drift) -> str:
    """One difference in one line."""
    return place(item.path, item.key)


def drift_lines(item: Drift) -> list[Line]:
    """Both versions."""
    when = item.when.replace("T", " ")[:16]
    return [
        Line(place(item.path, item.key), "title"),
        Line(f"Set by change {item.change_id} on {when} UTC."),
        *version_lines((("Applied", item.applied), ("Now", item.now))),
    ]


def accept_question(items: Sequence[Drift]) -> list[str]:
    """What accepting means."""
    return [
        "Accept as it is now:",
        *(f"  {place(item.path, item.key)}" for item in items),
        "",
        "No file is changed. Checks are content with these values from now on, and an undo leaves them alone.",
    ]


AGAIN_QUESTION = (
    "The recorded answers of what is in force are taken, and Review shows every line first.",
    "It sets everything as it was applied, also what you accepted earlier.",
    "Nothing is written before you say yes in Apply.",
)
DRAFT_LOST = "What you typed in this run and did not save is replaced by the recorded answers."
