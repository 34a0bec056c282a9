"""The transaction on a real Postfix: apply, undo, failures at every step, kill -9, what must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from conbool_tui.errors import CheckFailedError
from conbool_tui.host import Host
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.postfix_config import MainCf
from conbool_tui.systems import make_system
from conbool_tui.systems.postfix import PostfixSystem
from conbool_tui.transaction import apply_plan, undo_change

from . import messages
from .lab import Lab
from .machine import APP
from .postfix import PostfixMachine
from .releases import in_turns
from .snapshot import Entry, differences

FOREIGN = "someone@outside-a.example"
MAIN = "/etc/postfix/main.cf"
MASTER = "/etc/postfix/master.cf"
STATE = "/var/lib/conbool-tui"

DRIVER = r'''
import json, os, signal, sys
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.systems import make_system
from conbool_tui.mail_system import MailTarget
from conbool_tui.transaction import apply_plan, find_unfinished, list_changes, recover, undo_change

order = json.load(sys.stdin)
host = Host("/")
state = order.get("state", "/var/lib/conbool-tui")
folder = "/etc/postfix"
BLOCK = """127.0.0.1:10026 inet n - - - - smtpd
  -o syslog_name=postfix/conbool-split
  -o smtpd_client_restrictions=permit_mynetworks,reject
"""

def change(kind, name, key, before, after):
    return Change(kind, Step.A, "test", "", folder + "/" + name, key, before, after, "")

def plan():
    main, master = host.read_bytes(folder + "/main.cf"), host.read_bytes(folder + "/master.cf")
    new, services = MainCf.parse(main), MasterCf.parse(master)
    changes, files = [], []
    settings = dict(order.get("settings", {}))
    if not order.get("only"):
        settings["smtp_tls_policy_maps"] = "texthash:$config_directory/conbool/policy"
        text = order.get("table", "[mail.conbool.com]:25 secure match=mail.conbool.com\n")
        if text is not None:
            files.append(FileTarget(folder + "/conbool/policy", None, text.encode()))
            changes.append(change(ChangeKind.FILE, "conbool/policy", "", None, text))
        services.add_block("lane", BLOCK)
        changes.append(change(ChangeKind.SERVICE_BLOCK, "master.cf", "lane", None, BLOCK))
    for name, value in settings.items():
        old = new.get(name)
        new.set(name, value)
        if name not in order.get("unnamed", ()):
            changes.append(change(ChangeKind.PARAMETER, "main.cf", name, old, value))
    files.append(FileTarget(folder + "/main.cf", main, new.to_bytes()))
    added = order.get("master", "").encode()
    if services.to_bytes() + added != master:
        files.append(FileTarget(folder + "/master.cf", master, services.to_bytes() + added))
    ports = () if order.get("only") else (10026,)
    return Plan("postfix", "-", folder, tuple(changes), tuple(files), (), ("postfix reload",), ports)

steps = []

def observer(step):
    steps.append(step)
    if step == order.get("fail"):
        order["fail"] = None
        raise OSError("injected")
    if step == order.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if step == order.get("signal", ("", 0))[0]:
        os.kill(os.getpid(), order["signal"][1])

def system_for(target):
    return make_system(host, target)

answer = {"error": None}
try:
    if order["do"] == "apply":
        system = system_for(MailTarget("postfix", "-", folder))
        receipt = apply_plan(host, state, system, plan(), None, observer)
    elif order["do"] == "undo":
        receipt = undo_change(host, state, system_for, None, None, observer)
    else:
        receipt = recover(host, state, system_for, None, observer)
    answer["state"] = receipt.state.value if receipt else None
    answer["message"] = receipt.message if receipt else ""
except ConboolError as error:
    answer.update(error=type(error).__name__, text="\n".join(error.lines()), code=error.exit_code)
answer["steps"] = steps
answer["unfinished"] = find_unfinished(host, state) is not None if order.get("look", True) else None
print(json.dumps(answer))
'''


class Rig:
    """A Postfix machine and the driver in it."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        machine.write("/root/driver.py", DRIVER)

    def do(self, action: str, **order: Any) -> Mapping[str, Any]:
        """Apply, undo or recover in a process of its own; {} when it was killed."""
        done = self.machine.run(
            ["python3", "-X", "utf8", "/root/driver.py"],
            input=json.dumps({"do": action, **order}),
            timeout=180,
            env={"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"},
        )
        if done.returncode and "kill" in order:
            return {}
        assert done.returncode == 0, done.stderr
        answer: Mapping[str, Any] = json.loads(done.stdout)
        return answer

    def tree(self) -> dict[str, Entry]:
        return self.machine.snapshot("/etc/postfix")

    def same(self, before: dict[str, Entry]) -> bool:
        """Whether the tree is as before: bytes, owners, modes, links, attributes, times of files."""
        found = differences(before, self.tree(), ignore_mtime=(".", "conbool"))
        assert found == []
        assert self.machine.postfix_running()
        return True

    def delivers(self) -> bool:
        """Whether an ordinary message goes out."""
        message = messages.plain()
        assert self.lab.send(self.machine, message, FOREIGN, helo="desk.example.com").accepted
        return self.lab.wait_delivered(message) == ["outside_a"]


