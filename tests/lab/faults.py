"""Workers whose system calls fail one after the other, on real Postfix: who starts them, and what must hold afterwards."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import messages
from .lab import Lab
from .machine import APP, Machine
from .nursery import Nursery
from .postfix import PostfixMachine
from .snapshot import Entry, differences

STATE = "/var/lib/conbool-tui"
LIBRARY = "/usr/lib/lab-faults.so"
BELOW = "/etc:/var:/run:/tmp"
OUT = "friend@outside-a.example"
PATIENCE = 60.0
_EVERY = 12  # cases from one message to the next

# A Python of the machine that has the program loaded and forks a worker for every line on its standard input; each of them does what
# `python -m conbool_tui.worker` would, with one of its system calls failing.
NURSERY = r'''
import json, os, sys
from conbool_tui import worker
from conbool_tui.guard import load_everything
from conbool_tui.host import Host
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.session import Session
from conbool_tui.transaction.jobs import Job
from conbool_tui.transaction.orders import APPLY, UNDO, Order, outcome_to_json
from conbool_tui.transaction.store import Store

STATE = sys.argv[1]
FOLDER = "/etc/postfix"
BLOCK = """127.0.0.1:10026 inet n - - - - smtpd
  -o syslog_name=postfix/conbool-split
  -o smtpd_client_restrictions=permit_mynetworks,reject
"""
POLICY = "[mail.conbool.com]:25 may\n"
SMART_HOST = "[mail.conbool.com]:25"
CALLS = "/dev/shm/calls"
host = Host("/")
session = Session(host, STATE)
store = Store(host, STATE)
store.prepare()
load_everything()

def change(kind, name, key, before, after):
    return Change(kind, Step.A, "test", "", FOLDER + "/" + name, key, before, after, "")

def order():
    "A small plan of each kind of file: one new, one with a new parameter, one with a new service."
    main, master = host.read_bytes(FOLDER + "/main.cf"), host.read_bytes(FOLDER + "/master.cf")
    new, services = MainCf.parse(main), MasterCf.parse(master)
    services.add_block("lane", BLOCK)
    new.set("relayhost", SMART_HOST)
    new.set("smtp_tls_policy_maps", "texthash:$config_directory/conbool/policy")
    changes = (
        change(ChangeKind.FILE, "conbool/policy", "", None, POLICY),
        change(ChangeKind.SERVICE_BLOCK, "master.cf", "lane", None, BLOCK),
        change(ChangeKind.PARAMETER, "main.cf", "relayhost", MainCf.parse(main).get("relayhost"), SMART_HOST),
        change(ChangeKind.PARAMETER, "main.cf", "smtp_tls_policy_maps", None, new.get("smtp_tls_policy_maps")),
    )
    files = (
        FileTarget(FOLDER + "/conbool/policy", None, POLICY.encode()),
        FileTarget(FOLDER + "/main.cf", main, new.to_bytes()),
        FileTarget(FOLDER + "/master.cf", master, services.to_bytes()),
    )
    return Order(APPLY, Plan("postfix", "-", FOLDER, changes, files, (), ("postfix reload",), (10026,)))

def child(job, settings):
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.environ.update(settings, FAULT_LOG=CALLS)
    os._exit(worker.main([STATE, job.id]))

for line in sys.stdin:
    wanted = json.loads(line)
    if os.path.exists(CALLS):
        os.unlink(CALLS)
    # Hundreds of records would take the time of everybody who reads them.
    session.prune()
    what = order() if wanted["do"] == "apply" else Order(UNDO, change_id=session.undo_target().id)
    job = Job.create(store)
    job.give(what)
    pid = os.fork()
    if not pid:
        child(job, wanted["settings"])
    status = os.waitpid(pid, 0)[1]
    outcome = outcome_to_json(job.outcome()) if job.ended() else None
    job.remove()
    calls = open(CALLS).read().splitlines() if os.path.exists(CALLS) else []
    print(json.dumps({"status": status, "outcome": outcome, "calls": calls}), flush=True)
'''


def inside(machine: Machine) -> Path:
    """The machine's root as its own processes see it, with everything that is mounted there."""
    command = machine.command([])
    return Path("/proc", command[command.index("--target") + 1], "root")


def settings(at: int, code: int = errno.EIO, *, lasts: bool = False) -> dict[str, str]:
    """What the library wants to know: which call fails (0: none), how, and whether all later ones fail, too."""
    found = {"FAULT_BELOW": BELOW, "FAULT_AT": str(at), "FAULT_ERRNO": str(code)}
    return {**found, "FAULT_LASTS": "1"} if lasts else found


@dataclass(frozen=True)
class Call:
    """A system call that writes: its number, its name, what it is done to, and the last line of the journal before it."""

    number: int
    name: str
    path: str
    phase: str

    @property
    def kind(self) -> tuple[str, str, str]:
        """Calls of one kind differ in nothing but which file of the same sort they write."""
        place = next(
            (top for top in (f"{STATE}/jobs", STATE, "/etc", "/run") if self.path.startswith(top)), ""
        )
        return (self.phase, self.name, "journal" if self.path.endswith("/journal.jsonl") else place)


