"""Steps C and D in the mailbox, on real Postfix with real Dovecot 2.3 and 2.4: which folder each kind of message is filed into."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from . import messages
from .dovecot import DovecotMachine, DovecotSite, dovecot
from .killing import Killed
from .lab import CONBOOL, STRANGER, Lab
from .postfix import PASSWORD, PostfixSite
from .product import apply_answers, plan_answers, write_answers
from .releases import chosen_suites
from .snapshot import Entry, differences

SUITES = [suite for suite in chosen_suites() if suite != "bullseye"]
FLAG, RELEASED = "X-Conbool-Flag: YES", "X-Conbool-Released: yes"
ALICE, BOB = "alice@example.com", "bob@example.com"
OWN_SCRIPT = 'require ["fileinto", "mailbox"];\nfileinto :create "Own";\n'
GLOBAL = "/etc/dovecot/own-before.sieve"
GLOBAL_SCRIPT = """require ["fileinto", "mailbox"];
if header :is "X-Team" "sales" { fileinto :create "Sales"; stop; }
if header :is "X-Conbool-Flag" "yes" { fileinto :create "Wrong"; stop; }
if header :is "X-Conbool-Released" "yes" { fileinto :create "Wrong"; stop; }
"""
# A script of the admin's own that runs before the users', in each of the two languages.
GLOBAL_SETTING = {
    "bookworm": f"plugin {{\n  sieve_before = {GLOBAL}\n}}\n",
    "trixie": f"sieve_script own {{\n  type = before\n  path = {GLOBAL}\n}}\n",
}


@dataclass
class Stage:
    """A machine with the plan applied, and how it was before."""

    lab: Lab
    machine: DovecotMachine
    tree: dict[str, Entry]
    doveconf: str

    def files(self, headers: list[str], *, to: str = ALICE, source: str = CONBOOL, **more: Any) -> str:
        """The folder a message ends in; ``INBOX`` for none."""
        return filed(self.lab, self.machine, messages.build(headers), to=to, source=source, **more)


def filed(
    lab: Lab,
    machine: DovecotMachine,
    message: messages.Message,
    *,
    to: str = ALICE,
    source: str = CONBOOL,
    sender: str = "x@elsewhere.example",
    **more: Any,
) -> str:
    """Send a message and tell the folder it ends in; it must arrive once."""
    sent = lab.send(machine, message, to, sender=sender, source=source, tls=source == CONBOOL, **more)
    assert sent.accepted, sent.replies
    (place,) = lab.wait_delivered(message)
    mailbox, _, folder = place.partition("/")
    assert mailbox == f"mx1:{to if machine.dovecot_site.virtual else to.split('@')[0]}"
    return folder or "INBOX"


def without_times(tree: dict[str, Entry]) -> dict[str, Entry]:
    """A tree without the times of its folders, which change with every file."""
    return {
        name: dataclasses.replace(entry, mtime_ns=0) if entry.kind == "directory" else entry
        for name, entry in tree.items()
    }


@pytest.fixture(scope="module", params=SUITES)
def stage(lab_ready: None, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Dovecot 2.3 with the machine's users and 2.4 with virtual mailboxes, the plan applied."""
    suite = str(request.param)
    with Lab() as lab:
        site = DovecotSite(
            virtual=suite == "trixie",
            files={GLOBAL: GLOBAL_SCRIPT, "/etc/dovecot/conf.d/92-own.conf": GLOBAL_SETTING[suite]},
            postfix=PostfixSite(mailboxes=(), submission=suite == "bookworm"),
        )
        machine = dovecot(lab, suite, site)
        machine.shell(f"sievec {GLOBAL}")
        before = Stage(lab, machine, machine.snapshot("/etc"), machine.doveconf())
        apply_answers(lab, machine)
        yield before


def test_folders(stage: Stage) -> None:
    assert stage.files([]) == "INBOX"
    # The folder is made for the first flagged message, and used for the next.
    assert stage.files([FLAG]) == "Junk"
    assert stage.files(["X-Conbool-Spam: Yes"]) == "Junk"
    assert stage.files(["X-Conbool-Flag: NO"]) == "INBOX"
    assert stage.files([RELEASED]) == "INBOX"
    assert stage.files([RELEASED, FLAG]) == "INBOX"
    assert stage.files(["X-Conbool-Released: no", FLAG]) == "Junk"
    # The admin's own script still runs, after ours.
    assert stage.files(["X-Team: sales"]) == "Sales"
    assert stage.files(["X-Team: sales", FLAG]) == "Junk"


def test_every_way_to_write_a_marker(stage: Stage) -> None:
    for form in messages.MARKER_FORMS:
        marker = messages.marker_header("X-Conbool-Flag", "YES", form)
        assert stage.files([marker]) == "Junk", form
        assert stage.files([messages.marker_header("X-Conbool-Released", "yes", form), FLAG]) == "INBOX", form


