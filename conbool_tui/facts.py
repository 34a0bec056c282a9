"""What was found on the host. Plain data: detectors make it, planners and screens read it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
    from conbool_tui.facts_dovecot import DovecotFacts
    from conbool_tui.facts_exim import EximFacts
    from conbool_tui.facts_filters import FilterFacts
    from conbool_tui.facts_open_xchange import OpenXchangeFacts
    from conbool_tui.facts_sendmail import SendmailFacts


class Outcome(str, enum.Enum):
    """The four ways a search for a mail system can end."""

    ABSENT = "absent"
    PRESENT = "present"
    BROKEN = "broken"
    MANAGED = "managed"


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: ``3.7.11`` is (3, 7, 11), ``3.11-20250710`` is (3, 11)."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket; ``process`` and ``pid`` are empty when the system does not tell."""

    address: str
    port: int
    pid: Optional[int] = None
    process: str = ""


@dataclass(frozen=True)
class FileText:
    """A file as it was when it was read; the transaction refuses when it has changed since."""

    path: str
    data: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class ServiceOption:
    """One ``-o name=value`` of a master.cf service."""

    name: str
    value: str


@dataclass(frozen=True)
class Service:
    """One master.cf service (master(5)); ``chroot`` is the effective yes or no of the column."""

    name: str
    type: str
    command: str
    chroot: bool
    options: tuple[ServiceOption, ...] = ()

    def option(self, name: str) -> Optional[str]:
        """The last ``-o`` value of ``name``, None when the service does not override it."""
        value: Optional[str] = None
        for item in self.options:
            if item.name == name:
                value = item.value
        return value

    @property
    def id(self) -> str:
        """``name/type``, as postconf -P writes it."""
        return f"{self.name}/{self.type}"


@dataclass(frozen=True)
class HostedDomains:
    """Hosted domains by address class (ADDRESS_CLASS_README); ``unlisted`` names sources that cannot be listed.

    ``host_names`` are those of the domains that are the machine's own name (``$myhostname``); in their class they stand last.
    """

    mydestination: tuple[str, ...] = ()
    virtual_alias: tuple[str, ...] = ()
    virtual_mailbox: tuple[str, ...] = ()
    relay: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        """Every domain once, in the order of the classes."""
        return tuple(
            dict.fromkeys(self.mydestination + self.virtual_alias + self.virtual_mailbox + self.relay)
        )

    @property
    def counted(self) -> str:
        """How many there are, in words."""
        count = len(self.all())
        return "1 hosted domain" if count == 1 else f"{count} hosted domains"


@dataclass(frozen=True)
class ContentFilter:
    """An after-queue content filter: where it is set, its transport:next hop, and the smtpd services mail comes back to."""

    where: str
    value: str
    reentry: tuple[str, ...] = ()


@dataclass(frozen=True)
class PostfixInstance:
    """One line of ``postmulti -l``."""

    name: str
    group: str
    enabled: bool
    config_directory: str


@dataclass(frozen=True)
class PostfixFacts:
    """One Postfix instance as it is configured and running.

    ``parameters`` holds every effective value unexpanded (postconf), ``expanded`` with $names resolved (postconf -x), ``explicit``
    the names set in main.cf (postconf -n). ``files`` holds main.cf, master.cf and every file below the conbool folder of the
    configuration directory, by absolute path.
    """

    version: str
    config_directory: str
    instance: str
    instances: tuple[PostfixInstance, ...]
    parameters: Mapping[str, str]
    expanded: Mapping[str, str]
    explicit: frozenset[str]
    services: tuple[Service, ...]
    table_types: frozenset[str]
    default_database_type: str
    domains: HostedDomains
    files: Mapping[str, FileText]
    running: bool
    listeners: tuple[Listener, ...]
    port_25_owner: str
    port_25_services: tuple[str, ...]
    submission_services: tuple[str, ...]
    content_filters: tuple[ContentFilter, ...]
    postscreen: bool
    milters: tuple[str, ...]
    tls_files: Mapping[str, str]
    system_ca_file: Optional[str]
    transport_catch_all: Optional[str]
    warnings: tuple[str, ...] = ()
    proxy_filters: tuple[ContentFilter, ...] = ()

    @property
    def version_tuple(self) -> tuple[int, ...]:
        """The numbers of the version: ``3.7.11`` is (3, 7, 11), ``3.11-20250710`` is (3, 11)."""
        return version_numbers(self.version)

    def service(self, name: str, type: str) -> Optional[Service]:
        """The last service with that name and type, None when there is none."""
        found: Optional[Service] = None
        for entry in self.services:
            if (entry.name, entry.type) == (name, type):
                found = entry
        return found

    def effective(self, service: Service, name: str) -> str:
        """The value of parameter ``name`` as ``service`` sees it, unexpanded."""
        override = service.option(name)
        return override if override is not None else self.parameters.get(name, "")


@dataclass(frozen=True)
class Capability:
    """Whether a mail system can do what an answer may ask for.

    ``key``: an answers key with its value (``inbound.peer_certificate: require``), or words for what no key asks for. ``reason``: why not, or
    within which limits, a sentence.
    """

    key: str
    available: bool
    reason: str = ""


