"""The certificate this server shows on port 25: its names, its dates, and what others may object to."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from typing import Optional

from conbool_tui.checks import x509
from conbool_tui.findings import Status

SOON = datetime.timedelta(days=14)
Judgement = tuple[Status, str, str]


def fingerprint(der: Optional[bytes]) -> str:
    """SHA-256 of a certificate in hexadecimal digits; empty without one."""
    return hashlib.sha256(der).hexdigest() if der else ""


def judge(
    chain: Sequence[x509.Certificate],
    name: Optional[str],
    untrusted: str,
    now: Optional[datetime.datetime] = None,
) -> Judgement:
    """Status, summary and remedy. Conbool does not say what it demands of this certificate, so nothing here fails.

    Args:
        chain: the certificates sent, the server's own first; empty when none could be read.
        name: the name for the Setup Assistant, None when not chosen yet.
        untrusted: why the system's CAs do not lead to it, in the TLS library's words; empty when they do.
        now: the time to judge validity at, UTC; the present when not given.
    """
    if not chain:
        return Status.WARN, "This server's certificate cannot be read.", "Look at smtpd_tls_cert_file."
    own = chain[0]
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    names = ", ".join(own.presented_names) or "no name"
    issuer = "itself" if own.self_issued else own.issuer
    told = f"{names}, issued by {issuer}, until {own.not_after:%Y-%m-%d}"
    if moment > own.not_after:
        return (
            Status.WARN,
            f"This server's certificate has expired: {told}.",
            "Renew it; senders that check it refuse to deliver.",
        )
    if moment < own.not_before:
        return (
            Status.WARN,
            f"This server's certificate is not valid before {own.not_before:%Y-%m-%d}: {told}.",
            "Set this server's clock right, or use the certificate that is valid today.",
        )
    if name is not None and not own.matches(name):
        return (
            Status.WARN,
            f"This server's certificate is not for {name}: {told}.",
            "Use a certificate that carries the name you type into the Setup Assistant, or type the name it carries.",
        )
    if own.self_issued:
        return (
            Status.WARN,
            f"This server's certificate is signed by itself: {told}.",
            "Enough for encryption; whoever checks it refuses it. A certificate of a public CA costs nothing (ACME).",
        )
    if not own.names:
        return (
            Status.WARN,
            f"This server's certificate has its name in the common name only: {told}.",
            "Clients of today read the subject alternative names: get a certificate that has them.",
        )
    if untrusted and len(chain) == 1:
        return (
            Status.WARN,
            f"This server sends no intermediate certificate, and its own does not lead to a trusted CA ({untrusted}): {told}.",
            "Put the CA's intermediate certificate behind the server's own in smtpd_tls_cert_file (fullchain.pem).",
        )
    if untrusted:
        return (
            Status.WARN,
            f"This server's certificate comes from a CA that this system does not trust ({untrusted}): {told}.",
            "Whoever checks it against the public CAs refuses it: use a certificate of a public CA.",
        )
    if own.not_after - moment < SOON:
        return (
            Status.WARN,
            f"This server's certificate expires soon: {told}.",
            "See to its renewal.",
        )
    return Status.OK, f"This server shows a certificate: {told}.", ""
