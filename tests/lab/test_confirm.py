"""The countdown on a real server: real Postfix, real nftables, a real guard process; looked at from outside, by who can connect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

import pytest

from . import messages
from .lab import Lab
from .machine import APP
from .postfix import PostfixMachine
from .releases import spread
from .snapshot import Entry, differences

CONBOOL, CONBOOL6 = "198.51.100.25", "2001:db8:c::25"
STRANGER, STRANGER6 = "203.0.113.99", "2001:db8:bad::99"
NETWORKS = ["198.51.100.0/24", "2001:db8:c::/48"]
MAIN = "/etc/postfix/main.cf"
STATE = "/var/lib/conbool-tui"
RULES = "firewall:nftables"
PATIENCE = 120.0
# Seconds to confirm where the test looks at the server before they are over.
MOMENT = 20

DRIVER = r"""
import dataclasses, json, os, signal, sys, time
from functools import partial
from conbool_tui.errors import ConboolError
from conbool_tui.firewall.rules import rules
from conbool_tui.host import Host
from conbool_tui.mail_system import MailTarget
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Plan, Step
from conbool_tui.postfix_config import MainCf
from conbool_tui.systems import make_system
from conbool_tui.transaction import apply_plan, confirm_change, find_unfinished, list_changes, recover, undo_change

order = json.loads(sys.argv[1])
host = Host("/")
state, folder = "/var/lib/conbool-tui", "/etc/postfix"
system_for = partial(make_system, host)

def plan():
    main = host.read_bytes(folder + "/main.cf")
    new = MainCf.parse(main)
    old = new.get("smtpd_helo_required")
    new.set("smtpd_helo_required", "yes")
    wanted = rules(order["networks"]).text()
    changes = (
        Change(ChangeKind.PARAMETER, Step.B, "t", "", folder + "/main.cf", "smtpd_helo_required", old, "yes", ""),
        Change(ChangeKind.FIREWALL, Step.B, "t", "", "firewall:nftables", "", None, wanted, ""),
    )
    return Plan("postfix", "-", folder, changes, (FileTarget(folder + "/main.cf", main, new.to_bytes()),),
                reload=("postfix reload",), live=(LiveTarget("firewall:nftables", None, wanted),),
                confirm_within=order["seconds"])

def observer(step):
    if step == order.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if step == order.get("wait"):
        host.write_new("/root/waits", b"")
        while not host.exists("/root/go"):
            time.sleep(0.02)

answer = {"error": None}
try:
    if order["do"] == "apply":
        system = system_for(MailTarget("postfix", "-", folder))
        receipt = apply_plan(host, state, system, plan(), None, observer, probe_networks=order.get("probe", ()))
    elif order["do"] == "confirm":
        receipt = confirm_change(host, state, system_for=system_for)
    elif order["do"] == "undo":
        receipt = undo_change(host, state, system_for)
    elif order["do"] == "recover":
        receipt = recover(host, state, system_for)
    else:
        receipt = list_changes(host, state)[0]
    answer.update(dataclasses.asdict(receipt) if receipt else {}, state=receipt.state.value if receipt else None)
except ConboolError as error:
    answer.update(error=type(error).__name__, text="\n".join(error.lines()))
if order.get("linger"):
    host.write_new("/root/waits", b"")
    time.sleep(600)
print(json.dumps(answer))
"""

# Runs a command on a terminal of its own; when the command says so, the terminal goes away.
TERMINAL = r"""
import json, os, pty, sys, time
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while not os.path.exists("/root/waits"):
    time.sleep(0.02)
