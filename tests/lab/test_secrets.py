"""Passwords wherever a mail server may have them, and every command, also those that fail: none shows up in what the program leaves behind."""

from __future__ import annotations

import io
import shlex
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from .lab import Lab
from .postfix import PostfixSite
from .releases import one_release
from .test_detached import LOG, STATE, Caller, Rig, until

WORD = "canary-9b1e"
NAMES = (
    *(
        "file",
        "inline",
        "second",
        "master",
        "mysql",
        "ldap",
        "mysqlfile",
        "key",
        "comment",
        "unknown",
        "broken",
    ),
    "environment",
)
CANARIES = {name: f"{WORD}-{name}" for name in NAMES}
INLINE = f"inline:{{ {{[smart.example]:587 = user:{CANARIES['inline']}}}, {{other.example = two:{CANARIES['second']}}} }}"

# Every program that is started, with its arguments.
AUDIT = """
import sys
def _audit(event, args):
    if event in ("os.exec", "os.posix_spawn", "subprocess.Popen"):
        with open("/root/started", "a") as stream:
            stream.write(repr(args[1]) + "\\n")
sys.addaudithook(_audit)
"""
# A defect in the middle of a change: an error whose message holds all of main.cf.
DEFECT = """
append_ = Journal.append
def failing(self, do, text, **fields):
    append_(self, do, text, **fields)
    try:
        with open("/root/fail-at") as stream:
            wanted = stream.read()
    except OSError:
        return
    if do == wanted:
        with open("/etc/postfix/main.cf") as stream:
            raise RuntimeError("cannot understand this: " + stream.read())
Journal.append = failing
"""
CRASH = """
def opened(self):
    with open("/etc/postfix/main.cf") as stream:
        settings = stream.read()
    raise RuntimeError("cannot show this: " + settings)
import os
if os.path.exists("/root/crash"):
    WelcomeScreen.opened = opened
"""


@pytest.fixture(scope="module")
def rig(lab_ready: None, suite: str) -> Iterator[Rig]:
    with Lab() as lab:
        site = PostfixSite(
            submission=True,
            main={
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": f"hash:/etc/postfix/sasl_passwd, {INLINE}",
                "mysqlfoo_password": CANARIES["mysql"],
                "ldapfoo_bind_pw": CANARIES["ldap"],
            },
            master=f"relay-x unix - - - - - smtp\n  -o smtp_sasl_password_maps=static:user:{CANARIES['master']}\n",
            files={
                "/etc/postfix/sasl_passwd": f"[third.example]:587 user:{CANARIES['file']}\n",
                "/etc/postfix/mysql.cf": f"hosts = db.example\nuser = mail\npassword = {CANARIES['mysqlfile']}\n",
            },
            postmap=("/etc/postfix/sasl_passwd",),
        )
        one = Rig(lab, lab.postfix(suite, site))
        machine = one.machine
        machine.shell("chmod 600 /etc/postfix/sasl_passwd* /etc/postfix/mysql.cf")
        machine.append(f"/etc/ssl/private/{machine.place.hostname}.key", f"# {CANARIES['key']}\n")
        machine.append("/root/app/conbool_tui/__init__.py", AUDIT)
        machine.append("/root/app/conbool_tui/transaction/journal.py", DEFECT)
        machine.append("/root/app/screens/welcome.py", CRASH)
        machine.append(one.answers, f"# {CANARIES['comment']}\n")
        one.env["CONBOOL_TEST_PASSWORD"] = CANARIES["environment"]
        yield one


def seen_in(text: str) -> list[str]:
    return [name for name, canary in CANARIES.items() if canary in text]


REFUSES_ONCE = """#!/bin/sh
case "$*" in
*reload*)
    if [ -e /root/refuse ]; then
        rm /root/refuse
        postconf -n >/dev/null
        echo "postfix: fatal: $(postconf -n smtp_sasl_password_maps)" >&2
        exit 1
    fi
esac
exec /usr/sbin/postfix.real "$@"
"""