def test_nobody_else_is_believed(stage: Stage) -> None:
    """The admin's own script still sees a stranger's flag, as before; ours does not act on it."""
    assert stage.files([FLAG], source=STRANGER) == "Wrong"
    assert stage.files([RELEASED], source=STRANGER) == "INBOX"
    assert stage.files([RELEASED, FLAG], source=STRANGER) == "INBOX"
    # What Conbool hands over is believed whatever somebody wrote into it before.
    note = f"X-Conbool-Origin: untrusted {stage.machine.place.hostname}"
    assert stage.files([note, FLAG]) == "Junk"
    if stage.machine.site.submission:
        account: dict[str, Any] = {
            "port": 587,
            "auth": (ALICE, PASSWORD),
            "source": STRANGER,
            "sender": ALICE,
        }
        for headers in ([FLAG], [RELEASED], [RELEASED, FLAG]):
            message = messages.build(headers)
            sent = stage.lab.send(stage.machine, message, BOB, tls=True, **account)
            assert sent.accepted, sent.replies
            assert stage.lab.wait_delivered(message) == ["mx1:bob"]
            (stored,) = [one for one in stage.machine.mailbox("bob") if message.token.encode() in one.raw]
            assert not [name for name in stored.message if name.lower().startswith("x-conbool-")]


def test_scripts_of_users(stage: Stage) -> None:
    user = BOB if stage.machine.dovecot_site.virtual else "bob"
    try:
        stage.machine.user_script(user, OWN_SCRIPT)
        assert stage.files([], to=BOB) == "Own"
        assert stage.files([FLAG], to=BOB) == "Junk"
        assert stage.files([RELEASED], to=BOB) == "INBOX"
        stage.machine.user_script(user, 'require ["fileinto";\nthis is no Sieve\n')
        assert stage.files([], to=BOB) == "INBOX"
        assert stage.files([FLAG], to=BOB) == "Junk"
        assert stage.files([RELEASED, FLAG], to=BOB) == "INBOX"
    finally:
        stage.machine.user_script(user, None)


def test_dovecot_is_content_with_the_compiled_script(stage: Stage) -> None:
    """It is used as it is: nothing is compiled again at delivery, which the users' rights would not allow to keep."""
    assert stage.files([FLAG]) == "Junk"
    log = stage.machine.dovecot_log()
    assert "stored mail into mailbox 'Junk'" in log
    about = [line for line in log.splitlines() if "conbool-before" in line]
    assert about == []


def test_applied_twice_changes_nothing(stage: Stage) -> None:
    done = plan_answers(stage.lab, stage.machine)
    assert done.returncode == 0, done.stdout


def test_undo_leaves_nothing(stage: Stage) -> None:
    told = stage.machine.dovecot_log().count("SIGHUP received")
    done = stage.machine.conbool("undo", "--yes")
    try:
        assert done.returncode == 0, done.stderr
        assert stage.machine.doveconf() == stage.doveconf
        before, after = without_times(stage.tree), without_times(stage.machine.snapshot("/etc"))
        assert differences(before, after) == []
        # Not only the files: the running Dovecot was told again once its file in conf.d was gone.
        assert stage.machine.dovecot_log().count("SIGHUP received") == told + 2
        assert stage.files([RELEASED]) == "Wrong"
        assert stage.files(["X-Conbool-Spam: YES"]) == "INBOX"
    finally:
        apply_answers(stage.lab, stage.machine)


def test_lda_and_settings_in_dovecot_conf(lab: Lab) -> None:
    """Delivery by dovecot-lda, a junk folder of another name, and settings that stand after conf.d: ours become a block at the end."""
    if "bookworm" not in SUITES:
        pytest.skip("needs Dovecot 2.3")
    site = DovecotSite(
        delivery="lda",
        junk="Spam mail",
        files={GLOBAL: GLOBAL_SCRIPT, "/etc/dovecot/local.conf": GLOBAL_SETTING["bookworm"]},
    )
    machine = dovecot(lab, "bookworm", site)
    machine.shell(f"sievec {GLOBAL}")
    tree, conf = machine.snapshot("/etc"), machine.doveconf()
    apply_answers(lab, machine)
    assert "# BEGIN conbool-tui sieve" in machine.read_text("/etc/dovecot/dovecot.conf")
    assert filed(lab, machine, messages.build([FLAG])) == "Spam mail"
    assert filed(lab, machine, messages.build([RELEASED, FLAG])) == "INBOX"
    assert filed(lab, machine, messages.build(["X-Team: sales"])) == "Sales"
    assert plan_answers(lab, machine).returncode == 0
    # A folder that was asked for, while Dovecot is stopped: it reads the files when it starts.
    machine.dovecot_stop()
    apply_answers(lab, machine, spam={"action": "folder", "folder": "Quarantine"})
    assert not machine.dovecot_running()
    machine.dovecot_start()
    assert filed(lab, machine, messages.build([FLAG])) == "Quarantine"
    # Twice: the change of the folder, then the rest.
    for _ in range(2):
        done = machine.conbool("undo", "--yes")
        assert done.returncode == 0, done.stderr
    assert machine.doveconf() == conf
    assert differences(without_times(tree), without_times(machine.snapshot("/etc"))) == []
    assert filed(lab, machine, messages.build([FLAG])) == "Wrong"


