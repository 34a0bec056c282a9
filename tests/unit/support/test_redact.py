"""Nothing that says who somebody is stays in a text; what helps a reader does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui.support.redact import Redactor

FIRST = st.sampled_from(("", "", "smtp.", "mail.", "dns.", "scope.", "inbound."))
LABEL = st.from_regex(r"[a-z][a-z0-9]{2,9}(-[a-z0-9]{2,9})?", fullmatch=True)
DOMAIN = st.tuples(
    LABEL, st.sampled_from(("de", "com.py", "firma.pl", "co.uk", "test", "sh", "xn--p1ai"))
).map(".".join)
AROUND = st.sampled_from(
    (
        "{}",
        "<{}>",
        "relay=mx.{}[192.0.2.7]:25",
        "/etc/letsencrypt/live/{}/fullchain.pem",
        "['{}', 1]",
        "to=<a.b+c@{}>,",
        "=?{}?=",
        "x {}, y",
    )
)


@given(FIRST, DOMAIN, AROUND)
def test_no_domain_stays(first: str, domain: str, around: str) -> None:
    made = Redactor().text(around.format(first + domain))
    assert domain not in made, made


def test_a_folder_named_after_a_domain_goes() -> None:
    assert "kunde" not in Redactor().text("/etc/letsencrypt/live/kunde.sh/fullchain.pem kunde.sh")


@given(LABEL, DOMAIN)
def test_no_mail_address_stays(user: str, domain: str) -> None:
    made = Redactor().text(f'warning: from="{user}@{domain}" to <{user}.x@sub.{domain}> ({user}@{domain})')
    assert domain not in made
    assert f"{user}@" not in made


@given(st.ip_addresses(v=6).map(str) | st.ip_addresses(v=4).map(str))
def test_no_ip_address_stays(address: str) -> None:
    if address in ("::1", "::", "0.0.0.0") or address.startswith("127."):
        return
    made = Redactor().text(f"client=x[{address}] {address}/32 [{address}]:25 connect from {address}, port")
    assert address not in made, made


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("smtp_sasl_password_maps = static:alice:S3cret", "S3cret"),
        ("mysql://mail:hunter22@db/x", "hunter22"),
        ("password = hunter22", "hunter22"),
        ('"api_key": "abcdef123"', "abcdef123"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\n", "MIIEvQ"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ==\n", "MIIEvQ"),
        ("DB_PASSWORD=hunter22", "hunter22"),
    ],
)
def test_no_secret_stays(text: str, secret: str) -> None:
    assert secret not in Redactor().text(text)


def test_known_names_go_in_every_shape() -> None:
    redactor = Redactor(["kunde-nord.de", "bär.example", "srv04"])
    made = redactor.text(
        "X-Conbool-kunde-nord-de: true /^X-Conbool-kunde-nord-de: / kunde-nord.de KUNDE-NORD.DE srv04 postfix/srv04 (srv04) bär.example"
    )
    for name in ("kunde", "srv04", "bär"):
        assert name not in made.lower(), made


def test_the_same_name_is_the_same_everywhere() -> None:
    made = Redactor().text("a@kunde.de b@kunde.de kunde.de other.de").split()
    assert made[0].partition("@")[2] == made[1].partition("@")[2] == made[2]
    assert made[2] != made[3]


@pytest.mark.parametrize(
    "text",
    [
        "/etc/postfix/main.cf: relayhost",
        "in master.cf",
        "mail.conbool.com:25",
        "127.0.0.1:10026 and ::1",
        "X-Conbool-Released: yes, X-Conbool-Flag, X-Conbool-Spam, X-Conbool-Origin",
        'File "/usr/lib/conbool-tui/conbool_tui/session.py", line 12',
        "inbound.restrict_port_25: smart_host.host",
        "Postfix 3.7.11, Python 3.11.2, conbool-tui 0.2.0",
        "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
        "2026-11-20T16:12:15Z n 12 20261120-161215-c23f",
        "/etc/nftables.conf and rules.v4, conbool-firewall.service",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert Redactor(["kunde.de"]).text(text) == text


def test_ten_thousand_names_are_quick_enough_to_be_used() -> None:
    redactor = Redactor([f"kunde-{number}.de" for number in range(10_000)])
    made = redactor.text(
        "\n".join(f"kunde-{number}.de X-Conbool-kunde-{number}-de" for number in range(10_000))
    )
    assert "kunde" not in made