@pytest.fixture(scope="module")
def rig(lab_ready: None, suite: str) -> Iterator[Rig]:
    with Lab() as lab:
        yield Rig(lab, lab.postfix(suite))


@pytest.fixture
def clean(rig: Rig) -> Iterator[Rig]:
    """The rig, checked to be as it was before the test."""
    before = rig.tree()
    yield rig
    rig.same(before)


def test_apply_and_undo(clean: Rig) -> None:
    machine = clean.machine
    before = clean.tree()
    applied = clean.do("apply")
    assert (applied["error"], applied.get("state")) == (None, "applied"), applied
    assert 10026 in machine.listening()
    assert machine.postconf("smtp_tls_policy_maps") == "texthash:$config_directory/conbool/policy"
    assert clean.delivers()
    undone = clean.do("undo")
    assert (undone["error"], undone["unfinished"]) == (None, False), undone
    assert clean.same(before)
    assert 10026 not in machine.listening()
    assert clean.delivers()


def test_a_failure_at_every_live_step_leaves_the_old_state(clean: Rig) -> None:
    before = clean.tree()
    steps = clean.do("apply")["steps"]
    clean.do("undo")
    live = [step for step in dict.fromkeys(steps) if step.startswith("done") and step != "done commit"]
    assert any("reload" in step for step in live)
    assert len(live) >= 10
    for step in live:
        answer = clean.do("apply", fail=step)
        assert (answer["error"], answer["code"], answer["unfinished"]) == ("RolledBackError", 4, False), (
            step,
            answer,
        )
        assert clean.same(before)
    assert clean.delivers()


@in_turns
@pytest.mark.parametrize("action", ["apply", "undo"])
def test_kill_9_is_old_or_new_after_the_next_start(clean: Rig, action: str) -> None:
    old = clean.tree()
    for step in ("announced write " + MASTER, "done write " + MAIN, "done reload", "announced commit"):
        if action == "undo":
            assert clean.do("apply")["error"] is None
        start = clean.tree()
        assert clean.do(action, kill=step) == {}
        done = clean.do("recover")
        assert (done["error"], done["unfinished"]) == (None, False), (step, done)
        if step != "announced commit":
            assert done["state"] == "rolled back"
            assert clean.same(start)
        if (action == "apply") is (step == "announced commit"):
            assert clean.delivers()
            assert clean.do("undo")["error"] is None
        elif action == "undo" and step != "announced commit":
            assert clean.do("undo")["error"] is None
        assert clean.same(old)


@in_turns
@pytest.mark.parametrize("number", [1, 15])
def test_hangup_and_terminate_roll_back(clean: Rig, number: int) -> None:
    before = clean.tree()
    answer = clean.do("apply", signal=["done write " + MAIN, number])
    assert answer["error"] == "RolledBackError"
    assert clean.same(before)


@in_turns
def test_a_configuration_that_kills_the_master_is_taken_back_and_postfix_started(clean: Rig) -> None:
    before = clean.tree()
    answer = clean.do("apply", only=True, settings={"default_process_limit": "many"})
    assert answer["error"] in ("RolledBackError", "CheckFailedError"), answer
    assert clean.same(before)
    assert clean.delivers()


