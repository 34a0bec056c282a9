"""Users without rights put links, pipes, folders and files of their own wherever root will write: root's files stay, nothing hangs, and
nothing private can be read or replaced by them, at no moment of a change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .releases import one_release
from .snapshot import Entry, differences, snapshot
from .test_detached import Caller, Rig, until
from .test_detached import rig as rig

STATE = "/var/lib/conbool-tui"
# Root's own: what links and hard links lead to.
ROOTS = "/root/roots"
THEIRS = "/tmp/theirs"
USERS = ("nobody", "postfix")
SECRET = "canary-5f1d-password"
STAGED = "staged copy"
CHECK_FAILED = 3

# The worker also stands still while the staged copies of the configuration lie in their private folder.
STOPPER = f"""
import os, signal
looked = _tables
def _tables(*args, **named):
    try:
        with open("/root/stop-at") as stream:
            wanted = stream.read()
        if wanted == "{STAGED}":
            os.rename("/root/stop-at", "/root/stopped")
            os.kill(os.getpid(), signal.SIGSTOP)
    except OSError:
        pass
    return looked(*args, **named)
"""

# Everything the program's files of the admin can meet in a folder of others; run by root in the machine.
SHARED_FOLDERS = r"""
import json, os, stat, sys
from conbool_tui import keyboard
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host

roots, theirs = sys.argv[1:]
NOBODY = 65534