@dataclass(frozen=True)
class Run:
    """How a worker ended: the error's kind ("" for none, "silent" for no outcome at all), its words, and the calls it made."""

    end: str
    words: str
    calls: Sequence[str]


class FailingNursery(Nursery):
    """Starts workers with failing system calls without waiting for an interpreter each time."""

    def __init__(self, machine: PostfixMachine) -> None:
        super().__init__(machine, "/root/faulty.py", NURSERY, [STATE], {"LD_PRELOAD": LIBRARY})

    def run(self, do: str, at: int = 0, code: int = errno.EIO, *, lasts: bool = False) -> Run:
        """Have a worker apply or undo with the call ``at`` failing."""
        answer = self.ask({"do": do, "settings": settings(at, code, lasts=lasts)})
        outcome = answer["outcome"]
        if outcome is None:
            return Run("silent", "", answer["calls"])
        if "error" in outcome:
            words = "\n".join([outcome["what"], outcome["why"], outcome["todo"]])
            return Run(outcome["error"], words, answer["calls"])
        return Run("", "", answer["calls"])


class Faulty:
    """A Postfix machine whose workers meet failing system calls; whatever they met, it stands in the old or the new state, whole.

    Attributes:
        state: "old" or "new".
        ends: how many workers ended how.
    """

    def __init__(self, lab: Lab, machine: PostfixMachine, library: Path) -> None:
        self.lab = lab
        self.machine = machine
        shutil.copy(library, machine.path("/usr/lib") / Path(LIBRARY).name)
        # Judging copies the whole folder, call by call: what nothing reads takes only time.
        machine.shell(
            "cd /etc/postfix; rm -rf *.proto makedefs.out post-install postfix-script sasl postfix-files.d"
        )
        self.inside = inside(machine)
        self.nursery = FailingNursery(machine)
        self.trees: dict[str, dict[str, Entry]] = {"old": self.tree()}
        self.state = "old"
        self.ends: Counter[str] = Counter()
        self._cases = 0
        self._tokens: list[str] = []

    # --- what is there -----------------------------------------------------------------------------------

    def tree(self) -> dict[str, Entry]:
        """The mail system's configuration."""
        return self.machine.snapshot("/etc/postfix")

    def newest(self) -> str:
        """The id of the newest change; ids sort by time."""
        return max((path.parent.name for path in self._journals()), default="")

    def _journals(self) -> Iterator[Path]:
        return self.machine.path(f"{STATE}/changes").glob("*/journal.jsonl")

    def journal(self) -> list[Mapping[str, Any]]:
        """The records of the newest change."""
        text = self.machine.read(f"{STATE}/changes/{self.newest()}/journal.jsonl")
        return [json.loads(line) for line in text.splitlines() if line]

    def left_over(self) -> list[str]:
        """Files where none of the program's may be while it does not run; what lies in the record of a change goes with it."""
        found = [path for top in ("run", "tmp", "var/tmp") for path in (self.inside / top).rglob("conbool-*")]
        for top in ("etc", STATE.lstrip("/"), "var/log"):
            found += (self.inside / top).rglob(".conbool-*")
        return [str(path) for path in found if f"{STATE}/changes/" not in str(path)]

    def alive(self) -> bool:
        """Whether the process that Postfix calls its master is one."""
        pid = self.machine.read_text("/var/spool/postfix/pid/master.pid").strip()
        comm = self.inside / "proc" / pid / "comm"
        return bool(pid) and comm.exists() and comm.read_text() == "master\n"

    def _stands(self, state: str, what: str) -> None:
        """Insist on the whole tree being as it is in that state; files of the new one that were written again have other times."""
        want, now = self.trees[state], self.tree()
        anew = [name for name in want if self.trees["old"].get(name) != want[name]] if state == "new" else []
        found = differences(want, now, ignore_mtime=(".", *anew))
        assert found == [], f"{what}: this is not the {state} state: {found}"

    # --- what is done ------------------------------------------------------------------------------------

    def other(self) -> str:
        """The state that the next worker is to bring."""
        return "new" if self.state == "old" else "old"

    def toggle(self) -> list[Call]:
        """Apply or undo undisturbed: every call that writes."""
        do = "apply" if self.state == "old" else "undo"
        run = self.nursery.run(do)
        assert run.end == "", run.words
        self.state = self.other()
        self.trees.setdefault(self.state, self.tree())
        self._stands(self.state, f"{do}, undisturbed")
        kinds = [str(record["do"]) for record in self.journal()]
        calls, written = [], 0
        for line in run.calls:
            _, number, name, path = line.split(" ", 3)
            calls.append(Call(int(number), name, path, kinds[written - 1] if written else ""))
            written += name == "fsync" and path.endswith("/journal.jsonl")
        assert written == len(kinds)
        return calls

    def start(self) -> str:
        """Start the program once: it brings what was cut off to an end, then asks, and there is no terminal to answer on."""
        done = self.machine.conbool("undo")
        assert done.returncode == 64, f"{done.returncode} {done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr

    def send(self) -> str:
        """A message that must arrive exactly once: its token."""
        message = messages.plain()
        sent = self.lab.send(self.machine, message, OUT, helo="desk.example.com")
        assert sent.accepted, sent.last
        self._tokens.append(message.token)
        return message.token

    def delivers(self) -> None:
        """A message arrives where the present state leads it."""
        self.lab.expect(self.send(), "outside_a" if self.state == "old" else "conbool", timeout=PATIENCE)

    def fail(self, do: str, call: Call, code: int, *, lasts: bool = False) -> None:
        """Have a worker meet a failing call, look at everything, and start the program once when the worker could not end it."""
        if do != ("apply" if self.state == "old" else "undo"):
            self.toggle()
        how = "from here on" if lasts else "once"
        what = f"{do}, {errno.errorcode[code]} {how} at {call}"
        if self._cases % _EVERY == 0:
            self.send()
        self._cases += 1
        older = self.newest()
        run = self.nursery.run(do, call.number, code, lasts=lasts)
        self.ends[run.end] += 1
        what += f": {run.end} {run.words}"
        assert run.end in ("", "RolledBackError", "CheckFailedError", "RollbackIncompleteError", "silent"), (
            what
        )
        assert len(run.calls) >= call.number, what
        left = self.left_over()
        unfinished = run.end in ("RollbackIncompleteError", "silent")
        if unfinished or left:
            # Only what can't be removed may lie about.
            assert unfinished or lasts or call.name in ("unlink", "rmdir"), (what, left)
            records = self.journal() if self.newest() > older else []
            last = records[-1]["do"] if records else "rolled back"
            said = self.start()
            assert last in ("commit", "rolled back") or "An earlier change was not finished" in said, (
                what,
                said,
            )
            if last == "commit" and run.end == "silent":
                self.state = self.other()
        if run.end == "":
            self.state = self.other()
        self._stands(self.state, what)
        if self.left_over():
            # The next run that holds the lock tidies up.
            self.toggle()
        assert self.left_over() == [], what
        assert self.alive(), what
        if self._cases % _EVERY == 0:
            self.delivers()

    def finish(self) -> None:
        """Bring the old state back, and insist on every message being delivered exactly once, where it had to go."""
        if self.state == "new":
            self.toggle()
        assert self.machine.postfix_running()
        self.machine.flush()
        self.delivers()
        end = time.monotonic() + PATIENCE
        while self.machine.queue() or self.machine.busy():
            assert time.monotonic() < end, self.lab.report()
            time.sleep(0.1)
        # What was on its way while the configuration changed may have gone by either.
        for token in self._tokens:
            assert self.lab.where(token) in (["outside_a"], ["conbool"]), self.lab.report()

    def close(self) -> None:
        """End the nursery."""
        self.nursery.close()


