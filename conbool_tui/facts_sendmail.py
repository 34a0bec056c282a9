"""What was found of a Sendmail. Plain data: the detector makes it, the planner reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.facts import FileText, HostedDomains, Listener, version_numbers
from conbool_tui.sendmail_config import Named

BLOCK_ID = "routing"
"""The block at the end of sendmail.mc."""


@dataclass(frozen=True)
class Daemon:
    """One DaemonPortOptions entry, as far as it matters; ``address`` is empty for all."""

    name: str
    family: str
    address: str
    port: str
    modifiers: str

    @property
    def on_port_25(self) -> bool:
        """Whether it takes mail at port 25."""
        return self.port in ("", "smtp", "25")

    @property
    def loopback(self) -> bool:
        """Whether only this host reaches it."""
        return self.address.startswith("127.") or self.address in ("localhost", "::1", "IPv6:::1")


@dataclass(frozen=True)
class SendmailFacts:
    """A Sendmail as it is configured and running.

    What the configuration says is read from what m4 makes of sendmail.mc without our block, so that our own rules never look like the
    admin's; on a host without sendmail.mc from sendmail.cf.

    Attributes:
        flags: compile flags and FFRs (``-d0.13``).
        source: path of sendmail.mc, None when there is only a sendmail.cf.
        cf: path of sendmail.cf.
        pid_file: the daemon's.
        files: sendmail.mc, the access map's text, procmailrc, by path; absent files are left out.
        build_error: why m4 cannot build sendmail.cf from sendmail.mc, empty when it can; ``build_remedy``: what to do.
        drift: lines in which sendmail.cf differs from what sendmail.mc gives.
        options, rulesets, headers, mailers: see ``sendmail_config.CfFile``.
        features: words for what is switched on: access, mailertable, virtusertable, greet_pause, rate, connections.
        access: path of the access map's text, empty when there is none; ``access_type`` its map type.
        smart_host: the host's own SMART_HOST (``DS``), as written.
        catch_all: the default entry of the mailertable, with its place; empty when there is none.
        local_mailer: program of the mailer ``local``.
    """

    version: str
    flags: frozenset[str]
    config_directory: str
    source: Optional[str]
    cf: str
    pid_file: str
    files: Mapping[str, FileText]
    build_error: str
    build_remedy: str
    drift: tuple[str, ...]
    options: Mapping[str, str]
    rulesets: Mapping[str, Named]
    headers: Mapping[str, Named]
    mailers: Mapping[str, Named]
    features: frozenset[str]
    access: str
    access_type: str
    smart_host: str
    catch_all: str
    daemons: tuple[Daemon, ...]
    domains: HostedDomains
    host_name: str
    own_networks: tuple[str, ...]
    unlisted_networks: tuple[str, ...]
    local_mailer: str
    running: bool
    listeners: tuple[Listener, ...]
    port_25_owner: str
    system_ca_file: Optional[str]
    milters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def version_tuple(self) -> tuple[int, ...]:
        """The numbers of the version."""
        return version_numbers(self.version)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Options that name another way for mail that cannot be delivered, with their values."""
        names = ("FallbackMXhost", "FallBackMXhost", "FallbackSmartHost", "FallBackSmartHost")
        return tuple(f"{name}={self.options[name]}" for name in names if self.options.get(name))

    @property
    def offers_tls(self) -> bool:
        """Whether the daemon can offer STARTTLS: compiled in, with certificate, key and authorities (sendmail 8.15 to 8.18)."""
        names = ("ServerCertFile", "ServerKeyFile")
        return "STARTTLS" in self.flags and all(self.options.get(name) for name in names)
