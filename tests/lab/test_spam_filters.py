"""Step D past the filters between: mail released by Conbool is not scored away, by real rspamd and real SpamAssassin as milters."""

from __future__ import annotations

import time
from typing import Any, Callable

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.planners.filters.rspamd_rule import rspamd_rule

from . import messages
from .dovecot import DovecotMachine, DovecotSite, dovecot
from .lab import CONBOOL, CONBOOL6, CONBOOL_NETWORK4, CONBOOL_NETWORK6, STRANGER, Lab
from .postfix import PostfixSite
from .product import apply_answers, plan_answers, write_answers
from .releases import ONE
from .roots import FILTER_PACKAGES
from .snapshot import differences
from .test_dovecot import without_times

ALICE = "alice@example.com"
RELEASED = "X-Conbool-Released: yes"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
OVERRIDE = "/etc/rspamd/override.d/settings.conf"
SETTINGS, RULES = "/etc/rspamd/local.d/settings.conf", "/etc/spamassassin/conbool.cf"
# rspamd knows GTUBE for each of its actions; this one is for a header, by which the user's own script files.
FLAGGED = GTUBE.replace(b"XJS", b"YJS", 1)
OWN_SCRIPT = 'require ["fileinto", "mailbox"];\nif header :is "X-Spam" "Yes" { fileinto :create "Junk"; }\n'
# What is to be refused (GTUBE) rspamd refuses before it looks at any setting, so a rule of the admin's own stands for what it thinks of spam.
LAB_RULE = "config['regexp']['LAB_SPAM'] = { re = 'X-Lab=/SPAM/', score = 30.0 }\n"
OWN_SETTINGS = 'partner {\n  ip = "203.0.113.200";\n  apply { actions { reject = 100; } }\n}'
START_RSPAMD = """
install -d -o _rspamd -g _rspamd /run/rspamd /var/lib/rspamd /var/log/rspamd
rspamd -u _rspamd -g _rspamd </dev/null >/run/rspamd.log 2>&1
"""
START_SPAMASSASSIN = """
spamd -L -d -c -m 2 -s /var/log/spamd.log --pidfile /run/spamd.pid </dev/null >/run/spamd.out 2>&1
spamass-milter -p /var/spool/postfix/spamass.sock -f -P /run/spamass.pid -i 127.0.0.1 </dev/null >/run/spamass.out 2>&1
"""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that a daemon does in its own time."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def machine_with(lab: Lab, milter: str, files: dict[str, str]) -> DovecotMachine:
    postfix = PostfixSite(mailboxes=(), main={"smtpd_milters": milter, "milter_default_action": "tempfail"})
    site = DovecotSite(postfix=postfix, files=files, scripts={"alice": OWN_SCRIPT})
    return dovecot(lab, ONE, site, extra_packages=FILTER_PACKAGES)


def send(lab: Lab, machine: DovecotMachine, headers: list[str], source: str, body: bytes = GTUBE) -> Any:
    message = messages.build(headers, body)
    return message, lab.send(
        machine,
        message,
        ALICE,
        sender="x@elsewhere.example",
        source=source,
        tls=source in (CONBOOL, CONBOOL6),
    )