def test_dovecot_alone(lab: Lab) -> None:
    """Where only the mailboxes are here: named, it gets the script and nothing else."""
    machine = dovecot(lab, SUITES[-1], DovecotSite(virtual=True))
    tree = machine.snapshot("/etc")
    answers = write_answers(lab, machine)
    done = machine.conbool("--mail-system", "dovecot", "apply", "--answers", answers, "--yes")
    assert done.returncode == 0, done.stderr
    changed = {line.split(":")[0] for line in differences(tree, machine.snapshot("/etc"))}
    assert {name.split("/")[0] for name in changed} == {"dovecot"}
    assert filed(lab, machine, messages.build([FLAG])) == "Junk"
    assert filed(lab, machine, messages.build([RELEASED, FLAG])) == "INBOX"
    assert machine.conbool("undo", "--yes").returncode == 0
    assert differences(without_times(tree), without_times(machine.snapshot("/etc"))) == []
    assert filed(lab, machine, messages.build([FLAG])) == "INBOX"


def test_without_sieve_plugin_flagged_mail_gets_a_header(lab: Lab) -> None:
    machine = dovecot(lab, SUITES[0], DovecotSite(plugin=False), sieve_package=False)
    plan = plan_answers(lab, machine)
    assert plan.returncode == 2
    assert "dovecot-sieve" in " ".join(plan.stdout.split())
    apply_answers(lab, machine)
    message = messages.build([FLAG])
    assert filed(lab, machine, message) == "INBOX"
    (stored,) = machine.mailbox("alice")
    assert [value.strip() for value in stored.headers("X-Spam-Flag")] == ["YES"]
    assert not machine.exists("/etc/dovecot/conbool")


BREAKAGES = {
    "no configuration": ("printf 'service lmtp {\\n' >> /etc/dovecot/dovecot.conf", "doveconf refuses"),
    "read only": (
        "mount --bind /etc/dovecot /etc/dovecot; mount -o remount,bind,ro /etc/dovecot",
        "/etc/dovecot",
    ),
    "folder in the way": ("echo mine > /etc/dovecot/conbool", "/etc/dovecot/conbool"),
}
MENDING = {
    "no configuration": "sed -i '$d' /etc/dovecot/dovecot.conf",
    "read only": "umount /etc/dovecot",
    "folder in the way": "rm /etc/dovecot/conbool",
}


def test_what_cannot_be_is_said_and_nothing_is_changed(lab: Lab) -> None:
    machine = dovecot(lab, SUITES[-1], DovecotSite(virtual=True))
    answers = write_answers(lab, machine)
    for name, (breakage, words) in BREAKAGES.items():
        machine.shell(breakage)
        before = machine.snapshot("/etc")
        done = machine.conbool("apply", "--answers", answers, "--yes")
        assert done.returncode == 3, f"{name}: {done.stdout}\n{done.stderr}"
        assert words in " ".join(done.stderr.split()), f"{name}: {done.stderr}"
        assert "Traceback" not in done.stderr, name
        assert differences(without_times(before), without_times(machine.snapshot("/etc"))) == [], name
        machine.shell(MENDING[name])
    assert filed(lab, machine, messages.plain()) == "INBOX"
    assert machine.conbool("apply", "--answers", answers, "--yes").returncode == 0


class KilledWithDovecot(Killed):
    """The same with Dovecot's configuration."""

    def tree(self) -> dict[str, Entry]:
        """Both configurations."""
        dovecot_tree = without_times(self.machine.snapshot("/etc/dovecot"))
        return {**super().tree(), **{f"dovecot/{name}": entry for name, entry in dovecot_tree.items()}}


def test_killed_at_the_records_that_concern_dovecot(lab: Lab) -> None:
    machine = dovecot(lab, SUITES[0])
    killed = KilledWithDovecot(lab, machine)
    try:
        for do in ("apply", "undo"):
            killed.toggle()
            records = killed.journals()[-1]
            numbers = [
                number
                for number, record in enumerate(records, 1)
                if "/etc/dovecot" in str(record.get("path", "")) or record["do"] in ("reload", "health")
            ]
            assert len(numbers) >= 5, records
            killed.toggle()
            for number in numbers[::2]:
                killed.kill(do, record=number, moment="durable")
            if killed.state == "new":
                killed.toggle()
        killed.finish()
    finally:
        killed.close()
    assert filed(lab, machine, messages.build([FLAG])) == "INBOX"
    assert machine.dovecot_running()
