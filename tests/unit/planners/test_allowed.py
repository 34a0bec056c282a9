"""Who may connect to port 25, as plain networks: never more than Postfix lets in."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui.allowed import allowed_networks
from conbool_tui.answers import Answers, Inbound
from conbool_tui.planners.postfix.allowed import own_networks, unlisted_networks
from conbool_tui.planners.postfix.mta import mta_of

from .facts_builder import MASTER, facts_for

ANSWERS = Answers(
    domains=("example.com",),
    conbool_networks=("198.51.100.0/24", "2001:db8:c::/48"),
    inbound=Inbound(restrict_port_25=True, extra_networks=("203.0.113.8/29", "198.51.100.7/32")),
)
ASKED = ("198.51.100.0/24", "203.0.113.8/29", "2001:db8:c::/48")


@pytest.mark.parametrize(
    ("value", "listed", "unlisted"),
    [
        ("", (), ()),
        (
            "127.0.0.0/8 [::1]/128, 192.0.2.0/24,[2001:db8:1::]/64",
            ("192.0.2.0/24", "2001:db8:1::/64"),
            (),
        ),
        ("192.0.2.7 [2001:db8::7]", ("192.0.2.7/32", "2001:db8::7/128"), ()),
        ("192.0.2.0/25 192.0.2.128/25", ("192.0.2.0/24",), ()),
        ("hash:/etc/postfix/networks, 192.0.2.7", ("192.0.2.7/32",), ("hash:/etc/postfix/networks",)),
        ("/etc/postfix/networks", (), ("/etc/postfix/networks",)),
        ("!192.0.2.0/25 192.0.2.0/24", ("192.0.2.128/25",), ()),
        ("192.0.2.0/24 !192.0.2.0/25", ("192.0.2.0/24",), ()),
        ("!192.0.0.0/16 192.0.2.0/24 10.0.0.0/8", ("10.0.0.0/8",), ()),
        (
            "10.0.0.0/8 !hash:/no 192.0.2.0/24",
            ("10.0.0.0/8",),
            ("!hash:/no", "192.0.2.0/24"),
        ),
        ("192.0.2.1/24", (), ("192.0.2.1/24",)),
        ("0.0.0.0/0", ("0.0.0.0/0",), ()),
        ("$mine", ("10.1.0.0/16",), ()),
    ],
)
def test_networks_of_mynetworks(value: str, listed: tuple[str, ...], unlisted: tuple[str, ...]) -> None:
    facts = facts_for(f"mynetworks = {value}\nmine = 10.1.0.0/16\n")
    answers = Answers(domains=("example.com",))
    assert allowed_networks(mta_of(facts), answers) == listed
    assert unlisted_networks(facts) == unlisted


def test_everybody_who_may_connect() -> None:
    facts = facts_for("mynetworks = 127.0.0.0/8 192.0.2.0/24\n")
    assert allowed_networks(mta_of(facts), ANSWERS) == ("192.0.2.0/24", *ASKED)


def test_a_service_of_port_25_may_have_its_own_mynetworks() -> None:
    """Those of other services count for nothing."""
    master = MASTER.replace("smtpd\n", "smtpd\n  -o { mynetworks = $more, 10.0.0.0/8 }\n", 1)
    master += "2525 inet n - y - - smtpd\n  -o mynetworks=172.16.0.0/12\n"
    facts = facts_for("mynetworks = 192.0.2.0/24\nmore = 192.168.0.0/16\n", master)
    assert allowed_networks(mta_of(facts), ANSWERS) == ("10.0.0.0/8", "192.168.0.0/16", *ASKED)


NETWORKS = st.builds(
    lambda number, length: ipaddress.ip_network((number >> (32 - length) << (32 - length), length)),
    st.integers(0xC0000200, 0xC00002FF),
    st.integers(24, 32),
)


@given(st.lists(st.tuples(st.booleans(), NETWORKS), max_size=6), st.integers(0xC0000200, 0xC00002FF))
def test_exclusions_mean_what_they_mean_to_postfix(
    items: list[tuple[bool, ipaddress.IPv4Network]], number: int
) -> None:
    """The first entry that holds an address decides (postconf(5), mynetworks)."""
    address = ipaddress.ip_address(number)
    wanted = next((not excluded for excluded, network in items if address in network), False)
    value = " ".join(f"{'!' if excluded else ''}{network}" for excluded, network in items)
    assert any(address in network for network in own_networks(value).listed) == wanted
