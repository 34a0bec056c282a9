"""Workers that are killed (SIGKILL) at a chosen record of the journal or a chosen moment, and mail that goes on all the time."""

from __future__ import annotations

import itertools
import json
import re
import smtplib
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from . import messages
from .lab import CONBOOL, Lab
from .messages import Message
from .nursery import Nursery
from .postfix import PostfixMachine
from .product import write_answers
from .snapshot import Entry, differences

STATE = "/var/lib/conbool-tui"
OUT = "friend@outside-a.example"
HERE = "alice@example.com"
PATIENCE = 60.0
# What is written when the worker dies: half of the line, the line that is not yet on disk, the line on disk.
MOMENTS = ("torn", "unsynced", "durable")
_PAUSE = 0.7  # seconds between two messages of the stream
_TOKEN = re.compile(rb"token-\d+-\d+-[0-9a-f]{12}")

# A Python of the machine that has the program loaded and forks a worker for every line on its standard input; each of them does what
# `python -m conbool_tui.worker` would. It also kills: after a time, or (the child itself) at a record of the journal.
NURSERY = r"""
import json, os, signal, sys, time
from conbool_tui import answers_file, worker
from conbool_tui.errors import HostError
from conbool_tui.guard import load_everything
from conbool_tui.host import Host
from conbool_tui.session import Session
from conbool_tui.transaction.jobs import Job
from conbool_tui.transaction.orders import RECOVER, UNDO, Order, order_from_json
from conbool_tui.transaction.store import Store

STATE, ANSWERS = sys.argv[1:]
host = Host("/")
session = Session(host, STATE)
store = Store(host, STATE)
load_everything()
# It is waited for, so it must not be lost between two looks.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})

def apply_order():
    "What the command `apply` hands over."
    kept = []
    def keep(host, state_dir, job_id):
        kept.append(host.read_bytes(Job(store, job_id).path("order.json")))
        raise HostError("kept")
    try:
        new = Session(host, STATE, start_worker=keep)
        new.apply(new.plan(answers_file.load(host.read_bytes(ANSWERS), ANSWERS)))
    except HostError:
        pass
    except Exception as error:
        if not kept:
            raise
    return order_from_json(json.loads(kept[0]))

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dies_at(number, kind, moment):
    "Die at the record with this number, counted from this process's first one, or at the first of a kind."
    append, seen = Host.append_synced, [0]
    def counting(self, path, data, *more, **named):
        now = False
        if path.endswith("/journal.jsonl"):
            seen[0] += 1
            now = seen[0] == number or json.loads(data)["do"] == kind
        if now and moment == "torn":
            append(self, path, data[: len(data) // 2])
            die()
        if now and moment == "unsynced":
            os.fsync = die
        append(self, path, data, *more, **named)
        if now:
            die()
    Host.append_synced = counting

def ends_within(pid, seconds):
    "Wait for a child's end, so many seconds; as waitpid, 0 when it still lives."
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, left)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return ended, status
    return 0, 0

def child(job, order):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    if order["record"] or order["kind"]:
        dies_at(order["record"], order["kind"], order["moment"])
    os._exit(worker.main([STATE, job.id]))

plan = None
for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "apply":
        plan = what = plan or apply_order()
    elif order["do"] == "undo":
        what = Order(UNDO, change_id=session.undo_target().id)
    else:
        what = Order(RECOVER)
    job = Job.create(store)
    job.give(what)
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        child(job, order)
    ended, status = (0, 0) if order["after"] is None else ends_within(pid, order["after"])
    if not ended:
        if order["after"] is not None:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    answer = {"killed": os.WIFSIGNALED(status), "seconds": time.monotonic() - began}
    if order["after"] is None and not answer["killed"]:
        job.remove()
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True)
class Run:
    """What became of a worker: whether it was killed, and how many seconds it lived."""

    killed: bool
    seconds: float


@dataclass(frozen=True)
class Undisturbed:
    """How many seconds it takes, and which records it writes."""

    seconds: float
    records: list[str]


class KillingNursery(Nursery):
    """Starts workers inside a machine without waiting for an interpreter each time."""

    def __init__(self, machine: PostfixMachine, answers: str) -> None:
        super().__init__(machine, "/root/nursery.py", NURSERY, [STATE, answers])

    def run(
        self,
        do: str,
        *,
        after: Optional[float] = None,
        record: int = 0,
        kind: str = "",
        moment: str = "durable",
    ) -> Run:
        """Have a worker apply, undo or recover.

        Args:
            do: apply, undo or recover.
            after: kill it after so many seconds.
            record: kill it at this record of those it writes, counted from 1.
            kind: kill it at the first record of this kind.
            moment: one of ``MOMENTS``.
        """
        answer = self.ask({"do": do, "after": after, "record": record, "kind": kind, "moment": moment})
        return Run(answer["killed"], answer["seconds"])


class Slow:
    """A message whose SMTP session begins now and ends with ``finish``."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.message = messages.plain()
        sock = lab.connect(machine.place.neighbour4, machine.place.ipv4, 25, PATIENCE)
        self._client = smtplib.SMTP(local_hostname="desk.example.com")
        self._client.sock, self._client.file = sock, None
        for answer, code in (
            (self._client.getreply(), 220),
            (self._client.ehlo(), 250),
            (self._client.mail("alice@example.com"), 250),
            (self._client.rcpt(OUT), 250),
            (self._client.docmd("DATA"), 354),
        ):
            assert answer[0] == code, answer
        self._client.send(self.message.raw[:200])

    def finish(self) -> None:
        """Send the rest; the server must take it."""
        self._client.send(self.message.raw[200:] + b".\r\n")
        answer = self._client.getreply()
        assert answer[0] == 250, answer
        self._client.close()


