"""Which lines count, and what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional, cast

import pytest

from conbool_tui.mail_log import lines
from tests.unit.planners.facts_builder import MASTER

from .rig import facts, line, numbers, put, read, sender

LOG = "/var/log/mail.log"
LANES = """
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
smtps     inet  n       -       y       -       -       smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:10026 inet n  -       y       -       -       smtpd
  -o syslog_name=postfix/conbool-gate
"""


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("4F1A2B3C4D: client=mail.example.org[203.0.113.9]", "203.0.113.9", "mail.example.org"),
        ("4Rf2xk0Yg5z9qBp: client=unknown[203.0.113.9]", "203.0.113.9", "unknown"),
        ("4F1A2B3C4D: client=unknown[2001:db8::9]", "2001:db8::9", "unknown"),
        ("4F1A2B3C4D: client=unknown[::ffff:203.0.113.9]", "203.0.113.9", "unknown"),
        ("NOQUEUE: client=mail.example.org[203.0.113.9]", "203.0.113.9", "mail.example.org"),
        ("4F1A2B3C4D: client=a_b.example.org[203.0.113.9]:40022", "203.0.113.9", "a_b.example.org"),
        (
            "4F1A2B3C4D: client=gate.example.org[203.0.113.9], orig_queue_id=ABC, orig_client=x[192.0.2.1]",
            "203.0.113.9",
            "gate.example.org",
        ),
        ("4F1A2B3C4D: client=mail.example.org[203.0.113.9]\r", "203.0.113.9", "mail.example.org"),
    ],
)
def test_accepted(tmp_path: Path, text: str, address: str, name: str) -> None:
    put(tmp_path, LOG, line("connect from nobody[203.0.113.1]") + line(text))
    report = read(tmp_path)
    (one,) = report.senders
    assert (one.address, one.name, one.messages, one.cut_off) == (address, name, 1, True)
    assert one.last == line("")[:15]
    assert (report.messages, report.cut_off_messages, report.others, report.note) == (1, 1, 0, "")
    assert report.sources == (LOG,)


@pytest.mark.parametrize(
    "text",
    [
        "4F1A2B3C4D: client=unknown[203.0.113.9], sasl_method=PLAIN, sasl_username=alice",
        "4F1A2B3C4D: client=unknown[203.0.113.9]:4000, sasl_method=LOGIN, sasl_username=alice",
        "4F1A2B3C4D: client=localhost[127.0.0.1]",
        "4F1A2B3C4D: client=localhost[::1]",
        "4F1A2B3C4D: client=localhost[127.0.0.1], orig_queue_id=X, orig_client=unknown[203.0.113.9]",
        "4F1A2B3C4D: client=unknown[unknown]",
        "4F1A2B3C4D: client=unknown[203.0.113.999]",
        "connect from unknown[203.0.113.9]",
        # What strangers can write into the log.
        "NOQUEUE: reject: RCPT from unknown[203.0.113.1]: 554 5.7.1 x; helo=<4F1A2B3C4D: client=a[203.0.113.9]>",
        "warning: 4F1A2B3C4D: client=unknown[203.0.113.9]",
        "warning: client=unknown[203.0.113.9]",
        "4F1A2B3C4D: reject: 4F1A2B3C4D: client=unknown[203.0.113.9]",
        "4F1A2B3C4D: client=unknown[203.0.113.9]suffix",
        "4F1A2B3C4D: client=a b[203.0.113.9]",
    ],
)
def test_not_counted(tmp_path: Path, text: str) -> None:
    put(tmp_path, LOG, line(text) + line("4F1A2B3C4E: client=real[203.0.113.77]"))
    assert numbers(read(tmp_path)) == {"203.0.113.77": 1}


@pytest.mark.parametrize(
    "tag",
    [
        "postfix/submission/smtpd",
        "postfix/smtps/smtpd",
        "postfix/conbool-gate/smtpd",
        "postfix/cleanup",
        "postfix/qmgr",
        "other/smtpd",
        "xpostfix/smtpd",
        "postfix/smtpd/x",
    ],
)
def test_only_port_25(tmp_path: Path, tag: str) -> None:
    text = "4F1A2B3C4D: client=unknown[203.0.113.9]"
    put(tmp_path, LOG, line(text, tag=tag) + line("4F1A2B3C4E: client=real[203.0.113.77]"))
    assert numbers(read(tmp_path, facts(master=MASTER + LANES))) == {"203.0.113.77": 1}


def test_header_checks_cannot_fake(tmp_path: Path) -> None:
    subject = "Nov 20 11:00:00 mx1 postfix/smtpd[1]: 4F1A2B3C4D: client=unknown[203.0.113.9]"
    text = f"4F1A2B3C4D: warning: header Subject: {subject} from real[203.0.113.77]; from=<a@b>"
    put(
        tmp_path,
        LOG,
        line(text, tag="postfix/cleanup")
        + line(text.replace(": warning", ": reject"))
        + line("4F1A2B3C4E: client=real[203.0.113.77]"),
    )
    assert numbers(read(tmp_path)) == {"203.0.113.77": 1}


def test_a_mark_behind_a_mark(tmp_path: Path) -> None:
    text = "4F1A2B3C4D: client=real[203.0.113.77], sasl_sender=x: client=y[203.0.113.9], sasl_method=PLAIN"
    put(tmp_path, LOG, line(text))
    assert numbers(read(tmp_path)) == {"203.0.113.77": 1}


def test_control_characters_are_harmless(tmp_path: Path) -> None:
    put(
        tmp_path,
        LOG,
        line("4F1A2B3C4D: client=a\x1b0;x\x07\x00\xff[203.0.113.9]"),
    )
    (one,) = read(tmp_path).senders
    assert one.name.isprintable()
    assert "\x1b" not in one.name


class Counting:
    """A pattern that counts how often it is tried."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern = pattern
        self.tried = 0

    def match(self, text: bytes, at: int) -> Optional[re.Match[bytes]]:
        self.tried += 1
        return self.pattern.match(text, at)


