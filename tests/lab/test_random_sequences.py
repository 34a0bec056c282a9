"""Random sequences of apply, edits, apply with other answers, undo and undo of undo, with postconf(1) as the judge of every step.

The program's transactions run in one process on the machine, its Postfix stopped, so that many sequences are tried.
What a setting should be is told by a model of its own: layers, one for each change and each edit, the topmost counts.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest

from conbool_tui.postfix_config.value_lists import splitter

from .lab import Lab
from .machine import APP
from .postfix import PostfixMachine, PostfixSite
from .product import write_answers
from .releases import one_release

CHUNKS, EACH, STEPS = 2, 25, 5
ANSWERS: tuple[dict[str, Any], ...] = (
    {"conbool_networks": ["198.51.100.0/24"]},
    {"conbool_networks": ["198.51.100.0/24"], "scope": {"mode": "everything"}},
    {"conbool_networks": ["198.51.100.128/25"], "inbound": {"return_mode": "conbool_delivers"}},
    {
        "conbool_networks": ["198.51.100.0/24"],
        "spam": {"action": "folder", "folder": "Spam"},
        "scope": {"mode": "everything"},
    },
)
MAIN, MASTER = "/etc/postfix/main.cf", "/etc/postfix/master.cf"
SCALARS = ("default_destination_concurrency_limit", "relayhost", "default_transport", "bounce_queue_lifetime")
LISTS = ("smtpd_client_restrictions", "header_checks")

DRIVER = r'''
import json, os, subprocess, sys
from conbool_tui import answers_file
from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.host import Host
from conbool_tui.session import Session
from conbool_tui.transaction import KEEP, UndoConflictError, load_plan
from conbool_tui.transaction.key_values import values_of
from conbool_tui.transaction import record as records
from conbool_tui.transaction.store import Store

# Nothing crashes here.
os.fsync = lambda handle: None

def cool(*folders):
    """Postfix's programs wait a second before they read a file that was written in this one."""
    for path in [f"{folder}/{name}" for folder in folders for name in ("main.cf", "master.cf")]:
        if os.path.isfile(path):
            os.utime(path, (1_600_000_000, 1_600_000_000))

class Quiet(Host):
    """The files of this system, with a Postfix that does not run."""

    live = False

    def run(self, argv, *args, **named):
        cool("/etc/postfix", *[after for word, after in zip(argv, argv[1:]) if word == "-c"])
        return super().run(argv, *args, **named)

class Here(Session):
    """Does its work in this process."""

    detached = False