class Said:
    """What the commands print; the program's own words, not the files it was asked to show."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def run(self, *args: str, status: int = 0, word: str = "") -> str:
        done = self.rig.run(*args)
        assert done.returncode == status, (args, done.stdout, done.stderr)
        assert word in done.stdout + done.stderr, (args, done.stdout, done.stderr)
        assert seen_in(done.stdout + done.stderr) == [], (args, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr


def holding(rig: Rig) -> list[str]:
    """Every file of the machine with a canary in it."""
    return rig.machine.shell(
        f"grep -rlF --devices=skip {WORD} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev || true"
    ).split()


@one_release
def test_no_password_leaves_its_place(rig: Rig) -> None:
    machine, said = rig.machine, Said(rig)
    own = set(holding(rig))
    assert {"/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/postfix/sasl_passwd", rig.answers} <= own
    answers = ("--answers", rig.answers)

    said.run("detect", word="Postfix")
    said.run("detect", "--json", word="(hidden)")
    said.run("plan", *answers, status=2, word="main.cf")
    # What is asked for here are the files themselves.
    whole = rig.run("plan", *answers, "--json")
    assert set(seen_in(whole.stdout)) == {"inline", "second", "mysql", "ldap", "master"}
    assert seen_in(whole.stderr) == []
    machine.write(
        "/root/unknown.yaml", machine.read_text(rig.answers) + f"secret_key: {CANARIES['unknown']}\n"
    )
    said.run("plan", "--answers", "/root/unknown.yaml", status=64, word="secret_key")
    machine.write("/root/broken.yaml", f"domains: [example.com\npassword: '{CANARIES['broken']}\n")
    said.run("plan", "--answers", "/root/broken.yaml", status=64, word="broken.yaml")

    # A change that fails by a defect while it is written, and one whose reload fails with postconf's own warnings.
    for phase in ("judged", "write"):
        machine.write("/root/fail-at", phase)
        said.run("apply", "--yes", *answers, status=4, word="cannot understand this")
        machine.shell("rm /root/fail-at")
    machine.shell("mv /usr/sbin/postfix /usr/sbin/postfix.real; touch /root/refuse")
    machine.write("/usr/sbin/postfix", REFUSES_ONCE, 0o755)
    said.run("apply", "--yes", *answers, status=4, word="fatal:")
    assert not machine.exists("/root/refuse")
    machine.shell("mv /usr/sbin/postfix.real /usr/sbin/postfix")

    # While a worker is at it: nothing in any command line.
    rig.stop_at("write")
    caller = Caller(rig, "watching")
    rig.stands()
    assert "conbool_tui.worker" in machine.shell("ps axww -o args")
    assert seen_in(machine.shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")) == []
    worker = rig.worker()
    assert worker is not None
    inherited = machine.shell(f"tr '\\0' '\\n' < /proc/{worker}/environ")
    assert "PATH=" in inherited
    assert seen_in(inherited) == []
    rig.signal(worker, "CONT")
    done = caller.end()
    assert done.returncode == 0, done.stderr
    assert seen_in((done.stdout + done.stderr).decode()) == []

    said.run("check", status=rig.run("check").returncode, word="Postfix")
    newest = rig.newest()["id"]
    said.run("history", word=newest)
    said.run("history", "--json", word=newest)
    said.run("history", "--show", newest, word="reload")
    shown = said.run("support-bundle", "--show", word="detection.json")
    assert "(hidden)" in shown or "(login)" in shown
    wizard_crash(rig)
    said.run("support-bundle", "--yes", "--output", "/root/bundle.tgz")
    with tarfile.open(fileobj=io.BytesIO(machine.read("/root/bundle.tgz"))) as bundle:
        parts = {item.name: bundle.extractfile(item) for item in bundle}
        texts = {name: stream.read().decode() for name, stream in parts.items() if stream is not None}
    assert {name for name, text in texts.items() if seen_in(text)} == set()
    assert any("cannot understand this" in text for text in texts.values()), "the failures are in it"
    said.run("undo", "--yes", word="")

    log = machine.read_text(LOG)
    assert "cannot understand this" in log
    assert "cannot show this" in log
    assert seen_in(log) == []
    started = machine.read_text("/root/started")
    assert "postconf" in started
    assert "conbool_tui.worker" in started
    assert seen_in(started) == []

    # Only backups hold them, and nobody but root can look there.
    new = set(holding(rig)) - own - {"/root/unknown.yaml", "/root/broken.yaml"}
    backups = {
        path
        for path in new
        if path.startswith(f"{STATE}/changes/") and path.split("/")[6] in ("before", "after")
    }
    assert any(path.endswith("main.cf") for path in backups), "what must be found is found"
    assert new == backups
    modes = machine.shell("stat -c '%a %U' " + shlex.join(sorted(backups)))
    assert set(modes.strip().split("\n")) == {"600 root"}
    assert machine.shell(f"find {STATE} -perm /077") == ""


def wizard_crash(rig: Rig) -> None:
    """A defect in the wizard: the terminal gets a sentence, and neither it nor the log shows what was in the error."""
    machine = rig.machine
    machine.write("/root/crash", "")
    command = shlex.join(rig.argv) + "; echo ENDED $?; exec sleep 600"
    caller = Caller(rig, "pane", ["/bin/sh", "-c", command])
    try:

        def screen() -> str:
            return subprocess.run(
                ["tmux", "-L", caller.socket, "capture-pane", "-p", "-S", "-500"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout

        until(lambda: "ENDED" in screen(), "the wizard's end")
        assert "Unexpected error" in screen()
        assert seen_in(screen().replace("\n", "")) == []
        assert seen_in(screen()) == []
    finally:
        caller.close()
        machine.shell("rm /root/crash")
