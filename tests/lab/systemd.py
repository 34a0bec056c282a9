"""Postfix machines on which a real systemd is process 1, in a control group of its own; they can be booted again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import systemd_keeper
from .cache import LabError
from .lab import Lab
from .postfix import PostfixMachine, PostfixSite
from .roots import RootSpec, postfix_spec

PACKAGES = ("nftables", "systemd", "systemd-sysv", "dbus")
_PATIENCE = 120.0


def systemd_spec(suite: str) -> RootSpec:
    """A root with Postfix, systemd as its init, and nftables."""
    return postfix_spec(suite, extra=PACKAGES)


class SystemdMachine(PostfixMachine):
    """As PostfixMachine; Postfix is a service of systemd."""

    boot_plan: Mapping[str, object] = {"systemd": True}

    def _boot_command(self, plan: Mapping[str, object]) -> list[str]:
        # systemd does not watch a pipe: somebody else does, and ends it.
        keeper = [sys.executable, "-I", "-S", str(Path(systemd_keeper.__file__)), self.netns.name]
        return [*keeper, *super()._boot_command(plan)]

    def _boot(self, binds: Sequence[tuple[str, str, bool]]) -> None:
        self._binds = binds
        super()._boot(binds)
        self.wait_booted()

    def wait_booted(self) -> None:
        """Wait until systemd has started everything. Raises LabError: it does not, or something failed."""
        deadline = time.monotonic() + _PATIENCE
        state = ""
        while time.monotonic() < deadline:
            state = self.run(["systemctl", "is-system-running"]).stdout.strip()
            if state in ("running", "degraded"):
                break
            time.sleep(0.1)
        if state != "running":
            failed = self.run(["systemctl", "list-units", "--state=failed", "--no-legend"]).stdout
            raise LabError(f"systemd is {state or 'not there'}: {failed}")

    def reboot(self) -> None:
        """Shut down in order and boot again; what was in memory is gone, the packet filter's rules too."""
        assert self._init is not None
        self.run(["systemctl", "--no-block", "reboot"])
        self._init.wait(_PATIENCE)
        self._boot_again()

    def power_cut(self) -> None:
        """Boot again after nobody had time for anything."""
        assert self._init is not None
        self._init.stdin.close()  # type: ignore[union-attr]
        self._init.wait(_PATIENCE)
        self._boot_again()

    def _boot_again(self) -> None:
        # They belong to the network namespace, which stays.
        inside = ["nsenter", f"--net={self.netns.path}", "chroot", str(self.merged)]
        subprocess.run([*inside, "nft", "flush", "ruleset"], check=True)
        self._boot(self._binds)

    def start(self) -> None:
        """Postfix began with Debian's configuration at boot."""
        self.shell("systemctl restart postfix")
        self.wait_port()


def server(lab: Lab, suite: str) -> SystemdMachine:
    """A running mail server with systemd."""
    one = lab.machine(SystemdMachine, systemd_spec(suite))
    one.set_up(PostfixSite(), lab.authority.issue(one.place.hostname))
    for domain in one.site.hosted:
        lab.dns.zone.set(domain, "MX", "10 in.conbool.com.")
    one.start()
    return one