def postconf(*options):
    cool("/etc/postfix")
    done = subprocess.run(["postconf", *options], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done
    return sorted(" ".join(line.split()) for line in done.stdout.splitlines())

def done(receipt):
    record = records.load(Store(session.host, session.state_dir), receipt.id)
    return {
        "id": receipt.id,
        "set": [[c.path, c.key, *values_of(record, c)] for c in record.plan.changes if c.kind.value == "parameter"],
    }

def do(order):
    if order["do"] == "apply":
        plan = session.plan(answers_file.load(open(order["answers"], "rb").read(), "answers"))
        return done(session.apply(plan)) if not plan.empty else {}
    if order["do"] == "undo":
        asked = session.conflicts(order["id"])
        if any(conflict.later for conflict in asked):
            return {"refused": "later"}
        try:
            choices = {conflict.at: KEEP for conflict in asked}
            receipt = session.undo(order["id"], choices=choices, asked=asked)
        except CheckFailedError as error:
            assert " refers to " in error.why, error.lines()
            return {"refused": error.why}
        return {**done(receipt), "kept": [list(conflict.at) for conflict in asked]}
    return {}

session = Here(Quiet("/"), "/var/lib/conbool-tui")
for line in sys.stdin:
    order = json.loads(line)
    try:
        answer = do(order)
    except ConboolError as error:
        answer = {"error": "\n".join(error.lines())}
    answer["n"], answer["M"], answer["P"] = (postconf(*option) for option in (["-n"], ["-M"], ["-P"]))
    print(json.dumps(answer), flush=True)
'''


@dataclass
class Key:
    """The layers of one setting, each with who set it; the lowest is what was there at first."""

    first: Optional[str]
    layers: list[tuple[str, Optional[str]]] = field(default_factory=list)

    @property
    def value(self) -> Optional[str]:
        return self.layers[-1][1] if self.layers else self.first


class World:
    """The machine, and the model of what its main.cf holds."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab, self.machine = lab, machine
        machine.write("/root/driver.py", DRIVER)
        self.process = machine.popen(
            ["sh", "-c", "exec python3 -X utf8 /root/driver.py 2>/root/driver.err"],
            env={"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"},
        )
        self.answers = [write_answers(lab, machine, **answers) for answers in ANSWERS]
        self.count = 0
        self.last = self.ask("look")
        self.start()

    def start(self) -> None:
        """A new sequence begins with what is there."""
        self.settings = {name: Key(value) for name, value in read(self.last["n"]).items()}
        self.mine: dict[str, list[str]] = {}
        self.services: list[str] = []
        self.first = self.last
        self.changes: list[str] = []
        self.undos: dict[str, tuple[str, dict[str, Optional[str]]]] = {}
        self.told: list[object] = []

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.machine.read_text("/root/driver.err")
        self.last = json.loads(line)
        assert "error" not in self.last, (self.last["error"], self.told)
        return self.last

    def key(self, name: str) -> Key:
        return self.settings.setdefault(name, Key(None))

    # --- steps -----------------------------------------------------------------------------------------

    def apply(self, answers: str) -> None:
        done = self.ask("apply", answers=answers)
        if "id" in done:
            self.changes.append(done["id"])
            for path, name, before, after in done["set"]:
                assert path == MAIN
                if before != after:
                    self.key(name).layers.append((done["id"], after))

    def edit(self, name: str) -> None:
        self.count += 1
        value = str(self.count) if name != "relayhost" else f"[mine-{self.count}.example.net]"
        value = f"{self.count}h" if name.endswith("lifetime") else value
        value = f"smtp:[mine-{self.count}.example.net]" if name == "default_transport" else value
        self.write(name, value)
        layers = self.key(name).layers
        if layers and layers[-1][0] == "admin":
            layers.pop()
        layers.append(("admin", value))

    def write(self, name: str, value: str) -> None:
        """Set a parameter as one does in an editor."""
        text = re.sub(rf"(?m)^{name}[ \t]*=.*\n(?:[ \t].*\n)*", "", self.machine.read_text(MAIN))
        self.machine.write(MAIN, f"{text}{name} = {value}\n", 0o644)
        self.ask("look")

    def prepend(self, name: str) -> None:
        self.count += 1
        kind = "check_helo_access " if name.endswith("_restrictions") else ""
        entry = f"{kind}inline:{{mine={self.count}}}"
        now = read(self.last["n"]).get(name)
        self.write(name, entry + (f", {now}" if now else ""))
        self.mine.setdefault(name, []).insert(0, entry)

    def service(self) -> None:
        self.count += 1
        name = f"mine-{self.count}"
        self.machine.append(MASTER, f"{name} unix - - y - - smtp\n  -o syslog_name={name}\n")
        self.ask("look")
        self.services.append(name)

    def undo(self, change_id: str) -> bool:
        """Take a change back; False when another one has to go first."""
        before = self.last
        done = self.ask("undo", id=change_id)
        if "refused" in done:
            assert {**done, "refused": None} == {**{name: before[name] for name in "nMP"}, "refused": None}
            return False
        self.changes.remove(change_id)
        again: dict[str, Optional[str]] = {}
        for name, key in self.settings.items():
            if (change_id, key.value) == (key.layers[-1] if key.layers else None):
                again[name] = key.value
            key.layers = [layer for layer in key.layers if layer[0] != change_id]
        for name in kept(done):
            assert self.settings[name].layers[-1][0] == "admin" or name in self.mine, name
        self.undos[done["id"]] = (change_id, again)
        return True

    def redo(self) -> None:
        """Take the newest undo back."""
        undo_id = max(self.undos)
        done = self.ask("undo", id=undo_id)
        if "refused" in done:
            return
        change_id, again = self.undos.pop(undo_id)
        self.changes.append(change_id)
        left = kept(done)
        for name, value in again.items():
            if name not in left:
                self.settings[name].layers.append((change_id, value))
            else:
                assert self.settings[name].layers[-1:][0][0] == "admin" or name in self.mine, name

    # --- judging ---------------------------------------------------------------------------------------

    def judge(self) -> None:
        """What postconf shows is what the model says."""
        shown = read(self.last["n"])
        for name in {*shown, *self.settings}:
            split = splitter(name)
            if split is None:
                wanted = self.settings[name].value if name in self.settings else None
                assert shown.get(name) == (None if wanted is None else " ".join(wanted.split())), name
                continue
            mine = self.mine.get(name, [])
            found = list(split(shown.get(name) or ""))
            assert [entry for entry in found if entry in mine] == mine, name
            wanted = self.key(name).value or ""
            assert without(found) == without(split(" ".join(wanted.split()))), name
        for service in self.services:
            assert any(line.startswith(f"{service} unix") for line in self.last["M"]), service
        self.whole()

    def whole(self) -> None:
        """Every table of ours that is named is there."""
        tables = self.machine.path("/etc/postfix/conbool")
        for line in (*self.last["n"], *self.last["P"]):
            for word in line.replace(",", " ").split():
                if "/conbool/" in word and ":" in word:
                    assert (tables / word.rsplit("/", 1)[1].rstrip("}")).exists(), line

    def end(self) -> None:
        """Take all changes back, the newest first: what is left is what was there at first, and the admin's."""
        for change_id in sorted(self.changes, reverse=True):
            self.undo(change_id)
            self.judge()
        assert not self.changes
        assert not self.machine.exists("/etc/postfix/conbool")
        added = [line for name in "MP" for line in self.last[name] if not line.startswith("mine-")]
        assert added == [line for name in "MP" for line in self.first[name] if not line.startswith("mine-")]


def kept(done: dict[str, Any]) -> set[str]:
    """The settings that an undo left as they were."""
    return {name for path, name in done["kept"] if path == MAIN}


def read(lines: list[str]) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(" =") for line in lines)}


def without(entries: Any) -> list[str]:
    """The entries that the admin did not add in a sequence."""
    return [entry for entry in entries if "inline:{mine=" not in entry]


@pytest.fixture
def machine(lab: Lab, suite: str) -> PostfixMachine:
    one = lab.postfix(suite, PostfixSite(inet_protocols="ipv4", content_filter=True))
    one.shell("postfix stop")
    return one


@one_release
@pytest.mark.parametrize(
    "chunk",
    [pytest.param(number, marks=pytest.mark.xdist_group(f"random-{number}")) for number in range(CHUNKS)],
)
def test_random_sequences(lab: Lab, machine: PostfixMachine, chunk: int) -> None:
    world = World(lab, machine)
    try:
        for number in range(EACH):
            chance = random.Random(chunk * EACH + number)
            world.start()
            for step in range(STEPS):
                what = chance.choice(("apply", "apply", "edit", "list", "service", "undo", "redo"))
                world.told.append((number, step, what))
                if what == "apply" or not step:
                    world.apply(chance.choice(world.answers))
                elif what == "edit":
                    world.edit(chance.choice(SCALARS))
                elif what == "list":
                    world.prepend(chance.choice(LISTS))
                elif what == "service":
                    world.service()
                elif what == "undo" and world.changes:
                    world.undo(chance.choice(world.changes))
                elif what == "redo" and world.undos:
                    world.redo()
                world.judge()
            world.end()
    finally:
        assert world.process.stdin is not None
        world.process.stdin.close()
        world.process.wait(30)
