"""The running side of Sendmail: is it ready, would it accept these files, reload it, is it well."""

from __future__ import annotations

import contextlib
import ipaddress
import posixpath
import re
import time
from collections.abc import Mapping
from typing import Optional

from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import FileTarget, Plan
from conbool_tui.systems.log_tail import LogTail
from conbool_tui.systems.sendmail_build import SendmailBuild
from conbool_tui.systems.sendmail_judge import judge
from conbool_tui.systems.smtp_probe import accepts_mail, banner
from detectors.sendmail.detector import daemon_pid
from detectors.sendmail.program import Program, find_program

_PATIENCE = 40.0
_PAUSE = 0.1
_GREETING_PATIENCE = 12.0  # seconds; greet_pause makes every client wait
_INIT_SCRIPT = "/etc/init.d/sendmail"
_COMPLAINT = re.compile(
    r"\S+\[\d+\]: .*?((?:SYSERR|daemon \S+: problem|cannot bind|cannot open|unknown mailer|unknown ruleset).*)"
)
# Sendmail's lines about a client: a message taken, a question refused, a connection without mail.
_TAKEN = re.compile(r": from=.*, relay=\S*?\s?\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]")
_REFUSED = re.compile(r": ruleset=\S+, .*relay=\S*?\s?\[(?:IPv6:)?([0-9A-Fa-f.:]+)\].*, reject=")
_WITHOUT_MAIL = re.compile(r": \S*?\s?\[(?:IPv6:)?([0-9A-Fa-f.:]+)\] did not issue MAIL/EXPN/VRFY/ETRN")


