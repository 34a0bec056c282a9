"""The transaction on a real Sendmail: files built from others, failures at every step, kill -9, later edits, what must be refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from . import messages
from .lab import Lab
from .product import write_answers
from .releases import SENDMAIL
from .sendmail import SendmailMachine
from .sendmail_product import ENV
from .snapshot import Entry, differences

OUT = "friend@outside-a.example"
SOURCE, CF, ACCESS = "/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf", "/etc/mail/access"

# One Python that has the program loaded and forks for every order.
DRIVER = r"""
import json, os, signal, sys, traceback
from conbool_tui import answers_file
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.session import Session
from conbool_tui.systems import make_system
from conbool_tui.transaction import apply_plan, find_unfinished, recover, undo_change

STATE = "/var/lib/conbool-tui"
host = Host("/")
session = Session(host, STATE)
plan = session.plan(answers_file.load(open(sys.argv[1], "rb").read(), "answers"))

def perform(order):
    answer, steps = {"error": None}, []
    def observer(step):
        steps.append(step)
        if step == order.get("fail"):
            order["fail"] = None
            raise OSError("injected")
        if step == order.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
    def system_for(target):
        return make_system(host, target)
    try:
        if order["do"] == "apply":
            receipt = apply_plan(host, STATE, system_for(plan.target), plan, None, observer)
        elif order["do"] == "undo":
            receipt = undo_change(host, STATE, system_for, None, None, observer)
        else:
            receipt = recover(host, STATE, system_for, None, observer)
        answer["state"] = receipt.state.value if receipt else None
    except ConboolError as error:
        answer.update(error=type(error).__name__, text="\n".join(error.lines()), code=error.exit_code)
    except BaseException:
        answer.update(error="traceback", text=traceback.format_exc())
    answer["steps"], answer["unfinished"] = steps, find_unfinished(host, STATE) is not None
    return answer

for line in sys.stdin:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        os.write(theirs, json.dumps(perform(json.loads(line))).encode())
        os._exit(0)
    os.close(theirs)
    said = b""
    while piece := os.read(ours, 65536):
        said += piece
    os.close(ours)
    os.waitpid(child, 0)
    print(said.decode() or "{}", flush=True)
"""


class Rig:
    """A Sendmail machine and the driver in it."""

    def __init__(self, lab: Lab, machine: SendmailMachine) -> None:
        self.lab = lab
        self.machine = machine
        machine.write("/root/driver.py", DRIVER)
        argv = ["python3", "-X", "utf8", "/root/driver.py", write_answers(lab, machine)]
        self._driver = machine.popen(argv, env=ENV, stderr=subprocess.DEVNULL)

    def do(self, action: str, **order: Any) -> Mapping[str, Any]:
        """Apply, undo or recover in a process of its own; {} when it was killed."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps({"do": action, **order}).encode() + b"\n")
        self._driver.stdin.flush()
        answer: Mapping[str, Any] = json.loads(self._driver.stdout.readline())
        return answer

    def tree(self) -> dict[str, Entry]:
        return {
            **self.machine.snapshot("/etc/mail"),
            "procmailrc": self.machine.snapshot("/etc")["procmailrc"],
        }

    def same(self, before: Mapping[str, Entry]) -> bool:
        """Whether all is as before: bytes (sendmail.cf and access.db, too), owners, modes, times of files; and Sendmail runs."""
        found = differences(dict(before), self.tree(), ignore_mtime=(".",))
        assert found == []
        assert self.machine.sendmail_running()
        return True

    def route(self) -> list[str]:
        """Where mail of a hosted sender goes."""
        message = messages.plain()
        assert self.lab.send(self.machine, message, OUT).accepted
        return self.lab.wait_delivered(message)


