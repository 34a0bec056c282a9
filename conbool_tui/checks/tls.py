"""The TLS library (ssl) as the checks use it: whom to trust, what it says, and what passed during a handshake."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any, Optional

from conbool_tui.checks import x509

_HANDSHAKE, _CERTIFICATE, _CERTIFICATE_REQUEST, _HELLO_DONE = 22, 11, 13, 14


def tls_reason(error: ssl.SSLError) -> str:
    """The TLS library's own words for a failure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    return (error.reason or str(error)).replace("_", " ").lower()


def client_context(
    ca_file: Optional[str] = None, ca_path: Optional[str] = None, *, system_too: bool = False
) -> ssl.SSLContext:
    """A context that demands a chain to a trusted CA and leaves the name to be judged by itself.

    The strictness that Python 3.13 adds to its default context (RFC 5280 to the letter) is left away: no mail
    server asks for it, so it would refuse certificates that mail is delivered with.

    Args:
        ca_file: path on this machine of the trusted CAs.
        ca_path: directory of trusted CAs (openssl-rehash(1)).
        system_too: trust the system's own CAs besides; they alone count when neither file nor directory is given.

    Raises:
        OSError, ssl.SSLError: file or directory cannot be loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    if ca_file is not None or ca_path is not None:
        context.load_verify_locations(ca_file, ca_path)
    if system_too or (ca_file is None and ca_path is None):
        context.load_default_certs()
    return context


def trusting_context() -> ssl.SSLContext:
    """A context that accepts every certificate: for looking at one that is not trusted. No mail goes through
    it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class HandshakeNotes:
    """What the server sent during a handshake, also during one that fails.

    Attributes:
        chain: its certificates (DER), its own first.
        asked: whether it asked for our certificate; None when that could not be seen.
    """

    def __init__(self) -> None:
        self.chain: tuple[bytes, ...] = ()
        self.asked: Optional[bool] = None

    def certificates(self) -> list[x509.Certificate]:
        """The certificates that can be read, in the order sent."""
        return readable(self.chain)

    def note(self, direction: str, content_type: int, message_type: int, data: bytes) -> None:
        """One protocol message (RFC 8446 section 4, RFC 5246 section 7.4)."""
        if direction != "read" or content_type != _HANDSHAKE:
            return
        if message_type == _CERTIFICATE_REQUEST:
            self.asked = True
        if message_type == _CERTIFICATE:
            self.chain = _chain(data[4:])
        # TLS 1.3 asks before it shows its own certificate; TLS 1.2 afterwards, and says when it is done.
        if self.asked is None and (
            message_type == _HELLO_DONE or (message_type == _CERTIFICATE and not _is_old(data[4:]))
        ):
            self.asked = False


def readable(chain: Sequence[Optional[bytes]]) -> list[x509.Certificate]:
    """The certificates (DER) up to the first that is missing or cannot be read."""
    found = []
    for der in chain:
        try:
            found.append(x509.from_der(der or b""))
        except x509.CertificateFormatError:
            break
    return found


def shown(chain: Sequence[x509.Certificate]) -> list[str]:
    """A line for the transcript for each certificate sent."""
    return [
        f"= certificate {number} for {', '.join(one.presented_names) or 'no name'} {x509.described(one)}"
        for number, one in enumerate(chain, 1)
    ]


def watch(context: ssl.SSLContext) -> HandshakeNotes:
    """Take notes of the handshakes made with ``context``.

    The public interface shows neither the chain of a server that is not trusted nor whether a client certificate
    was asked for; the library's hook for debugging does. Without it the notes stay empty.
    """
    notes = HandshakeNotes()

    def callback(_: Any, direction: str, __: Any, content_type: int, message_type: int, data: bytes) -> None:
        notes.note(direction, content_type, message_type, data)

    hook = "_msg_callback"
    if hasattr(context, hook):
        setattr(context, hook, callback)
    return notes


def _chain(body: bytes) -> tuple[bytes, ...]:
    """The certificates of a Certificate message; TLS 1.3 puts a context before the list, and extensions behind
    each entry. Empty when the message is damaged.
    """
    old = _is_old(body)
    position = 3 if old else 4 + (body[0] if body else 0)
    found = []
    while position + 3 <= len(body):
        size = int.from_bytes(body[position : position + 3], "big")
        found.append(body[position + 3 : position + 3 + size])
        position += 3 + size
        if not old:
            position += 2 + int.from_bytes(body[position : position + 2], "big")
    return tuple(found) if position == len(body) else ()


def _is_old(body: bytes) -> bool:
    """True when the list follows at once, as before TLS 1.3."""
    return int.from_bytes(body[:3], "big") == len(body) - 3
