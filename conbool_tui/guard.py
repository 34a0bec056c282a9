"""The guard: a process of its own that takes a change back when the process that applies it dies, or when nobody confirms it in time.

``apply_plan`` starts it before anything is touched (``python -m conbool_tui.guard STATE_DIR CHANGE_ID``); nobody else needs to. It looks at
the journal twice a second and acts only under the lock, so that it, a confirmation and another start of the program cannot mix:

- the change has an end: nothing to do;
- no end, no countdown, and the worker's lock is free: the worker died, the change is taken back at once;
- the countdown is over, or this process is told to end (the system goes down): it is taken back;
- a connection from a listed network was served meanwhile, where that counts: it is confirmed.

A power cut ends it like everything else, and nothing of it starts by itself at the next boot: a unit for that would be one more file
of ours in the system, with a life of its own. Its time is over then all the same: each start of the program says so, and one that
changes anything takes it back first. Until then port 25 stays closed to others; nothing else was, so nobody is locked out. An orderly restart is
told by SIGTERM, and the change is taken back before the system goes down.
"""

from __future__ import annotations

import importlib
import ipaddress
import json
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Callable, Optional

from conbool_tui import firewall, log, postfix_config, systems, transaction
from conbool_tui.errors import ConboolError, LockedError, RolledBackError, UsageError
from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem
from conbool_tui.networks import Network
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import record as records
from conbool_tui.transaction.confirm import confirm_change
from conbool_tui.transaction.deadline import Deadline
from conbool_tui.transaction.guarding import LOCK, WORD
from conbool_tui.transaction.hold import hold_rules
from conbool_tui.transaction.journal import Entry, Journal, Kind
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.lock import busy
from conbool_tui.transaction.receipts import last_entry, state_of
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import reason_of

_PAUSE = 0.5
_RETRY = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ORPHANS = 30.0  # seconds in which a command of a killed worker may still come into effect
_ENDED = (ChangeState.APPLIED, ChangeState.ROLLED_BACK)
_TOLD = "The process that waits for the confirmation was told to end (the system goes down)."
_LATER = ("encodings.idna", "fcntl", "psutil", "sh", "shutil", "smtplib", "socket")


@dataclass
class Told:
    """Whether somebody asked this process to end."""

    to_end: bool = False

    def note(self, number: int, frame: Optional[FrameType]) -> None:
        """The signal handler."""
        self.to_end = True


