"""The running side of spam filters: would they accept the files, reload them, do they run."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import Plan
from conbool_tui.planners.filters import names
from conbool_tui.runner import CommandResult
from conbool_tui.staging import StagedCopy


class SpamFilter:
    """What both have in common.

    Args:
        host: the machine.
        config_directory: where its files are.
    """

    name = ""
    file = ""
    daemons: frozenset[str] = frozenset()
    units: Sequence[str] = ()

    def __init__(self, host: Host, config_directory: str) -> None:
        self._host = host
        self._directory = config_directory
        self._read: Optional[bytes] = None

    def running(self) -> bool:
        """Whether a daemon of it runs."""
        return self._host.live and bool(self._pids())

    def write_rank(self, path: str) -> int:
        """There is one file."""
        return 0

    def ready(self, plan: Plan) -> list[Problem]:
        """Nothing is asked of it before."""
        return []

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Its own check on a staged copy. What it refuses already without us is told as that."""
        with self._host.private_folder() as top:
            new = StagedCopy(self._host, self._directory, posixpath.join(top, "new"))
            new.lay_over(files)
            result = self.check(new, top)
            if result.ok:
                return []
            old = StagedCopy(self._host, self._directory, posixpath.join(top, "old"))
            word = "new" if self.check(old, top).ok else "present"
            said = [line.strip() for line in new.live_text(result.error_text()).split("\n") if line.strip()]
            title = names.TITLES[self.name]
            return [Problem(f"{title} refuses its {word} configuration", "; ".join(said[:3]))]

    def check(self, copy: StagedCopy, top: str) -> CommandResult:
        """Its own configuration check. Raises HostError."""
        raise NotImplementedError

    def reload(self) -> list[Problem]:
        """``systemctl reload`` of the unit that runs it, else SIGHUP to its main process."""
        self._read = self._on_disk()
        if self._host.has_systemd():
            for unit in self.units:
                if self._host.run(["systemctl", "is-active", "--quiet", unit]).ok:
                    result = self._host.run(["systemctl", "reload-or-restart", unit])
                    return (
                        [] if result.ok else [Problem(f"{unit} could not be reloaded", result.error_text())]
                    )
        for pid in self._pids():
            self._host.run(["/bin/sh", "-c", 'kill -HUP "$0"', str(pid)])
        return []

    def start(self) -> list[Problem]:
        """It is started by whoever started it before; mail goes on without it or waits, as the mail system is set."""
        if self._host.has_systemd():
            for unit in self.units:
                if self._host.run(["systemctl", "start", unit]).ok:
                    return []
        return [Problem(f"{names.TITLES[self.name]} does not run any more", f"start it: {self.units[0]}")]

    def health(self, plan: Plan) -> list[Problem]:
        """It runs. Files that are removed go only after the reload, so it is told again."""
        if self._read is not None and self._read != self._on_disk():
            self.reload()
        return [] if self.running() else [Problem(f"{names.TITLES[self.name]} does not run any more")]

    def moment(self) -> str:
        """It takes no mail by SMTP."""
        return ""

    def served(self, moment: str) -> list[str]:
        """It takes no mail by SMTP."""
        return []

    def _on_disk(self) -> bytes:
        path = posixpath.join(self._directory, self.file)
        return self._host.read_bytes(path) if self._host.exists(path) else b""

    def _pids(self) -> list[int]:
        """Its main processes: those that none of its own processes started."""
        try:
            found = [one for one in self._host.processes() if one.name in self.daemons]
        except (ConboolError, OSError, RuntimeError, LookupError):
            return []
        children = {child.pid for one in found for child in self._host.children(one.pid)}
        return [one.pid for one in found if one.pid not in children]


class RspamdSystem(SpamFilter):
    """rspamd(8)."""

    name = names.RSPAMD
    file = names.RSPAMD_FILE
    daemons = frozenset(("rspamd",))
    units = ("rspamd.service",)

    def check(self, copy: StagedCopy, top: str) -> CommandResult:
        """``rspamadm configtest`` with its folders pointed at the copy; its caches are made aside, too."""
        cache = posixpath.join(top, "cache")
        if not self._host.is_dir(cache):
            self._host.make_folder(cache, 0o700)
        variables = (f"CONFDIR={copy.path}", f"LOCAL_CONFDIR={copy.path}", f"DBDIR={cache}")
        options = [f"--var={variable}" for variable in variables]
        return self._host.run(["rspamadm", *options, "configtest", "-c", f"{copy.path}/rspamd.conf"])


class SpamAssassinSystem(SpamFilter):
    """SpamAssassin, run by spamd(8) or inside amavisd."""

    name = names.SPAMASSASSIN
    file = names.SPAMASSASSIN_FILE
    daemons = names.SPAMASSASSIN_DAEMONS
    units = ("spamd.service", "spamassassin.service", "amavis.service", "amavisd.service")

    def check(self, copy: StagedCopy, top: str) -> CommandResult:
        """``spamassassin --lint`` on the copy, without network tests."""
        return self._host.run(["spamassassin", "--lint", "-L", f"--siteconfigpath={copy.path}"])