def as_nobody(action):
    child = os.fork()
    if child == 0:
        os.setgroups([]); os.setgid(NOBODY); os.setuid(NOBODY)
        try:
            action()
        except BaseException as error:
            print("planting:", error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def hard_link(path):
    # The kernel may forbid it to others (fs.protected_hardlinks), so that it is made for them.
    source = os.path.join(os.path.dirname(os.path.dirname(path)), "root-file")
    os.link(source, path)

def prepared(path):
    with open(path, "w") as stream:
        os.fchmod(stream.fileno(), 0o666)
        stream.write("theirs")

TRICKS = {
    "link": lambda path: as_nobody(lambda: os.symlink(roots + "/shadow", path)),
    "dangling link": lambda path: as_nobody(lambda: os.symlink(roots + "/new", path)),
    "link to a folder": lambda path: as_nobody(lambda: os.symlink(roots, path)),
    "hard link": hard_link,
    "pipe": lambda path: as_nobody(lambda: os.mkfifo(path)),
    "folder": lambda path: as_nobody(lambda: os.mkdir(path)),
    "file": lambda path: as_nobody(lambda: prepared(path)),
}
real = Host._follow
found = []
for top, mode, owner in (("/tmp/sticky", 0o1777, 0), (theirs + "/open", 0o755, NOBODY)):
    os.mkdir(top)
    with open(top + "/root-file", "w") as stream:
        stream.write("root's")
    place = top + "/place"
    os.mkdir(place)
    os.chown(place, owner, owner)
    os.chmod(place, mode)
    for when in ("before", "meanwhile", "folder above", "folder above meanwhile"):
        for name, plant in TRICKS.items():
            path = f"{place}/{when}-{name}".replace(" ", "-")
            if when == "before":
                plant(path)
            elif when.startswith("folder above"):
                if not name.startswith("link"):
                    continue
                above, path = path, path + "/new"
                def swap(above=above):
                    if os.path.isdir(above) and not os.path.islink(above):
                        os.rename(above, above + ".gone")
                    os.symlink(roots, above)
                if when == "folder above":
                    as_nobody(swap)
                else:
                    as_nobody(lambda: os.mkdir(above))
            if when.endswith("meanwhile"):
                def followed(self, asked, path=path, plant=plant, when=when):
                    answer = real(self, asked)
                    if asked == path and not os.path.lexists(path) and Host._follow is not real:
                        Host._follow = real
                        as_nobody(swap) if when.startswith("folder") else plant(path)
                    return answer
                Host._follow = followed
            try:
                keyboard.write(path, b"ours")
                said = ""
            except ConboolError as error:
                said = error.what
            finally:
                planted = Host._follow is real
                Host._follow = real
            info = os.lstat(path) if os.path.lexists(path) else None
            ours = info is not None and stat.S_ISREG(info.st_mode) and open(path, "rb").read() == b"ours"
            safe = ours and (info.st_uid, stat.S_IMODE(info.st_mode), info.st_nlink) == (0, 0o600, 1)
            found.append([top, when, name, said, ours, safe, planted, open(top + "/root-file").read()])

pipe = theirs + "/pipe"
as_nobody(lambda: os.mkfifo(pipe))
reading = []
for read in (Host("/").read_bytes, lambda path: Host("/").read_from(path, 0, 9), Host("/").capture, keyboard.read):
    try:
        read(pipe)
        reading.append("")
    except ConboolError as error:
        reading.append(error.what)
print(json.dumps({"found": found, "reading": reading}))
"""


@pytest.fixture(scope="module")
def hostile(rig: Rig) -> Rig:
    """The rig with hostile users in it, and a password that only root may read."""
    machine = rig.machine
    machine.append("/root/app/conbool_tui/systems/postfix_judge.py", "\n" + STOPPER)
    machine.write("/etc/postfix/sasl_passwd", f"[smart.example]:587 user:{SECRET}\n", 0o600)
    machine.shell(
        f"mkdir -m 711 {ROOTS}; cp /etc/shadow {ROOTS}/shadow; chmod 600 {ROOTS}/shadow; chmod 711 /root; "
        f"mkdir -m 755 {ROOTS}/folder; mkdir -m 777 {THEIRS}; chown nobody: {THEIRS}; touch /run/marker"
    )
    return rig


@pytest.fixture
def roots(hostile: Rig) -> Iterator[dict[str, Entry]]:
    """What root has; afterwards it is as it was."""
    top = hostile.machine.path(ROOTS)
    before = snapshot(top)
    yield before
    assert differences(before, snapshot(top)) == []


def plant(rig: Rig, script: str, user: str = "nobody") -> None:
    """Let a user without rights do something."""
    rig.machine.run(["/bin/sh", "-e", "-c", script], user=user, cwd="/", check=True)


# --- files of the admin: bundle, transcript, answers -------------------------------------------------------------


@one_release
def test_every_trick_in_shared_folders(hostile: Rig, roots: dict[str, Entry]) -> None:
    """Before and while a file is written, in a folder like /tmp and in one of theirs."""
    done = hostile.machine.run(
        ["python3", "-X", "utf8", "-c", SHARED_FOLDERS, ROOTS, THEIRS], env=hostile.env, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["found"]) == 2 * (2 * 7 + 2 * 2)
    refused = 0
    for case in told["found"]:
        _, when, name, said, ours, safe, planted, roots_file = case
        assert roots_file == "root's", case
        if when.endswith("meanwhile"):
            assert planted, f"the trick was not played: {case}"
        if said:
            refused += 1
            assert "was not written" in said or "cannot be written" in said, case
            assert not ours, case
        else:
            assert safe, case
            assert name in ("hard link", "file") or when == "meanwhile", case
    assert refused > 10
    assert [("named pipe" in said) for said in told["reading"]] == [True] * 4


@one_release
@pytest.mark.parametrize("command", ["support-bundle", "check"])
def test_the_commands_themselves(hostile: Rig, roots: dict[str, Entry], command: str) -> None:
    option = {"support-bundle": "--output", "check": "--transcript"}[command]
    plant(hostile, f"ln -s {ROOTS}/shadow /tmp/{command}-1; ln -s {ROOTS}/new /tmp/{command}-2")
    more = ["--yes"] if command == "support-bundle" else []
    for number in (1, 2):
        done = hostile.run(command, *more, option, f"/tmp/{command}-{number}")
        assert done.returncode not in (0, CHECK_FAILED), done.stdout
        assert "is there already" in done.stderr or "symbolic link" in done.stderr, done.stderr
    device = hostile.run(command, *more, option, "/dev/null")
    assert device.returncode not in (0, CHECK_FAILED)
    assert hostile.machine.shell("stat -c %F /dev/null").strip() == "character special file"


@one_release
def test_a_name_that_can_be_predicted(hostile: Rig, roots: dict[str, Entry]) -> None:
    """The bundle's own name has the time in it; somebody has them all ready."""
    plant(
        hostile,
        f"cd {THEIRS}; now=$(date +%s); for i in $(seq 0 300); do "
        f"ln -s {ROOTS}/new conbool-tui-support-$(date -u -d @$((now + i)) +%Y%m%d-%H%M%S).tar.gz; done",
    )
    done = hostile.machine.run(
        [*hostile.argv, "support-bundle", "--yes"], env=hostile.env, cwd=THEIRS, timeout=120
    )
    assert done.returncode not in (0, CHECK_FAILED), done.stdout
    assert "symbolic link of another user" in " ".join(done.stderr.split())


# --- the state directory -----------------------------------------------------------------------------------------

PARENTS = {
    "theirs": f"mkdir -p {THEIRS}/theirs",
    "their link": f"mkdir -p {THEIRS}/own; ln -s /var/lib {THEIRS}/x; ln -s /var/lib '/tmp/their link'",
    "their state": "mkdir -m 700 '/tmp/their state'",
    "linked state": f"ln -s {ROOTS}/folder '/tmp/linked state'",
    "dangling state": f"ln -s {ROOTS}/new '/tmp/dangling state'",
    "pipe": "mkfifo /tmp/pipe",
}
STATES = {
    "theirs": f"{THEIRS}/theirs/state",
    "their link": "/tmp/their link/state-below",
    "their state": "/tmp/their state",
    "linked state": "/tmp/linked state",
    "dangling state": "/tmp/dangling state",
    "pipe": "/tmp/pipe",
    "group": "/srv/team/state",
    "everybody": "/srv/all/state",
}


@one_release
@pytest.mark.parametrize("name", STATES)
def test_a_state_directory_others_have_a_hand_in(hostile: Rig, roots: dict[str, Entry], name: str) -> None:
    if name in PARENTS:
        plant(hostile, PARENTS[name])
    elif name == "group":
        hostile.machine.shell("install -d -m 2775 -g staff /srv/team")
    else:
        hostile.machine.shell("install -d -m 777 /srv/all")
    before = hostile.tree()
    done = hostile.run("apply", "--yes", "--answers", hostile.answers, "--state-dir", STATES[name])
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert differences(before, hostile.tree()) == []


# --- a change ----------------------------------------------------------------------------------------------------


def look_around(rig: Rig, user: str) -> dict[str, Any]:
    """What a user can do with what the program made: find what is new, replace it, read a secret."""
    places = "/etc/postfix /run /tmp /var/tmp /dev/shm /var/lib /var/log /var/spool/postfix"
    script = (
        f"find {places} -newer /run/marker -writable ! -user {user} ! -type l ! -path '/proc/*' 2>/dev/null | sed s/^/W:/; "
        f"find {places} -newer /run/marker -path '*conbool*' -readable ! -user nobody ! -user postfix 2>/dev/null | sed s/^/R:/; "
        f"grep -rslF {SECRET} --devices=skip {places} 2>/dev/null | sed s/^/S:/; "
        f"for folder in {STATE} {STATE}/changes {STATE}/changes/* {STATE}/jobs/* /run/conbool-* /etc/postfix /etc/postfix/conbool; do "
        f"ln -s {ROOTS}/shadow $folder/main.cf.new 2>/dev/null && echo P:$folder; done; true"
    )
    said = rig.machine.run(["/bin/sh", "-c", script], user=user, cwd="/", timeout=120).stdout.split("\n")
    return {kind: [line[2:] for line in said if line.startswith(kind + ":")] for kind in "WRSP"}


def public(path: str) -> bool:
    """What anybody may read: Postfix's own configuration, beside which new contents are staged with their modes."""
    return path.startswith(("/etc/postfix/conbool", "/etc/postfix/.conbool-"))


@pytest.fixture
def surrounded(hostile: Rig, roots: dict[str, Entry]) -> Iterator[dict[str, str]]:
    """Hostile things wherever root may look for a place; gives the environment that leads there."""
    plant(
        hostile,
        f"cd {THEIRS}; for name in .config .cache .local .rnd .postfix tmp .conbool conbool-tui nft; do ln -s {ROOTS}/folder $name; done; "
        f"for name in /tmp/conbool-tui /tmp/conbool /var/tmp/conbool /dev/shm/conbool; do ln -s {ROOTS}/folder $name; done; "
        "mkfifo /tmp/conbool-tui.lock /tmp/.conbool-tui /var/tmp/conbool-tui.lock",
    )
    plant(
        hostile,
        f"ln -s {ROOTS}/folder /var/lib/postfix/conbool; mkfifo /var/lib/postfix/lock",
        user="postfix",
    )
    hostile.machine.shell(f"rm -rf /var/log/conbool-tui {STATE}")
    names = (
        "HOME",
        "TMPDIR",
        "TMP",
        "TEMP",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    )
    yield {**hostile.env, **dict.fromkeys(names, THEIRS), "PYTHONNOUSERSITE": "1"}
    hostile.machine.shell("rm -f /root/stop-at /root/stopped")


@one_release
def test_apply_and_undo_among_hostile_users(hostile: Rig, surrounded: dict[str, str]) -> None:
    """At each phase two users look for what they could read, replace or add; the umask makes no difference."""
    machine, before, seen = hostile.machine, hostile.tree(), []

    def run(mask: str, log: str, phases: tuple[str, ...], *args: str) -> None:
        plant_log = {"folder": "mkdir /var/log/conbool-tui; mkfifo /var/log/conbool-tui/conbool-tui.log"}
        script = plant_log.get(log, f"ln -s {ROOTS}/folder /var/log/conbool-tui")
        machine.shell("rm -rf /var/log/conbool-tui; chmod 1777 /var/log")
        plant(hostile, script)
        # As on systems where the log's group may write the folder.
        machine.shell("chgrp nogroup /var/log; chmod 0775 /var/log")
        argv = ["/bin/sh", "-c", f'umask {mask}; cd {THEIRS}; exec "$@"', "sh", *hostile.argv, *args]
        caller = Caller(_with(hostile, surrounded), "watching", argv)
        try:
            for phase in phases:
                hostile.stop_at(phase)
                if phase != phases[0]:
                    resume(hostile)
                until(lambda: standing(hostile) or caller_ended(caller), f"{args[0]} standing still: {phase}")
                assert standing(hostile), (phase, caller.end())
                for user in USERS:
                    found = look_around(hostile, user)
                    assert found["S"] == [], (phase, user)
                    assert found["P"] == [], (phase, user)
                    assert [path for path in found["W"] if "onbool" in path] == [], (phase, user)
                    assert [path for path in found["R"] if not public(path)] == [], (phase, user)
                    seen.extend(found["R"])
            resume(hostile)
            done = caller.end()
        finally:
            caller.close()
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr

    apply = ("apply", "--yes", "--answers", hostile.answers)
    run("077", "folder", ("begin", STAGED, "judged", "write", "reload", "health"), *apply)
    assert any("/etc/postfix/conbool" in path for path in seen), "they can see what is public"
    assert set(machine.shell("find /etc/postfix/conbool -printf '%y %m %u %g\\n'").split("\n")) == {
        "d 755 root root",
        "f 644 root root",
        "",
    }
    run("000", "link", ("begin", "write", "reload", "health"), "undo", "--yes")
    hostile.same(before)
    assert machine.shell(f"find {STATE} -perm /077") == ""
    left = machine.shell(
        f"find {THEIRS} /tmp /var/tmp /dev/shm /var/lib/postfix -user root -newer /run/marker"
    ).split()
    assert [path for path in left if path.startswith(THEIRS) and "/open" not in path and path != THEIRS] == []
    assert machine.shell("find /run -maxdepth 1 -name 'conbool-*'") == "", "the staged copies are gone"


def _with(rig: Rig, env: dict[str, str]) -> Any:
    """The rig as a caller with another environment sees it."""

    class Other:
        machine = rig.machine
        apply = rig.apply

    other = Other()
    other.env = env  # type: ignore[attr-defined]
    return other


def standing(rig: Rig) -> bool:
    return rig.machine.exists("/root/stopped") and rig.worker_state() == "T"


def caller_ended(caller: Caller) -> bool:
    return caller.process is None or caller.process.poll() is not None


def resume(rig: Rig) -> None:
    worker = rig.worker()
    assert worker is not None
    rig.signal(worker, "CONT")


# --- what is read ------------------------------------------------------------------------------------------------


@one_release
@pytest.mark.parametrize("trick", ["pipe", "link"])
def test_a_table_in_a_folder_of_the_mail_system_s_user(
    hostile: Rig, roots: dict[str, Entry], trick: str
) -> None:
    """Such a table may become a pipe, or a link to what only root may read: nothing waits for it, and nothing of it is shown."""
    machine = hostile.machine
    old = machine.read("/etc/postfix/main.cf")
    machine.write(
        f"{ROOTS}/shadow",
        old_shadow := f"canary.example:{SECRET}:1:\n" + machine.read_text(f"{ROOTS}/shadow"),
    )
    roots.update(snapshot(machine.path(ROOTS)))
    make = "mkfifo" if trick == "pipe" else f"ln -s {ROOTS}/shadow"
    plant(hostile, f"{make} /var/lib/postfix/domains-{trick}", user="postfix")
    machine.shell(f"postconf -e relay_domains=hash:/var/lib/postfix/domains-{trick}")
    try:
        for args in (("detect",), ("detect", "--json"), ("support-bundle", "--show")):
            done = hostile.run(*args)
            assert f"domains-{trick}" in done.stdout, done.stderr
            assert SECRET not in done.stdout + done.stderr
    finally:
        machine.write("/etc/postfix/main.cf", old)
    assert SECRET in old_shadow