@in_turns
def test_a_daemon_that_dies_of_the_configuration_is_noticed(clean: Rig) -> None:
    """postconf(1) accepts it; smtpd(8) would answer every client with an error."""
    before = clean.tree()
    answer = clean.do("apply", only=True, settings={"smtpd_sender_login_maps": "nosuchtype:x"})
    assert answer["error"] in ("RolledBackError", "CheckFailedError"), answer
    assert "unsupported dictionary type: nosuchtype" in answer["text"], answer
    assert clean.same(before)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"settings": {"smtp_tls_polycy_maps": "x"}}, "smtp_tls_polycy_maps"),
        ({"settings": {"header_checks": "pcre:$config_directory/conbool/none"}}, "conbool/none"),
        ({"table": None}, "conbool/policy"),
        ({"table": "a line without a value\n[x]\n"}, "conbool/policy"),
        ({"settings": {"biff": "yes"}, "unnamed": ["biff"]}, "biff would change"),
        ({"master": "stray unix - - y - - smtp\n"}, "stray/unix would change"),
        ({"master": "broken line\n"}, "cannot read the new configuration"),
    ],
    ids=[
        "unused",
        "no-table",
        "lost-table",
        "bad-table",
        "unnamed-parameter",
        "unnamed-service",
        "bad-master",
    ],
)
def test_a_bad_candidate_is_refused_before_anything_is_touched(
    clean: Rig, order: Mapping[str, Any], words: str
) -> None:
    before = clean.tree()
    answer = clean.do("apply", **order)
    assert (answer["error"], answer["code"]) == ("CheckFailedError", 3), answer
    assert words in answer["text"]
    assert "done reload" not in answer["steps"]
    assert differences(before, clean.tree()) == []


@in_turns
def test_not_running(clean: Rig) -> None:
    before = clean.tree()
    clean.machine.postfix_stop()
    try:
        answer = clean.do("apply")
        assert answer["error"] == "CheckFailedError"
        assert "Postfix is not running" in answer["text"]
        assert "postfix start" in answer["text"]
        assert differences(before, clean.tree()) == []
    finally:
        clean.machine.postfix_start()


@in_turns
def test_broken_main_cf(clean: Rig) -> None:
    machine = clean.machine
    good = machine.read(MASTER)
    machine.shell(f"cp -a {MASTER} /root/master.cf; echo 'broken line' >> {MASTER}")
    try:
        answer = clean.do("apply")
        assert answer["error"] == "CheckFailedError"
        assert "present configuration" in answer["text"]
    finally:
        machine.shell(f"cp -a /root/master.cf {MASTER}")
    assert machine.read(MASTER) == good


@in_turns
@pytest.mark.parametrize("gone", [False, True], ids=["stopped", "binary-gone"])
def test_undo_without_a_working_postfix(clean: Rig, gone: bool) -> None:
    machine = clean.machine
    before = clean.tree()
    assert clean.do("apply")["error"] is None
    machine.postfix_stop()
    if gone:
        machine.shell(
            "mv /usr/sbin/postfix /usr/sbin/postfix.away; mv /usr/sbin/postconf /usr/sbin/postconf.away"
        )
    try:
        undone = clean.do("undo")
        assert undone["error"] is None, undone
        assert "not running" in undone["message"]
        assert differences(before, clean.tree(), ignore_mtime=(".", "conbool")) == []
    finally:
        if gone:
            machine.shell(
                "mv /usr/sbin/postfix.away /usr/sbin/postfix; mv /usr/sbin/postconf.away /usr/sbin/postconf"
            )
        machine.postfix_start()


def test_undo_keeps_later_edits_and_stops_at_a_conflict(clean: Rig) -> None:
    machine = clean.machine
    old_main = machine.read(MAIN)
    machine.shell(f"cp -a {MAIN} /root/main.cf")
    assert clean.do("apply")["error"] is None
    machine.shell(f"sed -i 's/conbool.policy/conbool\\/mine/' {MAIN}")
    conflict = clean.do("undo")
    assert (conflict["error"], conflict["code"]) == ("UndoConflictError", 5)
    assert "texthash:$config_directory/conbool/mine" in conflict["text"]
    machine.shell(f"sed -i 's/conbool.mine/conbool\\/policy/; 1i # a note of the admin' {MAIN}")
    undone = clean.do("undo")
    assert undone["error"] is None, undone
    assert machine.read(MAIN) == b"# a note of the admin\n" + old_main
    machine.shell(f"cp -a /root/main.cf {MAIN}; postfix reload")


INSTANCE = r"""
from conbool_tui.host import Host
from conbool_tui.plan import Plan
from conbool_tui.systems.postfix import PostfixSystem

plan = Plan("postfix", "postfix-out", "/etc/postfix-out", (), ())
one = PostfixSystem(Host("/"), "/etc/postfix-out", "postfix-out")
print(one.running(), one.ready(plan), one.reload(), one.health(plan))
"""


