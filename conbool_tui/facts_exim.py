"""What was found about an Exim. Plain data: the detector makes it, planner and screens read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from conbool_tui.facts import FileText, HostedDomains, Listener, version_numbers

SPLIT, TEMPLATE, PLAIN = "split", "template", "plain"
"""Debian's conf.d tree, Debian's one template, and a configuration that Exim reads as it stands."""


@dataclass(frozen=True)
class EximDriver:
    """One router or transport; ``options`` as ``exim -bP router NAME`` tells them, macros resolved, ``no_x`` as x = false."""

    name: str
    options: Mapping[str, str]

    def get(self, option: str) -> str:
        """An option's value, empty when it is not set."""
        return self.options.get(option, "")

    def is_set(self, option: str) -> bool:
        """Whether a yes-or-no option is on."""
        return self.options.get(option) == "true"


@dataclass(frozen=True)
class EximFacts:
    """One Exim as it is configured and running.

    Attributes:
        version: ``4.96``.
        program: path of the program.
        layout: ``SPLIT``, ``TEMPLATE`` or ``PLAIN``.
        config_directory: where the configuration is kept.
        config_file: the file a marked block goes into (template, or the configuration itself); empty for the split layout.
        generated: the file that is built from the sources, empty when Exim reads the sources themselves.
        content_scanning: built with it (Debian: the heavy daemon), so that each MIME part can be looked at.
        features: the words of ``Support for:``.
        options: main options as ``exim -bP`` tells them, macros resolved.
        routers, transports: in their order.
        lists: named domain and host lists, by name.
        labels: names of the ACLs by the source file their text stands in, as ``path`` by label.
        macro_acls: options whose value the layout takes from a macro (Debian's MAIN_ACL_CHECK_...).
        domains: the hosted ones.
        own_networks, unlisted_networks: what relay_from_hosts names, and what of it cannot be listed.
        files: sources that may be edited, and our own, by absolute path.
        retry_rule: whether mail that cannot be delivered at once is tried again.
        config_type: Debian's dc_eximconfig_configtype, empty elsewhere.
        hubbed: relay domains that have a host of their own (hubbed_hosts).
    """

    version: str
    program: str
    layout: str
    config_directory: str
    config_file: str
    generated: str
    content_scanning: bool
    features: frozenset[str]
    options: Mapping[str, str]
    routers: tuple[EximDriver, ...]
    transports: tuple[EximDriver, ...]
    lists: Mapping[str, str]
    labels: Mapping[str, str]
    macro_acls: frozenset[str]
    domains: HostedDomains
    own_networks: tuple[str, ...]
    unlisted_networks: tuple[str, ...]
    files: Mapping[str, FileText]
    retry_rule: bool
    running: bool
    listeners: tuple[Listener, ...]
    port_25_owner: str
    system_ca_file: Optional[str] = None
    config_type: str = ""
    hubbed: frozenset[str] = field(default_factory=frozenset)
    warnings: tuple[str, ...] = ()

    @property
    def version_tuple(self) -> tuple[int, ...]:
        """The numbers of the version: ``4.94.2`` is (4, 94, 2)."""
        return version_numbers(self.version)

    @property
    def host_name(self) -> str:
        """Its own name in SMTP."""
        return self.options.get("primary_hostname", "")

    @property
    def tls_library(self) -> str:
        """GnuTLS, OpenSSL, or empty."""
        return next((name for name in ("GnuTLS", "OpenSSL") if name in self.features), "")

    def own_file(self, name: str) -> str:
        """The path of one of our data files."""
        return f"{self.config_directory}/conbool/{name}"

    def transport(self, name: str) -> Optional[EximDriver]:
        """The transport of that name."""
        return next((one for one in self.transports if one.name == name), None)
