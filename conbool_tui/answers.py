"""What the admin wants: the answers, each declared once.

A field's metadata is the single declaration behind the YAML key, the command-line flag, the wizard's field, the schema and the help
text. Parsing and printing live in ``answers_file``; this module is only the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

CONBOOL_HOST = "mail.conbool.com"


def option(
    default: Any,
    help: str,
    *,
    step: str,
    label: str,
    choices: tuple[str, ...] = (),
    example: Any = None,
    form: str = "text",
) -> Any:
    """Declare one answer.

    Args:
        default: the value when the admin says nothing; tuples and mappings are copied per instance.
        help: one sentence for the wizard, the example file, the schema and ``--help``.
        step: the guide step it belongs to: A, B, C, D, scope or general.
        label: short name of the wizard's field.
        choices: the allowed words, empty when free.
        example: a value for the example file when the default is empty.
        form: what a single value must look like (``answer_forms``): domain, host, relay, port, file, network, address, seconds, selector, sender,
            header, folder, instance, loop header, record or plain text.
    """
    metadata = {
        "help": help,
        "step": step,
        "label": label,
        "choices": choices,
        "example": example,
        "form": form,
    }
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class SmartHost:
    """Guide step A: where outbound mail goes."""

    host: str = option(
        CONBOOL_HOST,
        "Name of the smart host; no MX lookup is made for it.",
        step="A",
        label="Smart host",
        form="relay",
    )
    port: int = option(25, "TCP port of the smart host.", step="A", label="Port", form="port")
    tls_name: Optional[str] = option(
        None,
        "Name that must be in the smart host's certificate; the smart host's own name when not given.",
        step="A",
        label="Certificate name",
        form="host",
        example=CONBOOL_HOST,
    )
    ca_file: Optional[str] = option(
        None,
        "PEM file of the trusted CAs; the system's own when not given.",
        step="A",
        label="CA file",
        form="file",
    )
    client_certificate: Optional[str] = option(
        None,
        "PEM file of the certificate (with chain) this server offers to the smart host.",
        step="A",
        label="Client certificate",
        form="file",
    )
    client_key: Optional[str] = option(
        None, "PEM file of the key of client_certificate.", step="A", label="Client key", form="file"
    )

    @property
    def next_hop(self) -> str:
        """Postfix next hop without MX lookup, for example ``[mail.conbool.com]:25`` (transport(5))."""
        return f"[{self.host}]:{self.port}"

    @property
    def expected_name(self) -> str:
        """The name the certificate must carry."""
        return self.tls_name or self.host


@dataclass(frozen=True)
class Scope:
    """Guide section "Scope": who uses the smart host."""

    mode: str = option(
        "domains",
        "domains: senders of the hosted domains; everything: all outbound mail; senders: only those listed.",
        step="scope",
        label="Who uses Conbool",
        choices=("domains", "everything", "senders"),
    )
    senders: tuple[str, ...] = option(
        (),
        "Sender addresses or @domains, for mode senders.",
        step="scope",
        label="Senders",
        form="sender",
        example=("alice@example.com", "@example.org"),
    )


@dataclass(frozen=True)
class Inbound:
    """Guide step B: what Conbool may hand to this server."""

    restrict_port_25: bool = option(
        False,
        "Accept mail on port 25 only from Conbool and extra_networks.",
        step="B",
        label="Close port 25 to others",
    )
    extra_networks: tuple[str, ...] = option(
        (), "Further networks that may use port 25 (CIDR).", step="B", label="Extra networks", form="network"
    )
    firewall: str = option(
        "auto",
        "auto: use the firewall that owns the rules; none: leave the firewall alone.",
        step="B",
        label="Firewall",
        choices=("auto", "none"),
    )
    relay_host: Optional[str] = option(
        None,
        "The name of this server to type into the Setup Assistant.",
        step="B",
        label="Relay host for the Setup Assistant",
        form="host",
        example="mx1.example.com",
    )
    return_mode: str = option(
        "hand_back",
        "hand_back: Conbool returns outbound mail to this server for delivery; conbool_delivers: Conbool delivers itself.",
        step="B",
        label="Who delivers outbound mail",
        choices=("hand_back", "conbool_delivers"),
    )
    close_despite_mx: bool = option(
        False,
        "Close port 25 although the MX records of a hosted domain do not lead to Conbool only: mail that still comes here is refused.",
        step="B",
        label="Close although an MX points elsewhere",
    )
    private_networks: bool = option(
        False,
        "Private address ranges in conbool_networks are meant (an on-premise Conbool, a NAT gateway).",
        step="B",
        label="Private ranges are meant",
    )
    public_addresses: tuple[str, ...] = option(
        (),
        "Addresses under which this server is reached from outside, when they are not its own (NAT, load balancer).",
        step="B",
        label="Public addresses",
        form="address",
        example=("203.0.113.7",),
    )
    confirm_within: int = option(
        60,
        "Seconds after which a change of port 25 or of the firewall is taken back unless it was confirmed.",
        step="B",
        label="Take back after (seconds)",
        form="seconds",
    )
    peer_certificate: str = option(
        "log",
        "log the name in Conbool's client certificate, or require it where the mail system can.",
        step="B",
        label="Conbool's certificate",
        choices=("log", "require"),
    )


@dataclass(frozen=True)
class Markers:
    """Guide steps C and D: the headers that say a message has been through Conbool."""

    trust: str = option(
        "local",
        "local: Conbool's addresses, this server's own networks and local commands are believed; conbool: only Conbool's addresses.",
        step="C",
        label="Who is believed",
        choices=("local", "conbool"),
    )
    loop_headers: Mapping[str, str] = option(
        {},
        "Loop header by domain; X-Conbool-<domain with hyphens for dots> when a domain is not listed.",
        step="C",
        label="Loop headers",
        form="loop header",
        example={"example.com": "X-Conbool-example-com"},
    )
    released: str = option(
        "X-Conbool-Released",
        "Header (value yes) of mail released from quarantine.",
        step="D",
        label="Released header",
        form="header",
    )
    spam: tuple[str, ...] = option(
        ("X-Conbool-Flag", "X-Conbool-Spam"),
        "Headers (value YES) of mail scored as spam.",
        step="C",
        label="Spam headers",
        form="header",
    )


@dataclass(frozen=True)
class Spam:
    """Guide step C: what happens to mail that Conbool flagged."""

    action: str = option(
        "folder",
        "folder: file it with Sieve; header: add X-Spam-Flag: YES; none: leave it.",
        step="C",
        label="Flagged mail",
        choices=("folder", "header", "none"),
    )
    folder: Optional[str] = option(
        None,
        "Mailbox folder for flagged mail; when empty the one that Dovecot's configuration marks as \\Junk, else Junk.",
        step="C",
        label="Folder",
        form="folder",
    )


@dataclass(frozen=True)
class DnsExpectation:
    """One DNS record the admin expects to be published."""

    type: str
    name: str
    matches: str


@dataclass(frozen=True)
class Prerequisites:
    """The guide's step before A: domain and DNS set-up in the Setup Assistant."""

    four_checks_green: bool = option(
        False,
        "All four DNS checks are green in the Setup Assistant (only it knows the values expected of you).",
        step="general",
        label="All four checks are green",
    )
    dkim_selectors: tuple[str, ...] = option(
        (),
        "DKIM selectors whose records are shown.",
        step="general",
        label="DKIM selectors",
        form="selector",
        example=("conbool",),
    )