@dataclass(frozen=True)
class MtaFacts:
    """What every mail transfer agent tells alike: all that firewall, checks and screens need to know of one.

    Attributes:
        title: its name as people write it.
        host_name: its own name in SMTP.
        route: where outgoing mail goes until now when nothing says otherwise, in words.
        sender_routes: whether maps of the admin's own send some senders another way.
        filters: content filters, in words.
        submission: the services (or ports) where users hand in mail.
        own_networks: networks that may relay (mynetworks and its equivalents), CIDR.
        unlisted_networks: where further ones stand that cannot be listed.
        families: the IP versions it speaks.
        closed: port 25 refuses everybody who is not listed.
    """

    title: str
    version: str
    running: bool
    config_directory: str
    host_name: str
    domains: HostedDomains
    listeners: tuple[Listener, ...]
    port_25_owner: str
    route: str
    sender_routes: bool = False
    filters: tuple[str, ...] = ()
    submission: tuple[str, ...] = ()
    own_networks: tuple[str, ...] = ()
    unlisted_networks: tuple[str, ...] = ()
    families: tuple[int, ...] = (4, 6)
    system_ca_file: Optional[str] = None
    closed: bool = False
    capabilities: tuple[Capability, ...] = ()
    warnings: tuple[str, ...] = ()

    def unavailable(self, key: str) -> str:
        """Why it cannot do what this capability is about; empty when it can, or when nothing is known against it."""
        return next((one.reason for one in self.capabilities if one.key == key and not one.available), "")


@dataclass(frozen=True)
class Detection:
    """The result of one detector. A failing probe is data, never an exception.

    Attributes:
        role: ``mta``, ``mailbox`` for what only keeps mail, or ``groupware`` for what only uses mail systems; only an MTA is worked on by itself.
        covers: names of detections that this one includes, so that those are not offered beside it.
        mta: the neutral half of what was found.
    """

    system: str
    outcome: Outcome
    summary: str
    reason: str = ""
    remedy: str = ""
    managed_by: str = ""
    evidence: str = ""
    postfix: Optional[PostfixFacts] = None
    exim: Optional[EximFacts] = None
    role: str = "mta"
    covers: tuple[str, ...] = ()
    mta: Optional[MtaFacts] = None
    dovecot: Optional[DovecotFacts] = None
    docker_mailserver: Optional[DockerMailserverFacts] = None
    open_xchange: Optional[OpenXchangeFacts] = None
    sendmail: Optional[SendmailFacts] = None


class FirewallOwner(str, enum.Enum):
    """Who owns the packet filter's rule set; the word is also the name of its driver."""

    FIREWALLD = "firewalld"
    UFW = "ufw"
    NFTABLES = "nftables"
    IPTABLES = "iptables-persistent"
    NOTHING = "nothing"
    CONTAINER = "container"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FirewallFacts:
    """The packet filter as it was found.

    Attributes:
        owner: who owns the rules.
        evidence: how that is known, for people ("ufw is active, /etc/ufw/ufw.conf").
        rules: our own rules as they are live now, in the canonical text of ``firewall.rules``; None when there are none.
        files: the files a plan for this owner may edit, by absolute path; an absent path is absent on the host.
        tools: paths of the programs found, by name (nft, ufw, firewall-cmd, iptables-restore, ip6tables-restore, systemctl).
        unusable: why this program must leave the firewall alone, in a sentence; empty when it can be used.
        remedy: what the admin can do by hand when it is unusable.
        details: what only this owner's driver understands, as ordered pairs (zones, back end, service state).
        left_over: drivers (``firewall:`` and a word) of former owners that still have something of ours, each with its rules in force;
            empty rules: only in files.
    """

    owner: FirewallOwner
    evidence: str
    rules: Optional[str] = None
    files: Mapping[str, FileText] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    unusable: str = ""
    remedy: str = ""
    details: tuple[tuple[str, str], ...] = ()
    left_over: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HostFacts:
    """All detections of one host, with what holds for the host as a whole. ``addresses``: the host's own, loopback left out."""

    detections: tuple[Detection, ...]
    listeners: tuple[Listener, ...] = ()
    port_25_owner: str = ""
    notes: tuple[str, ...] = field(default=())
    firewall: Optional[FirewallFacts] = None
    addresses: tuple[str, ...] = ()
    filters: tuple[FilterFacts, ...] = ()

    @property
    def choices(self) -> tuple[Detection, ...]:
        """The mail systems that may be meant: found, an MTA, and not part of another one."""
        found = [one for one in self.detections if one.outcome is not Outcome.ABSENT and one.role == "mta"]
        covered = {name for one in found for name in one.covers}
        return tuple(one for one in found if one.system not in covered)

    def get(self, system: str) -> Optional[Detection]:
        """The detection of ``system``, None when no detector of that name ran."""
        for detection in self.detections:
            if detection.system == system:
                return detection
        return None
