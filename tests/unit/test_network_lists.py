"""Lists of networks from files and the clipboard."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conbool_tui import answer_forms, network_lists
from conbool_tui.errors import UsageError
from conbool_tui.host import Host
from conbool_tui.network_lists import parse_list, read_list


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("198.51.100.0/24", ("198.51.100.0/24",)),
        ("198.51.100.7", ("198.51.100.7/32",)),
        ("2001:DB8:0::/48\n2001:db9::1:2", ("2001:db8::/48", "2001:db9::1:2/128")),
        ("203.0.113.9, 198.51.100.0/24\t192.0.2.1", ("203.0.113.9/32", "198.51.100.0/24", "192.0.2.1/32")),
        ("# Conbool\n\n198.51.100.0/24 # all of it\n; old: 192.0.2.0/24\n", ("198.51.100.0/24",)),
        ("198.51.100.0/24 ; SBL256\n", ("198.51.100.0/24",)),
        ("198.51.100.0/24;\n", ("198.51.100.0/24",)),
        ("; 192.0.2.0/24 is gone\n198.51.100.0/24", ("198.51.100.0/24",)),
        ("\ufeff198.51.100.0/24\r\n203.0.113.0/24\r\n", ("198.51.100.0/24", "203.0.113.0/24")),
        ("198.51.100.0/24\r203.0.113.0/24", ("198.51.100.0/24", "203.0.113.0/24")),
        ("198.51.100.0/24\u00a0203.0.113.0/24\u200b", ("198.51.100.0/24", "203.0.113.0/24")),
        ("\"198.51.100.0/24\",\n'203.0.113.0/24'", ("198.51.100.0/24", "203.0.113.0/24")),
        ("[2001:db8::]/32 [2001:db9::1]", ("2001:db8::/32", "2001:db9::1/128")),
        ("- 198.51.100.0/24\n  * 203.0.113.1\n", ("198.51.100.0/24", "203.0.113.1/32")),
        ("198.51.100.0/255.255.255.0", ("198.51.100.0/24",)),
        ("10.0.0.0/8 fd00::/16", ("10.0.0.0/8", "fd00::/16")),
        # Joined, no network could be given as one.
        ("16.0.0.0/8 17.0.0.0/8", ("16.0.0.0/8", "17.0.0.0/8")),
    ],
)
def test_forms(text: str, networks: tuple[str, ...]) -> None:
    assert parse_list(text, "list") == (networks, ())


@pytest.mark.parametrize("dash", ["-", " - ", "\u2013", " \u2013 "])
def test_ranges(dash: str) -> None:
    networks, remarks = parse_list(f"203.0.113.4{dash}203.0.113.9\n", "list")
    assert networks == ("203.0.113.4/30", "203.0.113.8/31")
    assert remarks == ("Written as networks: 203.0.113.4-203.0.113.9 (2 networks).",)
    assert parse_list("2001:db8::-2001:db8::ff", "list") == (("2001:db8::/120",), ())


def test_what_is_merged_is_said() -> None:
    text = "10.1.0.0/16 10.0.0.0/8 10.0.0.0/8 10.2.3.4 2001:db8::/32 2001:db8:1::/48 192.0.2.7 192.0.2.7/32\n"
    networks, remarks = parse_list(text + "192.0.2.1-192.0.2.3\n" + "10.3.0.1 " * 2, "list")
    assert networks == ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32", "192.0.2.1/32", "192.0.2.2/31")
    assert remarks == (
        "Written as networks: 192.0.2.1-192.0.2.3 (2 networks).",
        "Listed more than once, and counted once: 10.0.0.0/8, 192.0.2.7/32.",
        "Left out because a larger network holds it: 10.1.0.0/16 (in 10.0.0.0/8), 10.2.3.4/32 (in 10.0.0.0/8), "
        "2001:db8:1::/48 (in 2001:db8::/32) and 1 more.",
    )


def test_neighbours_are_joined() -> None:
    networks, remarks = parse_list(
        "203.0.113.9 198.51.100.128/25 2001:db8:1::/48 198.51.100.64/26 2001:db8::/48 198.51.100.0/26", "list"
    )
    assert networks == ("203.0.113.9/32", "198.51.100.0/24", "2001:db8::/47")
    assert remarks == (
        "Written as one because they are neighbours: 198.51.100.0/24 (3 parts), 2001:db8::/47 (2 parts).",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n198.51.100.0/24", ["list, line 1", '"a" is no network', "198.51.100.0/24"]),
        ("198.51.100.0/24\n\n0.0.0.0/0", ["line 3", "whole Internet"]),
        ("::/0", ["line 1", "whole Internet"]),
        ("0.0.0.0-255.255.255.255", ["whole Internet"]),
        ("16.0.0.0/7", ["shorter than /8"]),
        ("2000::/12", ["shorter than /16"]),
        ("1.0.0.0-223.255.255.255", ["shorter than /8"]),
        ("198.51.100.7/24", ["bits set", "Write 198.51.100.0/24"]),
        ("198.51.100.7/255.255.255.0", ["bits set"]),
        ("198.51.100.0 255.255.255.0", ['"255.255.255.0" is no address of a host', "prefix length"]),
        ("198.51.100.0 0.0.0.255", ["no address of a host"]),
        ("203.0.113.9-203.0.113.4", ["no range"]),
        ("203.0.113.4-9", ["no range"]),
        ("203.0.113.4-2001:db8::1", ["no range"]),
        ("127.0.0.0/8", ["loopback"]),
        ("mail.conbool.com", ['"mail.conbool.com" is no network']),
        (
            "198.51.100.0/24; 203.0.113.0/24",
            ['"203.0.113.0/24" stands behind a semicolon', "would not count"],
        ),
        ("# nothing\n", ["holds no network", "nobody"]),
        ("", ["holds no network"]),
        ("\0\0198.51.100.0/24", ["no text"]),
        ("198.51.100.0/24\x1b[2J", ["no text"]),
        ("198.51.100.0/24\x01", ["line 1", "\\x01"]),
        ("x" * 3_000_000, ["larger than 1 MiB"]),
        ("x" * 5000, ["line 1", "…"]),
    ],
)
def test_refused(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_list(text, "list")
    told = "\n".join(caught.value.lines())
    for word in words:
        assert word in told, told
    assert len(told) < 600
    assert caught.value.todo
    assert told.replace("\n", "").isprintable()


def test_files(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbf198.51.100.0/24\r\n")
    assert read_list(host, "/list") == (("198.51.100.0/24",), ())
    bad = {
        "binary": b"\x1f\x8b\x08\x00\xff\xff",
        "utf16": "198.51.100.0/24\n".encode("utf-16"),
        "latin": "198.51.100.0/24 # Bürö\n".encode("latin-1"),
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match=f"/{name} is no text"):
            read_list(host, f"/{name}")
    (tmp_path / "large").write_bytes(b"#" * (network_lists.LARGEST + 1))
    with pytest.raises(UsageError, match="/large is larger"):
        read_list(host, "/large")
    with pytest.raises(UsageError, match="/absent does not exist"):
        read_list(host, "/absent")
    with pytest.raises(UsageError, match="no ordinary file"):
        read_list(host, "/")
    (tmp_path / "wrong").write_text("198.51.100.0/24\nx\n")
    with pytest.raises(UsageError, match="/wrong, line 2"):
        read_list(host, "/wrong")


NETWORK = st.one_of(
    st.builds(
        lambda a, p: (int(a) >> (32 - p) << (32 - p), p, 4),
        st.integers(0x10000000, 0x10FFFFFF),
        st.integers(8, 32),
    ),
    st.builds(
        lambda a, p: ((0x20010DB8 << 96 | a) >> (128 - p) << (128 - p), p, 6),
        st.integers(0, 2**96 - 1),
        st.integers(32, 128),
    ),
)


def _whole(form: Any, texts: Iterable[str]) -> list[Any]:
    """The networks of one family, joined as far as possible."""
    found = [ipaddress.ip_network(text) for text in texts]
    return list(ipaddress.collapse_addresses([one for one in found if isinstance(one, form)]))


@settings(max_examples=100, deadline=None)
@given(st.lists(NETWORK, min_size=1, max_size=12))
def test_merging_keeps_every_address_and_is_stable(items: list[tuple[int, int, int]]) -> None:
    texts = [
        str((ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network)((number, prefix)))
        for number, prefix, version in items
    ]
    kept, dropped = answer_forms.merged(texts)
    assert answer_forms.merged(kept) == (kept, ())
    assert answer_forms.overlaps(list(kept)) == []
    assert len(kept) + len(dropped) == len(texts)
    for form in (ipaddress.IPv4Network, ipaddress.IPv6Network):
        assert _whole(form, texts) == _whole(form, kept)
    for left, holder in dropped:
        assert holder in kept
        assert ipaddress.ip_network(left).subnet_of(ipaddress.ip_network(holder))  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text("0123456789./-:;#, \nabcdef[]", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        networks, _ = parse_list(text, "paste")
    except UsageError:
        return
    assert networks
    assert parse_list("\n".join(networks), "paste") == (networks, ())


def test_a_long_list() -> None:
    some = random.Random(1)
    numbers = some.sample(range(2**24), 5000)
    text = "\n".join(f"16.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in numbers)
    networks, _ = parse_list(text, "list")
    assert sum(ipaddress.ip_network(one).num_addresses for one in networks) == 5000
