"""Facts from the text of main.cf and master.cf alone, so that planning is tested without Postfix."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Mapping
from typing import Any, Optional

from conbool_tui.facts import ContentFilter, FileText, HostedDomains, PostfixFacts, Service
from conbool_tui.plan import Plan
from conbool_tui.planners.postfix.lists import split_list
from conbool_tui.postfix_config import MainCf
from detectors.postfix import services

DIRECTORY = "/etc/postfix"
DEFAULTS = {
    "cleanup_service_name": "cleanup",
    "compatibility_level": "3.6",
    "config_directory": DIRECTORY,
    "content_filter": "",
    "default_transport": "smtp",
    "disable_mime_input_processing": "no",
    "empty_address_default_transport_maps_lookup_key": "<>",
    "fallback_relay": "",
    "header_checks": "",
    "inet_protocols": "all",
    "mime_header_checks": "$header_checks",
    "mydestination": "$myhostname, localhost.$mydomain, localhost",
    "mydomain": "example.com",
    "myhostname": "mx1.example.com",
    "mynetworks": "127.0.0.0/8 [::1]/128",
    "nested_header_checks": "$header_checks",
    "postscreen_access_list": "permit_mynetworks",
    "receive_override_options": "",
    "relayhost": "",
    "sender_dependent_default_transport_maps": "",
    "sender_dependent_relayhost_maps": "",
    "smtp_fallback_relay": "$fallback_relay",
    "smtp_header_checks": "",
    "smtp_tls_CAfile": "",
    "smtp_tls_CApath": "",
    "smtp_tls_security_level": "",
    "smtp_tls_wrappermode": "no",
    "smtpd_client_restrictions": "",
    "smtpd_data_restrictions": "",
    "smtpd_delay_reject": "yes",
    "smtpd_discard_ehlo_keywords": "",
    "smtpd_end_of_data_restrictions": "",
    "smtpd_enforce_tls": "no",
    "smtpd_helo_restrictions": "",
    "smtpd_proxy_filter": "",
    "smtpd_recipient_restrictions": "",
    "smtpd_relay_restrictions": "${{$compatibility_level} <level {1} ? {} : {permit_mynetworks, "
    "permit_sasl_authenticated, defer_unauth_destination}}",
    "smtpd_restriction_classes": "",
    "smtpd_sasl_auth_enable": "no",
    "smtpd_sender_restrictions": "",
    "smtpd_tls_ask_ccert": "no",
    "smtpd_tls_cert_file": "",
    "smtpd_tls_chain_files": "",
    "smtpd_tls_dcert_file": "",
    "smtpd_tls_eccert_file": "",
    "smtpd_tls_loglevel": "0",
    "smtpd_tls_security_level": "",
    "smtpd_use_tls": "no",
    "transport_maps": "",
}
EXPANDED = {
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination"
}
TABLE_TYPES = frozenset(
    {"cidr", "hash", "inline", "lmdb", "pcre", "pipemap", "regexp", "static", "texthash", "unionmap"}
)
MASTER = """\
smtp      inet  n       -       y       -       -       smtpd
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
\t-o syslog_name=${service_name?{$service_name}:{relay}}
local     unix  -       n       n       -       -       local
"""
MAIN = """\
# A mail server.
myhostname = mx1.example.com
mydestination = $myhostname, example.com, localhost
"""
_NAME = re.compile(r"\$(?:(\w+)|\{(\w+)\}|\((\w+)\))")


def _expand(name: str, values: Mapping[str, str], inside: tuple[str, ...] = ()) -> str:
    """A value with its $names resolved; Postfix refuses a name that leads back to itself, here it is empty."""
    value = values.get(name, "")
    if value == DEFAULTS.get(name) and name in EXPANDED:
        return EXPANDED[name]
    if name in inside:
        return ""
    return _NAME.sub(
        lambda match: _expand(match.group(1) or match.group(2) or match.group(3), values, (*inside, name)),
        value,
    )


def facts_for(
    main_cf: str = MAIN,
    master_cf: str = MASTER,
    *,
    files: Optional[Mapping[str, bytes]] = None,
    raw: Optional[tuple[bytes, bytes]] = None,
    **more: Any,
) -> PostfixFacts:
    """Facts of an instance with these two files.

    Args:
        main_cf, master_cf: the texts.
        files: more files of the configuration directory, by absolute path.
        raw: the bytes of both files, instead of the texts.
        more: fields of ``PostfixFacts`` to set.
    """
    main_bytes, master_bytes = raw if raw is not None else (main_cf.encode(), master_cf.encode())
    main = MainCf.parse(main_bytes)
    parameters = dict(DEFAULTS)
    for name in main.names():
        parameters[name] = main.get(name) or ""
    expanded = {name: _expand(name, parameters) for name in parameters}
    found: tuple[Service, ...] = services.read_services(master_bytes, expanded)
    fields: dict[str, Any] = {
        "version": "3.7.11",
        "config_directory": DIRECTORY,
        "instance": "-",
        "instances": (),
        "parameters": parameters,
        "expanded": expanded,
        "explicit": frozenset(main.names()),
        "services": found,
        "table_types": TABLE_TYPES,
        "default_database_type": "hash",
        "domains": HostedDomains(mydestination=("example.com",)),
        "files": {
            f"{DIRECTORY}/main.cf": FileText(f"{DIRECTORY}/main.cf", main_bytes),
            f"{DIRECTORY}/master.cf": FileText(f"{DIRECTORY}/master.cf", master_bytes),
            **{path: FileText(path, data) for path, data in (files or {}).items()},
        },
        "running": True,
        "listeners": (),
        "port_25_owner": "master",
        "port_25_services": services.port_25_services(found),
        "submission_services": services.submission_services(found, expanded),
        "content_filters": services.content_filters(found, expanded),
        "postscreen": services.has_postscreen(found),
        "milters": (),
        "tls_files": {},
        "system_ca_file": "/etc/ssl/certs/ca-certificates.crt",
        "transport_catch_all": None,
        "proxy_filters": services.proxy_filters(found, expanded),
    }
    fields.update(more)
    return PostfixFacts(**fields)


KEPT = ("version", "table_types", "domains", "listeners", "system_ca_file", "transport_catch_all")
"""What a plan does not change, and what the texts do not tell."""


def with_files(facts: PostfixFacts, changed: Mapping[str, Optional[bytes]]) -> PostfixFacts:
    """The facts of the same host with these files written (None: removed)."""
    files = {path: text.data for path, text in facts.files.items()}
    for path, data in changed.items():
        if data is None:
            files.pop(path, None)
        else:
            files[path] = data
    raw = (files.pop(f"{DIRECTORY}/main.cf"), files.pop(f"{DIRECTORY}/master.cf"))
    return facts_for(raw=raw, files=files, **{name: getattr(facts, name) for name in KEPT})


def applied(facts: PostfixFacts, plan: Plan) -> PostfixFacts:
    """The facts of the host once the plan was applied; insists that the plan was made for these files."""
    for target in plan.files:
        there = facts.files.get(target.path)
        assert target.before == (there.data if there else None), target.path
    return with_files(facts, {target.path: target.after for target in plan.files})


def edited(facts: PostfixFacts, settings: Mapping[str, str]) -> PostfixFacts:
    """The facts once the admin has changed main.cf."""
    main = MainCf.parse(facts.files[f"{DIRECTORY}/main.cf"].data)
    for name, value in settings.items():
        main.set(name, value)
    return with_files(facts, {f"{DIRECTORY}/main.cf": main.to_bytes()})


def settings_of(facts: PostfixFacts) -> dict[str, tuple[str, ...]]:
    """What main.cf means: every parameter set there with its items."""
    return {name: split_list(facts.parameters[name]) for name in sorted(facts.explicit)}


def services_of(facts: PostfixFacts) -> list[tuple[object, ...]]:
    """What master.cf means: every service with its options as items, in any order."""
    return sorted(
        (
            one.name,
            one.type,
            one.command,
            one.chroot,
            tuple(sorted((option.name, split_list(option.value)) for option in one.options)),
        )
        for one in facts.services
    )


def tables_of(facts: PostfixFacts) -> dict[str, str]:
    """The texts of our tables by name."""
    return {
        posixpath.basename(path): text.data.decode()
        for path, text in facts.files.items()
        if posixpath.dirname(path) == f"{DIRECTORY}/conbool"
    }


def filter_of(where: str, value: str, *reentry: str) -> ContentFilter:
    """A content filter as the detector reports it."""
    return ContentFilter(where, value, reentry)


def replaced(facts: PostfixFacts, **more: Any) -> PostfixFacts:
    """The facts with other fields."""
    return dataclasses.replace(facts, **more)
