"""What Exim's logs tell: whom it served, that it is in panic, that its daemon started anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.host import Host
from conbool_tui.systems.exim_log import EximLog

MAIN = "/var/log/exim4/mainlog"


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, EximLog]:
    folder = tmp_path / "var/log/exim4"
    folder.mkdir(parents=True)
    (folder / "mainlog").write_text(
        "2026-11-29 20:37:01 conbool-tui: session of [198.51.100.9] at port 25 ended well\n"
    )
    return folder / "mainlog", EximLog(Host(str(tmp_path)), "syslog : /var/log/exim4/%slog")


def test_whom_it_served(log: tuple[Path, EximLog]) -> None:
    path, one = log
    moment = one.moment()
    with path.open("a") as stream:
        stream.write(
            "2026-11-29 20:37:02 conbool-tui: session of [2001:db8:c::1] at port 25 ended well\n"
            "2026-11-29 20:37:02 conbool-tui: session of [203.0.113.9] at port 587 ended well\n"
            "2026-11-29 20:37:03 1xX-00-1o <= a@b.example H=(x) [198.51.100.25]:40312 P=esmtps X=TLS1.3 S=48\n"
            "2026-11-29 20:37:03 1xX-00-1o <= a@b.example U=alice P=local S=48\n"
            "2026-11-29 20:37:04 H=(x) [203.0.113.99] F=<a@b> rejected RCPT <c@d>: relay not permitted\n"
        )
    assert one.served(moment) == ["2001:db8:c::1", "198.51.100.25"]
    path.write_text("x conbool-tui: session of [198.51.100.7] at port 25 ended well\n")
    assert one.served(moment) == ["198.51.100.7"]
    assert one.served("nonsense") == []


def test_panic_and_start(log: tuple[Path, EximLog]) -> None:
    path, one = log
    panic = path.with_name("paniclog")
    panic.write_text("old\n")
    one.mark()
    assert one.panics() == []
    with panic.open("a") as stream:
        stream.write("2026-11-29 20:37:02 failed to expand condition\n")
    assert one.panics() == ["2026-11-29 20:37:02 failed to expand condition"]
    size = one.size()
    assert not one.started_since(size)
    with path.open("a") as stream:
        stream.write("2026-11-29 20:37:06 exim 4.96 daemon started: pid=362, -q30m, listening for SMTP\n")
    assert one.started_since(size)
