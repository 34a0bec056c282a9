"""A small machine in a temporary folder, with a mail system and a firewall that do as they are told."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.guard import Guard
from conbool_tui.host import Host
from conbool_tui.mail_system import MailTarget, Problem
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Plan, Step
from conbool_tui.receipt import Receipt
from conbool_tui.transaction import Asked, Choices, apply_plan, confirm_change, recover, undo_change
from conbool_tui.transaction.store import Store
from conbool_tui.transaction.work import Observer

STATE = "/var/lib/conbool-tui"
CONFIG = "/etc/postfix"
MAIN = f"{CONFIG}/main.cf"
MASTER = f"{CONFIG}/master.cf"
TABLE = f"{CONFIG}/conbool/policy"
OLD_TABLE = f"{CONFIG}/old_table"
MAIN_BEFORE = b"# main\nmyhostname = mx.example.com\nrelayhost =\nbiff = no\n"
MASTER_BEFORE = (
    b"smtp inet n - y - - smtpd\n  -o smtpd_tls_security_level=may\npickup unix n - y 60 1 pickup\n"
)
BLOCK = "conbool-direct unix - - y - - smtp\n  -o syslog_name=postfix/conbool-direct\n"


FIREWALL = "firewall:fake"
RULES_BEFORE = "allow 192.0.2.0/24\nrefuse others\n"
RULES = "allow 198.51.100.0/24\nrefuse others\n"


class LiveHost(Host):
    """A temporary root that is treated as the running system, so that reload and health check take place.

    Files in it say which boot this is and how far time has been moved on, so that every process sees the same.
    """

    def boot_id(self) -> str:
        return self._said("boot") or "first boot"

    def since_boot(self) -> float:
        return super().since_boot() + float(self._said("moved") or 0)

    def _said(self, name: str) -> str:
        place = Path(self.root, "time", name)
        return place.read_text() if place.exists() else ""

    @property
    def live(self) -> bool:
        return True

    @property
    def is_root(self) -> bool:
        return True


class FakeSystem:
    """Reads main.cf at reload and is unwell when told so."""

    name = "postfix"

    def __init__(self, host: Host) -> None:
        self.host = host
        self.runs = True
        self.loaded = b""
        self.not_ready: list[Problem] = []
        self.refusal: list[Problem] = []
        self.reload_problems: list[list[Problem]] = []
        self.health_problems: list[list[Problem]] = []
        self.calls: list[str] = []

    def running(self) -> bool:
        return self.runs

    def write_rank(self, path: str) -> int:
        return {"main.cf": 2, "master.cf": 1}.get(os.path.basename(path), 0)

    def ready(self, plan: Plan) -> list[Problem]:
        self.calls.append("ready")
        return self.not_ready

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        self.calls.append("judge")
        return self.refusal

    def reload(self) -> list[Problem]:
        self.calls.append("reload")
        problems = self.reload_problems.pop(0) if self.reload_problems else []
        if not problems:
            self.loaded = self.host.read_bytes(MAIN)
        return problems

    def start(self) -> list[Problem]:
        self.calls.append("start")
        self.runs = True
        self.loaded = self.host.read_bytes(MAIN)
        return []

    def health(self, plan: Plan) -> list[Problem]:
        self.calls.append("health")
        return self.health_problems.pop(0) if self.health_problems else []

    def moment(self) -> str:
        return "now"

    def served(self, moment: str) -> list[str]:
        """What the file ``served`` of the machine lists, for every process alike."""
        assert moment == "now"
        place = Path(self.host.root, "served")
        return place.read_text().split() if place.exists() else []


class FakeRules:
    """Rules in a file; other files say what goes wrong, for every process alike."""

    def __init__(self, host: Host, name: str) -> None:
        self.name = name
        self.folder = Path(host.root, "firewall")
        self.place = self.folder / "rules"

    def read(self) -> Optional[str]:
        if (self.folder / "broken").exists():
            raise ConboolError("the firewall does not answer")
        return self.place.read_text() if self.place.exists() else None

    def judge(self, rules: Optional[str], files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        return [Problem("bad rule")] if (self.folder / "refuses").exists() else []

    def put(self, rules: Optional[str]) -> list[Problem]:
        with (self.folder / "log").open("a") as stream:
            stream.write(f"put {'closed' if rules == RULES else 'open'}\n")
        if (self.folder / f"{'closed' if rules == RULES else 'open'} fails").exists():
            self.place.write_text("half\n")
            return [Problem("it did not work", "no memory")]
        if rules is None:
            with contextlib.suppress(FileNotFoundError):
                self.place.unlink()
            return []
        # As a tool that changes one rule after the other.
        self.place.write_text("half\n")
        dies = self.folder / "dies"
        if dies.exists():
            dies.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        self.place.write_text(rules)
        return []


class Rig:
    """The machine with its mail system."""

    def __init__(self, root: Path, *, live: bool = True) -> None:
        self.root = root
        for folder in ("etc/postfix", "srv/conf", "var/lib"):
            (root / folder).mkdir(parents=True)
        self.put("/srv/conf/main.cf", MAIN_BEFORE, 0o640)
        os.symlink("../../srv/conf/main.cf", root / "etc/postfix/main.cf")
        self.put(MASTER, MASTER_BEFORE, 0o600)
        self.put(OLD_TABLE, b"old\n", 0o644)
        self.put(f"{CONFIG}/untouched", b"\x00\xff", 0o604)
        self.host = LiveHost(str(root)) if live else Host(str(root))
        self.system = FakeSystem(self.host)
        self.system.loaded = MAIN_BEFORE
        self.firewall = root / "firewall"
        self.firewall.mkdir()
        (self.firewall / "rules").write_text(RULES_BEFORE)
        (root / "time").mkdir()
        self.guards: list[int] = []
        self.guard: Callable[[Host, str, str], None] = self.start_guard

    def put(self, path: str, data: bytes, mode: int) -> None:
        place = self.root / path.lstrip("/")
        place.write_bytes(data)
        os.chmod(place, mode)
        os.utime(place, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))

    def data(self, path: str) -> bytes:
        return self.host.read_bytes(path)

    def plan(self) -> Plan:
        return make_plan(self.host)

    def live_plan(self, confirm_within: int = 0) -> Plan:
        """The plan with firewall rules."""
        change = _change(ChangeKind.FIREWALL, FIREWALL, "", RULES_BEFORE, RULES)
        plan = self.plan()
        return dataclasses.replace(
            plan,
            changes=(*plan.changes, change),
            live=(LiveTarget(FIREWALL, RULES_BEFORE, RULES),),
            confirm_within=confirm_within,
        )

    def apply(
        self,
        plan: Optional[Plan] = None,
        observer: Optional[Observer] = None,
        probe_networks: Sequence[str] = (),
    ) -> Receipt:
        return apply_plan(
            self.host,
            STATE,
            self.system,
            plan or self.plan(),
            None,
            observer,
            live_for=FakeRules,
            start_guard=self.guard,
            probe_networks=probe_networks,
        )

    def undo(
        self,
        change_id: Optional[str] = None,
        observer: Optional[Observer] = None,
        *,
        choices: Optional[Choices] = None,
        asked: Optional[Asked] = None,
    ) -> Receipt:
        return undo_change(
            self.host,
            STATE,
            self.system_for,
            change_id,
            None,
            observer,
            choices=choices,
            asked=asked,
            live_for=FakeRules,
            start_guard=self.guard,
        )

    def recover(
        self, observer: Optional[Observer] = None, *, accept: bool = False, now: bool = False
    ) -> Optional[Receipt]:
        return recover(
            self.host, STATE, self.system_for, None, observer, accept=accept, live_for=FakeRules, now=now
        )

    def confirm(self, change_id: Optional[str] = None) -> Receipt:
        return confirm_change(self.host, STATE, change_id, system_for=self.system_for, live_for=FakeRules)

    # --- the firewall and time -------------------------------------------------------------------------

    def rules(self) -> Optional[str]:
        place = self.firewall / "rules"
        return place.read_text() if place.exists() else None

    def puts(self) -> list[str]:
        place = self.firewall / "log"
        return place.read_text().splitlines() if place.exists() else []

    def wish(self, name: str) -> None:
        """Have the firewall do something: broken, refuses, dies, closed fails, open fails."""
        (self.firewall / name).touch()

    def grant(self, name: str) -> None:
        """Take a wish back."""
        (self.firewall / name).unlink()

    def move_time(self, seconds: float) -> None:
        (self.root / "time/.moved").write_text(str(seconds))
        os.rename(self.root / "time/.moved", self.root / "time/moved")

    def reboot(self) -> None:
        (self.root / "time/boot").write_text("second boot")

    # --- guards ----------------------------------------------------------------------------------------

    def start_guard(self, host: Host, state_dir: str, change_id: str) -> None:
        """A guard in a process of its own, child of whatever process asks."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                # As exec(2) would: else it would hold the worker's locks.
                os.closerange(3, 256)
                Guard(
                    host,
                    state_dir,
                    change_id,
                    self.system_for,
                    FakeRules,
                    sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
                ).serve()
                code = 0
            finally:
                os._exit(code)
        self.guards.append(pid)
        with (self.root / "guards").open("a") as stream:
            stream.write(f"{pid}\n")

    def guard_pids(self) -> list[int]:
        """Also those that killed workers started."""
        place = self.root / "guards"
        return [int(line) for line in place.read_text().split()] if place.exists() else []

    def end_guards(self) -> None:
        """Kill the guards that are left, and wait for their ends."""
        for pid in self.guard_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.reap()

    def reap(self) -> None:
        """Wait for the ends of the guards that this process started."""
        for pid in self.guards:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self.guards.clear()

    def no_guard(self, host: Host, state_dir: str, change_id: str) -> None:
        """A guard that says it is ready, holds its lock as long as this process lives, and does nothing."""
        store = Store(host, state_dir)
        self.handle = host.lock(f"{store.folder(change_id)}/guard")
        store.save(change_id, "guard.json", b'{"pid": 1}')

    def system_for(self, target: MailTarget) -> FakeSystem:
        assert target == MailTarget("postfix", "", CONFIG)
        return self.system

    def tree(self, *, folder_times: bool = False) -> dict[str, tuple[object, ...]]:
        """Everything below /etc and /srv that must come back."""
        found: dict[str, tuple[object, ...]] = {}
        for top in ("etc", "srv"):
            for folder, folders, files in os.walk(self.root / top):
                for name in [*folders, *files, "."]:
                    place = Path(folder, name)
                    info = os.lstat(place)
                    what: object = None
                    if place.is_symlink():
                        what = os.readlink(place)
                    elif place.is_file():
                        what = place.read_bytes()
                    time = info.st_mtime_ns if folder_times or not place.is_dir() else None
                    found[str(place)] = (info.st_mode, info.st_uid, info.st_gid, what, time, info.st_nlink)
        return found