def test_only_the_named_instance_is_touched(lab: Lab) -> None:
    """postfix(1) with ``-c`` works on one instance of postmulti(1) only."""
    machine = lab.postfix("bookworm")
    settings = "inet_interfaces=127.0.0.1 master_service_disable= multi_instance_enable=yes"
    machine.shell(
        "postmulti -e init; postmulti -I postfix-out -e create; "
        f"postconf -c /etc/postfix-out -e {settings}; "
        "sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix-out/master.cf; "
        "touch -d '1 hour ago' /etc/postfix-out/main.cf /etc/postfix/main.cf; "
        "postfix -c /etc/postfix-out start"
    )
    env = {"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"}
    first = "pgrep -x qmgr -P $(cat /var/spool/postfix/pid/master.pid)"
    second = "pgrep -x qmgr -P $(cat /var/spool/postfix-out/pid/master.pid)"
    before = (machine.shell(first), machine.shell(second))
    done = machine.run(["python3", "-c", INSTANCE], env=env, check=True)
    assert done.stdout == "True [] [] []\n"
    assert machine.shell(first) == before[0]
    assert machine.shell(second) != before[1]
    machine.shell("postfix -c /etc/postfix-out stop")
    done = machine.run(["python3", "-c", INSTANCE], env=env, check=True)
    assert done.stdout.startswith("False [Problem(text='Postfix is not running'"), done.stdout
    assert "postfix -c /etc/postfix-out start" in done.stdout
    assert machine.shell(first) == before[0]


# --- disks and mounts: each on a machine of its own ---


@pytest.fixture
def fresh(lab: Lab) -> Rig:
    return Rig(lab, lab.postfix("bookworm"))


def refused(rig: Rig, *words: str) -> None:
    before = rig.tree()
    answer = rig.do("apply", look=False)
    assert answer["error"] == "CheckFailedError", answer
    assert "Nothing was changed" in answer["text"] or "mount of its own" in answer["text"], answer
    for word in words:
        assert word in answer["text"]
    assert differences(before, rig.tree()) == []
    assert rig.machine.postfix_running()


@in_turns
def test_full_disk_below_the_configuration(fresh: Rig) -> None:
    fresh.machine.small_disk("/etc/postfix", "256k")
    fresh.machine.shell("dd if=/dev/zero of=/etc/postfix/filler bs=4k 2>/dev/null || true")
    refused(fresh, "No space left on device")


@in_turns
def test_full_disk_below_the_state_directory(fresh: Rig) -> None:
    fresh.machine.shell("mkdir -p /var/lib/conbool-tui/changes; chmod -R 700 /var/lib/conbool-tui")
    fresh.machine.small_disk("/var/lib/conbool-tui", "16k")
    fresh.machine.shell(
        "chmod 700 /var/lib/conbool-tui; dd if=/dev/zero of=/var/lib/conbool-tui/filler bs=4k || true"
    )
    refused(fresh, "No space left on device")


@in_turns
def test_read_only_configuration(fresh: Rig) -> None:
    fresh.machine.shell("mount --bind /etc/postfix /etc/postfix; mount -o remount,bind,ro /etc/postfix")
    refused(fresh, "Read-only file system", "remount")


@in_turns
def test_mounted_main_cf(fresh: Rig) -> None:
    fresh.machine.shell(f"cp -a {MAIN} /root/mounted; mount --bind /root/mounted {MAIN}")
    refused(fresh, "mount of its own")


def test_another_root_is_judged_by_its_own_tools_and_only_written(lab: Lab) -> None:
    """``--root``: no process of the machine is needed."""
    machine = lab.postfix("bookworm", start=False)
    host = Host(str(machine.merged))
    before = machine.snapshot("/etc/postfix")
    main = host.read_bytes(MAIN)
    system = PostfixSystem(host)

    def plan(name: str) -> Plan:
        text = MainCf.parse(main)
        text.set(name, "x")
        change = Change(ChangeKind.PARAMETER, Step.A, name, "", MAIN, name, None, "x", "")
        return Plan("postfix", "-", "/etc/postfix", (change,), (FileTarget(MAIN, main, text.to_bytes()),))

    with pytest.raises(CheckFailedError, match="no_such_parameter"):
        apply_plan(host, STATE, system, plan("no_such_parameter"))
    assert differences(before, machine.snapshot("/etc/postfix")) == []
    assert apply_plan(host, STATE, system, plan("syslog_name")).state.value == "applied"
    assert (machine.merged / STATE.lstrip("/")).is_dir()
    undo_change(host, STATE, lambda target: make_system(host, target))
    assert differences(before, machine.snapshot("/etc/postfix"), ignore_mtime=(".",)) == []
