"""Queue files whose filter names a transport that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.host import Host
from conbool_tui.queue_files import filed_for

GONE = frozenset((b"conbool-direct", b"conbool-reinject"))


def record(kind: str, text: str) -> bytes:
    """One record of a queue file (rec_put(3)) with less than 128 bytes."""
    return kind.encode() + bytes([len(text)]) + text.encode()


def envelope(*more: bytes) -> bytes:
    return b"".join([record("S", "a@example.com"), *more, record("R", "b@example.org"), record("M", "")])


def content(size: int) -> bytes:
    return record("N", "x" * 100) * (size // 102)


FILTER = record("L", "conbool-direct:")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (envelope(FILTER) + content(100), True),
        (envelope(record("L", "conbool-reinject:[127.0.0.1]:10026")), True),
        (envelope() + content(100) + FILTER + record("E", ""), True),
        (envelope() + content(500_000) + FILTER + record("E", ""), True),
        (envelope(FILTER) + content(500_000), True),
        (envelope() + content(32_700) + FILTER + record("E", ""), True),
        (envelope(record("L", "scan:[127.0.0.1]:10024")) + content(100), False),
        (envelope(record("L", "conbool-smarthost:")) + content(100), False),
        (envelope() + record("N", "Subject: about conbool-direct: and more"), False),
        (envelope(), False),
        (b"", False),
    ],
)
def test_filed_for(tmp_path: Path, data: bytes, found: bool) -> None:
    (tmp_path / "deferred/A").mkdir(parents=True)
    (tmp_path / "deferred/A/ABC123").write_bytes(data)
    assert filed_for(Host(str(tmp_path)), "/deferred", GONE) == (["ABC123"] if found else [])


def test_no_queue(tmp_path: Path) -> None:
    assert filed_for(Host(str(tmp_path)), "/deferred", GONE) == []
