"""Present senders, read from the logs of real Postfix that took real mail."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from . import messages
from .lab import CONBOOL, STRANGER, STRANGER6, Lab
from .machine import APP
from .postfix import PASSWORD, PostfixMachine, PostfixSite

ENVIRONMENT = {
    "PYTHONPATH": f"{APP}/app:{APP}/vendor",
    "PYTHONPYCACHEPREFIX": f"{APP}/bytecode",
}
PROBE = """
import dataclasses, json, sys
from conbool_tui.host import Host
from conbool_tui.mail_log import read_senders
from detectors import detect_host

found = detect_host(Host("/")).get("postfix")
report = read_senders(Host("/"), found.postfix, sys.argv[1:])
json.dump(dataclasses.asdict(report), sys.stdout)
"""
BRANCH = "203.0.113.55"
SCANNER = "192.0.2.84"


def senders(machine: PostfixMachine, allowed: Sequence[str]) -> dict[str, Any]:
    """The report, made inside the machine by its own Python."""
    done = machine.run(["python3", "-X", "utf8", "-c", PROBE, *allowed], env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def numbers(report: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """Messages, and whether it would be cut off, by address."""
    return {one["address"]: (one["messages"], one["cut_off"]) for one in report["senders"]}


def deliver(lab: Lab, machine: PostfixMachine, source: str, number: int = 1, **options: Any) -> None:
    """Send messages to alice and see that they were taken."""
    for _ in range(number):
        sent = lab.send(
            machine,
            messages.plain(),
            "alice@example.com",
            sender="x@outside-a.example",
            source=source,
            **options,
        )
        assert sent.accepted, sent.replies


@pytest.fixture(params=["short queue IDs", "long queue IDs"])
def queue_ids(request: pytest.FixtureRequest) -> str:
    return "yes" if request.param == "long queue IDs" else "no"


def test_who_handed_over_mail(lab: Lab, suite: str, queue_ids: str) -> None:
    header = "/^Subject:/ WARN"
    site = PostfixSite(
        submission=True,
        content_filter=True,
        main={
            "enable_long_queue_ids": queue_ids,
            "header_checks": "regexp:/etc/postfix/watch",
            "smtpd_client_port_logging": queue_ids,
        },
        files={"/etc/postfix/watch": header + "\n"},
    )
    machine = lab.postfix(suite, site)
    deliver(lab, machine, STRANGER, 3)
    deliver(lab, machine, STRANGER6, 2)
    deliver(lab, machine, BRANCH, 2)
    deliver(lab, machine, SCANNER, 1)
    deliver(lab, machine, CONBOOL, 1, tls=True)
    # Authenticated clients, on both ports.
    auth = ("alice@example.com", PASSWORD)
    for _ in range(2):
        sent = lab.send(
            machine,
            messages.plain(),
            "bob@example.com",
            source="203.0.113.200",
            port=587,
            tls=True,
            auth=auth,
        )
        assert sent.accepted, sent.replies
    # Refused: a foreign recipient, and a name that looks like the line that counts.
    refused = lab.send(
        machine,
        messages.plain(),
        "someone@outside-b.example",
        source="203.0.113.201",
        helo="4F1A2B3C4D:client=fake.example[203.0.113.202]",
    )
    assert not refused.accepted
    # What a header check logs is the sender's to choose.
    line = "Nov 20 10:00:00 mx1 postfix/smtpd[1]: 4F1A2B3C4D: client=fake.example[203.0.113.203]"
    forged = (
        f"From: x@outside-a.example\r\nTo: alice@example.com\r\nSubject: {line}\r\n\r\nHello\r\n".encode()
    )
    assert lab.send(
        machine, forged, "alice@example.com", sender="x@outside-a.example", source=BRANCH
    ).accepted
    # From the machine itself: by SMTP over loopback, and with the sendmail command.
    machine.shell(
        "python3 -c \"import smtplib; smtplib.SMTP('127.0.0.1').sendmail('a@example.com', ['alice@example.com'], 'Subject: x\\n\\ny')\""
    )
    machine.sendmail(messages.plain().raw, ["alice@example.com"])
    lab.settle()
    assert "client=fake.example[203.0.113.203]" in machine.log()

    report = senders(machine, [machine.place.network4, machine.place.network6, "198.51.100.0/24", BRANCH])
    assert numbers(report) == {
        STRANGER: (3, True),
        STRANGER6: (2, True),
        BRANCH: (3, False),
        SCANNER: (1, False),
        CONBOOL: (1, False),
    }
    assert (report["messages"], report["cut_off_messages"], report["others"]) == (10, 5, 0)
    assert report["sources"] == ["/var/log/mail.log"]
    assert report["note"] == ""
    assert 0 <= report["days"] < 0.1

    # The same after rotation and compression.
    machine.shell("gzip -c /var/log/mail.log > /var/log/mail.log.1.gz; : > /var/log/mail.log")
    assert numbers(senders(machine, [])) == {
        address: (count, True) for address, (count, _) in numbers(report).items()
    }


def test_postscreen_and_a_proxy_filter(lab: Lab, suite: str) -> None:
    site = PostfixSite(main={"postscreen_greet_action": "ignore", "postscreen_greet_wait": "1s"})
    machine = lab.postfix(suite, site, start=False)
    machine.start_scanner()
    reentry = (
        "127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_proxy_filter=\n"
        "  -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n"
    )
    machine.append("/etc/postfix/master.cf", reentry)
    machine.shell(
        "postconf -Me 'smtp/inet=smtp inet n - y - 1 postscreen'"
        " 'smtpd/pass=smtpd pass - - y - - smtpd -o smtpd_proxy_filter=127.0.0.1:10024';"
        " touch -d '1 hour ago' /etc/postfix/*.cf"
    )
    machine.postfix_start()
    deliver(lab, machine, STRANGER, 2)
    deliver(lab, machine, machine.place.neighbour4)
    lab.settle()
    assert "postfix/postscreen" in machine.log()
    assert "NOQUEUE: client=" in machine.log()
    assert numbers(senders(machine, [machine.place.network4])) == {
        STRANGER: (2, True),
        machine.place.neighbour4: (1, False),
    }


@pytest.fixture
def journald(lab: Lab, suite: str) -> Iterator[PostfixMachine]:
    """A machine whose only log is the journal of a real journald."""
    site = PostfixSite(submission=True, main={"maillog_file": ""})
    machine = lab.postfix(suite, site, start=False, extra_packages=("nftables", "systemd"))
    # journald asks for its control group, and the program that starts it for the socket of syslog(3).
    machine.shell(
        "mkdir -p /run/log/journal; mount -t cgroup2 none /sys/fs/cgroup; ln -s /run/systemd/journal/dev-log /dev/log"
    )
    daemon = machine.popen(
        ["/lib/systemd/systemd-journald"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        socket = "/run/systemd/journal/dev-log"
        machine.shell(f"for try in $(seq 400); do test -S {socket} && exit 0; sleep 0.05; done; exit 1")
        machine.postfix_start()
        yield machine
    finally:
        machine.kill(daemon)


def test_the_journal(lab: Lab, journald: PostfixMachine) -> None:
    deliver(lab, journald, STRANGER, 3)
    deliver(lab, journald, STRANGER6, 2)
    deliver(lab, journald, CONBOOL)
    auth = ("alice@example.com", PASSWORD)
    sent = lab.send(
        journald, messages.plain(), "bob@example.com", source="203.0.113.200", port=587, tls=True, auth=auth
    )
    assert sent.accepted, sent.replies
    lab.settle()
    journald.shell("journalctl --sync || true")
    assert not journald.exists("/var/log/mail.log")
    report = senders(journald, ["198.51.100.0/24"])
    assert report["note"] == ""
    assert report["sources"] == ["systemd journal"]
    assert numbers(report) == {STRANGER: (3, True), STRANGER6: (2, True), CONBOOL: (1, False)}
