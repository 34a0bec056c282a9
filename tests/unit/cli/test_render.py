"""Text for people at 80 columns, JSON without secrets, diffs that patch(1) takes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from conbool_tui import render
from conbool_tui.errors import UsageError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.findings import Finding, Status
from conbool_tui.plan import FileTarget
from conbool_tui.receipt import ChangeState, Receipt
from tests.unit.cli import samples

RECEIPT = Receipt(
    "20260101-000000-abcd",
    "postfix",
    ChangeState.APPLIED,
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:02Z",
    ("One", "Two"),
    ("/etc/postfix/main.cf",),
)


def fits(text: str) -> None:
    assert max(len(line) for line in text.splitlines()) <= 80, text


def test_detect() -> None:
    text = render.detect_text(samples.facts())
    fits(text)
    for word in (
        "postfix: found",
        "3.7.11",
        "/etc/postfix",
        "example.com",
        "example.org",
        "each recipient's MX",
        "/etc/ssl/mail.pem",
    ):
        assert word in text


def test_detect_other_outcomes() -> None:
    facts = HostFacts(
        (
            Detection(
                "postfix",
                Outcome.MANAGED,
                "Postfix of Plesk",
                managed_by="Plesk",
                evidence="/etc/psa/.psa.shadow",
                remedy="Use Plesk.",
            ),
            Detection("exim", Outcome.BROKEN, "Exim", reason="line 7 is wrong"),
            Detection("sendmail", Outcome.ABSENT, ""),
        )
    )
    text = render.detect_text(facts)
    for word in (
        "managed by something else",
        "Plesk",
        "/etc/psa/.psa.shadow",
        "Use Plesk.",
        "line 7 is wrong",
        "sendmail: not found",
    ):
        assert word in text


def test_detect_json_hides_passwords() -> None:
    text = json.dumps(render.facts_json(samples.facts()))
    assert "geheim" not in text
    assert json.loads(text)["detections"][0]["postfix"]["version"] == "3.7.11"


def test_plan_in_plain_language() -> None:
    text = render.plan_text(samples.plan())
    fits(text)
    order = [
        "Step A",
        "All mail to the smart host",
        "before: (empty)",
        "after: [mail.conbool.com]:25",
        "Step C",
        "Markers",
        "Files",
        "new     /etc/postfix/conbool/markers",
        "changed /etc/postfix/main.cf",
        "removed /etc/postfix/conbool/old",
        "Commands",
        "postfix reload",
        "Not touched",
        "Undo",
        "! Look here.",
    ]
    positions = [text.index(word) for word in order]
    assert positions == sorted(positions)
    assert "Step B" not in text
    assert render.plan_text(samples.EMPTY).startswith("Nothing to do")


def test_plan_json_is_complete() -> None:
    document = json.loads(json.dumps(render.plan_json(samples.plan())))
    assert document["empty"] is False
    assert [item["path"] for item in document["files"]] == [target.path for target in samples.plan().files]
    assert document["files"][0]["before"] is None
    assert document["files"][0]["after"]["text"] == "/^X-A/ OK\n"
    assert "base64" in document["files"][1]["before"]
    assert document["changes"][0]["after"] == "[mail.conbool.com]:25"
    assert document["changes"][0]["step"] == "A"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (samples.BEFORE, samples.AFTER),
        (b"a\nb\nc\n", b"a\nc\n"),
        (b"a", b"a\n"),
        (b"a\n", b"a"),
        (b"a\r\nb\r\n", b"a\r\nB\r\n"),
        (b"x\x0by\x0cz\n\x85\n", b"x\x0by\x0cz\n\x85\nnew\xff"),
        (None, b"new\nfile\n"),
        (None, b"no end"),
        (b"old\n", None),
    ],
)
def test_diffs_can_be_applied(tmp_path: Path, before: bytes | None, after: bytes | None) -> None:
    target = tmp_path / "file"
    if before is not None:
        target.write_bytes(before)
    diff = render.file_diff(FileTarget(str(target), before, after))
    done = subprocess.run(
        ["patch", "--binary", "-p0", "-d", "/", "-E"], input=diff, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + diff
    assert (target.read_bytes() if target.exists() else None) == after


def test_diff_names_dev_null() -> None:
    diff = render.plan_diff(samples.plan())
    assert b"--- /dev/null\n+++ /etc/postfix/conbool/markers\n" in diff
    assert b"--- /etc/postfix/conbool/old\n+++ /dev/null\n" in diff
    assert diff.count(b"\\ No newline at end of file\n") == 2
    assert render.plan_diff(samples.EMPTY) == b""


def test_nothing_commands_the_terminal() -> None:
    evil = "a\x1b[2Jb\x07\u202e\udcff"
    assert render.printable(evil) == "a\\x1b[2Jb\\x07\\u202e\\xff"
    facts = samples.facts(version=evil)
    assert "\x1b" not in render.detect_text(facts)
    changed = dataclasses.replace(samples.plan().changes[0], after=evil, title=evil, reason=evil)
    assert "\x1b" not in render.plan_text(dataclasses.replace(samples.plan(), changes=(changed,)))
    assert "\x1b" not in render.error_lines(UsageError(evil, evil, evil))
    assert "\x1b" not in render.findings_text([Finding("x", Status.FAIL, evil, evil, evil)])


def test_findings() -> None:
    text = render.findings_text(
        [
            Finding("a", Status.OK, "Good.", "secret transcript"),
            Finding("b", Status.FAIL, "Bad.", "> EHLO x\n< 500 no", "Repair it."),
            Finding("c", Status.NOT_TESTED, "Not.", remedy="Test it."),
        ]
    )
    fits(text)
    assert "+ OK" in text
    assert "x FAIL" in text
    assert "? NOT TESTED" in text
    assert "secret transcript" not in text
    assert "< 500 no" in text
    assert "-> Repair it." in text
    assert text.endswith("1 OK, 1 FAIL, 1 NOT TESTED\n")


def test_receipts() -> None:
    assert "conbool-tui undo 20260101-000000-abcd" in render.receipt_text(RECEIPT)
    undone = dataclasses.replace(RECEIPT, id="x", undo_of=RECEIPT.id)
    assert "Change 20260101-000000-abcd was taken back." in render.receipt_text(undone)
    assert "undo of" in render.history_text([undone])
    assert render.history_text([]) == "No changes recorded.\n"
    fits(render.history_text([RECEIPT]))


def test_errors_have_three_parts() -> None:
    assert render.error_lines(UsageError("What.", "Why.", "Todo.")) == "conbool-tui: What.\n  Why.\n  Todo."
    listing = render.error_lines(UsageError("What.", "main.cf: relayhost\n  ours: a\n  now: b", "Todo."))
    assert listing == "conbool-tui: What.\n  main.cf: relayhost\n    ours: a\n    now: b\n  Todo."
