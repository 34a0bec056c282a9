"""Sendmail's files as data."""

from __future__ import annotations

import ipaddress
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conbool_tui.networks import merged
from conbool_tui.sendmail_config import (
    TooManyPrefixesError,
    access_lines,
    differences,
    network_of,
    parse_cf,
    prefixes,
)


@pytest.mark.parametrize(
    ("network", "written"),
    [
        ("198.51.100.0/24", ["198.51.100"]),
        ("198.51.100.0/23", ["198.51.100", "198.51.101"]),
        ("198.51.100.24/30", ["198.51.100.24", "198.51.100.25", "198.51.100.26", "198.51.100.27"]),
        ("10.0.0.0/8", ["10"]),
        ("2001:db8:c::/48", ["IPv6:2001:db8:c"]),
        ("2001:db8:c::/47", ["IPv6:2001:db8:c", "IPv6:2001:db8:d"]),
        ("2001:db8::25/128", ["IPv6:2001:db8:0:0:0:0:0:25"]),
    ],
)
def test_prefixes(network: str, written: list[str]) -> None:
    assert prefixes(network) == written


def test_prefixes_of_a_build_that_writes_addresses_short() -> None:
    assert prefixes("2001:db8::25/128", full=False) == ["IPv6:2001:db8::25"]


def test_too_many_prefixes() -> None:
    with pytest.raises(TooManyPrefixesError):
        prefixes("2001:db8::/33")


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(4, 32))
def test_prefixes_stand_for_exactly_the_network(address: int, length: int) -> None:
    network = ipaddress.ip_network((address, length), strict=False)
    found = [network_of(text) for text in prefixes(str(network))]
    assert all(one is not None for one in found)
    assert list(merged(one for one in found if one is not None)) == [network]


@pytest.mark.parametrize(
    ("key", "network"),
    [
        ("Connect:192.168", "192.168.0.0/16"),
        ("127", "127.0.0.0/8"),
        ("connect:IPv6:2001:db8", "2001:db8::/32"),
        ("IPv6:::1", "::1/128"),
        ("Connect:mail.example.com", None),
        ("From:192.168", None),
        ("Connect:999", None),
    ],
)
def test_networks_of_keys(key: str, network: Optional[str]) -> None:
    found = network_of(key)
    assert (None if found is None else str(found)) == network


def test_access_lines() -> None:
    text = "# comment\n\nConnect:127\t\tRELAY\nFrom:x@y.z\tERROR:5.1.1:550 no\nbare\n"
    assert [(line.number, line.key, line.value) for line in access_lines(text)] == [
        (3, "Connect:127", "RELAY"),
        (4, "From:x@y.z", "ERROR:5.1.1:550 no"),
        (5, "bare", ""),
    ]


CF = """\
# a comment
DSesmtp:[relay.example.net]
DMexample.com
Fw-o /etc/mail/local-host-names %[^\\#]
F{VirtHost}/etc/mail/virtual-domains
Kmailertable hash -o /etc/mail/mailertable
Kaccess hash -T<TMPF> /etc/mail/access
O DaemonPortOptions=Family=inet, Name=MTA-v4, Port=smtp, Addr=127.0.0.1
O DaemonPortOptions=Name=MSA, Port=587, M=E
O CACertFile=/a.pem
#O FallBackMXhost=nobody
HSubject: $>CheckSubject
H?P?Return-Path: <$g>
SEmpty
Smine=77
R$*\t\t$@ OK\tfine
S2
R$*
\t$@ OK
Mlocal,\t\tP=/usr/bin/procmail, F=lsDF,
\t\tA=procmail -Y
"""


def test_cf() -> None:
    cf = parse_cf(CF)
    assert cf.macros["S"] == "esmtp:[relay.example.net]"
    assert cf.class_files["VirtHost"] == ("/etc/mail/virtual-domains",)
    assert cf.map_file("access") == ("hash", "/etc/mail/access")
    assert cf.map_file("nothing") is None
    assert len(cf.daemons) == 2
    assert cf.options == {"CACertFile": "/a.pem"}
    assert (cf.headers["subject"].number, cf.headers["subject"].name) == (12, "Subject")
    assert list(cf.headers) == ["subject"]
    assert set(cf.rulesets) == {"mine", "2"}
    assert cf.mailer_path("local") == "/usr/bin/procmail"
    assert cf.mailer_path("none") == ""


def test_differences_leave_comments_and_blank_lines_out() -> None:
    built = "##### built by root on Monday\n" + CF.replace("# a comment\n", "")
    assert differences(CF, built) == []
    assert differences(CF, built.replace("Port=587", "Port=588")) == [
        "- O DaemonPortOptions=Name=MSA, Port=587, M=E",
        "+ O DaemonPortOptions=Name=MSA, Port=588, M=E",
    ]
