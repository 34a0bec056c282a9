"""A Postfix server without the program, on which the package is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Optional

from tests.lab.lab import Lab
from tests.lab.machine import Mounts
from tests.lab.postfix import PostfixMachine, PostfixSite
from tests.lab.roots import postfix_spec

HOME = "/usr/lib/conbool-tui"
STATE = "/var/lib/conbool-tui"
LOGS = "/var/log/conbool-tui"
CONFIG = "/etc/conbool-tui/config.yaml"
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"]
APT += ["-o", "Dpkg::Options::=--force-confold"]


class PackagedMachine(PostfixMachine):
    """A Postfix machine without the checkout's own program."""

    def _product_binds(self) -> list[tuple[str, str, bool]]:
        return []

    def apt(self, *arguments: str) -> CompletedProcess[str]:
        """Run apt-get; it must succeed."""
        done = self.run([*APT, *arguments], timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def install(self, package: Path) -> CompletedProcess[str]:
        """Install a package file as admins do."""
        name = f"/root/{package.name}"
        self.write(name, package.read_bytes())
        return self.apt("install", name)

    def compiled(self) -> list[str]:
        """The folders of byte code in the program's folder."""
        return self.shell(f"find {HOME} -name __pycache__ 2>/dev/null || true").split()


def server(
    lab: Lab, suite: str, mounts: Optional[Mounts] = None, *, extra: Sequence[str] = ()
) -> PackagedMachine:
    """A running Postfix server of one release, with more Debian packages when named."""
    one = lab.machine(PackagedMachine, postfix_spec(suite, extra=extra), mounts=mounts or Mounts())
    site = PostfixSite()
    one.set_up(site, lab.authority.issue(one.place.hostname))
    for domain in site.hosted:
        lab.dns.zone.set(domain, "MX", "10 in.conbool.com.")
    # Manual pages are left out of the roots; here the package must install all it has.
    one.path("/etc/dpkg/dpkg.cfg.d/90lab").write_text("force-unsafe-io\n")
    one.start()
    return one
