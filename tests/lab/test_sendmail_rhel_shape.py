"""Sendmail where Fedora and RHEL have it: macro files in /usr/share/sendmail-cf, the program behind the alternatives system, no init script.

The binary and the macro files are Debian's; paths, links, the process id's file and the way it is started are those of the other layout.
"""

from __future__ import annotations

import json

from . import messages
from .lab import CONBOOL, Lab
from .product import apply_answers, plan_answers
from .releases import ONE
from .roots import sendmail_spec
from .sendmail import DAEMON_PID, SendmailMachine, SendmailSite
from .snapshot import differences

OUT = "friend@outside-a.example"
LOOP = messages.marker_header(messages.loop_header_name("example.com"), "true")
PID = "/run/sendmail.pid"
RESHAPE = f"""
mv /usr/share/sendmail/cf /usr/share/sendmail-cf
grep -rl /usr/share/sendmail/cf /usr/share/sendmail-cf /etc/mail | xargs sed -i s,/usr/share/sendmail/cf,/usr/share/sendmail-cf,g
sed -i "/^MAILER_DEFINITIONS/i define(\\`confPID_FILE', \\`{PID}')dnl" /etc/mail/sendmail.mc
program=$(readlink -f /usr/sbin/sendmail)
mv "$program" /usr/sbin/sendmail.sendmail
ln -sf /usr/sbin/sendmail.sendmail /etc/alternatives/mta
ln -sf /etc/alternatives/mta /usr/sbin/sendmail
rm -f /usr/sbin/sendmail-mta /usr/sbin/sendmail-msp /etc/init.d/sendmail
for one in /usr/libexec/sendmail/*; do mv -f "$one" /usr/sbin/; done
rmdir /usr/libexec/sendmail
"""


class RhelShaped(SendmailMachine):
    """Started by hand, as the unit there does."""

    def sendmail_start(self) -> None:
        self.shell("/usr/sbin/sendmail -bd -q1h </dev/null >/dev/null 2>&1")
        self.wait_port(25)


def goes_to(lab: Lab, machine: RhelShaped, place: str, *headers: str, source: str = "") -> None:
    message = messages.build(list(headers), b"hello\r\n")
    sent = (
        lab.send(machine, message, OUT, sender="alice@example.com", source=source, tls=True)
        if source
        else lab.send(machine, message, OUT, sender="alice@example.com")
    )
    assert sent.accepted, sent.replies
    lab.expect(message, place)


def test_the_other_layout(lab: Lab) -> None:
    machine = lab.machine(RhelShaped, sendmail_spec(ONE))
    machine.set_up(SendmailSite(), lab.authority.issue(machine.place.hostname))
    for domain in machine.site.hosted:
        lab.dns.zone.set(domain, "MX", "10 in.conbool.com.")
    machine.shell(RESHAPE + machine.rebuild_script)
    machine.start()
    assert [machine.run(["test", "-e", path]).returncode for path in (PID, DAEMON_PID)] == [0, 1]
    goes_to(lab, machine, "outside_a")

    found = json.loads(machine.conbool("detect", "--json").stdout)["detections"]
    (sendmail,) = [one for one in found if one["system"] == "sendmail"]
    assert (sendmail["outcome"], sendmail["mta"]["running"]) == ("present", True), sendmail
    before = machine.snapshot("/etc/mail")
    apply_answers(lab, machine)
    goes_to(lab, machine, "conbool")
    goes_to(lab, machine, "outside_a", LOOP, source=CONBOOL)
    assert plan_answers(lab, machine).returncode == 0
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stderr
    assert differences(before, machine.snapshot("/etc/mail"), ignore_mtime=(".",)) == []
    goes_to(lab, machine, "outside_a")
