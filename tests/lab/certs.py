"""A throwaway certificate authority and the kinds of certificate a server can show."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What a sink can show: the right name; another name; the right name but past its date, close to it, or before it; the right
# name signed by itself; the right name from an authority nobody trusts; the right name as common name only; a
# wildcard for it; the right name without the certificate between it and the root; and no STARTTLS at all.
KINDS = (
    "good",
    "wrong_name",
    "expired",
    "soon",
    "not_yet_valid",
    "self_signed",
    "untrusted",
    "cn_only",
    "wildcard",
    "missing_intermediate",
    "none",
)


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its chain, and its key, both PEM."""

    certificate: bytes
    key: bytes


def _pair(leaf: trustme.LeafCert) -> KeyPair:
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return KeyPair(chain, leaf.private_key_pem.bytes())


def _self_signed(name: str) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = _builder(name, key).issuer_name(_common_name(name)).add_extension(names, critical=False)
    return _written(builder.sign(key, hashes.SHA256()), key)


def _cn_only(authority: trustme.CA, name: str) -> KeyPair:
    """Signed by ``authority``, without the extension that modern clients look for names in (RFC 6125)."""
    key = ec.generate_private_key(ec.SECP256R1())
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    root_key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    return _written(_builder(name, key).issuer_name(root.subject).sign(root_key, hashes.SHA256()), key)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )


def _written(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


class Authority:
    """The lab's own certificate authority, and another one that nobody trusts."""

    def __init__(self) -> None:
        self._trusted = trustme.CA(organization_name="Conbool laboratory")
        self._other = trustme.CA(organization_name="Nobody's authority")

    @property
    def root_pem(self) -> bytes:
        """The root certificate that machines trust."""
        return self._trusted.cert_pem.bytes()

    def issue(self, name: str, kind: str = "good") -> KeyPair:
        """A server or client certificate for ``name``, of one of ``KINDS`` but ``none``."""
        now = datetime.datetime.now(datetime.timezone.utc)
        if kind == "good":
            return _pair(self._trusted.issue_cert(name, common_name=name))
        if kind == "wrong_name":
            other = "wrong-name.invalid"
            return _pair(self._trusted.issue_cert(other, common_name=other))
        if kind == "expired":
            begin, end = now - datetime.timedelta(days=60), now - datetime.timedelta(days=30)
            return _pair(self._trusted.issue_cert(name, common_name=name, not_before=begin, not_after=end))
        if kind == "soon":
            end = now + datetime.timedelta(days=7)
            return _pair(self._trusted.issue_cert(name, common_name=name, not_after=end))
        if kind == "not_yet_valid":
            begin, end = now + datetime.timedelta(days=30), now + datetime.timedelta(days=60)
            return _pair(self._trusted.issue_cert(name, common_name=name, not_before=begin, not_after=end))
        if kind == "wildcard":
            return _pair(self._trusted.issue_cert("*." + name.partition(".")[2]))
        if kind == "cn_only":
            return _cn_only(self._trusted, name)
        if kind == "missing_intermediate":
            leaf = self._trusted.create_child_ca().issue_cert(name, common_name=name)
            return KeyPair(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())
        if kind == "untrusted":
            return _pair(self._other.issue_cert(name, common_name=name))
        if kind == "self_signed":
            return _self_signed(name)
        raise ValueError(f"unknown kind of certificate: {kind}; known: {', '.join(KINDS)}")

    def server_context(self, pair: KeyPair) -> ssl.SSLContext:
        """A TLS server that asks for a client certificate but does without; it believes this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        load_pair(context, pair)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.root_pem.decode())
        return context

    def client_context(self, pair: Optional[KeyPair] = None) -> ssl.SSLContext:
        """A TLS client that does not check the server's certificate."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if pair is not None:
            load_pair(context, pair)
        return context


def load_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Give ``context`` a certificate; the ssl module reads only files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.pem")
        path.touch(0o600)
        path.write_bytes(pair.key + pair.certificate)
        context.load_cert_chain(path)