def test_a_line_is_looked_at_once_however_often_it_pretends() -> None:
    evil = line("warning: " + ": client=" * 5000 + "a" * 3000) * 40
    block = (evil + line("4F1A2B3C4E: client=real[203.0.113.77]")).encode()
    counting = Counting(lines.line_pattern(b"postfix/smtpd", False))
    found = list(lines.accepted(block, cast("re.Pattern[bytes]", counting)))
    assert [one[4] for one in found] == [b"203.0.113.77"]
    assert counting.tried == 41


def test_two_spellings_are_one_client(tmp_path: Path) -> None:
    text = "".join(
        line(f"4F1A2B3C4D: client=unknown[{address}]")
        for address in ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8::A", "2001:db8:0::a")
    )
    put(tmp_path, LOG, text)
    report = read(tmp_path)
    assert numbers(report) == {"203.0.113.9": 2, "2001:db8::a": 2}
    assert (report.messages, report.others) == (4, 0)


def test_folded_lines_count(tmp_path: Path) -> None:
    text = "NOQUEUE: client=unknown[203.0.113.9]"
    put(tmp_path, LOG, line(text) + line(f"message repeated 4 times: [ {text}]"))
    assert numbers(read(tmp_path)) == {"203.0.113.9": 5}


@pytest.mark.parametrize(
    ("when", "host"),
    [
        ("2026-11-20T11:00:00.123456+00:00", "mx1"),
        ("2026-11-20T11:00:00Z", "mx1.example.com"),
        ("2026-11-20T13:00:00+0200", "mx1"),
        ("<22>Nov 20 11:00:00", "mx1"),
        ("Nov 20 11:00:00.123456", "2001:db8::1"),
    ],
)
def test_stamps(tmp_path: Path, when: str, host: str) -> None:
    put(tmp_path, LOG, line("4F1A2B3C4D: client=unknown[203.0.113.9]", when=when, host=host))
    assert read(tmp_path).senders[0].last == when.removeprefix("<22>")


def test_names_of_instances_and_services(tmp_path: Path) -> None:
    master = MASTER.replace(
        "-       smtpd\n", "-       smtpd\n  -o syslog_name=$multi_instance_name/$service_name\n", 1
    )
    found = facts(main="multi_instance_name = postfix-in\nsyslog_name = postfix-in\n", master=master)
    put(
        tmp_path,
        LOG,
        line("4F1A2B3C4D: client=a[203.0.113.1]", tag="postfix-in/smtp/smtpd")
        + line("4F1A2B3C4D: client=a[203.0.113.2]", tag="postfix-in/smtpd")
        + line("4F1A2B3C4D: client=a[203.0.113.3]", tag="postfix/smtpd"),
    )
    assert numbers(read(tmp_path, found)) == {"203.0.113.1": 1}


