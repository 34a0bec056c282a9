"""Open-Xchange's layout around real Postfix and Dovecot: one plan, mail in the right folders, and the script over real ManageSieve."""

from __future__ import annotations

import dataclasses

import pytest

from . import messages
from .dovecot import DovecotMachine, DovecotSite, dovecot
from .lab import CONBOOL, Lab
from .postfix import PostfixSite
from .product import write_answers
from .snapshot import Entry

pytestmark = pytest.mark.lab

OUT = "friend@outside-a.example"
FLAG, RELEASED, LOOP = "X-Conbool-Flag: YES", "X-Conbool-Released: yes", "X-Conbool-example-com: true"
PASSWORD = "correct horse"
OWN = 'require ["fileinto", "mailbox"];\nfileinto :create "Own";\n'
MAIL = (
    "com.openexchange.mail.mailServerSource=global\ncom.openexchange.mail.mailServer=localhost\n"
    "com.openexchange.mail.transportServerSource=global\ncom.openexchange.mail.transportServer=localhost\n"
)
FILTER = (
    "com.openexchange.mail.filter.loginType=global\ncom.openexchange.mail.filter.server=mx1.example.com\n"
    "com.openexchange.mail.filter.port=4190\ncom.openexchange.mail.filter.scriptName=Open-Xchange\n"
)
LISTCONTEXT = """#!/bin/sh
printf '"id","enabled","name","lmappings"\\n"1","true","one","1,example.com"\\n"2","true","two","2,example.org"\\n'
"""
# Logins for ManageSieve, over TLS with the lab's certificate; the passwords of all accounts are the same.
MANAGESIEVE = f"""
protocols = $protocols sieve
ssl = required
ssl_cert = </etc/ssl/certs/mx1.example.com.pem
ssl_key = </etc/ssl/private/mx1.example.com.key
passdb {{
  driver = static
  args = password={PASSWORD.replace(" ", "_")}
}}
"""


@pytest.fixture(scope="module")
def host(module_lab: Lab) -> tuple[Lab, DovecotMachine]:
    """Open-Xchange with its Postfix and Dovecot on one host, and a second tenant."""
    site = DovecotSite(
        virtual=True,
        config=MANAGESIEVE,
        postfix=PostfixSite(local=("example.com", "example.org"), virtual_aliases={}, mailboxes=()),
    )
    machine = dovecot(module_lab, "bookworm", site, extra_packages=("dovecot-managesieved",))
    machine.write("/opt/open-xchange/etc/mail.properties", MAIL)
    machine.write("/opt/open-xchange/etc/mailfilter.properties", FILTER, 0o640)
    machine.write("/opt/open-xchange/etc/AdminDaemon.properties", "MASTER_AUTHENTICATION_DISABLED=true\n")
    machine.write("/opt/open-xchange/sbin/listcontext", LISTCONTEXT, 0o755)
    machine.write("/root/password", PASSWORD.replace(" ", "_") + "\n", 0o600)
    return module_lab, machine


def folder(lab: Lab, machine: DovecotMachine, *headers: str, to: str = "alice@example.com") -> str:
    """The folder in which a message from Conbool ends."""
    message = messages.build(headers)
    lab.send(machine, message, to, sender="x@elsewhere.example", source=CONBOOL, tls=True)
    (place,) = lab.wait_delivered(message)
    return place.partition("/")[2] or "INBOX"