class Traffic:
    """Sends one message after another, out and in turns to a mailbox of the machine, until ``stop``."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self._lab = lab
        self._machine = machine
        self.accepted: list[str] = []
        self.trouble: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mail")
        self._thread.start()

    def send(self, *, inward: bool = False) -> Message:
        """One message; what is not taken at once is kept as trouble."""
        message = messages.plain()
        try:
            if inward:
                sent = self._lab.send(self._machine, message, HERE, sender=OUT, source=CONBOOL)
            else:
                sent = self._lab.send(self._machine, message, OUT, helo="desk.example.com")
        except (OSError, smtplib.SMTPException) as error:
            self.trouble.append(f"{message.token}: {type(error).__name__}: {error}")
            return message
        if sent.accepted:
            self.accepted.append(message.token)
        else:
            self.trouble.append(f"{message.token}: {sent.last}")
        return message

    def _run(self) -> None:
        for inward in itertools.cycle((False, True)):
            self.send(inward=inward)
            if self._stop.wait(_PAUSE):
                return

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join()


class Killed:
    """A Postfix machine whose workers are killed while mail goes on; every start of the program afterwards must lead to the old or the
    new state, whole.

    Attributes:
        state: "old" or "new", how the machine stands between two kills.
        kills: how many workers were killed at their work.
        late: how many of those had everything done already.
    """

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        self.nursery = KillingNursery(machine, write_answers(lab, machine))
        # The machine's root as its own processes see it: /run, /tmp and /proc are not below ``merged``.
        self._inside = Path(f"/proc/{self.nursery.pid}/root")
        self.trees: dict[str, dict[str, Entry]] = {"old": self.tree()}
        self.state = "old"
        self.kills = self.late = 0
        self._routes: dict[str, str] = {}
        self.traffic = Traffic(lab, machine)

    # --- what is there -----------------------------------------------------------------------------------

    def tree(self) -> dict[str, Entry]:
        """The mail system's configuration."""
        return self.machine.snapshot("/etc/postfix")

    def journals(self) -> list[list[Mapping[str, Any]]]:
        """The records of every change, oldest first; what is cut off is left out."""
        found = []
        for path in sorted(self.machine.path(f"{STATE}/changes").glob("*/journal.jsonl")):
            lines = []
            for line in path.read_bytes().split(b"\n"):
                with suppress(ValueError):
                    lines.append(json.loads(line))
            found.append(lines)
        return found

    def commits(self) -> int:
        """How many changes were carried through."""
        return sum(lines[-1]["do"] == "commit" for lines in self.journals() if lines)

    def _processes(self) -> list[str]:
        found = []
        for path in (self._inside / "proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                command = path.read_bytes()
                if b"conbool_tui." in command:
                    found.append(command.replace(b"\0", b" ").decode())
        return found

    def running(self) -> bool:
        """Whether Postfix's master daemon runs."""
        pid = self.machine.read_text("/var/spool/postfix/pid/master.pid").strip()
        name = self._inside / "proc" / pid / "comm"
        return name.is_file() and name.read_text() == "master\n"

    def left_over(self) -> list[str]:
        """Processes of the program that do not end, and files where none of its may be while it does not run."""
        end = time.monotonic() + PATIENCE
        # A worker has told its outcome a moment before it ends.
        while (found := self._processes()) and time.monotonic() < end:
            time.sleep(0.02)
        for place in ("run", "tmp", "var/tmp"):
            found += [str(path) for path in (self._inside / place).glob("*conbool-*")]
        for place in ("etc", STATE[1:], "var/log/conbool-tui"):
            found += [str(path) for path in (self._inside / place).rglob(".conbool-*")]
        return found

    def _stands(self, state: str, what: str) -> None:
        """Insist on the whole tree being as it is in that state; files of the new one that were written again have other times."""
        want, now = self.trees[state], self.tree()
        anew = [name for name in want if self.trees["old"].get(name) != want[name]] if state == "new" else []
        found = differences(want, now, ignore_mtime=(".", *anew))
        assert found == [], f"{what}: this is not the {state} state: {found}"

    # --- what is done ------------------------------------------------------------------------------------

    def direction(self) -> tuple[str, str]:
        """What can be done now, and the state that it leads to."""
        return ("apply", "new") if self.state == "old" else ("undo", "old")

    def toggle(self) -> Undisturbed:
        """Apply or undo without being killed."""
        do, other = self.direction()
        run = self.nursery.run(do)
        records = [str(record["do"]) for record in self.journals()[-1]]
        assert (run.killed, records[-1]) == (False, "commit"), records
        self.trees.setdefault(other, self.tree())
        self.state = other
        self._stands(other, f"{do}, undisturbed")
        return Undisturbed(run.seconds, records)

    def start(self) -> str:
        """Start the program once: it brings what was cut off to an end, then asks, and there is no terminal to answer on."""
        done = self.machine.conbool("undo")
        assert done.returncode == 64, f"{done.returncode} {done.stdout}\n{done.stderr}"
        return done.stderr

    def kill(self, do: str, *, again: str = "", **how: Any) -> Run:
        """Have a worker killed at its work, start the program once, and look at everything.

        Args:
            do: apply or undo.
            again: the kind of record at which a worker that takes it back is killed, too.
            how: as ``KillingNursery.run``.

        Returns:
            the first worker's end; it may have been too fast.
        """
        if self.direction()[0] != do:
            self.toggle()
        what = f"{do} killed ({how})"
        before, commits = self.tree(), self.commits()
        slow = Slow(self.lab, self.machine)
        run = self.nursery.run(do, **how)
        if again:
            assert self.nursery.run("recover", kind=again).killed, f"{what}: no record {again}"
        said = self.start()
        if self.commits() > commits:
            self.late += run.killed
            self.state = self.direction()[1]
            self._stands(self.state, what)
        else:
            found = differences(before, self.tree(), ignore_mtime=(".", "conbool"))
            assert (run.killed, found) == (True, []), f"{what}: the state before is not back\n{said}"
        self.kills += run.killed
        slow.finish()
        self.traffic.accepted.append(slow.message.token)
        self._routes[self.traffic.send().token] = {"old": "outside_a", "new": "conbool"}[self.state]
        left = self.left_over()
        assert (self.running(), left) == (True, []), (
            f"{what}: Postfix runs: {self.running()}; left over: {left}"
        )
        return run

    def finish(self) -> None:
        """Bring the old state back as an admin does, and insist on every message of the whole time being delivered exactly once."""
        # An SMTP session that is open while all is taken back ends under the settings it began with, so none is.
        self.traffic.stop()
        if self.state == "old":
            self.toggle()
        done = self.machine.conbool("undo", "--yes")
        assert done.returncode == 0, done.stderr
        self._stands("old", "at the end")
        # An order that no worker took is kept for an hour: whoever gave it may be about to start one.
        left = [*self.left_over(), *map(str, self.machine.path(f"{STATE}/jobs").glob("*/worker.json"))]
        assert left == [], f"left over: {left}"
        self.machine.flush()
        end = time.monotonic() + PATIENCE
        while self.machine.queue() or self.machine.busy():
            assert time.monotonic() < end, self.lab.report()
            time.sleep(0.1)
        assert self.traffic.trouble == [], f"{self.traffic.trouble}\n{self.lab.report()}"
        places = self._places()
        for token in self.traffic.accepted:
            found = places.get(token, [])
            assert len(found) == 1, f"{token} was delivered to {found}\n{self.lab.report()}"
            wanted = {self._routes[token]} if token in self._routes else {"conbool", "outside_a", HERE}
            assert set(found) <= wanted, f"{token} was delivered to {found}, not to {wanted}"
        assert len(self.traffic.accepted) > 2 * self.kills

    def _places(self) -> dict[str, list[str]]:
        """Where every message arrived."""
        found: dict[str, list[str]] = {}
        for sink in self.lab.sinks.values():
            for copy in sink.received:
                for token in set(_TOKEN.findall(copy.raw)):
                    found.setdefault(token.decode(), []).extend([sink.name] * len(copy.recipients))
        for stored in self.machine.mailboxes():
            place = HERE if stored.mailbox == HERE.split("@")[0] else stored.mailbox
            for token in set(_TOKEN.findall(stored.raw)):
                found.setdefault(token.decode(), []).append(place)
        return found

    def report(self) -> str:
        """The newest journals and the end of the mail log."""
        lines = [" ".join(str(record["do"]) for record in records) for records in self.journals()[-3:]]
        return "\n".join(["--- journals", *lines, "--- mail log", *self.machine.log().splitlines()[-30:]])

    def close(self) -> None:
        """End traffic and nursery."""
        self.traffic.stop()
        self.nursery.close()