class SendmailSystem:
    """The Sendmail of a host.

    Args:
        host: the machine.
        config_directory: where sendmail.cf is.
    """

    name = "sendmail"

    def __init__(self, host: Host, config_directory: str = "/etc/mail") -> None:
        self._host = host
        self._directory = config_directory
        self._build = SendmailBuild(host, posixpath.join(config_directory, "sendmail.cf"))
        self._found: Optional[Program] = None
        self._greeting: dict[str, str] = {}
        self._refusal: Optional[str] = None
        self._tail: Optional[LogTail] = None

    def write_rank(self, path: str) -> int:
        """Maps first, then the source, and what is built from it last: its time stays the newer one for make(1)."""
        return {"sendmail.mc": 1, "sendmail.cf": 2}.get(posixpath.basename(path), 0)

    def running(self) -> bool:
        """Whether the daemon runs (its pid file)."""
        return self._pid() is not None

    def ready(self, plan: Plan) -> list[Problem]:
        """Its programs are there, and on the running system the daemon runs."""
        if self._program() is None:
            return [Problem("Sendmail's program is not there", "repair its package")]
        for program, package in (("m4", "m4"), ("makemap", "sendmail")):
            if self._host.which(program) is None:
                return [Problem(f"The program {program} is not installed", f"install the package {package}")]
        if not self._host.live:
            return []
        if not self.running():
            return [Problem("Sendmail is not running", f"start it first: {self._start_command()}")]
        self._log().mark()
        self._greeting = {}
        for address in self._addresses():
            said = banner(address, 25, _GREETING_PATIENCE)
            if said is not None and said.startswith("220"):
                self._greeting[address] = said
        self._refusal = self._asked()
        return []

    def generate(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
        """sendmail.cf, and the access map where its text is among the files."""
        return self._build.targets(files)

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Sendmail's address test mode on a staged sendmail.cf; see sendmail_judge."""
        program = self._program()
        if program is None:
            return [Problem("Sendmail's program is not there", "repair its package")]
        return judge(self._host, program.path, self._build, files)

    def reload(self) -> list[Problem]:
        """SIGHUP, on which the daemon executes itself anew (sendmail(8)); through systemd where the unit is not an init script's."""
        self._log().mark()
        pid = self._pid()
        if self._host.has_systemd() and not self._host.exists(_INIT_SCRIPT):
            result = self._host.run(["systemctl", "restart", "sendmail.service"], timeout=120)
            return (
                []
                if result.ok
                else [Problem("`systemctl restart sendmail` failed", result.error_text()[-300:])]
            )
        if pid is None:
            return [Problem("Sendmail is not running", f"start it: {self._start_command()}")]
        result = self._host.run(["kill", "-HUP", str(pid)])
        if not result.ok:
            return [Problem("Sendmail's daemon took no signal", result.error_text())]
        return self._came_back(pid)

    def start(self) -> list[Problem]:
        """Through systemd, else its init script, else the program itself."""
        self._log().mark()
        if self._host.has_systemd():
            result = self._host.run(["systemctl", "start", "sendmail.service"], timeout=120)
        elif self._host.exists(_INIT_SCRIPT):
            result = self._host.run([_INIT_SCRIPT, "start"], timeout=120)
        else:
            program = self._program()
            result = self._host.run([program.path if program else "sendmail", "-bd", "-q15m"], timeout=120)
        if result.ok:
            return self._came_back(0) if self._host.live else []
        return [Problem(f"`{self._start_command()}` failed", result.error_text()[-300:])]

    def health(self, plan: Plan) -> list[Problem]:
        """Within 40 seconds: the daemon lives, port 25 greets where it did and takes a recipient, nothing serious is logged."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            problems = self._ailments()
            complaints = self._complaints()
            if complaints:
                return [Problem("Sendmail complains", text) for text in complaints[:5]]
            if not problems or time.monotonic() > deadline:
                return problems
            time.sleep(_PAUSE)

    def moment(self) -> str:
        """The ends of its logs and the time."""
        return self._log().moment()

    def served(self, moment: str) -> list[str]:
        """From the lines about clients; one of whom anything was refused does not count."""
        found: dict[str, bool] = {}
        for line in self._log().lines(moment):
            for pattern, well in ((_REFUSED, False), (_TAKEN, True), (_WITHOUT_MAIL, True)):
                match = pattern.search(line)
                if match is not None:
                    with contextlib.suppress(ValueError):
                        address = str(ipaddress.ip_address(match.group(1)))
                        found[address] = found.get(address, True) and well
                    break
        return [address for address, well in found.items() if well]

    def _came_back(self, old: int) -> list[Problem]:
        """Wait for the new daemon: a second signal before it is ready would end it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            pid = self._pid()
            if pid not in (old, None) and self._accepting(pid):
                return []
            if time.monotonic() > deadline:
                return [Problem("Sendmail did not come back after SIGHUP", "; ".join(self._complaints()[:3]))]
            time.sleep(_PAUSE)

    def _accepting(self, pid: Optional[int]) -> bool:
        """Whether the daemon says in its title that it serves: "accepting connections"."""
        return any(
            "accepting connections" in " ".join(process.command)
            for process in self._host.processes()
            if process.pid == pid
        )

    # --- details ---------------------------------------------------------------------------------------

    def _ailments(self) -> list[Problem]:
        if self._pid() is None:
            return [Problem("Sendmail's daemon is not running")]
        for address, before in self._greeting.items():
            now = banner(address, 25, _GREETING_PATIENCE)
            if now is None or not now.startswith("220"):
                return [Problem(f"Port 25 on {address} does not greet any more", f"it said before: {before}")]
        said = self._asked()
        # A host without a postmaster refused that before as well.
        if said is None or said[:3] == (self._refusal or "")[:3]:
            return []
        return [Problem("Sendmail does not take mail at port 25", said)]

    def _asked(self) -> Optional[str]:
        """What it says instead of taking a recipient from this host; None when it takes one, or does not listen here."""
        loopback = next((one for one in ("127.0.0.1", "::1") if one in self._greeting), "")
        return accepts_mail(loopback, 25, _GREETING_PATIENCE) if loopback else None

    def _complaints(self) -> list[str]:
        found = [match.group(1) for match in map(_COMPLAINT.search, self._log().lines()) if match is not None]
        return list(dict.fromkeys(found))

    def _addresses(self) -> list[str]:
        """Where to reach the listeners on port 25; a socket of IPv6 takes IPv4 clients, too."""
        found: dict[str, None] = {}
        for item in self._host.listeners():
            if item.port == 25:
                found[{"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(item.address, item.address)] = None
        return list(found)

    def _pid(self) -> Optional[int]:
        program = self._program()
        return None if program is None else daemon_pid(self._host, program.pid_file)

    def _program(self) -> Optional[Program]:
        if self._found is None:
            self._found = find_program(self._host)
        return self._found

    def _log(self) -> LogTail:
        if self._tail is None:
            self._tail = LogTail(self._host)
        return self._tail

    def _start_command(self) -> str:
        if self._host.has_systemd():
            return "systemctl start sendmail"
        return f"{_INIT_SCRIPT} start" if self._host.exists(_INIT_SCRIPT) else "sendmail -bd -q15m"
