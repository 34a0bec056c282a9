"""Sendmail that hands mail to Dovecot by LMTP: flagged mail is filed by Sieve, and no forged marker gets past anybody's filters."""

from __future__ import annotations

import json

from . import messages
from .dovecot import LMTP_SOCKET, DovecotPart, DovecotSite
from .lab import CONBOOL, STRANGER, Lab
from .product import apply_answers, plan_answers
from .releases import ONE
from .roots import DOVECOT_PACKAGES, sendmail_spec
from .sendmail import SendmailMachine, SendmailSite
from .snapshot import differences

ALICE = "alice@example.com"
FLAG, RELEASED = "X-Conbool-Flag: YES", "X-Conbool-Released: yes"
FEATURE = f"FEATURE(`local_lmtp', `[IPC]', `FILE {LMTP_SOCKET}')dnl\n"
OWN = 'require ["fileinto", "mailbox"];\nfileinto :create "Own";\n'


class BothMachine(DovecotPart, SendmailMachine):
    """Sendmail in front of Dovecot."""


def test_flagged_mail_is_filed_and_released_mail_is_left_to_the_scripts(lab: Lab) -> None:
    machine = lab.machine(BothMachine, sendmail_spec(ONE, extra=DOVECOT_PACKAGES))
    site = SendmailSite(features=FEATURE)
    machine.set_up(site, lab.authority.issue(machine.place.hostname))
    lab.dns.zone.set("elsewhere.example", "MX", "10 mx.outside-b.example.")
    machine.shell(
        f"mkdir -p {LMTP_SOCKET.rpartition('/')[0]}; id postfix >/dev/null 2>&1 || useradd --system postfix"
    )
    machine.set_up_dovecot(DovecotSite(scripts={"alice": OWN}))
    machine.start()

    def folder(headers: list[str], source: str) -> str:
        message = messages.build(headers, b"hello\r\n")
        sent = lab.send(
            machine, message, ALICE, sender="x@elsewhere.example", source=source, tls=source == CONBOOL
        )
        assert sent.accepted, sent.replies
        lab.wait_delivered(message)
        (stored,) = [one for one in machine.mailbox("alice") if message.token.encode() in one.raw]
        return stored.folder

    usual = folder([], CONBOOL)
    assert usual == "Own"
    assert folder([FLAG], CONBOOL) == usual
    before = {name: machine.snapshot(name) for name in ("/etc/mail", "/etc/dovecot")}
    plan = json.loads(plan_answers(lab, machine, "--json").stdout)
    assert any(
        "Released mail still passes the other Sieve scripts" in note["text"] for note in plan["notices"]
    )
    apply_answers(lab, machine)
    assert folder([FLAG], CONBOOL) == "Junk"
    assert folder([FLAG, RELEASED], CONBOOL) == usual
    assert folder([], CONBOOL) == usual
    # A stranger's headers: its own mail is filed as spam, or treated like any other.
    assert folder([FLAG], STRANGER) == "Junk"
    assert folder([FLAG, RELEASED], STRANGER) == usual
    assert folder([RELEASED], STRANGER) == usual
    assert plan_answers(lab, machine).returncode == 0
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stderr
    for name, tree in before.items():
        assert differences(tree, machine.snapshot(name), ignore_mtime=(".", "conf.d")) == []
    assert folder([FLAG], CONBOOL) == usual