def test_a_name_nobody_can_expand(tmp_path: Path) -> None:
    master = MASTER.replace("-       smtpd\n", "-       smtpd\n  -o syslog_name=${a?{b}:{c}}\n", 1) + LANES
    put(
        tmp_path,
        LOG,
        line("4F1A2B3C4D: client=a[203.0.113.1]", tag="what/ever/smtpd")
        + line("4F1A2B3C4D: client=a[203.0.113.2]", tag="postfix/submission/smtpd")
        + line("4F1A2B3C4D: client=a[203.0.113.3]", tag="postfix/conbool-gate/smtpd"),
    )
    assert numbers(read(tmp_path, facts(master=master))) == {"203.0.113.1": 1}


def test_postscreen(tmp_path: Path) -> None:
    master = MASTER.replace(
        "smtp      inet  n       -       y       -       -       smtpd\n",
        "smtp      inet  n       -       y       -       1       postscreen\n"
        "smtpd     pass  -       -       y       -       -       smtpd\n",
        1,
    )
    found = facts(master=master)
    assert found.postscreen
    put(
        tmp_path,
        LOG,
        line("CONNECT from [203.0.113.9]:4000 to [192.0.2.70]:25", tag="postfix/postscreen")
        + line("PASS NEW [203.0.113.9]:4000", tag="postfix/postscreen")
        + line("4F1A2B3C4D: client=unknown[203.0.113.9]"),
    )
    assert numbers(read(tmp_path, found)) == {"203.0.113.9": 1}


def test_filters_on_this_host_and_elsewhere(tmp_path: Path) -> None:
    lines = (
        line("4F1A2B3C4D: client=unknown[203.0.113.9]")
        + line(
            "4F1A2B3C4E: client=filter[192.0.2.7], orig_queue_id=4F1A2B3C4D, orig_client=unknown[203.0.113.9]"
        )
        + line("4F1A2B3C4F: client=localhost[127.0.0.1], orig_client=unknown[203.0.113.9]")
    )
    put(tmp_path, LOG, lines)
    assert numbers(read(tmp_path)) == {"203.0.113.9": 1, "192.0.2.7": 1}
    elsewhere = facts(
        main="content_filter = smtp:[192.0.2.7]:10024\n",
        master=MASTER + "10025 inet n - y - - smtpd\n  -o content_filter=\n",
    )
    assert elsewhere.content_filters[0].reentry == ("10025/inet",)
    assert numbers(read(tmp_path, elsewhere)) == {"203.0.113.9": 1}


def test_remarks(tmp_path: Path) -> None:
    put(
        tmp_path,
        LOG,
        line("4F1A2B3C4D: client=a[203.0.113.1]", host="mx1")
        + line("4F1A2B3C4D: client=a[203.0.113.1]", host="mx\x1b2"),
    )
    shared = MASTER + "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"
    found = facts(main="smtpd_upstream_proxy_protocol = haproxy\n", master=shared)
    note = read(tmp_path, found, allowed=("192.0.2.0/24", "hash:/etc/x")).note
    for words in (
        "several hosts, and all were counted: mx1, mx?2.",
        "submission/inet logs under the same name",
        "haproxy",
        "hash:/etc/x is no network",
    ):
        assert words in note
    assert "\x1b" not in note


def test_order_and_judgement(tmp_path: Path) -> None:
    text = "".join(
        line(f"4F1A2B3C4D: client={name}[{address}]") * number
        for name, address, number in (
            ("known", "192.0.2.9", 9),
            ("rare", "203.0.113.1", 1),
            ("often", "203.0.113.2", 5),
            ("six", "2001:db8:1::9", 3),
            ("six-out", "2001:db8:2::9", 2),
        )
    )
    put(tmp_path, LOG, text + line("4F1A2B3C4D: client=renamed[203.0.113.2]", age=0.5))
    report = read(tmp_path)
    assert [(one.address, one.messages, one.cut_off) for one in report.senders] == [
        ("203.0.113.2", 6, True),
        ("2001:db8:2::9", 2, True),
        ("203.0.113.1", 1, True),
        ("192.0.2.9", 9, False),
        ("2001:db8:1::9", 3, False),
    ]
    assert sender(report, "203.0.113.2").name == "renamed"
    assert (report.messages, report.cut_off_messages) == (21, 9)
