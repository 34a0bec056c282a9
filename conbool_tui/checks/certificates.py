"""Certificate files on this server: can they be used, and do they still hold?

Both the check before a plan (which refuses) and ``conbool-tui check`` (which reports) ask here.
"""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from typing import Optional

from conbool_tui.checks import x509
from conbool_tui.errors import HostError, NeedsRootError
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host

SOON = datetime.timedelta(days=21)
_OTHERS_MAY_READ = 0o004
# What OpenSSL says when a key is not the certificate's: of the same kind, and of another.
_OTHER_KEY = ("MISMATCH", "NO_CERTIFICATE_ASSIGNED")


@dataclass(frozen=True)
class Trouble:
    """Why a file cannot be used; ``key`` is the answer that names it."""

    key: str
    what: str
    why: str
    todo: str


class _EncryptedError(Exception):
    """The key asks for a passphrase."""


def examine_pair(
    host: Host, certificate: str, key: str, now: Optional[datetime.datetime] = None
) -> Optional[Trouble]:
    """Why a client certificate and its key cannot be used; None when they can.

    Args:
        host: the machine the files are on.
        certificate: path of the PEM file of certificate and chain.
        key: path of the PEM file of the key.
        now: the time to judge validity at, UTC; the present when not given.
    """
    name = "smart_host.client_certificate"
    why = "Without it the mail server cannot show who it is, and would not start its TLS client properly."
    data, trouble = _content(host, certificate, name, "certificate")
    if trouble is not None or data is None:
        return trouble
    try:
        found = x509.from_pem(data)
    except x509.CertificateFormatError as error:
        todo = "Give the PEM file of the certificate (it begins with -----BEGIN CERTIFICATE-----)."
        return Trouble(name, f"{certificate} is no PEM certificate: {error}.", why, todo)
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    if moment > found.not_after:
        return Trouble(
            name,
            f"The certificate {certificate} ({found.subject}) expired on {_day(found.not_after)}.",
            "A smart host that checks it would refuse the connection.",
            "Renew it, or leave smart_host.client_certificate and client_key away.",
        )
    if moment < found.not_before:
        return Trouble(
            name,
            f"The certificate {certificate} ({found.subject}) is not valid before {_day(found.not_before)}.",
            "A smart host that checks it would refuse the connection.",
            "Wait until then, use another certificate, or set this server's clock right.",
        )
    key_data, trouble = _content(host, key, "smart_host.client_key", "key")
    if trouble is not None or key_data is None:
        return trouble
    if not x509.has_key(key_data):
        todo = "Give the PEM file of the key (it begins with -----BEGIN PRIVATE KEY----- or similar)."
        return Trouble("smart_host.client_key", f"{key} is no PEM key: it holds no private key.", why, todo)
    return _match(host, certificate, key, why)


def _match(host: Host, certificate: str, key: str, why: str) -> Optional[Trouble]:
    """Does the key belong to the certificate? The TLS library decides, for every kind of key."""

    def no_passphrase() -> bytes:
        raise _EncryptedError

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(str(host.real(certificate)), str(host.real(key)), no_passphrase)
    except _EncryptedError:
        todo = f"Store it without one: openssl pkey -in {key} -out NEWFILE"
        return Trouble(
            "smart_host.client_key",
            f"The key {key} is protected by a passphrase.",
            "Nobody is there to type it when mail is sent.",
            todo,
        )
    except ssl.SSLError as error:
        if any(word in (error.reason or "") for word in _OTHER_KEY):
            return Trouble(
                "smart_host.client_key",
                f"The key {key} does not match the certificate {certificate}.",
                why,
                "Give the key that the certificate was requested with; the server's own certificate comes "
                "first in its file.",
            )
        reason = error.reason or "unknown reason"
        todo = "Look at both files (openssl x509 -in …, openssl pkey -in …)."
        return Trouble(
            "smart_host.client_key", f"{certificate} and {key} cannot be loaded: {reason}.", why, todo
        )
    except OSError as error:
        return Trouble(
            "smart_host.client_key",
            f"{certificate} and {key} cannot be loaded: {error.strerror}.",
            why,
            "Look at both files.",
        )
    return None


def examine_ca_file(host: Host, path: str) -> Optional[Trouble]:
    """Why a file of trusted CAs cannot be used; None when it can."""
    why = "The smart host's certificate is checked against it; without it no mail would leave."
    data, trouble = _content(host, path, "smart_host.ca_file", "CA file")
    if trouble is not None or data is None:
        return trouble
    try:
        x509.from_pem(data)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(str(host.real(path)))
    except (x509.CertificateFormatError, ssl.SSLError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else str(error)
        todo = "Give a PEM file of CA certificates, or leave smart_host.ca_file away to use the system's own."
        return Trouble("smart_host.ca_file", f"{path} is no PEM file of certificates: {reason}.", why, todo)
    return None


def _content(host: Host, path: str, key: str, what: str) -> tuple[Optional[bytes], Optional[Trouble]]:
    why = f"{key} names it, and the mail server must be able to read it."
    if not host.exists(path):
        return None, Trouble(
            key, f"The {what} {path} does not exist.", why, f"Correct {key}, or leave it away."
        )
    if not host.is_file(path):
        return None, Trouble(
            key, f"The {what} {path} is not a regular file.", why, f"Give {key} the name of a file."
        )
    try:
        return host.read_bytes(path), None
    except (HostError, NeedsRootError) as error:
        return None, Trouble(key, f"The {what} {error.what}", why, error.todo)


def client_certificate_findings(host: Host, certificate: Optional[str], key: Optional[str]) -> list[Finding]:
    """The finding ``client-certificate``: usable, close to its end, readable by everybody, or why not."""
    if certificate is None or key is None:
        return [
            Finding(
                "client-certificate",
                Status.NOT_TESTED,
                "No client certificate is set; this server offers none to the smart host.",
                remedy="Set smart_host.client_certificate and client_key if Conbool asks for one.",
            )
        ]
    trouble = examine_pair(host, certificate, key)
    if trouble is not None:
        return [Finding("client-certificate", Status.FAIL, trouble.what, trouble.why, trouble.todo)]
    found = x509.from_pem(host.read_bytes(certificate))
    detail = f"{certificate}: {found.subject}, from {found.issuer}, valid until {_day(found.not_after)}"
    if found.not_after - datetime.datetime.now(datetime.timezone.utc) < SOON:
        summary = f"The client certificate expires on {_day(found.not_after)}."
        return [Finding("client-certificate", Status.WARN, summary, detail, "Renew it before that day.")]
    if host.stat(key).st_mode & _OTHERS_MAY_READ:
        summary = f"Every user of this server can read the client key {key}."
        return [Finding("client-certificate", Status.WARN, summary, detail, f"chmod o-rwx {key}")]
    return [
        Finding(
            "client-certificate",
            Status.OK,
            f"The client certificate is valid until {_day(found.not_after)}.",
            detail,
        )
    ]


def _day(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
