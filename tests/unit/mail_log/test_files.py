"""Which files are read, how far back, and what happens when they cannot be."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from conbool_tui.mail_log import files, stamps
from conbool_tui.present_senders import SHOWN
from conbool_tui.receipt import Progress

from .rig import DAY, NOW, LogHost, facts, line, numbers, put, read

LOG = "/var/log/mail.log"


def message(address: str, age: float = 1.0) -> str:
    return line(f"4F1A2B3C4D: client=unknown[{address}]", age=age)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("suffix", list(PACKERS))
@pytest.mark.parametrize(
    "name",
    [
        "mail.log.1",
        "mail.log.12",
        "mail.log-20261118",
        "mail.log.20261118-120000",
        "mail-20261118.log",
        "mail.log-1763467200",
    ],
)
def test_rotated_files(tmp_path: Path, name: str, suffix: str) -> None:
    old = PACKERS[suffix](message("203.0.113.1", 48).encode())
    put(tmp_path, f"/var/log/{name}{suffix}", old, NOW - 2 * DAY)
    put(tmp_path, LOG, message("203.0.113.1", 24) + message("203.0.113.2", 1))
    for other in ("mail.logger", "mail.log.old", "mail.err", "xmail.log.1", "mail.log.1.bak"):
        put(tmp_path, f"/var/log/{other}", message("203.0.113.9"))
    report = read(tmp_path)
    assert numbers(report) == {"203.0.113.1": 2, "203.0.113.2": 1}
    assert report.sources == (f"/var/log/{name}{suffix}", LOG)
    assert report.days == pytest.approx(47 / 24, abs=0.01)
    assert report.note == ""


def test_a_file_being_compressed_counts_once(tmp_path: Path) -> None:
    put(tmp_path, LOG + ".1", message("203.0.113.1"))
    put(tmp_path, LOG + ".1.gz", gzip.compress(message("203.0.113.1").encode()))
    assert numbers(read(tmp_path)) == {"203.0.113.1": 1}


def test_only_the_last_days(tmp_path: Path) -> None:
    put(tmp_path, LOG + ".2", message("203.0.113.2", 24 * 9), NOW - 8 * DAY)
    put(tmp_path, LOG + ".1", message("203.0.113.3", 24 * 8) + message("203.0.113.4", 24 * 6), NOW - 6 * DAY)
    put(tmp_path, LOG, message("203.0.113.5"))
    report = read(tmp_path)
    assert numbers(report) == {"203.0.113.4": 1, "203.0.113.5": 1}
    assert report.sources == (LOG + ".1", LOG)
    assert report.days == pytest.approx(7, abs=0.1)
    assert numbers(read(tmp_path, days=1)) == {"203.0.113.5": 1}


def test_members_and_padding_of_gzip(tmp_path: Path) -> None:
    data = gzip.compress(message("203.0.113.1").encode()) + gzip.compress(message("203.0.113.2").encode())
    put(tmp_path, LOG + ".1.gz", data + b"\0" * 512)
    report = read(tmp_path)
    assert numbers(report) == {"203.0.113.1": 1, "203.0.113.2": 1}
    assert report.note == ""


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_damaged_files_are_told(tmp_path: Path, suffix: str) -> None:
    some = random.Random(1)
    text = "".join(message(f"203.0.113.{some.randrange(256)}") for _ in range(20_000)).encode()
    whole = PACKERS[suffix](text)
    for data in (
        whole[: len(whole) // 2],
        whole[:-6],
        whole[:20] + b"\xff\x00" * 40 + whole[100:],
        b"nothing",
    ):
        put(tmp_path, LOG + ".1" + suffix, data)
        put(tmp_path, LOG, message("192.0.2.1"))
        report = read(tmp_path)
        assert f"{LOG}.1{suffix} was" in report.note
        assert "compressed data" in report.note
        assert report.messages >= 1


def test_what_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    put(tmp_path, LOG + ".1.zst", b"\x28\xb5\x2f\xfd")
    put(tmp_path, LOG, message("203.0.113.1"))
    assert read(tmp_path).note == f"{LOG}.1.zst was not read: this program cannot unpack zst files."


def test_unreadable_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from conbool_tui.errors import HostError

    put(tmp_path, LOG, message("203.0.113.1"))
    host = LogHost(tmp_path)

    def refuse(path: str, offset: int, limit: int) -> bytes:
        raise HostError(f"{path} cannot be read: Permission denied.")

    monkeypatch.setattr(host, "read_from", refuse)
    report = read(tmp_path, host=host)
    assert f"{LOG} was not read: Permission denied." in report.note
    assert "present senders are unknown" in report.note
    assert (report.messages, report.sources, report.senders) == (0, (), ())


def test_no_log_at_all(tmp_path: Path) -> None:
    report = read(tmp_path, facts(main="maillog_file = /dev/stdout\n"))
    assert report.note == (
        "No mail log of the last 7 days was found, so present senders are unknown. Postfix writes its log to /dev/stdout."
    )
    assert (report.messages, report.days) == (0, 0.0)


def test_a_log_without_senders(tmp_path: Path) -> None:
    put(tmp_path, LOG, line("connect from a[203.0.113.1]", age=20) + line("disconnect from a[203.0.113.1]"))
    report = read(tmp_path)
    assert report.note == "The log names nobody who handed mail to port 25 without authentication."
    assert report.sources == (LOG,)
    assert report.days == pytest.approx(19 / 24, abs=0.01)


def test_an_old_log_is_told(tmp_path: Path) -> None:
    put(tmp_path, LOG, message("203.0.113.1", 80), NOW - 80 * 3600)
    assert "The last line is 3 days old" in read(tmp_path).note


@pytest.mark.parametrize(
    ("configuration", "path"),
    [
        ("mail.*\t\t-/var/log/post/mail\n", "/var/log/post/mail"),
        ("*.info;auth.none\t/var/log/all\nnews,mail.info -/data/m.log\n", "/data/m.log"),
        ('mail.* action(type="omfile" file="/data/r.log" sync="off")\n', "/data/r.log"),
        ("*.*;auth.none -/data/all.log\n", "/data/all.log"),
        ("mail.err /data/err.log\n*.*;mail.none /data/not.log\n", LOG),
        ("#mail.* /data/no.log\nmail.* ~\nmail.* @@loghost\n", LOG),
    ],
)
def test_syslog_configuration(tmp_path: Path, configuration: str, path: str) -> None:
    put(tmp_path, "/etc/rsyslog.d/50-default.conf", configuration)
    for name in ("/data/err.log", "/data/not.log", "/data/no.log", "/var/log/all"):
        put(tmp_path, name, message("203.0.113.66"))
    put(tmp_path, path, message("203.0.113.1"))
    assert read(tmp_path).sources == (path,)


def test_postlogd_first(tmp_path: Path) -> None:
    put(tmp_path, "/var/log/postfix.log", message("203.0.113.1"))
    put(tmp_path, LOG, message("203.0.113.2"))
    assert numbers(read(tmp_path, facts(main="maillog_file = /var/log/postfix.log\n"))) == {"203.0.113.1": 1}
    assert numbers(read(tmp_path)) == {"203.0.113.2": 1}


def test_lines_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, LOG, "".join(message(f"203.0.113.{number}") for number in range(1, 21)))
    whole = read(tmp_path)
    assert whole.messages == 20
    for size in (1, 7, 64, 100):
        monkeypatch.setattr(files, "PIECE", size)
        assert read(tmp_path) == whole


def test_a_last_line_without_end_and_endless_lines(tmp_path: Path) -> None:
    put(
        tmp_path,
        LOG,
        b"\0" * 5_000_000 + b"\n" + (message("203.0.113.1") + message("203.0.113.2").rstrip("\n")).encode(),
    )
    assert numbers(read(tmp_path)) == {"203.0.113.1": 1, "203.0.113.2": 1}


def test_cancel_keeps_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIECE", 4096)
    put(tmp_path, LOG, message("203.0.113.1") * 2000)
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 5

    report = read(tmp_path, cancelled=cancelled)
    assert 0 < report.messages < 2000
    assert "stopped before the end" in report.note
    # Once it said yes it is not asked again, and nothing more is read.
    assert len(asked) == 6


def test_progress_counts_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100_000))
    monkeypatch.setattr("conbool_tui.mail_log.senders.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(files, "PIECE", 4096)
    first, second = message("203.0.113.1", 30) * 500, message("203.0.113.1") * 500
    put(tmp_path, LOG + ".1", first, NOW - DAY)
    put(tmp_path, LOG, second)
    seen: list[Progress] = []
    read(tmp_path, progress=seen.append)
    done = [one.done for one in seen]
    assert done == sorted(done)
    assert (done[-1], seen[-1].total) == (len(first) + len(second),) * 2
    assert {one.text for one in seen} == {f"Reading {LOG}.1", f"Reading {LOG}"}


def test_progress_is_not_told_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conbool_tui.mail_log.senders.time.monotonic", lambda: 5.0)
    monkeypatch.setattr(files, "PIECE", 4096)
    put(tmp_path, LOG, message("203.0.113.1") * 500)
    seen: list[Progress] = []
    read(tmp_path, progress=seen.append)
    assert len(seen) == 1


def test_countless_addresses_stay_in_bounds(tmp_path: Path) -> None:
    heavy = message("203.0.113.1") * 50
    many = "".join(message(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(20_000))
    put(tmp_path, LOG, heavy + many + heavy)
    report = read(tmp_path, largest=1000, allowed=("10.0.0.0/24",))
    assert (report.messages, report.cut_off_messages) == (20_100, 20_100 - 256)
    assert report.senders[0].address == "203.0.113.1"
    assert report.senders[0].messages == 100
    assert len(report.senders) == SHOWN
    assert report.others == 20_001 - SHOWN
    assert report.other_messages == 20_100 - sum(one.messages for one in report.senders)
    assert "more than 1,000 addresses" in report.note


def test_memory_stays_in_bounds(tmp_path: Path) -> None:
    # A bomb: 300 MB of text in a small file.
    text = (message("203.0.113.1") * 1000).encode()
    packed = gzip.compress(text) * (300_000_000 // len(text))
    put(tmp_path, LOG + ".1.gz", packed[: len(packed)])
    tracemalloc.start()
    try:
        report = read(tmp_path, cancelled=_after(40))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.messages > 1000
    assert peak < 20_000_000


def _after(number: int) -> Callable[[], bool]:
    count = iter(range(1_000_000))
    return lambda: next(count) > number


@pytest.mark.parametrize(
    ("stamp", "newest", "wanted"),
    [
        (b"Dec 31 23:59:59", (2026, 1, 1, 0, 10), (2025, 12, 31, 23, 59, 59)),
        (b"Jan  1 00:00:01", (2026, 1, 1, 0, 10), (2026, 1, 1, 0, 0, 1)),
        (b"Feb 29 10:00:00", (2026, 3, 1, 0, 0), (2024, 2, 29, 10, 0, 0)),
        (b"Nov 20 10:00:00", (2026, 11, 19, 23, 0), (2026, 11, 20, 10, 0, 0)),
        (b"Nov 22 10:00:00", (2026, 11, 20, 10, 0), (2025, 11, 22, 10, 0, 0)),
        (b"Nov 20 10:00:00.5", (2026, 11, 20, 12, 0), (2026, 11, 20, 10, 0, 0)),
        (b"2026-11-20T10:00:00.5", (2026, 1, 1, 0, 0), (2026, 11, 20, 10, 0, 0)),
        (b"Feb 30 10:00:00", (2026, 3, 1, 0, 0), None),
        (b"Foo 20 10:00:00", (2026, 3, 1, 0, 0), None),
        (b"2026-13-20T10:00:00Z", (2026, 3, 1, 0, 0), None),
        (b"", (2026, 3, 1, 0, 0), None),
    ],
)
def test_times(stamp: bytes, newest: tuple[int, ...], wanted: tuple[int, ...] | None) -> None:
    def local(parts: tuple[int, ...]) -> float:
        year, month, day, hour, minute, second = (*parts, 0)[:6]
        return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))

    assert stamps.seconds(stamp, local(newest)) == (None if wanted is None else local(wanted))


def test_zones() -> None:
    expected = 1795168800.0
    for text in (b"2026-11-20T10:00:00Z", b"2026-11-20T12:00:00+02:00", b"2026-11-20T04:30:00.12-0530"):
        assert stamps.seconds(text, 0.0) == expected