os.close(master)
open("/root/go", "w").close()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if hasattr(os, "waitstatus_to_exitcode") else os.waitpid(pid, 0)[1])
"""


class Rig:
    """A Postfix machine with nftables, and the driver in it."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        self.env = {"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"}
        machine.write("/root/driver.py", DRIVER)
        machine.write("/root/terminal.py", TERMINAL)

    def command(self, action: str, **order: Any) -> list[str]:
        order = {"do": action, "networks": NETWORKS, **order}
        return ["python3", "-X", "utf8", "/root/driver.py", json.dumps(order)]

    def do(self, action: str, **order: Any) -> Mapping[str, Any]:
        """Run it in a process of its own; {} when it was killed."""
        done = self.machine.run(self.command(action, **order), timeout=180, env=self.env)
        if "kill" in order:
            assert done.returncode in (137, -9), done.stderr
            return {}
        assert done.returncode == 0, done.stderr
        answer: Mapping[str, Any] = json.loads(done.stdout)
        return answer

    def state(self) -> str:
        return str(self.do("look")["state"])

    def reached(self, source: str) -> bool:
        """Whether somebody outside gets as far as port 25."""
        place = self.machine.place
        try:
            self.lab.connect(source, place.ipv6 if ":" in source else place.ipv4, 25, PATIENCE).close()
        except OSError:
            return False
        return True

    def open(self) -> bool:
        return self.reached(STRANGER) and self.reached(STRANGER6)

    def closed(self) -> bool:
        strangers = self.reached(STRANGER) or self.reached(STRANGER6)
        return not strangers and self.reached(CONBOOL) and self.reached(CONBOOL6)

    def guard(self) -> int:
        """Its process id, inside the machine."""
        newest = self.machine.shell(f"ls {STATE}/changes | tail -n 1").strip()
        return int(json.loads(self.machine.read(f"{STATE}/changes/{newest}/guard.json"))["pid"])

    def gone(self, pid: int) -> bool:
        return self.machine.run(["kill", "-0", str(pid)]).returncode != 0

    def tree(self) -> dict[str, Entry]:
        return self.machine.snapshot("/etc/postfix")

    def as_before(self, before: dict[str, Entry]) -> None:
        """Files, rules and mail are as they were."""
        assert differences(before, self.tree(), ignore_mtime=(".",)) == []
        assert "conbool" not in self.machine.shell("nft list ruleset")
        assert self.machine.postfix_running()
        message = messages.plain()
        assert self.lab.send(
            self.machine, message, "alice@example.com", sender="x@outside-a.example", source=STRANGER
        ).accepted
        self.lab.expect(message, "mx1:alice")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"never came: {what}")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def rig(lab_ready: None, suite: str) -> Iterator[Rig]:
    with Lab() as lab:
        yield Rig(lab, lab.postfix(suite, extra_packages=("nftables",)))


@pytest.fixture
def clean(rig: Rig) -> Iterator[Rig]:
    """The rig, open before and, whatever the test did, open and as before afterwards."""
    before = rig.tree()
    assert rig.open()
    yield rig
    rig.machine.shell("rm -f /root/waits /root/go")
    rig.as_before(before)


def test_nobody_confirms(clean: Rig) -> None:
    receipt = clean.do("apply", seconds=MOMENT)
    assert receipt["state"] == "waiting for confirmation", receipt
    assert clean.closed()
    assert "waits for confirmation" in clean.do("apply", seconds=MOMENT)["text"]
    until(clean.open, "the way back")
    until(lambda: clean.state() == "rolled back", "its record")
    assert clean.do("look")["message"] == f"Nobody confirmed the change within {MOMENT} seconds."
    assert clean.do("confirm")["error"] == "RolledBackError"
    until(lambda: clean.gone(clean.guard()), "the guard's end")


@spread(
    "step",
    [
        "announced write " + MAIN,
        "done reload",
        "announced put rules " + RULES,
        "done health",
        "announced await confirmation",
    ],
    everywhere=["done put rules " + RULES, "done await confirmation"],
)
def test_the_worker_is_killed(clean: Rig, suite: str, step: str) -> None:
    """kill -9 in the middle or right after going live; nobody starts the program again."""
    late = "await" in step
    assert clean.do("apply", seconds=MOMENT if late else 4, kill=step) == {}
    if late:
        assert clean.closed()
    until(clean.open, "the way back")
    until(lambda: clean.state() == "rolled back", "its record")


