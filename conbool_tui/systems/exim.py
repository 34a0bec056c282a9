"""The running side of Exim: is it ready, would it accept these files, build and reload them, is it well."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Plan
from conbool_tui.systems.exim_judge import judge
from conbool_tui.systems.exim_log import EximLog
from conbool_tui.systems.smtp_probe import accepts_mail, banner
from detectors.exim.program import Tools, find_program, said
from detectors.exim.running import daemon_pid

_BUILDER = "update-exim4.conf"
_DEBIAN = "/etc/exim4"
_PID_FILES = ("/run/exim4/exim.pid", "/run/exim4/eximqr.pid", "/run/exim.pid", "/run/exim/exim.pid")
_RANKS = (
    ("conf.d/transport/", 1),
    ("conf.d/acl/", 2),
    ("conf.d/main/", 3),
    ("conf.d/router/", 4),
    ("conbool/", 0),
)
_PATIENCE = 20.0
_PAUSE = 0.1


class EximSystem:
    """The host's Exim.

    Args:
        host: the machine.
        config_directory: where its configuration is kept.
    """

    name = "exim"

    def __init__(self, host: Host, config_directory: str = _DEBIAN) -> None:
        self._host = host
        self._directory = config_directory
        self._program = find_program(host) or "/usr/sbin/exim"
        self._greeting: dict[str, str] = {}
        self._log: Optional[EximLog] = None
        self._could_build = True

    # --- what it is made of ------------------------------------------------------------------------------

    def write_rank(self, path: str) -> int:
        """Data files first, then transports, ACLs, the main section that names the ACLs, and the routers that begin to use it all."""
        inside = path[len(self._directory) :].lstrip("/")
        return next((rank for part, rank in _RANKS if inside.startswith(part)), 5)

    def counts_by_presence(self, path: str) -> bool:
        """Debian joins every file of conf.d."""
        return path.startswith(f"{self._directory}/conf.d/")

    @property
    def _is_built(self) -> bool:
        """Whether Exim reads what update-exim4.conf(8) builds."""
        hidden = self._host.exists(f"{_DEBIAN}/exim4.conf")
        return self._directory == _DEBIAN and not hidden and self._host.which(_BUILDER) is not None

    def rebuild(self) -> list[Problem]:
        """Debian: update-exim4.conf(8), which leaves the old configuration where Exim refuses the new one. What it could not build
        before either is no reason to stop."""
        if not self._is_built:
            return []
        done = self._host.run([_BUILDER], timeout=60)
        if done.ok or not self._could_build:
            return []
        return [Problem(f"{_BUILDER} failed", said(done.error_text() or done.text()))]

    # --- the protocol ------------------------------------------------------------------------------------

    def running(self) -> bool:
        """Whether the daemon runs."""
        return self._pid() is not None

    def ready(self, plan: Plan) -> list[Problem]:
        """Exim's program is there, its present configuration can be read and built, and on the running system it runs."""
        if find_program(self._host) is None:
            self._could_build = False
            return [Problem("Exim's program is not installed", "repair its package")]
        problems = self._present()
        self._could_build = not problems
        if problems or not self._host.live:
            return problems
        if not self.running():
            return [Problem("Exim is not running", f"start it first: {self._start_command()}")]
        self._watch().mark()
        self._greeting = {
            address: greeting for address in self._addresses() if (greeting := _greeted(address)) is not None
        }
        return []

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Exim itself on a staged copy; see exim_judge."""
        return judge(self._host, self._program, self._directory, files, built=self._is_built)

    def reload(self) -> list[Problem]:
        """Build the configuration where it is built, then SIGHUP to the daemon, which keeps its process id and starts its program anew."""
        problems = self.rebuild()
        if problems:
            return problems
        self._watch().mark()
        told = False
        for pid in self._pids():
            before = self._log_size()
            told = self._host.run(["kill", "-HUP", str(pid)]).ok or told
            self._wait_restarted(pid, before)
        return [] if told else [Problem("Exim's daemon did not take the signal to read its configuration")]

    def start(self) -> list[Problem]:
        """The service manager's way, Debian's script, or the program itself."""
        problems = self.rebuild()
        if problems:
            return problems
        tried = []
        if self._host.has_systemd():
            tried += [["systemctl", "start", "exim4.service"], ["systemctl", "start", "exim.service"]]
        tried += [
            [path, "start"] for path in ("/etc/init.d/exim4", "/etc/init.d/exim") if self._host.is_file(path)
        ]
        tried.append([self._program, "-bd", "-q30m"])
        last = ""
        for command in tried:
            done = self._host.run(command, timeout=60)
            if done.ok and self.running():
                return []
            last = said(done.error_text() or done.text())
        return [Problem("Exim could not be started", last)]

    def health(self, plan: Plan) -> list[Problem]:
        """Within 20 seconds: the daemon lives, port 25 greets where it did and goes as far as taking recipients without an error of the
        server's own, and nothing was added to the panic log.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            problems = self._ailments()
            if not problems or time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
        panics = self._watch().panics()
        if panics:
            return [Problem("Exim is in panic", text) for text in panics[:5]]
        return problems

    def moment(self) -> str:
        """The ends of its logs (file, inode, size)."""
        return self._watch().moment()

    def served(self, moment: str) -> list[str]:
        """From the line that our ACL for QUIT writes when nothing was refused, and from mail that was taken."""
        return self._watch().served(moment)

    # --- details -----------------------------------------------------------------------------------------

    def _present(self) -> list[Problem]:
        """What is wrong with the configuration as it is."""
        try:
            Tools(self._host, self._program).build()
        except ConboolError as error:
            return [Problem("Exim refuses its present configuration", error.what)]
        if self._is_built:
            done = self._host.run([_BUILDER, "--check"], timeout=60)
            if not done.ok:
                text = said(done.error_text() or done.text())
                return [Problem(f"{_BUILDER} cannot build the present configuration", text)]
        return []

    def _ailments(self) -> list[Problem]:
        if self._pid() is None:
            return [Problem("Exim's daemon is not running")]
        for address, before in self._greeting.items():
            if _greeted(address) is None:
                return [Problem(f"Port 25 on {address} does not greet any more", f"it said before: {before}")]
        for address in self._greeting:
            answer = accepts_mail(address, 25)
            # A refusal is the business of the admin's rules; an error of the server's own begins with 4.
            if answer is not None and answer.startswith(("421", "451")):
                return [Problem(f"Exim on {address} cannot judge mail", answer)]
        return []

    def _pid(self) -> Optional[int]:
        return daemon_pid(self._host, self._option("pid_file_path"))

    def _pids(self) -> list[int]:
        """The daemon, and Debian's separate queue runner."""
        found = [self._pid()]
        for path in _PID_FILES:
            try:
                pid = int(self._host.read_text(path).split()[0]) if self._host.is_file(path) else 0
            except (ConboolError, ValueError, IndexError):
                continue
            if pid and self._host.process_name(pid) in ("exim", "exim4"):
                found.append(pid)
        return [pid for pid in dict.fromkeys(found) if pid is not None]

    def _log_size(self) -> int:
        return self._watch().size()

    def _wait_restarted(self, pid: int, before: int) -> None:
        """Until the daemon has written that it started anew; without a log file nothing can be waited for."""
        deadline = time.monotonic() + _PATIENCE
        while self._log_size() and not self._watch().started_since(before):
            if time.monotonic() > deadline or not self._host.process_name(pid):
                return
            time.sleep(_PAUSE)

    def _addresses(self) -> list[str]:
        """Where to reach the listeners on port 25."""
        wild = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return [wild.get(item.address, item.address) for item in self._host.listeners() if item.port == 25]

    def _option(self, name: str) -> str:
        try:
            return Tools(self._host, self._program).options((name,)).get(name, "")
        except ConboolError:
            return ""

    def _watch(self) -> EximLog:
        if self._log is None:
            self._log = EximLog(self._host, self._option("log_file_path"))
        return self._log

    def _start_command(self) -> str:
        service = "exim4" if posixpath.basename(self._program) == "exim4" else "exim"
        return f"systemctl start {service}" if self._host.has_systemd() else f"service {service} start"


def _greeted(address: str) -> Optional[str]:
    text = banner(address, 25)
    return text if text is not None and text.startswith("220") else None
