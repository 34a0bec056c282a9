"""The certificate reader against certificates of every kind, and the findings about our own."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509 as reference
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui.checks import certificates, x509
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def test_fields() -> None:
    leaf = trustme.CA(organization_name="Órgano").issue_cert(
        "a.example", "*.b.example", "192.0.2.1", common_name="c.example"
    )
    found = x509.from_pem(leaf.cert_chain_pems[0].bytes())
    assert found.names == ("a.example", "*.b.example", "192.0.2.1")
    assert found.common_name == "c.example"
    assert "Órgano" in found.issuer
    assert not found.self_issued
    assert [
        found.matches(name)
        for name in ("A.example", "x.b.example", "c.example", "b.example", "x.y.b.example")
    ] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.skipif(not BUNDLE.exists(), reason="no CA bundle on this system")
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_every_trusted_authority_can_be_read() -> None:
    blocks = BUNDLE.read_text().split("-----END CERTIFICATE-----")[:-1]
    assert len(blocks) > 50
    for block in blocks:
        pem = (block + "-----END CERTIFICATE-----\n").encode()
        mine, theirs = x509.from_pem(pem), reference.load_pem_x509_certificate(pem)
        assert mine.not_after == theirs.not_valid_after_utc
        assert mine.not_before == theirs.not_valid_before_utc
        assert mine.self_issued


@given(st.binary(max_size=80))
def test_no_bytes_break_it(data: bytes) -> None:
    with pytest.raises(x509.CertificateFormatError):
        x509.from_der(data)


@given(st.integers(0, 600), st.integers(0, 255))
def test_damage_is_an_error_or_another_certificate(position: int, value: int) -> None:
    der = bytearray(_DER)
    der[position % len(der)] = value
    try:
        x509.from_der(bytes(der))
    except x509.CertificateFormatError as error:
        assert "damaged" in str(error)  # noqa: PT017 - both outcomes are right


_DER = ssl.PEM_cert_to_DER_cert(trustme.CA().issue_cert("a.example").cert_chain_pems[0].bytes().decode())


def finding(folder: Path, mode: int = 0o600, **more: datetime.datetime) -> Finding:
    leaf = trustme.CA().issue_cert("mx1.example.com", **more)  # type: ignore[arg-type]
    leaf.cert_chain_pems[0].write_to_path(folder / "c.pem")
    leaf.private_key_pem.write_to_path(folder / "k.pem")
    (folder / "k.pem").chmod(mode)
    (found,) = certificates.client_certificate_findings(Host(str(folder)), "/c.pem", "/k.pem")
    return found


def test_findings(tmp_path: Path) -> None:
    assert finding(tmp_path).status is Status.OK
    assert finding(tmp_path, 0o640).status is Status.OK
    open_key = finding(tmp_path, 0o644)
    assert open_key.status is Status.WARN
    assert open_key.remedy == "chmod o-rwx /k.pem"
    soon = finding(tmp_path, not_before=NOW - DAY, not_after=NOW + 5 * DAY)
    assert soon.status is Status.WARN
    assert "expires on" in soon.summary
    late = finding(tmp_path, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    assert late.status is Status.FAIL
    (none,) = certificates.client_certificate_findings(Host(str(tmp_path)), None, None)
    assert none.status is Status.NOT_TESTED


def test_an_issuer_that_reads_the_same_is_not_the_same() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    shown = [
        reference.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
        reference.NameAttribute(NameOID.COMMON_NAME, "mail"),
    ]
    issuer = [*shown, reference.NameAttribute(NameOID.LOCALITY_NAME, "Berlin")]
    made = (
        reference.CertificateBuilder()
        .subject_name(reference.Name(shown))
        .issuer_name(reference.Name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(key, hashes.SHA256())
    )
    found = x509.from_der(made.public_bytes(serialization.Encoding.DER))
    assert found.subject == found.issuer
    assert not found.self_issued
    assert "issued by Acme, mail, valid until" in x509.described(found)
    assert "expired" in x509.described(found, NOW + 2 * DAY)
    assert "valid from" in x509.described(found, NOW - 2 * DAY)
