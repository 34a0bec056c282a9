"""The findings with their transcripts as a text file, to be kept or sent to support."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from conbool_tui.findings import Finding, Status

_WIDTH = max(len(status.value) for status in Status)
_LEGEND = (
    "Lines of a transcript: = what was done, > what was sent, < what came back, ! what went wrong, $ a command.",
    "A transcript names addresses and host names of this server; it holds no passwords and no mail.",
)


def transcript_text(findings: Sequence[Finding], *, started: datetime.datetime, version: str) -> str:
    """Plain text: a header, then each finding with the lines of its transcript that were not shown before.

    Args:
        findings: as the checks gave them, in their order.
        started: when the checks began; shown in UTC.
        version: of this program.
    """
    moment = started.astimezone(datetime.timezone.utc)
    counts = {status: sum(found.status is status for found in findings) for status in Status}
    lines = [
        f"conbool-tui {version}, check of {moment:%Y-%m-%d %H:%M:%S} UTC",
        ", ".join(f"{count} {status.value}" for status, count in counts.items()),
        "",
        *_LEGEND,
    ]
    shown: list[list[str]] = []
    for finding in findings:
        lines += [
            "",
            f"{finding.status.value:<{_WIDTH}}  {_clean(finding.id)}",
            f"    {_clean(finding.summary)}",
        ]
        if finding.remedy:
            lines.append(f"    What to do: {_clean(finding.remedy)}")
        lines += [f"    | {_clean(line)}" for line in _news(finding.detail, shown)]
    return "\n".join(lines) + "\n"


def _news(detail: str, shown: list[list[str]]) -> list[str]:
    """The lines of ``detail`` that no dialog shown so far has; ``shown`` learns them.

    Findings of one conversation carry it from its beginning to their own point.
    """
    wanted = detail.split("\n") if detail.strip() else []
    for number, known in enumerate(shown):
        if wanted[: len(known)] == known:
            shown[number] = wanted
            return wanted[len(known) :]
        if known[: len(wanted)] == wanted:
            return []
    if wanted:
        shown.append(wanted)
    return wanted


def _clean(text: str) -> str:
    """One line that cannot command a terminal."""
    return "".join(char if char.isprintable() else " " if char in "\n\t" else "?" for char in text)
