"""The running side of Dovecot: would it accept these files, reload it, is it well."""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections.abc import Mapping
from typing import Optional, Union

from conbool_tui import doveconf
from conbool_tui.dovecot_process import master_pid
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Plan
from conbool_tui.planners.dovecot import names
from conbool_tui.staging import StagedCopy
from conbool_tui.systems.lmtp_probe import greets
from conbool_tui.systems.sievec import check_script

_PATIENCE = 15.0
_PAUSE = 0.2


class DovecotSystem:
    """One Dovecot.

    Args:
        host: the machine.
        config_directory: where dovecot.conf is.
    """

    name = "dovecot"

    def __init__(self, host: Host, config_directory: str = "/etc/dovecot") -> None:
        self._host = host
        self._directory = config_directory
        self._sockets: Optional[tuple[str, ...]] = None
        self._read: Optional[str] = None
        self._ran: Optional[bool] = None

    def running(self) -> bool:
        """Whether its master process runs."""
        try:
            return self._host.live and master_pid(self._host, self._base()) is not None
        except ConboolError:
            return False

    def write_rank(self, path: str) -> int:
        """The configuration names the script: that first, then what Dovecot compares with its age, the configuration last."""
        if path == names.script(self._directory):
            return 0
        return 1 if path == names.binary(self._directory) else 2

    def ready(self, plan: Plan) -> list[Problem]:
        """Its programs are there and can read its present configuration. It need not run."""
        self._ran = self.running()
        if self._host.which("doveconf") is None:
            return [Problem("Dovecot's program doveconf is not installed", "repair its package")]
        result = self._host.run(["doveconf", "-n", "-c", self._file])
        if not result.ok:
            return [Problem("Dovecot cannot read its present configuration", _last_line(result.error_text()))]
        self._learn_sockets(doveconf.parse(result.text()))
        return []

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """doveconf(1) on a staged copy: only the order of scripts may differ, ours comes first; sievec(1) on the script."""
        script = files.get(names.script(self._directory))
        if script is not None:
            problems = check_script(self._host, self._file, script)
            if problems:
                return problems
        with self._host.private_folder() as top:
            old = StagedCopy(self._host, self._directory, posixpath.join(top, "old"))
            new = StagedCopy(self._host, self._directory, posixpath.join(top, "new"))
            new.lay_over(files)
            before, after = self._reading(old), self._reading(new)
            if isinstance(after, Problem):
                return [after]
            if isinstance(before, Problem):
                return [before]
            problems = [
                Problem(f"The setting {name} would change although the plan does not name it")
                for name in _differences(before, after)
            ]
            return problems or self._first(plan, new, after)

    def reload(self) -> list[Problem]:
        """``systemctl reload`` of its unit where that runs it, else ``doveadm reload``; nothing when it is stopped."""
        if not self.running():
            return []
        self._read = self._on_disk()
        if (
            self._host.has_systemd()
            and self._host.run(["systemctl", "is-active", "--quiet", "dovecot.service"]).ok
        ):
            result = self._host.run(["systemctl", "reload", "dovecot.service"])
            if result.ok:
                return []
        result = self._host.run(["doveadm", "-c", self._file, "reload"])
        return [] if result.ok else [Problem("`doveadm reload` failed", _last_line(result.error_text()))]

    def start(self) -> list[Problem]:
        """Start it through systemd where there is, else the program itself; not when it was stopped before the change."""
        if self._ran is False:
            return []
        if self._host.has_systemd() and self._host.run(["systemctl", "start", "dovecot.service"]).ok:
            return []
        self._read = self._on_disk()
        # Its processes keep the standard streams open, which would never end for whoever waits for them.
        command = 'exec dovecot -c "$0" </dev/null >/dev/null 2>&1'
        result = self._host.run(["/bin/sh", "-c", command, self._file])
        return [] if result.ok else [Problem("Dovecot does not start", "`dovecot -F` says why")]

    def health(self, plan: Plan) -> list[Problem]:
        """Within 15 seconds: the master process lives, and LMTP greets where Dovecot listens for it. One that was stopped stays so."""
        if self._ran is False:
            return []
        if self._sockets is None:
            result = self._host.run(["doveconf", "-n", "-c", self._file])
            self._learn_sockets(doveconf.parse(result.text()))
        if self._read is not None and self._read != self._on_disk():
            # A file in conf.d is in force by being there, and files go only after the reload.
            problems = self.reload()
            if problems:
                return problems
        deadline = time.monotonic() + _PATIENCE
        while True:
            problems = self._ailments()
            if not problems or time.monotonic() > deadline:
                return problems
            time.sleep(_PAUSE)

    def moment(self) -> str:
        """It takes no mail by SMTP."""
        return ""

    def served(self, moment: str) -> list[str]:
        """It takes no mail by SMTP."""
        return []

    # --- details ---------------------------------------------------------------------------------------

    @property
    def _file(self) -> str:
        return posixpath.join(self._directory, "dovecot.conf")

    def _on_disk(self) -> str:
        """What the configuration says now, as one word to compare."""
        result = self._host.run(["doveconf", "-n", "-c", self._file])
        return hashlib.sha256(result.stdout).hexdigest() if result.ok else ""

    def _base(self) -> str:
        result = self._host.run(["doveconf", "-c", self._file, "-h", "base_dir"])
        return result.text().strip() if result.ok else "/run/dovecot"

    def _learn_sockets(self, reading: doveconf.Section) -> None:
        base = self._base()
        found = []
        for service in reading.sections("service"):
            if service.argument == "lmtp" and "lmtp" in reading.switched_on("protocols"):
                found += [one.argument for one in service.sections("unix_listener")]
        self._sockets = tuple(dict.fromkeys(posixpath.join(base, one) for one in found))

    def _ailments(self) -> list[Problem]:
        if not self.running():
            return [Problem("Dovecot's master process is not running")]
        for path in self._sockets or ():
            said = greets(self._host, path)
            if said is not None:
                return [Problem(f"Dovecot's LMTP does not answer at {path}", said)]
        return []

    def _reading(self, copy: StagedCopy) -> Union[doveconf.Section, Problem]:
        result = self._host.run(["doveconf", "-n", "-c", posixpath.join(copy.path, "dovecot.conf")])
        if result.ok:
            return doveconf.parse(copy.live_text(result.text()))
        return Problem(
            "doveconf cannot read the new configuration", copy.live_text(_last_line(result.error_text()))
        )

    def _first(self, plan: Plan, copy: StagedCopy, after: doveconf.Section) -> list[Problem]:
        """Our script runs first, when it is to run at all."""
        wanted = names.script(self._directory)
        removed = any(target.path == wanted and target.after is None for target in plan.files)
        scripts = [one for one in after.sections("sieve_script") if one.get("type") == "before"]
        if scripts:
            first = scripts[0].get("path") or scripts[0].get("sieve_script_path") or ""
        else:
            staged = posixpath.join(copy.path, "dovecot.conf")
            settings: dict[str, str] = {}
            result = self._host.run(["doveconf", "-n", "-c", staged, "-f", "protocol=lmtp", "plugin"])
            for section in doveconf.parse(result.text()).sections("plugin"):
                settings.update(section.values())
            first = settings.get("sieve_before", "")
        if removed or first == wanted:
            return []
        return [Problem("Another Sieve script would run before Conbool's", first or "none would run at all")]


def _differences(before: doveconf.Section, after: doveconf.Section) -> list[str]:
    old, new = doveconf.flat(before), doveconf.flat(after)
    return [
        name for name in sorted(set(old) | set(new)) if old.get(name) != new.get(name) and not _expected(name)
    ]


def _expected(name: str) -> bool:
    section, _, setting = name.partition(" / ")
    if section == f"sieve_script {names.SECTION}" or name == f"sieve_script {names.SECTION} {{}}":
        return True
    return name == "plugin {}" or (section == "plugin" and setting.startswith("sieve_before"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    fatal = [line for line in lines if "Fatal:" in line]
    return (fatal or lines or ["no reason given"])[-1]
