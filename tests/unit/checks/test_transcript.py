"""The text file with findings and transcripts."""

from __future__ import annotations

import datetime

from conbool_tui.checks.transcript import transcript_text
from conbool_tui.findings import Finding, Status

STARTED = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


def text(*findings: Finding) -> str:
    return transcript_text(findings, started=STARTED, version="1.2.3")


def test_whole_file() -> None:
    dialog = "= connecting to [192.0.2.1]:25\n< 220 hello"
    made = text(
        Finding("smart-host.connect", Status.OK, "Connected.", "= connecting to [192.0.2.1]:25"),
        Finding("smart-host.greeting", Status.OK, "Greets.", dialog),
        Finding("smtp.greeting", Status.WARN, "Slow.", "= connecting to [::1]:25", "Look."),
        Finding("smart-host.name", Status.NOT_TESTED, "Not tried.", dialog),
    )
    assert made.startswith(
        "conbool-tui 1.2.3, check of 2026-03-01 10:00:00 UTC\n2 OK, 1 WARN, 0 FAIL, 1 NOT TESTED\n"
    )
    assert made.partition("no mail.\n\n")[2] == (
        "OK          smart-host.connect\n"
        "    Connected.\n"
        "    | = connecting to [192.0.2.1]:25\n"
        "\n"
        "OK          smart-host.greeting\n"
        "    Greets.\n"
        "    | < 220 hello\n"
        "\n"
        "WARN        smtp.greeting\n"
        "    Slow.\n"
        "    What to do: Look.\n"
        "    | = connecting to [::1]:25\n"
        "\n"
        "NOT TESTED  smart-host.name\n"
        "    Not tried.\n"
    )


def test_two_dialogs_with_the_same_beginning_are_both_there() -> None:
    made = text(
        Finding("a", Status.OK, "A.", "= one\n< 220 x\n< 250 y"),
        Finding("b", Status.OK, "B.", "= one\n< 554 z"),
    )
    assert made.count("| = one") == 2
    assert "| < 554 z" in made


def test_nothing_in_it_commands_a_terminal() -> None:
    made = text(Finding("a", Status.FAIL, "x\x1b[2J\nFAIL forged", "< \x07\x9b1m", "\u202eabc"))
    assert not [char for char in made if not char.isprintable() and char != "\n"]
    assert "\nFAIL forged" not in made


def test_no_findings() -> None:
    assert text().startswith("conbool-tui 1.2.3")
