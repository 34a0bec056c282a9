"""Which log lines count as a failing Postfix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conbool_tui.host import Host
from conbool_tui.systems.postfix_log import PostfixLog

OLD = "Nov 20 13:00:00 mx postfix/smtpd[10]: fatal: from before\n"
HEAD = "Nov 20 13:04:12 mx "


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "var/log/mail.log"
    path.parent.mkdir(parents=True)
    path.write_text(OLD)
    return path


def watch(root: Path, name: str = "postfix") -> PostfixLog:
    return PostfixLog(Host(str(root)), "", name)


def add(log: Path, *lines: str) -> None:
    with log.open("a") as stream:
        stream.write("".join(HEAD + line + "\n" for line in lines))


def test_only_new_lines_of_daemons_count(tmp_path: Path, log: Path) -> None:
    watcher = watch(tmp_path)
    assert watcher.complaints() == []
    add(
        log,
        "postfix/smtpd[1]: connect from unknown[192.0.2.1]",
        "postfix/postmap[2]: fatal: open database /x: No such file or directory",
        "postfix/conbool-split/smtpd[3]: fatal: no SASL authentication mechanisms",
        "postfix/master[4]: warning: process /usr/lib/postfix/sbin/smtpd pid 3 exit status 1",
        "dovecot/imap[5]: fatal: not ours",
        "postfix-out/smtpd[6]: panic: another instance",
    )
    assert watcher.complaints() == ["smtpd: fatal: no SASL authentication mechanisms"]
    watcher.mark()
    assert watcher.complaints() == []
    assert watch(tmp_path, "postfix-out").complaints() == []


def test_another_instance_is_watched_by_its_name(tmp_path: Path, log: Path) -> None:
    watcher = watch(tmp_path, "postfix-out")
    add(log, "postfix/smtpd[1]: fatal: x", "postfix-out/smtpd[1]: panic: y")
    assert watcher.complaints() == ["smtpd: panic: y"]


def test_known_errors_do_not_count_but_fatal_ones_do(tmp_path: Path, log: Path) -> None:
    watcher = watch(tmp_path)
    add(log, "postfix/smtpd[1]: error: open /old: No such file", "postfix/smtpd[1]: fatal: dead")
    watcher.learn()
    watcher.mark()
    add(
        log,
        "postfix/smtpd[2]: error: open /old: No such file",
        "postfix/smtpd[2]: error: unsupported dictionary type: nosuchtype",
        "postfix/smtpd[2]: fatal: dead",
    )
    assert watcher.complaints() == [
        "smtpd: error: unsupported dictionary type: nosuchtype",
        "smtpd: fatal: dead",
    ]


def test_a_rotated_log_is_read_from_its_start(tmp_path: Path, log: Path) -> None:
    watcher = watch(tmp_path)
    os.rename(log, tmp_path / "var/log/mail.log.1")
    log.write_text("")
    add(log, "postfix/qmgr[1]: fatal: after rotation")
    assert watcher.complaints() == ["qmgr: fatal: after rotation"]


def test_a_log_that_appears_later_counts_whole(tmp_path: Path) -> None:
    (tmp_path / "var/log").mkdir(parents=True)
    watcher = watch(tmp_path)
    add(tmp_path / "var/log/maillog", "postfix/qmgr[1]: panic: new")
    assert watcher.complaints() == ["qmgr: panic: new"]
