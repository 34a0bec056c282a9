"""The running side of Postfix: is it ready, would it accept these files, reload it, is it well."""

from __future__ import annotations

import contextlib
import posixpath
import time
from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Plan
from conbool_tui.runner import CommandResult
from conbool_tui.systems.postfix_judge import judge
from conbool_tui.systems.postfix_log import PostfixLog
from conbool_tui.systems.postfix_queue import put_in_again
from conbool_tui.systems.smtp_probe import accepts_mail, banner

_PATIENCE = 15.0
_PAUSE = 0.5
_SETTLE = 0.3  # seconds until a daemon's line is in the log


class PostfixSystem:
    """One Postfix instance.

    Every command names the configuration directory with ``-c``: that makes postfix(1) work on this one
    instance, whatever the host's instance manager (postfix(1), ``-c``).

    Args:
        host: the machine.
        config_directory: the instance's configuration directory.
        instance: its name in postmulti(1), empty or ``-`` for the default one.
    """

    name = "postfix"

    def __init__(self, host: Host, config_directory: str = "/etc/postfix", instance: str = "") -> None:
        self._host = host
        self._directory = config_directory
        self._instance = instance or "-"
        self._greeting: dict[str, str] = {}
        self._log: Optional[PostfixLog] = None
        self._outdated: frozenset[int] = frozenset()

    def write_rank(self, path: str) -> int:
        """main.cf names services of master.cf, and both name tables: tables first, main.cf last."""
        return {"main.cf": 2, "master.cf": 1}.get(posixpath.basename(path), 0)

    def running(self) -> bool:
        """Whether the master daemon of this instance runs (``postfix status``)."""
        try:
            return self._postfix("status").ok
        except ConboolError:
            return False

    def ready(self, plan: Plan) -> list[Problem]:
        """Postfix's programs are there, its present configuration can be read, and on the running system
        it runs.
        """
        for program in ("postfix", "postconf", "postmap"):
            if self._host.which(program) is None:
                return [Problem(f"Postfix's program {program} is not installed", "repair its package")]
        for option in ("-n", "-M"):
            result = self._host.run(["postconf", "-c", self._directory, option])
            if not result.ok:
                said = _last_line(result.error_text())
                return [Problem("Postfix cannot read its present configuration", said)]
        if not self._host.live:
            return []
        if not self.running():
            return [Problem("Postfix is not running", f"start it first: {self._start_command()}")]
        self._watch().mark()
        greetings = {address: _greeted(address) for address in self._addresses()}
        self._greeting = {address: said for address, said in greetings.items() if said is not None}
        time.sleep(_SETTLE)
        self._watch().learn()
        return []

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """postconf(1) and postmap(1) on a staged copy; see postfix_judge."""
        return judge(self._host, self._directory, plan, files)

    def reload(self) -> list[Problem]:
        """``systemctl reload`` of the unit that runs it, else ``postfix reload``."""
        self._watch().mark()
        self._outdated = self._queue_managers()
        unit = self._active_unit()
        if unit and self._host.run(["systemctl", "reload", unit]).ok:
            return []
        result = self._postfix("reload")
        return [] if result.ok else [Problem("`postfix reload` failed", _last_line(result.error_text()))]

    def start(self) -> list[Problem]:
        """Start it through systemd where it has a unit there, else ``postfix start``."""
        self._watch().mark()
        self._outdated = frozenset()
        if self._host.has_systemd():
            for unit in self._units():
                # The first unit of Debian's pair may not exist: what counts is whether Postfix runs then.
                if self._host.run(["systemctl", "start", unit]).ok and self.running():
                    return []
        result = self._postfix("start")
        return [] if result.ok else [Problem("`postfix start` failed", _last_line(result.error_text()))]

    def health(self, plan: Plan) -> list[Problem]:
        """Within 15 seconds: master and qmgr live, port 25 greets where it did, the plan's ports take
        recipients, nothing fatal logged. Then mail that waits for a service of ours which is gone is put into
        the queue anew.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            problems = self._ailments(plan)
            if not problems:
                time.sleep(_SETTLE)
            complaints = self._watch().complaints()
            if complaints:
                return [Problem("A Postfix daemon failed", complaint) for complaint in complaints[:5]]
            if not problems:
                # What cannot be put in again is no reason to take the configuration back.
                with contextlib.suppress(ConboolError):
                    put_in_again(self._host, self._directory, self._parameter("queue_directory"))
            if not problems or time.monotonic() > deadline:
                return problems
            time.sleep(_PAUSE)

    def moment(self) -> str:
        """The ends of its logs (file, inode, size) and the time."""
        return self._watch().moment()

    def served(self, moment: str) -> list[str]:
        """From the lines ``connect from`` and ``disconnect from`` of an smtpd(8) that master(8) runs for port 25 and that still runs."""
        sessions = self._watch().sessions(moment)
        return list(
            dict.fromkeys(item.address for item in sessions if item.well and self._on_port_25(item.pid))
        )

    # --- details ---------------------------------------------------------------------------------------

    def _ailments(self, plan: Plan) -> list[Problem]:
        pid = self._master_pid()
        if pid is None:
            return [Problem("Postfix's master daemon is not running")]
        managers = self._queue_managers()
        if not managers:
            return [Problem("Postfix's queue manager (qmgr) is not running")]
        # `postfix reload` only sends a signal: a new queue manager shows that the master has acted on it.
        if managers & self._outdated:
            return [Problem("Postfix's master daemon does not take up the new configuration")]
        for address, before in self._greeting.items():
            now = _greeted(address)
            if now is None:
                return [Problem(f"Port 25 on {address} does not greet any more", f"it said before: {before}")]
        loopback = self._loopback() if plan.health_ports else ""
        for port in plan.health_ports:
            said = accepts_mail(loopback, port)
            if said is not None:
                return [Problem(f"The service on {loopback} port {port} does not take mail", said)]
        return []

    def _master_pid(self) -> Optional[int]:
        """The master daemon's process, None when it does not run (pid/master.pid in the queue directory,
        master(8)).
        """
        try:
            text = self._host.read_text(posixpath.join(self._parameter("queue_directory"), "pid/master.pid"))
            pid = int(text.split()[0])
        except (ConboolError, ValueError, IndexError):
            return None
        return pid if self._host.process_name(pid) == "master" else None

    def _queue_managers(self) -> frozenset[int]:
        """Process ids of this instance's queue manager."""
        pid = self._master_pid()
        children = () if pid is None else self._host.children(pid)
        return frozenset(process.pid for process in children if process.name in ("qmgr", "oqmgr", "nqmgr"))

    def _addresses(self) -> list[str]:
        """Where to reach the listeners on port 25."""
        wild = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return [wild.get(item.address, item.address) for item in self._host.listeners() if item.port == 25]

    def _loopback(self) -> str:
        """Where the plan's services listen: IPv6 only where the instance speaks no IPv4 (inet_protocols)."""
        protocols = self._parameter("inet_protocols").replace(",", " ").lower().split()
        return "::1" if "ipv6" in protocols and "ipv4" not in protocols else "127.0.0.1"

    def _parameter(self, name: str) -> str:
        result = self._host.run(["postconf", "-c", self._directory, "-hx", name])
        return result.text().strip() if result.ok else ""

    def _on_port_25(self, pid: int) -> bool:
        """Whether a process is an smtpd of this instance for port 25: master(8) gives the service's name with ``-n``, and postscreen(8)
        hands its clients to the one of type pass."""
        master = self._master_pid()
        for process in () if master is None else self._host.children(master):
            if process.pid == pid and process.name == "smtpd":
                words = process.command
                service, kind = _after(words, "-n"), _after(words, "-t")
                return kind == "pass" or (kind == "inet" and service.rpartition(":")[2] in ("smtp", "25"))
        return False

    def _watch(self) -> PostfixLog:
        if self._log is None:
            file, name = self._parameter("maillog_file"), self._parameter("syslog_name")
            self._log = PostfixLog(self._host, file, name)
        return self._log

    def _postfix(self, verb: str) -> CommandResult:
        return self._host.run(["postfix", "-c", self._directory, verb], timeout=60)

    def _units(self) -> list[str]:
        """Systemd units that may run this instance: Debian's template first, then the plain one for the
        default instance.
        """
        units = [f"postfix@{self._instance}.service"]
        return [*units, "postfix.service"] if self._instance == "-" else units

    def _active_unit(self) -> Optional[str]:
        if not self._host.has_systemd():
            return None
        for unit in self._units():
            if self._host.run(["systemctl", "is-active", "--quiet", unit]).ok:
                return unit
        return None

    def _start_command(self) -> str:
        if self._host.has_systemd():
            return f"systemctl start postfix{'' if self._instance == '-' else '@' + self._instance}"
        return "postfix start" if self._instance == "-" else f"postfix -c {self._directory} start"


def _greeted(address: str) -> Optional[str]:
    said = banner(address, 25)
    return said if said is not None and said.startswith("220") else None


def _after(words: Sequence[str], option: str) -> str:
    """The word after an option, empty when there is none."""
    return next((value for name, value in zip(words, words[1:]) if name == option), "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    fatal = [line for line in lines if "fatal:" in line]
    return (fatal or lines or ["no reason given"])[-1]
