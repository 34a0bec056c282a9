"""Transports: to the smart host over verified TLS only, to an MX, and into the spam folder."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.facts_exim import EximFacts
from conbool_tui.planners.exim import names
from conbool_tui.planners.exim.own import maildir_router, remote_router
from conbool_tui.planners.exim.router_part import block, direct_condition, files_spam, junk_folder

_DEBIAN = (
    ("REMOTE_SMTP_HEADERS_REWRITE", "headers_rewrite"),
    ("REMOTE_SMTP_RETURN_PATH", "return_path"),
    ("REMOTE_SMTP_HELO_DATA", "helo_data"),
    ("REMOTE_SMTP_INTERFACE", "interface"),
    ("REMOTE_SMTP_TRANSPORTS_HEADERS_REMOVE", "headers_remove"),
)
_DEBIAN_SIGNING = (
    ("DKIM_DOMAIN", "dkim_domain"),
    ("DKIM_IDENTITY", "dkim_identity"),
    ("DKIM_SELECTOR", "dkim_selector"),
    ("DKIM_PRIVATE_KEY", "dkim_private_key"),
    ("DKIM_CANON", "dkim_canon"),
    ("DKIM_STRICT", "dkim_strict"),
    ("DKIM_SIGN_HEADERS", "dkim_sign_headers"),
)
_COPIED = tuple(option for _, option in _DEBIAN) + ("headers_add", "message_linelength_limit")
_COPIED_SIGNING = tuple(option for _, option in _DEBIAN_SIGNING)


def transport_part(facts: EximFacts, answers: Answers) -> str:
    """Our transports."""
    smart_host = answers.smart_host
    options = [
        f'debug_print = "T: {names.SMART_HOST_TRANSPORT} for $local_part@$domain"',
        "driver = smtp",
        f"port = {smart_host.port}",
        "hosts_require_tls = *",
        f"tls_verify_certificates = {smart_host.ca_file or 'system'}",
        "tls_verify_hosts = *",
        *_name_check(answers),
        "tls_tempfail_tryclear = false",
        f"tls_sni = {smart_host.expected_name}",
        # Exim would take a DNSSEC-signed TLSA record for a replacement of the certificate's check.
        "hosts_try_dane =",
    ]
    if smart_host.client_certificate:
        options.append(f"tls_certificate = {smart_host.client_certificate}")
    if smart_host.client_key:
        options.append(f"tls_privatekey = {smart_host.client_key}")
    # Who hands back signs when the mail leaves for good.
    signing = answers.inbound.return_mode == "conbool_delivers"
    parts = [block(names.SMART_HOST_TRANSPORT, options) + _as_own(facts, signing=signing)]
    if direct_condition(facts, answers) is not None:
        parts.append(block(names.DIRECT_TRANSPORT, ["driver = smtp"]) + _as_own(facts, signing=True))
    found = maildir_router(facts)
    if found is not None and files_spam(facts, answers):
        parts.append(_junk(found[1], junk_folder(answers)))
    return "\n".join(parts)


def _name_check(answers: Answers) -> list[str]:
    """The name in the certificate. Exim checks the host's name (its name in the route, never that of a CNAME's end); another name is
    asked for in the event of a certificate (specification, 62 "Events": text stops the connection)."""
    smart_host = answers.smart_host
    if smart_host.expected_name.lower() == smart_host.host.lower():
        return ["tls_verify_cert_hostnames = *"]
    name = smart_host.expected_name.lower()
    wildcard = "*." + name.partition(".")[2]
    return [
        "tls_verify_cert_hostnames =",
        "event_action = ${if and{ {eq{$event_name}{tls:cert}} {eq{$event_data}{0}} \\",
        f"                 {{!forany{{<\\n ${{certextract{{subj_altname,dns}}{{$tls_out_peercert}}}}}} "
        f"{{or{{ {{eqi{{$item}}{{{name}}}}} {{eqi{{$item}}{{{wildcard}}}}} }}}}}} }}{{the certificate is not for {name}}}}}",
    ]


def _as_own(facts: EximFacts, *, signing: bool) -> str:
    """What the host's own transport for remote mail does to every message: rewriting, greeting, interface, signature."""
    if facts.generated:
        pairs = (*_DEBIAN, *(_DEBIAN_SIGNING if signing else ()))
        text = "".join(f".ifdef {macro}\n  {option} = {macro}\n.endif\n" for macro, option in pairs)
        return text + ".ifdef IGNORE_SMTP_LINE_LENGTH_LIMIT\n  message_linelength_limit = 1G\n.endif\n"
    router = remote_router(facts)
    own = facts.transport(router.get("transport")) if router is not None else None
    if own is None or own.get("driver") != "smtp":
        return ""
    copied = (*_COPIED, *(_COPIED_SIGNING if signing else ()))
    defaults = {"helo_data": "$primary_hostname", "message_linelength_limit": "998"}
    return "".join(
        f"  {option} = {own.get(option)}\n"
        for option in copied
        if own.get(option) and own.get(option) != defaults.get(option)
    )


def _junk(maildir: str, folder: str) -> str:
    """The spam folder of a maildir (Maildir++: folders are directories with dots)."""
    return block(
        names.JUNK_TRANSPORT,
        [
            "driver = appendfile",
            f"directory = {maildir}/.{folder.strip('/').replace('/', '.')}",
            "create_directory",
            "delivery_date_add",
            "envelope_to_add",
            "return_path_add",
            "maildir_format",
            "directory_mode = 0700",
            "mode = 0600",
            "mode_fail_narrower = false",
        ],
    )
