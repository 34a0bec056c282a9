"""The Postfix that a docker-mailserver image sets up, by release, when no container can be asked.

Known from the project's documentation and its public configuration of releases 10 to 15: only what routing depends on stands here. Where a
running container can be asked, its own answer counts instead of this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from conbool_tui.postfix_config import ConfigTextError, MainCf, MasterCf

NEWEST = 15
"""Taken when the release is not known."""

TABLE_TYPES = frozenset(
    [
        "btree",
        "cidr",
        "environ",
        "fail",
        "hash",
        "inline",
        "internal",
        "ldap",
        "memcache",
        "nis",
        "pcre",
        "pipemap",
        "proxy",
        "randmap",
        "regexp",
        "socketmap",
        "static",
        "tcp",
        "texthash",
        "unionmap",
        "unix",
    ]
)
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"

DEFAULTS: Mapping[str, str] = {
    "cleanup_service_name": "cleanup",
    "config_directory": "/etc/postfix",
    "default_database_type": "hash",
    "default_transport": "smtp",
    "disable_mime_input_processing": "no",
    "empty_address_default_transport_maps_lookup_key": "<>",
    "mime_header_checks": "$header_checks",
    "nested_header_checks": "$header_checks",
    "postscreen_access_list": "permit_mynetworks",
    "smtp_fallback_relay": "$fallback_relay",
    "smtp_tls_wrappermode": "no",
    "smtpd_delay_reject": "yes",
    "smtpd_enforce_tls": "no",
    "smtpd_tls_ask_ccert": "no",
    "smtpd_use_tls": "no",
    **dict.fromkeys(
        (
            "content_filter",
            "fallback_relay",
            "receive_override_options",
            "sender_dependent_default_transport_maps",
            "sender_dependent_relayhost_maps",
            "smtp_tls_CAfile",
            "smtpd_data_restrictions",
            "smtpd_end_of_data_restrictions",
            "smtpd_proxy_filter",
            "smtpd_restriction_classes",
            "transport_maps",
        ),
        "",
    ),
}
"""Postfix's own defaults of the parameters that a plan looks at (postconf(5))."""

_MAIN = """\
smtpd_banner = $myhostname ESMTP
mydestination = $myhostname, localhost.$mydomain, localhost
relayhost =
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtp_tls_CApath = /etc/ssl/certs
smtpd_helo_required = yes
smtpd_delay_reject = yes
smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname, permit
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, reject_unauth_pipelining
disable_vrfy_command = yes
virtual_transport = lmtp:unix:/var/run/dovecot/lmtp
virtual_mailbox_domains = /etc/postfix/vhost
virtual_alias_maps = texthash:/etc/postfix/virtual
header_checks = pcre:/etc/postfix/maps/header_checks.pcre
smtp_header_checks = pcre:/etc/postfix/maps/sender_header_filter.pcre
compatibility_level = 2
"""
_RECIPIENTS = (
    "permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination, {policy}reject_unauth_pipelining, "
    "reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, reject_unknown_recipient_domain{quota}"
)
_SUBMISSION = """\
{name} inet n - n - - smtpd
  -o syslog_name=postfix/{name}
  -o {tls}
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
  -o cleanup_service_name=sender-cleanup
"""
_MASTER = """\
smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
tlsproxy unix - - n - 0 tlsproxy
dnsblog unix - - n - 0 dnsblog
{submission}pickup fifo n - y 60 1 pickup
  -o content_filter=
  -o receive_override_options=no_header_body_checks
cleanup unix n - y - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - y - - trivial-rewrite
bounce unix - - y - 0 bounce
smtp unix - - y - - smtp
relay unix - - y - - smtp
error unix - - y - - error
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
sender-cleanup unix n - - - 0 cleanup
  -o syslog_name=postfix/sender-cleanup
  -o header_checks=pcre:/etc/postfix/maps/sender_header_filter.pcre
policyd-spf unix - n n - 0 spawn
  user=policyd-spf argv=/usr/bin/policyd-spf
"""
_AMAVIS = """\
smtp-amavis unix - - n - 2 smtp
  -o smtp_data_done_timeout=1200
  -o smtp_send_xforward_command=yes
  -o disable_dns_lookups=yes
  -o max_use=20
  -o smtp_tls_security_level=none
127.0.0.1:10025 inet n - n - - smtpd
  -o content_filter=
  -o local_recipient_maps=
  -o relay_recipient_maps=
  -o smtpd_restriction_classes=
  -o smtpd_delay_reject=no
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_data_restrictions=reject_unauth_pipelining
  -o smtpd_end_of_data_restrictions=
  -o mynetworks=127.0.0.0/8
  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters
  -o smtp_tls_security_level=none
"""
_OVERRIDE = re.compile(r"[0-9a-z][^/\s]*/[^/\s]+/[^=\s]+\s*=.*")


def postfix_version(major: int) -> str:
    """The Postfix of a release: Debian 11's below 14, Debian 12's from then on."""
    return "3.7.11" if (major or NEWEST) >= 14 else "3.5.25"