def sieve(lab: Lab, machine: DovecotMachine, *flags: str) -> str:
    """Run ``open-xchange sieve`` for alice; its output."""
    done = machine.conbool(
        "open-xchange", "sieve", "--answers", write_answers(lab, machine), "--account", "alice@example.com",
        "--password-file", "/root/password", *flags,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + machine.dovecot_log()
    return done.stdout


def test_one_account_over_managesieve(host: tuple[Lab, DovecotMachine]) -> None:
    """The script runs before the account's own, a second time changes nothing, and taking it away brings the account's own back."""
    lab, machine = host
    machine.write("/root/own.sieve", OWN)
    machine.shell("doveadm sieve put -u alice@example.com -a Open-Xchange </root/own.sieve")
    assert folder(lab, machine) == "Own"
    for _ in range(2):
        assert "the account's own script Open-Xchange runs behind it" in sieve(lab, machine)
    assert folder(lab, machine, FLAG) == "Junk"
    assert folder(lab, machine, FLAG, RELEASED) == "INBOX"
    assert folder(lab, machine) == "Own"
    assert "Open-Xchange again" in sieve(lab, machine, "--remove")
    assert machine.shell("doveadm sieve list -u alice@example.com").split() == ["Open-Xchange", "ACTIVE"]
    assert folder(lab, machine, FLAG) == "Own"


def test_a_wrong_name_or_password_installs_nothing(host: tuple[Lab, DovecotMachine]) -> None:
    """The password is only sent to a server whose certificate has its name; a wrong one is refused."""
    lab, machine = host
    answers = write_answers(lab, machine)
    machine.write("/root/wrong", "no\n", 0o600)
    for flags, said in (
        (("--server", machine.place.ipv4, "--password-file", "/root/password"), "cannot be trusted"),
        (("--password-file", "/root/wrong"), "The login was refused"),
    ):
        done = machine.conbool(
            "open-xchange", "sieve", "--answers", answers, "--account", "bob@example.com", *flags
        )
        assert done.returncode == 3
        assert said in done.stderr.replace("\n  ", " ")
    assert machine.shell("doveadm sieve list -u bob@example.com") == ""


def test_only_the_mailbox_side(host: tuple[Lab, DovecotMachine]) -> None:
    """Where the Postfix is another host's: Dovecot's part alone, and nothing of Postfix."""
    lab, machine = host
    before = without_times(machine.snapshot("/etc")), machine.doveconf()
    answers = write_answers(lab, machine)
    done = machine.conbool("--mail-system", "dovecot", "apply", "--answers", answers, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not machine.exists("/etc/postfix/conbool")
    assert folder(lab, machine, FLAG, to="carol@example.com") == "Junk"
    assert folder(lab, machine, FLAG, RELEASED, to="carol@example.com") == "INBOX"
    assert machine.conbool("--mail-system", "dovecot", "plan", "--answers", answers).returncode == 0
    assert machine.conbool("undo", "--yes").returncode == 0
    assert (without_times(machine.snapshot("/etc")), machine.doveconf()) == before


def test_the_domains_of_one_tenant(host: tuple[Lab, DovecotMachine]) -> None:
    """Scope: a tenant's domains come from Open-Xchange's own tool, and only its senders use the smart host; Postfix and Dovecot in one change."""
    lab, machine = host
    domains = machine.conbool("open-xchange", "domains", "--context", "2").stdout.split()
    assert domains == ["example.org"]
    detected = machine.conbool("detect")
    assert "OX App Suite" in detected.stdout
    before = without_times(machine.snapshot("/etc")), machine.doveconf()
    answers = write_answers(lab, machine, domains=domains)
    done = machine.conbool("apply", "--answers", answers, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cannot decide where outgoing" in " ".join(done.stderr.split())
    for sender, place in (("bob@example.org", "conbool"), ("bob@example.com", "outside_a")):
        message = messages.plain()
        lab.send(machine, message, OUT, sender=sender)
        lab.expect(message, place)
    marked = messages.build(["X-Conbool-example-org: true"])
    lab.send(machine, marked, OUT, sender="bob@example.org")
    lab.expect(marked, "outside_a")
    assert folder(lab, machine, FLAG, to="bob@example.org") == "Junk"
    assert folder(lab, machine, FLAG, RELEASED, to="bob@example.org") == "INBOX"
    assert machine.conbool("plan", "--answers", answers).returncode == 0
    assert machine.conbool("undo", "--yes").returncode == 0
    assert (without_times(machine.snapshot("/etc")), machine.doveconf()) == before


def without_times(tree: dict[str, Entry]) -> dict[str, Entry]:
    """A tree without the times of its folders."""
    return {
        name: dataclasses.replace(entry, mtime_ns=0) if entry.kind == "directory" else entry
        for name, entry in tree.items()
    }