@pytest.fixture(scope="module", params=SENDMAIL)
def rig(lab_ready: None, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with Lab() as lab:
        yield Rig(lab, lab.sendmail(str(request.param)))


@pytest.fixture
def clean(rig: Rig) -> Iterator[Rig]:
    """The rig, checked to be as it was before the test."""
    before = rig.tree()
    yield rig
    rig.same(before)


def first(rig: Rig) -> bool:
    """Whether it is the first of the releases: what takes long is shared between them."""
    return rig.machine.spec.suite == SENDMAIL[0]


def test_a_failure_at_every_live_step_leaves_the_old_state(clean: Rig) -> None:
    before = clean.tree()
    applied = clean.do("apply")
    assert (applied["error"], applied["state"]) == (None, "applied"), applied
    assert clean.route() == ["conbool"]
    undone = clean.do("undo")
    assert (undone["error"], undone["unfinished"]) == (None, False), undone
    assert clean.same(before)
    assert clean.route() == ["outside_a"]
    live = [
        step for step in dict.fromkeys(applied["steps"]) if step.startswith("done") and step != "done commit"
    ]
    assert f"done write {CF}" in live
    assert f"done write {ACCESS}.db" in live
    for step in live[0 if first(clean) else 1 :: 2]:
        answer = clean.do("apply", fail=step)
        assert (answer["error"], answer["code"], answer["unfinished"]) == ("RolledBackError", 4, False), (
            step,
            answer,
        )
        assert clean.same(before)
    assert clean.route() == ["outside_a"]


@pytest.mark.parametrize("action", ["apply", "undo"])
def test_kill_9_at_every_record_is_old_or_new_after_the_next_start(clean: Rig, action: str) -> None:
    old = clean.tree()
    seen = clean.do("apply")
    if action == "undo":
        seen = clean.do("undo")
    else:
        clean.do("undo")
    announced = [step for step in dict.fromkeys(seen["steps"]) if step.startswith("announced")]
    assert len(announced) >= 10
    for step in announced[0 if first(clean) else 1 :: 2]:
        if action == "undo":
            assert clean.do("apply")["error"] is None
        start = clean.tree()
        assert clean.do(action, kill=step) == {}, step
        done = clean.do("recover")
        assert (done["error"], done["unfinished"]) == (None, False), (step, done)
        if step != "announced commit":
            assert done["state"] == "rolled back", (step, done)
            assert clean.same(start)
        if (action == "apply") is (step == "announced commit") or (
            action == "undo" and step != "announced commit"
        ):
            assert clean.do("undo")["error"] is None
        assert clean.same(old)
    assert clean.route() == ["outside_a"]


def test_undo_keeps_later_edits_and_builds_what_is_generated_anew(rig: Rig) -> None:
    """An edit of sendmail.mc and access after us, built or not yet built, outlives the undo, and sendmail.cf fits."""
    machine = rig.machine
    source, access = machine.read_text(SOURCE), machine.read_text(ACCESS)
    for built in (True, False):
        assert rig.do("apply")["error"] is None
        edited = machine.read_text(SOURCE).replace(
            "MAILER_DEFINITIONS\nMAILER", "define(`confMAX_HOP', `33')dnl\nMAILER_DEFINITIONS\nMAILER", 1
        )
        assert edited != machine.read_text(SOURCE)
        machine.write(SOURCE, edited)
        machine.append(ACCESS, "Connect:203.0.113.7\tREJECT\n")
        if built:
            machine.rebuild()
        undone = rig.do("undo")
        assert undone["error"] is None, undone
        left = machine.read_text(SOURCE)
        assert "confMAX_HOP" in left
        assert "conbool" not in left.lower()
        cf = machine.read_text(CF)
        assert "O MaxHopCount=33" in cf
        assert "Conbool" not in cf
        dump = machine.shell(f"makemap -u hash {ACCESS}")
        assert "connect:203.0.113.7" in dump
        assert "198.51.100" not in dump
        assert rig.route() == ["outside_a"]
        machine.write(SOURCE, source)
        machine.write(ACCESS, access)
        machine.rebuild()


def test_a_sendmail_cf_edited_by_hand_is_a_conflict(rig: Rig) -> None:
    machine = rig.machine
    before = machine.read(CF)
    assert rig.do("apply")["error"] is None
    machine.write(
        CF,
        machine.read_text(CF)
        .replace("O MaxHopCount=25", "O MaxHopCount=44")
        .replace("#O MaxHopCount", "O MaxHopCount"),
    )
    machine.append(CF, "O RetryFactor=95000\n")
    undone = rig.do("undo")
    assert undone["error"] == "UndoConflictError", undone
    assert CF in undone["text"]
    assert "RetryFactor=95000" in machine.read_text(CF)
    done = machine.conbool("undo", "--yes", "--put-back")
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.read(CF) == before
    assert rig.route() == ["outside_a"]


def test_undo_without_sendmails_tools(rig: Rig) -> None:
    """The old bytes come back without m4, makemap, the macro files and a running Sendmail."""
    machine = rig.machine
    before = rig.tree()
    assert rig.do("apply")["error"] is None
    machine.sendmail_stop()
    machine.shell("mv /usr/bin/m4 /usr/bin/m4.away; mv /usr/sbin/makemap /usr/sbin/makemap.away")
    try:
        undone = rig.do("undo")
        assert (undone["error"], undone["unfinished"]) == (None, False), undone
    finally:
        machine.shell("mv /usr/bin/m4.away /usr/bin/m4; mv /usr/sbin/makemap.away /usr/sbin/makemap")
    assert differences(before, rig.tree(), ignore_mtime=(".",)) == []
    machine.sendmail_start()


def test_the_exported_script_does_the_same(rig: Rig) -> None:
    machine = rig.machine
    before = {path: machine.read(path) for path in (SOURCE, ACCESS, CF, "/etc/procmailrc")}
    answers = write_answers(rig.lab, machine)
    script = machine.conbool("plan", "--answers", answers, "--script")
    machine.write("/root/script.sh", script.stdout)
    machine.shell("sh /root/script.sh")
    machine.wait_port(25)
    assert machine.conbool("plan", "--answers", answers).returncode == 0
    assert rig.route() == ["conbool"]
    for path, data in before.items():
        machine.write(path, data)
    machine.rebuild()


JUDGE = r"""
import json, sys
from conbool_tui import answers_file
from conbool_tui.host import Host
from conbool_tui.session import Session
from conbool_tui.systems.sendmail import SendmailSystem

host = Host("/")
plan = Session(host).plan(answers_file.load(open(sys.argv[1], "rb").read(), "answers"))
system = SendmailSystem(host)
files = {target.path: target.after for target in plan.files}
built = {target.path: target.after for target in system.generate(files)}
found = {}
for name, (old, new) in json.load(sys.stdin).items():
    cf = built["/etc/mail/sendmail.cf"].decode()
    assert old in cf, name
    changed = {**files, **built, "/etc/mail/sendmail.cf": cf.replace(old, new).encode()}
    found[name] = [f"{problem.text}: {problem.detail}" for problem in system.judge(plan, changed)]
print(json.dumps(found))
"""
MUTATIONS = {
    "as it is": ("\nSConboolOwn\n", "\nSConboolOwn\n"),
    "no mailer": ("\nMconbool,", "\nMnobody,"),
    "no ruleset for the sender": ("S=ConboolEnvFrom/", "S=EnvFromSMTP/"),
    "call of a ruleset that is not there": ("\nSConboolRoute\n", "\nSConboolRoad\n"),
    "loop header is not marked": ("Rtrue\t$: $>ConboolMark loop", "Rfalse\t$: $>ConboolMark loop"),
    "everybody is in scope": ("\nR$*\t$@ DIRECT", "\nR$*\t$@ SMARTHOST"),
    "Conbool is not recognised": ("C{ConboolNet}198.51.100", "C{ConboolNet}198.51.101"),
    "garbage": ("\nSConboolOwn\n", "\nZebras are no lines of a sendmail.cf\nSConboolOwn\n"),
    "unknown option": ("\nSConboolOwn\n", "\nO NoSuchOption=1\nSConboolOwn\n"),
    "another option": ("\nSConboolOwn\n", "\nO MaxHopCount=3\nSConboolOwn\n"),
}


def test_the_judge_sees_what_sendmail_does_not_say(rig: Rig) -> None:
    machine = rig.machine
    machine.write("/root/judge.py", JUDGE)
    argv = ["python3", "-X", "utf8", "/root/judge.py", write_answers(rig.lab, machine)]
    done = machine.run(argv, input=json.dumps(MUTATIONS), env=ENV, check=True)
    found = json.loads(done.stdout)
    assert found.pop("as it is") == []
    assert not [name for name, problems in found.items() if not problems], found


def refused(rig: Rig, code: int, *words: str) -> None:
    """Apply must refuse with all the words and change nothing."""
    machine = rig.machine
    before = machine.snapshot("/etc")
    done = machine.conbool("apply", "--answers", write_answers(rig.lab, machine), "--yes")
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, said
    assert "Traceback" not in said
    for word in words:
        assert word in said, (word, said)
    assert not differences(before, machine.snapshot("/etc"), ignore_mtime=("mail",))


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        (SOURCE, ("MAILER(`local')dnl", "MAILER(`local"), ["cannot build", SOURCE]),
        (
            SOURCE,
            ("MAILER(`local')dnl", "FEATURE(`no_such_feature')dnl"),
            ["cannot build", "no_such_feature"],
        ),
        (ACCESS, ("Connect:127\t", "connect:127 OK\nConnect:127\t"), ["makemap refuses the access map"]),
        (
            ACCESS,
            ("Connect:127\t", "ClientRate:198.51.100 5\nConnect:127\t"),
            ["ClientRate:198.51.100 5", "Take that line out"],
        ),
        (
            CF,
            ("O DeliveryMode=background", "O DeliveryMode=queueonly"),
            ["is not what", "O DeliveryMode=queueonly"],
        ),
        (
            "/etc/mail/mailertable",
            ("", ". esmtp:[smtp.provider.example]\n"),
            ["line 1: . esmtp:[smtp.provider.example]"],
        ),
    ],
    ids=["quotes", "feature", "duplicate key", "own entry for Conbool", "drift", "mailertable"],
)
def test_refused_with_the_lines(rig: Rig, path: str, change: tuple[str, str], words: list[str]) -> None:
    before = rig.machine.read(path)
    text = before.decode()
    assert change[0] in text
    rig.machine.write(path, text.replace(change[0], change[1], 1) if change[0] else change[1])
    try:
        refused(rig, 3, *words)
    finally:
        rig.machine.write(path, before)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("LOCAL_RULESETS\nSLocal_check_rcpt\nR$*\t$: $1\n", ["Local_check_rcpt", "R$* $: $1"]),
        (
            "LOCAL_CONFIG\nHContent-Type: $>CheckType\nLOCAL_RULESETS\nSCheckType\nR$*\t$@ OK\n",
            ["Content-Type: $>CheckType"],
        ),
        ("LOCAL_TLS_SERVER\nR$*\t$@ OK\n", ["Local_tls_server"]),
    ],
    ids=["check_rcpt", "header", "tls_server"],
)
def test_rules_of_ones_own_are_not_replaced(rig: Rig, rules: str, words: list[str]) -> None:
    before = rig.machine.read_text(SOURCE)
    rig.machine.write(SOURCE, before + rules)
    rig.machine.shell(rig.machine.rebuild_script)
    try:
        refused(rig, 3, "Rules of your own stand", *words)
    finally:
        rig.machine.write(SOURCE, before)
        rig.machine.rebuild()


@pytest.mark.parametrize(
    ("away", "words"),
    [
        ("/usr/bin/m4", ["m4"]),
        ("/usr/share/sendmail/cf/m4/cf.m4", ["sendmail-cf"]),
        (SOURCE, ["has no sendmail.mc", "Write a sendmail.mc"]),
        (CF, ["sendmail.cf is missing"]),
    ],
)
def test_missing_parts(rig: Rig, away: str, words: list[str]) -> None:
    rig.machine.shell(f"mv {away} {away}.away")
    try:
        refused(rig, 3, *words)
    finally:
        rig.machine.shell(f"mv {away}.away {away}")


def test_read_only_configuration(rig: Rig) -> None:
    rig.machine.shell("mount --bind /etc/mail /etc/mail && mount -o remount,ro,bind /etc/mail")
    try:
        refused(rig, 3, "Nothing was changed")
    finally:
        rig.machine.shell("umount /etc/mail")
    assert rig.route() == ["outside_a"]