def make_plan(host: Host) -> Plan:
    """Sets two parameters and an option, adds a block and a table in a new folder, removes an old table."""
    main, master = host.read_bytes(MAIN), host.read_bytes(MASTER)
    new_main = main.replace(b"relayhost =\n", b"relayhost = [mail.conbool.com]:25\n")
    new_main += b"smtp_tls_policy_maps = texthash:$config_directory/conbool/policy\n"
    new_master = master.replace(b"=may\n", b"=encrypt\n")
    new_master += b"# BEGIN conbool-tui lane\n" + BLOCK.encode() + b"# END conbool-tui lane\n"
    old_table = host.read_bytes(OLD_TABLE)
    return Plan(
        "postfix",
        "",
        CONFIG,
        (
            _change(ChangeKind.FILE, TABLE, "", None, "[mail.conbool.com]:25 secure\n"),
            _change(ChangeKind.FILE, OLD_TABLE, "", "old\n", None),
            _change(ChangeKind.PARAMETER, MAIN, "relayhost", "", "[mail.conbool.com]:25"),
            _change(
                ChangeKind.PARAMETER,
                MAIN,
                "smtp_tls_policy_maps",
                None,
                "texthash:$config_directory/conbool/policy",
            ),
            _change(
                ChangeKind.SERVICE_OPTION, MASTER, "smtp/inet/smtpd_tls_security_level", "may", "encrypt"
            ),
            _change(ChangeKind.SERVICE_BLOCK, MASTER, "lane", None, BLOCK),
        ),
        (
            FileTarget(MAIN, main, new_main),
            FileTarget(MASTER, master, new_master),
            FileTarget(TABLE, None, b"[mail.conbool.com]:25 secure\n", 0o644),
            FileTarget(OLD_TABLE, old_table, None),
        ),
        reload=("postfix reload",),
        health_ports=(10026,),
    )


def _change(kind: ChangeKind, path: str, key: str, before: Optional[str], after: Optional[str]) -> Change:
    return Change(kind, Step.A, f"{kind.value} {key or path}", "because", path, key, before, after, "undo")
