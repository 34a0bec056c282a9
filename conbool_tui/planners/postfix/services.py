"""The master.cf services of the design (master(5)), each as the text of its entry.

A header check can send a message into a loopback smtpd, but it sees one header at a time and the last
match wins. So the way of marked mail
has stations, each with one question:

    gate       was it brought by a client that is not believed?  yes: untrusted (its markers are removed,
    then the normal route)
    split      one recipient at a time: hosted here? delivered in the normal way. Else: the recipient's
    own MX, never the smart host.
    released   as split, for mail released from quarantine: its spam flag is taken off

Mail from Conbool's addresses enters at split by its address. Values with blanks use the ``{ name = value
}`` form (Postfix 3.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.answers import SmartHost
from conbool_tui.planners.postfix import names


@dataclass(frozen=True)
class Columns:
    """The chroot columns (y or n) that our services take over from the host's own smtp, smtpd and cleanup
    services.
    """

    smtp: str
    smtpd: str
    cleanup: str


@dataclass(frozen=True)
class Loopback:
    """The loopback address our lanes live on; IPv6 only where the host speaks no IPv4."""

    address: str
    network: str

    def service(self, port: int) -> str:
        """The service name in master.cf: ``127.0.0.1:10026`` or ``[::1]:10026``."""
        return f"{self.address}:{port}"

    def next_hop(self, port: int) -> str:
        """The next hop without MX lookup: ``[127.0.0.1]:10026``."""
        return f"[{self.address.strip('[]')}]:{port}"

    @property
    def bind_option(self) -> tuple[str, str]:
        """The option that keeps the client address on loopback even when the host binds outgoing mail to
        another address.
        """
        return ("smtp_bind_address6", "::1") if ":" in self.address else ("smtp_bind_address", "127.0.0.1")


def filter_action(loopback: Loopback, port: int) -> str:
    """The access(5) or header_checks(5) action that sends a message into a lane."""
    return f"FILTER {names.REINJECT_TRANSPORT}:{loopback.next_hop(port)}"


def entry(head: str, options: Sequence[tuple[str, str]]) -> str:
    """One service with its options, one a line."""
    lines = [head]
    for name, value in options:
        blank = any(char in value for char in " \t,") or not value
        if not value:
            lines.append(f"    -o {name}=")
        elif blank:
            lines.append(f"    -o {{ {name} = {value} }}")
        else:
            lines.append(f"    -o {name}={value}")
    return "\n".join(lines) + "\n"


def smart_host_service(
    columns: Columns,
    smart_host: SmartHost,
    ca_file: Optional[str],
    header_checks: str,
    policies: str,
    cleared: Sequence[str],
) -> str:
    """Step A: the client that talks to the smart host.

    TLS is mandatory and the certificate's name and chain are verified (TLS_README, "secure"); no SASL, no
    policy table and no fallback relay of the host can weaken that, because they are switched off for this
    transport only. ``policies`` may only speak of other next hops.
    """
    options = [
        ("syslog_name", names.SYSLOG_PREFIX + "smarthost"),
        ("smtp_tls_security_level", "secure"),
        ("smtp_tls_secure_cert_match", smart_host.expected_name),
        ("smtp_tls_policy_maps", policies),
        ("smtp_tls_wrappermode", "no"),
        ("smtp_tls_loglevel", "1"),
        ("smtp_sasl_auth_enable", "no"),
        ("smtp_fallback_relay", ""),
        ("smtp_header_checks", header_checks),
    ]
    options += [(name, "") for name in cleared]
    if ca_file:
        options.append(("smtp_tls_CAfile", ca_file))
    if smart_host.ca_file:
        options.append(("smtp_tls_CApath", ""))
    if smart_host.client_certificate:
        options.append(("smtp_tls_chain_files", ""))
        options.append(("smtp_tls_cert_file", smart_host.client_certificate))
        options.append(("smtp_tls_key_file", smart_host.client_key or smart_host.client_certificate))
        for kind in ("eccert", "eckey", "dcert", "dkey"):
            options.append((f"smtp_tls_{kind}_file", ""))
    return entry(f"{names.SMART_HOST_TRANSPORT} unix - - {columns.smtp} - - smtp", options)


def direct_service(columns: Columns, security_level: Optional[str], fallback_relay: Optional[str]) -> str:
    """Step C: delivery to the recipient's own MX. ``security_level`` and ``fallback_relay`` None keep the
    host's own setting.
    """
    options = [
        ("syslog_name", names.SYSLOG_PREFIX + "direct"),
        ("smtp_tls_wrappermode", "no"),
        ("smtp_sasl_auth_enable", "no"),
    ]
    if security_level is not None:
        options.append(("smtp_tls_security_level", security_level))
    if fallback_relay is not None:
        options.append(("smtp_fallback_relay", fallback_relay))
    return entry(f"{names.DIRECT_TRANSPORT} unix - - {columns.smtp} - - smtp", options)


def reinject_service(columns: Columns, loopback: Loopback) -> str:
    """Step C: the client that carries a message into a lane, unchanged, with the original client's name
    for the log (XFORWARD_README).
    """
    bind_name, bind_value = loopback.bind_option
    return entry(
        f"{names.REINJECT_TRANSPORT} unix - - {columns.smtp} - - smtp",
        [
            ("syslog_name", names.SYSLOG_PREFIX + "reinject"),
            ("smtp_send_xforward_command", "yes"),
            ("smtp_tls_security_level", "none"),
            ("smtp_tls_wrappermode", "no"),
            ("smtp_tls_policy_maps", ""),
            ("smtp_sasl_auth_enable", "no"),
            ("smtp_fallback_relay", ""),
            ("smtp_discard_ehlo_keywords", ""),
            ("smtp_discard_ehlo_keyword_address_maps", ""),
            ("smtp_generic_maps", ""),
            ("smtp_header_checks", ""),
            ("smtp_mime_header_checks", ""),
            ("smtp_nested_header_checks", ""),
            ("smtp_body_checks", ""),
            ("smtp_line_length_limit", "0"),
            ("disable_mime_output_conversion", "yes"),
            (bind_name, bind_value),
        ],
    )


def lane_service(
    columns: Columns,
    loopback: Loopback,
    port: int,
    role: str,
    cleanup: str,
    recipients: str,
    *,
    mapped: bool = True,
) -> str:
    """A loopback smtpd. ``recipients`` is its smtpd_recipient_restrictions, ``cleanup`` the cleanup
    service behind it; ``mapped``: addresses were rewritten and aliases expanded already.
    """
    overrides = ("no_milters", "no_address_mappings", "no_unknown_recipient_checks")
    return entry(
        f"{loopback.service(port)} inet n - {columns.smtpd} - - smtpd",
        [
            ("syslog_name", names.SYSLOG_PREFIX + role),
            ("cleanup_service_name", cleanup),
            ("content_filter", ""),
            ("smtpd_proxy_filter", ""),
            ("smtpd_milters", ""),
            ("mynetworks", loopback.network),
            ("smtpd_authorized_xforward_hosts", loopback.network),
            ("smtpd_client_event_limit_exceptions", loopback.network),
            ("smtpd_delay_reject", "yes"),
            ("smtpd_client_restrictions", "permit_mynetworks,reject"),
            ("smtpd_helo_required", "no"),
            ("smtpd_helo_restrictions", ""),
            ("smtpd_sender_restrictions", ""),
            ("smtpd_relay_restrictions", "permit_mynetworks,reject"),
            ("smtpd_recipient_restrictions", recipients),
            ("smtpd_data_restrictions", ""),
            ("smtpd_end_of_data_restrictions", ""),
            ("smtpd_reject_unlisted_sender", "no"),
            ("smtpd_discard_ehlo_keywords", ""),
            ("smtpd_discard_ehlo_keyword_address_maps", ""),
            ("strict_rfc821_envelopes", "no"),
            ("message_size_limit", "0"),
            ("smtpd_upstream_proxy_protocol", ""),
            # Keys of the look-ups in transport_maps are those of transport(5): a subdomain is ".domain".
            ("parent_domain_matches_subdomains", ""),
            ("smtpd_sasl_auth_enable", "no"),
            ("smtpd_tls_security_level", "none"),
            ("smtpd_tls_wrappermode", "no"),
            (
                "receive_override_options",
                ",".join(item for item in overrides if mapped or item != "no_address_mappings"),
            ),
        ],
    )


def split_recipients(transport_maps: Sequence[str], route: str, gateway: str) -> str:
    """The lane's decision per recipient: hosted here, routed by hand in transport_maps, or else to the
    recipient's own MX.

    FILTER lets the list go on and the last one counts (access(5)): what ``gateway`` finds comes behind the
    rule for everybody, and the first of several tables last.
    """

    def look_up(table: str, meaning: str) -> str:
        return f"check_recipient_access pipemap:{{{table},{meaning}}}"

    entries = ["permit_auth_destination"]
    entries.extend(look_up(table, route) for table in transport_maps)
    entries.append(f"check_recipient_access static:{{FILTER {names.DIRECT_TRANSPORT}:}}")
    entries.extend(look_up(table, gateway) for table in reversed(transport_maps))
    entries.append("permit")
    return ", ".join(entries)


def always(action: str) -> str:
    """Recipient restrictions that send every message on with ``action``."""
    return f"check_recipient_access static:{{{action}}}, permit"


def cleanup_service(
    columns: Columns,
    name: str,
    role: str,
    checks: str,
    mime_checks: str = "",
    nested: str = "",
    body: str = "",
) -> str:
    """A cleanup(8) service with its own header checks."""
    return entry(
        f"{name} unix n - {columns.cleanup} - 0 cleanup",
        [
            ("syslog_name", names.SYSLOG_PREFIX + role),
            ("header_checks", checks),
            ("mime_header_checks", mime_checks),
            ("nested_header_checks", nested),
            ("body_checks", body),
            # The message was accepted once; the lines that stations add must not make it too large.
            ("message_size_limit", "0"),
        ],
    )