def test_rspamd(lab: Lab) -> None:
    spam = ["X-Lab: SPAM"]
    files = {
        "/etc/rspamd/rspamd.local.lua": LAB_RULE,
        "/etc/rspamd/local.d/options.inc": 'gtube_patterns = "all";\ndns { nameserver = ["192.0.2.53"]; timeout = 0.5s; retransmits = 1; }\n',
        # The admin has settings, too, in the file that takes ours.
        SETTINGS: OWN_SETTINGS,
    }
    machine = machine_with(lab, "inet:127.0.0.1:11332", files)
    machine.shell(START_RSPAMD)
    machine.wait_port(11332)

    def refused(headers: list[str], source: str) -> bool:
        sent = send(lab, machine, headers, source, b"hello\r\n")[1]
        return not sent.accepted and sent.last.code == 554

    def folder(headers: list[str], source: str) -> str:
        """Where a message ends that rspamd flags unless it is told otherwise; the user's script goes by its header."""
        message, sent = send(lab, machine, headers, source, FLAGGED)
        assert sent.accepted, sent.replies
        lab.wait_delivered(message)
        (stored,) = [one for one in machine.mailbox("alice") if message.token.encode() in one.raw]
        assert (stored.headers("X-Spam") == ["Yes"]) == (stored.folder == "Junk"), stored.raw
        return stored.folder

    until(lambda: refused(spam, STRANGER), "rspamd does not scan")
    assert [folder([], STRANGER), folder([RELEASED], CONBOOL)] == ["Junk", "Junk"]
    assert refused(spam, CONBOOL)
    assert refused([*spam, RELEASED], CONBOOL)
    tree = machine.snapshot("/etc")
    apply_answers(lab, machine)
    until(lambda: not refused([*spam, RELEASED], CONBOOL), machine.log())
    for source in (CONBOOL, CONBOOL6):
        message, sent = send(lab, machine, [*spam, RELEASED], source, b"hello\r\n")
        assert sent.accepted, sent.replies
        lab.expect(message, "mx1:alice")
    # What is not released is treated as before, and so is everybody else's.
    assert folder([RELEASED], CONBOOL) == "INBOX"
    assert [folder([], CONBOOL), folder([RELEASED], STRANGER)] == ["Junk", "Junk"]
    assert refused(spam, CONBOOL)
    assert refused([*spam, RELEASED], STRANGER)
    assert refused([*spam, "X-Conbool-Released: no"], CONBOOL)
    assert OWN_SETTINGS in machine.read_text(SETTINGS)
    assert plan_answers(lab, machine).returncode == 0
    assert machine.conbool("undo", "--yes").returncode == 0
    assert differences(without_times(tree), without_times(machine.snapshot("/etc"))) == []
    until(lambda: refused([*spam, RELEASED], CONBOOL), "rspamd does not forget")
    # docker-mailserver's volume shows the same rule to its rspamd at another place.
    rule = rspamd_rule(Answers(conbool_networks=(CONBOOL_NETWORK4, CONBOOL_NETWORK6)))
    machine.write(OVERRIDE, text_blocks.put(b"", "conbool", rule), 0o644)
    machine.shell("kill -HUP $(pgrep -o -x rspamd || pgrep -o -f 'rspamd: main')")
    until(lambda: not refused([*spam, RELEASED], CONBOOL), "the rule counts for nothing there")
    assert refused(spam, CONBOOL)
    assert refused([*spam, RELEASED], STRANGER)
    machine.path(OVERRIDE).unlink()
    # Settings that rspamd refuses: nothing is changed.
    machine.append(SETTINGS, "\nbad {\n")
    tree = machine.snapshot("/etc")
    done = machine.conbool("apply", "--answers", write_answers(lab, machine), "--yes")
    assert done.returncode == 3
    assert "rspamd refuses its present configuration" in " ".join(done.stderr.split())
    assert differences(without_times(tree), without_times(machine.snapshot("/etc"))) == []


def test_spamassassin(lab: Lab) -> None:
    machine = machine_with(lab, "unix:spamass.sock", {})
    machine.shell(START_SPAMASSASSIN)
    until(lambda: machine.exists("/var/spool/postfix/spamass.sock"), "no milter")
    machine.shell("chown postfix /var/spool/postfix/spamass.sock")

    def flagged(headers: list[str], source: str) -> bool:
        """Whether the filter says that it is spam."""
        message, sent = send(lab, machine, headers, source)
        assert sent.accepted, sent.replies
        lab.expect(message, "mx1:alice")
        (stored,) = [one for one in machine.mailbox("alice") if message.token.encode() in one.raw]
        assert stored.headers("X-Spam-Checker-Version"), stored.raw
        return [value.strip() for value in stored.headers("X-Spam-Flag")] == ["YES"]

    assert flagged([], STRANGER)
    assert flagged([RELEASED], CONBOOL)
    tree = machine.snapshot("/etc")
    apply_answers(lab, machine)
    # spamd's children end one by one.
    until(lambda: not flagged([RELEASED], CONBOOL), machine.log())
    assert not flagged([RELEASED], CONBOOL6)
    assert flagged([], CONBOOL)
    assert flagged(["X-Conbool-Released: no"], CONBOOL)
    assert flagged([RELEASED], STRANGER)
    # A stranger who writes Received headers of Conbool's.
    forged = "Received: from out1.conbool.com (out1.conbool.com [198.51.100.25]) by mx1.example.com with ESMTP id 1; Mon, 16 Nov 2026 10:00:00 +0000"
    assert flagged([forged, RELEASED], STRANGER)
    assert plan_answers(lab, machine).returncode == 0
    assert machine.conbool("undo", "--yes").returncode == 0
    assert differences(without_times(tree), without_times(machine.snapshot("/etc"))) == []
    until(lambda: flagged([RELEASED], CONBOOL), "SpamAssassin does not forget")