@dataclass(frozen=True)
class Answers:
    """Everything the admin decides. ``domains`` empty means: those detected."""

    domains: tuple[str, ...] = option(
        (),
        "Hosted domains, as registered at Conbool; those detected when empty.",
        step="A",
        label="Hosted domains",
        form="domain",
        example=("example.com",),
    )
    prerequisites: Prerequisites = field(default_factory=Prerequisites)
    smart_host: SmartHost = field(default_factory=SmartHost)
    scope: Scope = field(default_factory=Scope)
    conbool_networks: tuple[str, ...] = option(
        (),
        "Conbool's addresses (CIDR), as shown in the Setup Assistant; required for step B, needed to recognise mail from Conbool.",
        step="C",
        label="Conbool's addresses",
        form="network",
        example=("198.51.100.0/24",),
    )
    inbound: Inbound = field(default_factory=Inbound)
    markers: Markers = field(default_factory=Markers)
    spam: Spam = field(default_factory=Spam)
    dns_expectations: tuple[DnsExpectation, ...] = option(
        (),
        "Records that must be published: type, name, matches (regular expression).",
        step="B",
        label="DNS expectations",
        form="record",
    )
    instance: Optional[str] = option(
        None,
        "Name of the Postfix instance (postmulti) when the host has several.",
        step="general",
        label="Postfix instance",
        form="instance",
    )

    def loop_header(self, domain: str) -> str:
        """The loop header's name for ``domain``: as given, else X-Conbool- and the domain with hyphens for dots (guide step C)."""
        given = self.markers.loop_headers.get(domain)
        return given or "X-Conbool-" + domain.replace(".", "-")