def rendered(
    major: int, environment: Mapping[str, str], host_name: str, own_main: bytes, own_master: bytes
) -> tuple[bytes, bytes]:
    """main.cf and master.cf of a container made from that release.

    Args:
        major: the release's first number, 0 when it is not known.
        environment: the container's variables.
        host_name: the container's full host name.
        own_main, own_master: the admin's postfix-main.cf and postfix-master.cf.

    Raises:
        ConfigTextError: one of the admin's files cannot be read.
    """
    main = MainCf.parse(_MAIN.encode())
    for name, value in _settings(major or NEWEST, environment, host_name).items():
        main.set(name, value)
    own = MainCf.parse(own_main)
    for name in own.names():
        main.set(name, own.get(name) or "")
    master = MasterCf.parse(_master(major or NEWEST, environment).encode())
    for line in own_master.decode("utf-8", "surrogateescape").split("\n"):
        text = line.strip()
        if _OVERRIDE.fullmatch(text) is None:
            continue
        key, _, value = text.partition("=")
        service, kind, option = key.strip().split("/", 2)
        if master.service(service, kind) is None:
            raise ConfigTextError(
                f"postfix-master.cf changes {service}/{kind}, and this release has no such service.",
                "Postfix's own tool would refuse the line, too.",
                "Take the line out, or correct the service's name.",
            )
        master.set_option(service, kind, option, value.strip())
    return main.to_bytes(), master.to_bytes()


def _on(environment: Mapping[str, str], name: str, default: str = "0") -> bool:
    return (environment.get(name) or default).strip() == "1"


def _settings(major: int, environment: Mapping[str, str], host_name: str) -> dict[str, str]:
    policy = "check_policy_service unix:private/policyd-spf, "
    found = {
        "myhostname": host_name or "mail.example.com",
        "mydomain": (host_name or "mail.example.com").partition(".")[2] or host_name,
        "mynetworks": _networks(environment),
        "smtpd_sender_restrictions": "permit_sasl_authenticated, permit_mynetworks, reject_unknown_sender_domain",
        "smtpd_recipient_restrictions": _RECIPIENTS.format(
            policy=policy if _on(environment, "ENABLE_POLICYD_SPF", "1") else "",
            quota=", check_policy_service inet:localhost:65265"
            if _on(environment, "ENABLE_QUOTAS", "1")
            else "",
        ),
    }
    if major >= 13:
        found["dms_smtpd_sender_restrictions"] = found["smtpd_sender_restrictions"]
        found["smtpd_sender_restrictions"] = "$dms_smtpd_sender_restrictions"
        found["smtpd_discard_ehlo_keywords"] = "silent-discard, dsn"
    milters = []
    if _on(environment, "ENABLE_OPENDKIM", "1"):
        found["dkim_milter"] = "inet:localhost:8891"
        milters.append("$dkim_milter")
    found["non_smtpd_milters"] = " ".join(milters)
    if _on(environment, "ENABLE_OPENDMARC", "1"):
        found["dmarc_milter"] = "inet:localhost:8893"
        milters.append("$dmarc_milter")
    if _on(environment, "ENABLE_RSPAMD"):
        found["rspamd_milter"] = "inet:localhost:11332"
        milters.append("$rspamd_milter")
    found["smtpd_milters"] = " ".join(milters)
    if _on(environment, "ENABLE_AMAVIS", "1"):
        found["content_filter"] = "smtp-amavis:[127.0.0.1]:10024"
    if _on(environment, "ENABLE_SRS"):
        found["sender_canonical_maps"] = "tcp:localhost:10001"
        found["recipient_canonical_maps"] = "tcp:localhost:10002"
    if (environment.get("POSTFIX_INET_PROTOCOLS") or "all") != "all":
        found["inet_protocols"] = environment["POSTFIX_INET_PROTOCOLS"]
    if environment.get("DEFAULT_RELAY_HOST"):
        found["relayhost"] = environment["DEFAULT_RELAY_HOST"]
    if environment.get("RELAY_HOST"):
        found["sender_dependent_relayhost_maps"] = "texthash:/etc/postfix/relayhost_map"
        found["smtp_sasl_auth_enable"] = "yes"
        found["smtp_tls_security_level"] = "encrypt"
    return found


def _networks(environment: Mapping[str, str]) -> str:
    """PERMIT_DOCKER: whose mail is relayed without a login. The container's own addresses cannot be known without it."""
    default = "127.0.0.0/8 [::1]/128 [fe80::]/64"
    word = environment.get("PERMIT_DOCKER") or "none"
    if word in ("network", "host", "connected-networks"):
        return f"{default} 172.16.0.0/12"
    return "" if word == "none" else default


def _master(major: int, environment: Mapping[str, str]) -> str:
    implicit = "submissions" if major >= 12 else "smtps"
    submission = _SUBMISSION.format(name="submission", tls="smtpd_tls_security_level=encrypt")
    submission += _SUBMISSION.format(name=implicit, tls="smtpd_tls_wrappermode=yes")
    amavis = major < 12 or _on(environment, "ENABLE_AMAVIS", "1")
    return _MASTER.format(submission=submission) + (_AMAVIS if amavis else "")