class Guard:
    """Watches over one change.

    Args:
        host: the machine.
        state_dir: folder of lock, journal and backups.
        change_id: the change.
        system_for: gives its mail system.
        live_for: gives the driver of its firewall rules.
        told: whether to end early.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        host: Host,
        state_dir: str,
        change_id: str,
        system_for: SystemFor,
        live_for: LiveFor,
        told: Optional[Told] = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._state_dir = state_dir
        self._store = Store(host, state_dir)
        self._id = change_id
        self._system_for = system_for
        self._live_for = live_for
        self._told = told or Told()
        self._sleep = sleep
        self._journal = Journal(host, self._store.folder(change_id))
        self._system: Optional[MailSystem] = None
        self._seen: Optional[tuple[str, float]] = None
        self._worker_died = False
        self._complaints: set[str] = set()

    def serve(self) -> None:
        """Say that it is ready, or why it cannot be, and watch until the change has an end. Nothing happens when another guard is there."""
        try:
            handle = self._host.lock(f"{self._store.folder(self._id)}/{LOCK}")
        except BlockingIOError:
            return
        try:
            word = self._ready()
            self._store.save(self._id, WORD, json.dumps(word).encode("ascii"))
            if "error" not in word:
                self.watch()
        finally:
            self._host.unlock(handle)

    def _ready(self) -> dict[str, object]:
        """What the worker waits for: that everything needed for the way back is at hand, or why not."""
        try:
            record = records.load(self._store, self._id)
            self._system_for(record.target)
            for target in record.plan.live:
                self._live_for(self._host, target.name)
        except ConboolError as error:
            return {"error": reason_of(error)}
        return {"pid": os.getpid()}

    def watch(self) -> None:
        """Look and act until the change has an end, or until that is hopeless."""
        for pause in (*_RETRY, 0.0):
            try:
                while not self._look():
                    self._sleep(_PAUSE)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may work
                self._say(f"{type(error).__name__}: {reason_of(error)}")
            self._sleep(pause)
        self._say(f"gave up; conbool-tui undo {self._id} takes the change back")

    def _look(self) -> bool:
        """One look; True when there is nothing left to watch over."""
        entries = self._journal.read()
        if not entries:
            return True
        state = state_of(entries)
        if state in _ENDED:
            self._say(f"the change is {state.value}")
            if self._worker_died and state is ChangeState.ROLLED_BACK:
                self._hold()
            return True
        if state is ChangeState.UNCONFIRMED:
            waiting = last_entry(entries, Kind.AWAIT)
            if waiting is not None:
                self._wait(waiting)
        elif not busy(self._host, self._store):
            # Read again by recover under the lock: the worker may have ended well between two looks.
            self._worker_died = self._worker_died or state is ChangeState.UNFINISHED
            self._take_back(now=False)
        return False

    def _wait(self, waiting: Entry) -> None:
        deadline = Deadline.of(waiting)
        if self._told.to_end:
            self._take_back(now=True, reason=_TOLD)
        elif deadline.over(self._host) or self._waited(waiting) >= deadline.seconds:
            self._take_back(now=True, reason=deadline.reason(self._host))
        elif waiting.get("by_probe"):
            try:
                self._probe(waiting)
            except Exception as error:  # noqa: BLE001 - a log that cannot be read must not stop the countdown
                self._complain(error)

    def _waited(self, waiting: Entry) -> float:
        """Seconds since this process first saw the countdown: a bound that no record can move."""
        mark = str(waiting.get("n"))
        if self._seen is None or self._seen[0] != mark:
            self._seen = (mark, self._host.since_boot())
        return self._host.since_boot() - self._seen[1]

    def _probe(self, waiting: Entry) -> None:
        networks = [ipaddress.ip_network(str(network)) for network in waiting.get("networks", ())]
        if self._system is None:
            # Kept, because this is asked twice a second: making it reads the whole record and the mail system's settings.
            self._system = self._system_for(records.load(self._store, self._id).target)
        for address in self._system.served(str(waiting.get("moment", ""))):
            if listed(address, networks):
                try:
                    confirm_change(
                        self._host, self._state_dir, self._id, by=f"an SMTP connection from {address}"
                    )
                except (UsageError, RolledBackError, LockedError):
                    # Somebody else decided, or the time ended this moment; the next look tells.
                    return
                self._say(f"confirmed by an SMTP connection from {address}")
                return

    def _take_back(self, *, now: bool, reason: str = "") -> None:
        try:
            receipt = recover(
                self._host,
                self._state_dir,
                self._system_for,
                live_for=self._live_for,
                now=now,
                reason=reason,
                may_start=not self._told.to_end,
                only=self._id,
            )
        except LockedError:
            return
        if receipt is not None:
            self._say(f"{receipt.state.value}: {receipt.message}")

    def _hold(self) -> None:
        """A command that a killed worker had started may come into effect after the rules were put back: put them back again."""
        until = self._host.since_boot() + _ORPHANS
        while self._host.since_boot() < until and not self._told.to_end:
            self._sleep(_PAUSE)
            try:
                for name in hold_rules(self._host, self._store, self._id, self._live_for):
                    self._say(
                        f"{name}: rules of the killed process came into force late and were put back again"
                    )
            except ConboolError as error:
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        """What would be said at every look is said once."""
        text = reason_of(error)
        if text not in self._complaints:
            self._complaints.add(text)
            self._say(text)

    def _say(self, text: str) -> None:
        log.record(self._host, f"guard of change {self._id}: {text}")


def listed(address: str, networks: Sequence[Network]) -> bool:
    """Whether a client's address belongs to a listed network and is not this host's loopback."""
    found = ipaddress.ip_address(address)
    found = getattr(found, "ipv4_mapped", None) or found
    return not found.is_loopback and any(found in network for network in networks)


def load_everything() -> None:
    """Import all that the way back may need: an upgrade may replace the program's files meanwhile."""
    for package in (firewall, postfix_config, systems, transaction):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(found.name)
    for name in _LATER:
        importlib.import_module(name)


def main(argv: Sequence[str]) -> int:
    """Guard one change of the running system.

    Args:
        argv: the state directory and the change's id.
    """
    told = Told()
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, told.note)
    host = Host("/")
    state_dir, change_id = argv
    try:
        load_everything()
        Guard(host, state_dir, change_id, partial(systems.make_system, host), real_live, told).serve()
    except Exception as error:  # noqa: BLE001 - there is nobody to tell but the log
        log.record(host, f"guard of change {change_id}: {type(error).__name__}: {reason_of(error)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
