"""Just enough of X.509 (RFC 5280) to name a certificate: subject, names, dates. The chain is judged by the
TLS library, never here.

The standard library shows these fields only for certificates it trusts, and the ones worth showing are those
it does not trust.
"""

from __future__ import annotations

import binascii
import datetime
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

_PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[ \t\r]*\n(.*?)-----END (?:TRUSTED |X509 "
    rb")?CERTIFICATE-----",
    re.DOTALL,
)
_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_SEQUENCE, _SET, _OID, _BOOLEAN, _OCTETS = 0x30, 0x31, 0x06, 0x01, 0x04
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_COMMON_NAME = bytes.fromhex("550403")
_ORGANIZATION = bytes.fromhex("55040a")
_UNIT = bytes.fromhex("55040b")
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_BMP_STRING = 0x1E


class CertificateFormatError(ValueError):
    """The bytes are no certificate."""


@dataclass(frozen=True)
class Certificate:
    """What is shown of one certificate. ``names`` are its DNS names (and addresses); dates are UTC; ``self_issued``: subject
    and issuer are the same, byte for byte: a self-signed certificate, or a root.
    """

    subject: str
    common_name: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    self_issued: bool = False

    @property
    def presented_names(self) -> tuple[str, ...]:
        """The names a client checks: DNS names, or the common name when there are none (as Postfix does,
        TLS_README).
        """
        return self.names or ((self.common_name,) if self.common_name else ())

    def matches(self, name: str) -> bool:
        """True when one of the names is ``name``; a wildcard stands for exactly the left-most label (RFC
        6125 section 6.4.3).
        """
        wanted = name.lower().rstrip(".")
        for presented in self.presented_names:
            have = presented.lower().rstrip(".")
            if have == wanted:
                return True
            if have.startswith("*.") and have.count(".") >= 2 and wanted.partition(".")[2] == have[2:]:
                return True
        return False


def described(certificate: Certificate, now: Optional[datetime.datetime] = None) -> str:
    """Subject, issuer and the day it ends (or begins, when that is to come), in brackets."""
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    issuer = "itself" if certificate.self_issued else certificate.issuer
    if moment < certificate.not_before:
        when = f"valid from {certificate.not_before:%Y-%m-%d}"
    else:
        when = f"{'expired' if moment > certificate.not_after else 'valid until'} {certificate.not_after:%Y-%m-%d}"
    return f"({certificate.subject}, issued by {issuer}, {when})"


def has_key(data: bytes) -> bool:
    """True when the PEM file holds a private key."""
    return _KEY.search(data) is not None


def from_pem(data: bytes) -> Certificate:
    """The first certificate of a PEM file. Raises CertificateFormatError."""
    found = _PEM.search(data)
    if found is None:
        raise CertificateFormatError("it holds no PEM certificate")
    try:
        der = binascii.a2b_base64(b"".join(found.group(1).split()))
    except binascii.Error:
        raise CertificateFormatError("its base64 is damaged") from None
    return from_der(der)


def from_der(data: bytes) -> Certificate:
    """A certificate from its DER encoding. Raises CertificateFormatError."""
    try:
        return _certificate(data)
    except (IndexError, ValueError, StopIteration, UnicodeError):
        raise CertificateFormatError("its encoding is damaged") from None


def _certificate(data: bytes) -> Certificate:
    tag, body = next(_items(data))
    if tag != _SEQUENCE:
        raise ValueError
    signed = next(_items(body))[1]
    fields = list(_items(signed))
    if fields[0][0] == 0xA0:
        fields = fields[1:]
    issuer, validity, subject = fields[2][1], fields[3][1], fields[4][1]
    begin, end = (_time(tag, value) for tag, value in _items(validity))
    names: tuple[str, ...] = ()
    for tag, value in fields[6:]:
        if tag == 0xA3:
            names = _alternative_names(next(_items(value))[1])
    common_name = _attribute(subject, _COMMON_NAME)
    return Certificate(_name(subject), common_name, _name(issuer), names, begin, end, subject == issuer)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element in ``data``. Raises IndexError or ValueError."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise ValueError
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        if position + length > len(data):
            raise ValueError
        yield tag, data[position : position + length]
        position += length


def _time(tag: int, value: bytes) -> datetime.datetime:
    text = value.decode("ascii").rstrip("Z")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)


def _attributes(name: bytes) -> Iterator[tuple[bytes, str]]:
    for set_tag, group in _items(name):
        if set_tag != _SET:
            raise ValueError
        for _, pair in _items(group):
            (_, oid), (tag, value) = _items(pair)
            text = value.decode("utf-16-be" if tag == _BMP_STRING else "utf-8", "replace")
            yield oid, "".join(char if char.isprintable() else "?" for char in text)


def _attribute(name: bytes, wanted: bytes) -> str:
    return next((text for oid, text in _attributes(name) if oid == wanted), "")


def _name(name: bytes) -> str:
    """A distinguished name for people: organisation and common name (or unit), else whatever it holds."""
    parts = list(_attributes(name))
    last = _COMMON_NAME if any(oid == _COMMON_NAME for oid, _ in parts) else _UNIT
    short = [text for oid, text in parts if oid in (_ORGANIZATION, last)]
    return ", ".join(short or [text for _, text in parts]) or "(no name)"


def _alternative_names(extensions: bytes) -> tuple[str, ...]:
    for _, extension in _items(extensions):
        parts = list(_items(extension))
        if parts[0] != (_OID, _ALTERNATIVE_NAMES):
            continue
        content = parts[-1][1] if parts[-1][0] == _OCTETS else b""
        found: list[str] = []
        for tag, value in _items(next(_items(content))[1]):
            if tag == _DNS_NAME:
                found.append(
                    "".join(char if char.isprintable() else "?" for char in value.decode("ascii", "replace"))
                )
            elif tag == _IP_ADDRESS:
                found.append(str(ipaddress.ip_address(value)))
        return tuple(found)
    return ()
