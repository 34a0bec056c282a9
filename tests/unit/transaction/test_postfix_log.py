"""Which log lines count as a failing Postfix, and which as mail that was served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conbool_tui.host import Host, Process
from conbool_tui.systems.postfix import PostfixSystem
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


def talk(
    pid: int, address: str, counts: str, tag: str = "postfix/smtpd", name: str = "mx.example"
) -> tuple[str, str]:
    return (
        f"{tag}[{pid}]: connect from {name}[{address}]",
        f"{tag}[{pid}]: disconnect from {name}[{address}] {counts}",
    )


WELL = "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7"


def test_sessions_begin_and_end_after_the_moment(tmp_path: Path, log: Path) -> None:
    add(log, *talk(1, "198.51.100.1", WELL), "postfix/smtpd[2]: connect from x[198.51.100.2]")
    moment = watch(tmp_path).moment()
    add(
        log,
        "postfix/smtpd[2]: disconnect from x[198.51.100.2] ehlo=1 quit=1 commands=2",
        *talk(3, "198.51.100.3", WELL),
        *talk(4, "2001:db8:c::4", "helo=1 quit=1 commands=2"),
        *talk(5, "198.51.100.5", "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"),
        *talk(6, "198.51.100.6", "ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=4/5"),
        *talk(7, "198.51.100.7", "commands=0/0"),
        *talk(8, "198.51.100.8", WELL, "postfix-out/smtpd"),
        *talk(9, "unknown", WELL),
        *talk(10, "198.51.100.10", WELL, "postfix/conbool/smtpd"),
        "postfix/smtpd[11]: connect from unknown[198.51.100.11]:4711",
        "postfix/smtpd[11]: disconnect from unknown[198.51.100.11]:4711 ehlo=1 quit=1 commands=2",
        "postfix/smtpd[12]: disconnect from unknown[198.51.100.12] ehlo=1 quit=1 commands=2",
        "postfix/smtpd[13]: connect from unknown[198.51.100.13]",
        "postfix/smtpd[13]: disconnect from unknown[198.51.100.14] ehlo=1 quit=1 commands=2",
        "postfix/smtpd[15]: connect from unknown[198.51.100.15]",
    )
    found = {(item.address, item.well) for item in watch(tmp_path).sessions(moment)}
    assert found == {
        ("198.51.100.3", True),
        ("2001:db8:c::4", True),
        ("198.51.100.5", False),
        ("198.51.100.6", False),
        ("198.51.100.7", False),
        ("198.51.100.10", True),
        ("198.51.100.11", True),
    }


def test_sessions_in_a_rotated_log_and_without_one(tmp_path: Path, log: Path) -> None:
    moment = watch(tmp_path).moment()
    os.rename(log, tmp_path / "var/log/mail.log.1")
    assert watch(tmp_path).sessions(moment) == []
    log.write_text("")
    add(log, *talk(3, "198.51.100.3", WELL))
    assert [item.address for item in watch(tmp_path).sessions(moment)] == ["198.51.100.3"]


@pytest.mark.parametrize(
    "moment", ["", "now", "[]", "{}", '{"since": 1, "ends": {"/var/log/mail.log": [1]}}']
)
def test_a_moment_that_cannot_be_read_shows_no_sessions(tmp_path: Path, log: Path, moment: str) -> None:
    add(log, *talk(3, "198.51.100.3", WELL))
    assert watch(tmp_path).sessions(moment) == []


def test_only_servers_of_port_25_count(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = {
        1: ("smtpd", "-n", "smtp", "-t", "inet", "-u", "-c"),
        2: ("smtpd", "-n", "submission", "-t", "inet", "-u"),
        3: ("smtpd", "-n", "192.0.2.70:25", "-t", "inet"),
        4: ("smtpd", "-n", "smtpd", "-t", "pass", "-u"),
        5: ("smtpd", "-n", "[::1]:smtp", "-t", "inet"),
        6: ("smtpd", "-n", "127.0.0.1:10025", "-t", "inet"),
        7: ("qmgr", "-n", "smtp", "-t", "inet"),
    }
    host = Host(str(tmp_path))
    children = tuple(Process(pid, words[0], words) for pid, words in services.items())
    monkeypatch.setattr(host, "children", lambda pid: children if pid == 99 else ())
    system = PostfixSystem(host)
    monkeypatch.setattr(system, "_master_pid", lambda: 99)
    monkeypatch.setattr(system, "_log", PostfixLog(host, "", "postfix"))
    moment = system.moment()
    for pid in (*services, 8):
        add(log, *talk(pid, f"198.51.100.{pid}", WELL))
    add(log, *talk(1, "198.51.100.77", "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"))
    assert system.served(moment) == [f"198.51.100.{pid}" for pid in (1, 3, 4, 5)]
    monkeypatch.setattr(system, "_master_pid", lambda: None)
    assert system.served(moment) == []
