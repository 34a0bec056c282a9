"""Whose mail was served, from Sendmail's own lines."""

from __future__ import annotations

from pathlib import Path

from conbool_tui.host import Host
from conbool_tui.systems.sendmail import SendmailSystem

START = "Nov 29 21:40:29 mx1 sm-mta[342]: "
BEFORE = f"{START}6ATLA1: from=<x@elsewhere.example>, size=1, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=[192.0.2.9]\n"
SERVED = (
    f"{START}6ATLB1: from=<x@elsewhere.example>, size=443, class=0, nrcpts=1, msgid=<a@b>, proto=ESMTPS, daemon=MTA, "
    "relay=out1.conbool.com [198.51.100.25]\n"
    f"{START}6ATLB2: [IPv6:2001:db8:c:0:0:0:0:25] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA\n"
)
REFUSED = (
    f"{START}6ATLC1: ruleset=check_rcpt, arg1=<alice@example.com>, relay=[203.0.113.99], reject=550 5.7.1 <alice@example.com>... no\n"
    f"{START}6ATLC1: from=<x@elsewhere.example>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[203.0.113.99]\n"
)


def test_served(tmp_path: Path) -> None:
    log = tmp_path / "var/log/mail.log"
    log.parent.mkdir(parents=True)
    log.write_text(BEFORE)
    moment = SendmailSystem(Host(str(tmp_path))).moment()
    with log.open("a") as stream:
        stream.write(SERVED + REFUSED + "something else\n")
    # As another process would ask.
    assert SendmailSystem(Host(str(tmp_path))).served(moment) == ["198.51.100.25", "2001:db8:c::25"]
    assert SendmailSystem(Host(str(tmp_path))).served("no moment") == []
