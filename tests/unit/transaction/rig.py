"""A small machine in a temporary folder, with a mail system that does as it is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from conbool_tui.host import Host
from conbool_tui.mail_system import MailTarget, Problem
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.receipt import Receipt
from conbool_tui.transaction import apply_plan, recover, undo_change
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


class LiveHost(Host):
    """A temporary root that is treated as the running system, so that reload and health check take place."""

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

    def put(self, path: str, data: bytes, mode: int) -> None:
        place = self.root / path.lstrip("/")
        place.write_bytes(data)
        os.chmod(place, mode)
        os.utime(place, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))

    def data(self, path: str) -> bytes:
        return self.host.read_bytes(path)

    def plan(self) -> Plan:
        return make_plan(self.host)

    def apply(self, plan: Optional[Plan] = None, observer: Optional[Observer] = None) -> Receipt:
        return apply_plan(self.host, STATE, self.system, plan or self.plan(), None, observer)

    def undo(self, change_id: Optional[str] = None, observer: Optional[Observer] = None) -> Receipt:
        return undo_change(self.host, STATE, self.system_for, change_id, None, observer)

    def recover(self, observer: Optional[Observer] = None, *, accept: bool = False) -> Optional[Receipt]:
        return recover(self.host, STATE, self.system_for, None, observer, accept=accept)

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