# Put into a copy of the program: the worker, a process of its own that inherits nothing, loads the library and begins again.
RELOADED = """
def _reloaded():
    import json, os, sys
    with open("/proc/self/cmdline", "rb") as stream:
        command = stream.read().split(b"\\0")[:-1]
    if b"conbool_tui.worker" in command and "LD_PRELOAD" not in os.environ and os.path.exists("/root/fault.json"):
        with open("/root/fault.json") as stream:
            os.environ.update(json.load(stream))
        os.execv(sys.executable, command)
_reloaded()
"""


class Watched:
    """The program as an admin runs it, with a worker of its own that meets failing system calls."""

    def __init__(self, machine: PostfixMachine, library: Path) -> None:
        self.machine = machine
        shutil.copy(library, machine.path("/usr/lib") / Path(LIBRARY).name)
        machine.shell(f"mkdir /root/app && cp -a {APP}/app/. /root/app/")
        machine.append("/root/app/conbool_tui/__init__.py", "\n" + RELOADED)
        self._env = {"PYTHONPATH": f"/root/app:{APP}/vendor", "PYTHONDONTWRITEBYTECODE": "1"}

    def run(
        self, *args: str, at: int = 0, code: int = errno.EIO, lasts: bool = False, both: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run it; the worker's call ``at`` fails, with ``both`` also that of the process that waits for it."""
        fault = {"LD_PRELOAD": LIBRARY, **settings(at, code, lasts=lasts), "FAULT_LOG": "/dev/shm/calls"}
        self.machine.shell("rm -f /dev/shm/calls /root/fault.json")
        self.machine.write("/root/fault.json", json.dumps(fault))
        argv = ["python3", "-X", "utf8", "-m", "conbool_tui", *args]
        done = self.machine.run(argv, env={**self._env, **(fault if both else {})}, timeout=180)
        self.machine.path("/root/fault.json").unlink()
        assert "Traceback" not in done.stdout + done.stderr, done
        return done

    def calls(self) -> list[str]:
        """The calls of the worker in the run before."""
        return self.machine.shell("cat /dev/shm/calls").splitlines()
