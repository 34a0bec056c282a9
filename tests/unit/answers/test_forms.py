"""What one value may look like."""

from __future__ import annotations

import pytest

from conbool_tui import answer_forms as forms
from conbool_tui.answer_forms import FormError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        # IDNA 2003 would turn these into strasse.de, which is somebody else's.
        ("straße.de", "xn--strae-oqa.de"),
        ("xn--strae-oqa.de", "xn--strae-oqa.de"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("a-b.example", "a-b.example"),
        ("1und1.de", "1und1.de"),
    ],
)
def test_domains(text: str, value: str) -> None:
    assert forms.domain(text) == value
    assert forms.domain(value) == value


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("localhost", "no dot"),
        ("*.example.com", "wildcards"),
        ("alice@example.com", '"example.com"'),
        ("exam ple.com", "letters, digits"),
        ("-a.example", "letters, digits"),
        ("a_b.example", "letters, digits"),
        ("a..example", "between two dots"),
        (".example.com", "between two dots"),
        ("192.0.2.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("example.123", "number"),
        ("a" * 64 + ".example", "longer than 63"),
        (".".join(["a" * 60] * 5), "at most 253"),
        ("example.com/", "letters, digits"),
        ("exa\nmple.com", "letters, digits"),
        ("exa\u200bmple.com", "not allowed"),
        ("☃☃.example", "not allowed"),
        ("xn--999999999.example", "no encoded"),
        ("http://example.com", "letters, digits"),
    ],
)
def test_no_domains(text: str, word: str) -> None:
    with pytest.raises(FormError, match=word.replace(".", r"\.").replace("*", r"\*")):
        forms.domain(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("198.51.100.0/24", "198.51.100.0/24"),
        ("198.51.100.7", "198.51.100.7/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_networks(text: str, value: str) -> None:
    assert forms.network(text) == value
    assert forms.network(value) == value


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("0.0.0.0/0", "whole Internet"),
        ("::/0", "whole Internet"),
        ("1.2.3.4/0", "whole Internet"),
        ("16.0.0.0/7", "shorter than /8"),
        ("2000::/15", "shorter than /16"),
        ("198.51.100.7/24", "198.51.100.0/24"),
        ("198.51.100.0/33", "no network"),
        ("198.51.100.0/255.255.255.0", "has a mask"),
        ("198.51.100", "no network"),
        ("mail.conbool.com", "no network"),
        ("", "no network"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("224.0.0.0/8", "multicast"),
        ("::ffff:192.0.2.0/120", "IPv6 clothes"),
        ("fe80::1%eth0", "interface"),
        ("255.255.255.0", "mask"),
        ("0.0.0.255", "mask"),
        ("240.0.0.0/8", "no address of a host"),
    ],
)
def test_no_networks(text: str, word: str) -> None:
    with pytest.raises(FormError, match=word):
        forms.network(text)


def test_overlaps_name_both() -> None:
    assert forms.overlaps(["10.0.0.0/8", "192.0.2.0/24", "10.1.0.0/16"]) == [("10.0.0.0/8", "10.1.0.0/16")]
    assert forms.overlaps(["10.1.0.0/16", "10.0.0.0/8"]) == [("10.1.0.0/16", "10.0.0.0/8")]
    assert forms.overlaps(["10.0.0.0/8", "10.0.0.0/8"]) == [("10.0.0.0/8", "10.0.0.0/8")]
    assert forms.overlaps(["10.0.0.0/9", "10.128.0.0/9", "2001:db8::/32", "2001:db9::/32"]) == []
    assert forms.overlaps(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/8"]) == [
        ("10.0.0.0/8", "10.1.0.0/16"),
        ("10.1.0.0/16", "10.1.2.0/24"),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Alice@Example.com", "alice@example.com"),
        ("@example.org", "@example.org"),
        ("a.b+tag@bücher.example", "a.b+tag@xn--bcher-kva.example"),
        ("o'neil@example.com", "o'neil@example.com"),
    ],
)
def test_senders(text: str, value: str) -> None:
    assert forms.sender(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "",
        "@",
        "a b@example.com",
        "*@example.com",
        '"a b"@example.com',
        "a@b@example.com",
        "a..b@example.com",
        "alice@localhost",
        "a\n@example.com",
        "<alice@example.com>",
    ],
)
def test_no_senders(text: str) -> None:
    with pytest.raises(FormError):
        forms.sender(text)


@pytest.mark.parametrize("text", ["X-Conbool-Flag", "X!#$%&'*+-.^_`|~9"])
def test_headers(text: str) -> None:
    assert forms.header(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "X Flag", "X-Flag:", "X-Flag: YES", "X-Flagge-ä", "Subject", "content-type", "X" * 77, "X\nY"],
)
def test_no_headers(text: str) -> None:
    with pytest.raises(FormError):
        forms.header(text)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "25.0", "smtp", "", "0x19", "2 5", "１２"])
def test_no_ports(text: str) -> None:
    with pytest.raises(FormError):
        forms.port(text)


def test_ports() -> None:
    assert [forms.port(text) for text in ("1", "25", "65535")] == [1, 25, 65535]


@pytest.mark.parametrize(
    ("text", "value"),
    [("203.0.113.7", "203.0.113.7"), ("2001:DB8:0::7", "2001:db8::7"), ("10.0.0.1", "10.0.0.1")],
)
def test_addresses(text: str, value: str) -> None:
    assert forms.address(text) == value
    assert forms.address(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "203.0.113",
        "203.0.113.7/32",
        "203.0.113.07",
        "mx1",
        "127.0.0.1",
        "::1",
        "::",
        "0.0.0.0",
        "224.0.0.1",
    ]
    + ["fe80::1", "169.254.0.1", "::ffff:203.0.113.7", "2001:db8::7%eth0", "[2001:db8::7]"],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(FormError):
        forms.address(text)


def test_seconds() -> None:
    assert [forms.seconds(text) for text in ("10", "60", "3600", "0060")] == [10, 60, 3600, 60]


@pytest.mark.parametrize("text", ["", "9", "3601", "-60", "60.0", "1m", "６０", "99999", "0x40"])
def test_no_seconds(text: str) -> None:
    with pytest.raises(FormError, match="10 to 3600"):
        forms.seconds(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("conbool", "conbool"), ("S1", "s1"), ("a.b", "a.b"), ("_x", "_x"), ("2026-a.", "2026-a")],
)
def test_selectors(text: str, value: str) -> None:
    assert forms.selector(text) == value
    assert forms.selector(value) == value


@pytest.mark.parametrize(
    "text", ["", ".", "a b", "a..b", "-a", "a@b", "*", "ä", "a" * 64, "a\n", ".".join(["a" * 60] * 4)]
)
def test_no_selectors(text: str) -> None:
    with pytest.raises(FormError):
        forms.selector(text)


@pytest.mark.parametrize(
    "text", ["mail.pem", "/etc/ssl/", "/etc/a b.pem", "/etc/$x.pem", "/etc/a\nb", "/etc/a,b", "", "/etc/{a}"]
)
def test_no_files(text: str) -> None:
    with pytest.raises(FormError):
        forms.file(text)


@pytest.mark.parametrize(
    "text", ["[mail.conbool.com]", "mail.conbool.com:25", "mailhost", "2001:db8::1", "a@b.example"]
)
def test_no_smart_hosts(text: str) -> None:
    with pytest.raises(FormError):
        forms.relay(text)


def test_smart_hosts() -> None:
    assert forms.relay("Mail.Conbool.Com") == "mail.conbool.com"
    assert forms.relay("192.0.2.25") == "192.0.2.25"