def test_worker_and_guard_are_killed(clean: Rig) -> None:
    clean.do("apply", seconds=MOMENT, kill="done await confirmation")
    clean.machine.shell(f"kill -9 {clean.guard()}")
    until(lambda: clean.do("recover").get("state") == "rolled back", "the next start after the countdown")
    assert clean.open()


def test_confirmed_it_stays(clean: Rig) -> None:
    clean.do("apply", seconds=600)
    confirmed = clean.do("confirm")
    assert confirmed["state"] == "applied", confirmed
    until(lambda: clean.gone(clean.guard()), "the guard's end")
    assert clean.closed()
    message = messages.plain()
    clean.lab.send(clean.machine, message, "alice@example.com", sender="x@outside-a.example", source=CONBOOL)
    clean.lab.expect(message, "mx1:alice")
    assert clean.do("undo")["state"] == "applied"
    assert clean.open()


@pytest.mark.parametrize("source", [CONBOOL, CONBOOL6])
def test_a_message_from_conbool_confirms(clean: Rig, source: str) -> None:
    assert clean.do("apply", seconds=600, probe=NETWORKS)["state"] == "waiting for confirmation"
    # A refused recipient, and no mail at all: neither says that mail arrives. The record names who did it.
    other = source[:-1] + "4"
    refused = clean.lab.send(
        clean.machine, messages.plain(), "no-such-user@example.com", sender="", source=other
    )
    assert refused.code == 550
    assert clean.reached(other)
    assert clean.state() == "waiting for confirmation"
    message = messages.plain()
    sent = clean.lab.send(clean.machine, message, "alice@example.com", sender="", source=source)
    assert sent.accepted
    until(lambda: clean.state() == "applied", "the confirmation")
    assert clean.do("look")["message"] == f"Confirmed by an SMTP connection from {source}."
    clean.lab.expect(message, "mx1:alice")
    assert clean.closed()
    assert clean.do("undo")["state"] == "applied"


@pytest.mark.parametrize("moment", ["working", "waiting"])
def test_the_terminal_goes_away(clean: Rig, moment: str) -> None:
    extra = {"wait": "done put rules " + RULES} if moment == "working" else {"linger": True}
    command = clean.command("apply", seconds=5, **extra)
    clean.machine.run(["python3", "/root/terminal.py", *command], env=clean.env, timeout=120, check=True)
    until(clean.open, "the way back")
    until(lambda: clean.state() == "rolled back", "its record")
    said = clean.do("look")["message"]
    assert ("SIGHUP" if moment == "working" else "Nobody confirmed") in said


def test_the_guard_has_no_terminal_and_a_session_of_its_own(clean: Rig) -> None:
    clean.do("apply", seconds=600)
    pid = clean.guard()
    fields = clean.machine.shell(f"cat /proc/{pid}/stat")
    _, _, rest = fields.rpartition(")")
    _, parent, group, session, terminal = rest.split()[:5]
    assert (parent, terminal) == ("1", "0")
    assert session not in ("0", "1")
    assert group == session
    assert clean.machine.shell(f"readlink /proc/{pid}/cwd /proc/{pid}/fd/0 /proc/{pid}/fd/1").split() == [
        "/",
        "/dev/null",
        "/dev/null",
    ]
    clean.machine.shell(f"kill -TERM {pid}")
    until(lambda: clean.state() == "rolled back", "the way back when it is told to end")


def test_the_program_is_replaced_meanwhile(clean: Rig) -> None:
    """An upgrade, here the worst one: all files of the program and its libraries are gone."""
    clean.machine.shell(f"mkdir /root/app && cp -a {APP}/app {APP}/vendor /root/app/")
    env = {"PYTHONPATH": "/root/app/app:/root/app/vendor", "PYTHONDONTWRITEBYTECODE": "1"}
    clean.machine.run(clean.command("apply", seconds=MOMENT), env=env, timeout=180, check=True)
    assert clean.closed()
    clean.machine.shell("rm -rf /root/app")
    until(clean.open, "the way back")
    until(lambda: clean.state() == "rolled back", "its record")
