"""The words of nftables and iptables: what we write, and what is understood of what their tools print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conbool_tui.errors import ConboolError
from conbool_tui.firewall import iptables_text, nft_text
from conbool_tui.firewall.rules import EDITED, canonical, rules, wanted

RULES = rules(["198.51.100.0/24", "203.0.113.7", "2001:db8:c::/48"])
TEXT = RULES.text()


# --- canonical texts


def test_an_edited_text_is_put_back_without_the_edits() -> None:
    edited = TEXT + f"{EDITED}rule 3 was changed\n"
    assert wanted(edited) == RULES
    assert canonical(edited) == TEXT
    assert canonical(None) is None
    with pytest.raises(ConboolError):
        wanted("allow everybody\n")


# --- nft


def flags(style: str) -> Any:
    words: Any = ["fin", "syn", "rst", "ack"]
    if style == "1.1":
        words = {"|": words}
    if style == "0.9":
        words = {"|": [{"|": [{"|": ["fin", "syn"]}, "rst"]}, "ack"]}
    left = {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, words]}
    return {"match": {"op": "==", "left": left, "right": "syn"}}


def rule(family: str, style: str = "1.0", **changes: Any) -> dict[str, Any]:
    expr = [
        {"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "lo"}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 25}},
        flags(style),
        {
            "match": {
                "op": "!=",
                "left": {"payload": {"protocol": family, "field": "saddr"}},
                "right": "@conbool4" if family == "ip" else "@conbool6",
            }
        },
        {"reject": {"type": "tcp reset"}},
    ]
    made = {"family": "inet", "table": "conbool", "chain": "input", "comment": "conbool-tui", "expr": expr}
    return {"rule": {**made, **changes}}


def listing(*rules_: Any, elements4: Any = None, chain: Any = None, more: Any = ()) -> str:
    four = (
        [{"prefix": {"addr": "198.51.100.0", "len": 24}}, "203.0.113.7"] if elements4 is None else elements4
    )
    base = {"name": "input", "type": "filter", "hook": "input", "prio": -10, "policy": "accept"}
    items: list[Any] = [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "conbool"}},
        {"set": {"name": "conbool4", "elem": four}},
        {"set": {"name": "conbool6", "elem": [{"prefix": {"addr": "2001:db8:c::", "len": 48}}]}},
        {"chain": {**base, **(chain or {})}},
        *more,
        *rules_,
    ]
    return json.dumps({"nftables": items})


@pytest.mark.parametrize("style", ["0.9", "1.0", "1.1"])
def test_every_release_of_nft_is_understood(style: str) -> None:
    assert nft_text.live_text(listing(rule("ip", style), rule("ip6", style))) == TEXT


def test_ranges_and_wrapped_elements_are_understood() -> None:
    elements = [
        {"range": ["198.51.100.0", "198.51.100.255"]},
        {"elem": {"val": "203.0.113.7", "comment": "x"}},
    ]
    assert nft_text.live_text(listing(rule("ip"), rule("ip6"), elements4=elements)) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        listing(rule("ip")),
        listing(rule("ip6"), rule("ip")),
        listing(rule("ip"), rule("ip6"), rule("ip6")),
        listing(rule("ip"), rule("ip6", comment="")),
        listing(rule("ip"), rule("ip6", expr=[{"accept": None}])),
        listing(rule("ip"), rule("ip6"), chain={"policy": "drop"}),
        listing(rule("ip"), rule("ip6"), chain={"prio": 0}),
        listing(rule("ip"), rule("ip6"), chain={"name": "other"}),
        listing(rule("ip"), rule("ip6"), elements4=[{"concat": ["1.2.3.4", 25]}]),
        listing(rule("ip"), rule("ip6"), more=[{"counter": {"name": "c"}}]),
    ],
)
def test_whatever_was_edited_is_told(text: str) -> None:
    found = nft_text.live_text(text)
    assert found is not None
    assert EDITED in found
    assert wanted(found) is not None


def test_a_listing_without_the_table() -> None:
    assert nft_text.live_text('{"nftables": [{"metainfo": {}}]}') is None
    with pytest.raises(ConboolError):
        nft_text.live_text("Error: no JSON")


def test_an_empty_list_has_sets_without_elements() -> None:
    assert "elements" not in nft_text.load_text(rules([]))


def test_an_update_leaves_what_stays_alone() -> None:
    text = nft_text.update_text(RULES, rules(["198.51.100.0/24", "192.0.2.1", "2001:db8:d::/48"]))
    assert "198.51.100.0" not in text
    assert text.splitlines() == [
        "delete element inet conbool conbool4 { 203.0.113.7/32 }",
        "delete element inet conbool conbool6 { 2001:db8:c::/48 }",
        "add element inet conbool conbool4 { 192.0.2.1/32 }",
        "add element inet conbool conbool6 { 2001:db8:d::/48 }",
    ]
    assert nft_text.update_text(RULES, RULES) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('include "/etc/nftables.d/*.nft"', True),
        ("include '/etc/nftables.d/*'", True),
        ('include "nftables.d/*.nft"', True),
        ('include "/etc/nftables.d/*.conf"', False),
        ('include "/etc/nftables/*.nft"', False),
        ('# include "/etc/nftables.d/*.nft"', False),
        ('include "/etc/nftables.d/conbool.nft"', False),
        ('include "/etc/nftables.d/*.nft"\nflush ruleset', False),
        (nft_text.INCLUDE, False),
    ],
)
def test_an_include_that_loads_our_file(text: str, found: bool) -> None:
    assert nft_text.includes_rules_file(f"flush ruleset\n{text}\n") is found


# --- iptables


def saved(family: int, *, before: str = "", lines: Any = None) -> str:
    ours = iptables_text.file_lines(RULES, family) if lines is None else lines
    return f"*filter\n:INPUT ACCEPT [0:0]\n{before}" + "".join(f"{line}\n" for line in ours) + "COMMIT\n"


def test_what_iptables_save_prints_is_understood() -> None:
    assert iptables_text.live_text({4: saved(4), 6: saved(6)}) == TEXT
    assert iptables_text.live_text({4: "", 6: "*filter\nCOMMIT\n"}) is None


def test_options_may_stand_in_any_order() -> None:
    line = (
        '[4:200] -A INPUT -p tcp -m comment --comment "conbool-tui" -m tcp '
        "--tcp-flags SYN,ACK,FIN,RST SYN --dport 25 -j CONBOOL-SMTP"
    )
    assert iptables_text.is_ours(line)
    assert iptables_text.meaning(line).kind == "jump"
    assert (
        iptables_text.meaning(
            "-A INPUT -p tcp --syn --dport 25 -m comment --comment conbool-tui -j CONBOOL-SMTP"
        ).kind
        == "jump"
    )
    assert iptables_text.meaning("-A INPUT ! -i eth0 -j CONBOOL-SMTP").kind == "other"
    assert iptables_text.meaning('-A CONBOOL-SMTP --comment "unclosed').kind == "other"


@pytest.mark.parametrize(
    "line",
    [
        "-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT",
        "-A INPUT -j ACCEPT",
        "-A INPUT -p tcp -m multiport --dports 25,22 -j ACCEPT",
        "-A INPUT -j ADMIN",
        "-A INPUT -m conntrack --ctstate NEW -j ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 20:30 -j ACCEPT",
    ],
)
def test_a_rule_before_ours_that_may_accept_port_25(line: str) -> None:
    text = saved(4, before=line + "\n")
    found = iptables_text.live_text({4: text, 6: saved(6)})
    assert found is not None
    assert "not the first rule" in found
    assert "-I INPUT 1" in iptables_text.put_text(RULES, 4, text)


@pytest.mark.parametrize(
    "line",
    [
        "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
        "-A INPUT -s 203.0.113.9/32 -j DROP",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
        "-A INPUT -p udp -j ACCEPT",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ],
)
def test_a_rule_before_ours_that_cannot_accept_port_25(line: str) -> None:
    text = saved(4, before=line + "\n")
    assert iptables_text.live_text({4: text, 6: saved(6)}) == TEXT
    assert "INPUT" not in iptables_text.put_text(RULES, 4, text)


def test_one_family_without_our_rules_is_told() -> None:
    found = iptables_text.live_text({4: saved(4), 6: "*filter\nCOMMIT\n"})
    assert found is not None
    assert f"{EDITED}IPv6: our rules are missing" in found


def test_taking_out_takes_every_jump() -> None:
    text = saved(4, before="-A FORWARD -s 10.0.0.0/8 -j CONBOOL-SMTP\n")
    taken = iptables_text.take_text(text)
    assert taken is not None
    assert taken.splitlines()[1:-1] == [
        "-D FORWARD -s 10.0.0.0/8 -j CONBOOL-SMTP",
        "-D " + iptables_text.JUMP,
        "-F CONBOOL-SMTP",
        "-X CONBOOL-SMTP",
    ]
    assert iptables_text.take_text("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n") is None


def test_lines_of_other_tables_do_not_count() -> None:
    assert iptables_text.table_lines("*nat\n-A X\nCOMMIT\n*filter\n# c\n-A Y\nCOMMIT\n") == ["-A Y"]
