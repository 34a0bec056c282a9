from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.postfix.values import (
    Table,
    inline_keys,
    is_domain,
    parse_table,
    split_list,
    tables_in,
)

TYPES = frozenset({"hash", "pcre", "proxy", "inline", "unionmap", "static", "mysql"})


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("", []),
        (" , ,\t", []),
        ("a.example, b.example\tc.example", ["a.example", "b.example", "c.example"]),
        ("a,inline:{ x=1, y = 2 },b", ["a", "inline:{ x=1, y = 2 }", "b"]),
        ("inline:{{x = a b}, {y = {c}}} z", ["inline:{{x = a b}, {y = {c}}}", "z"]),
        ("a } b", ["a", "}", "b"]),
        ("open { a, b", ["open", "{ a, b"]),
    ],
)
def test_split_list(value: str, items: list[str]) -> None:
    assert split_list(value) == items


@given(st.lists(st.text("ab.{}:/-é\udc80", min_size=1).filter(lambda t: t.count("{") == t.count("}") == 0)))
def test_split_list_inverts_join(items: list[str]) -> None:
    assert split_list(", ".join(items)) == items


@given(st.text())
def test_split_list_loses_nothing_but_separators(value: str) -> None:
    kept = "".join(split_list(value))
    assert [char for char in kept if char not in ", \t\r\n"] == [
        char for char in value if char not in ", \t\r\n"
    ]


def test_tables() -> None:
    assert parse_table("hash:/etc/postfix/x") == Table("hash", "/etc/postfix/x")
    assert parse_table("proxy:mysql:/x.cf") == Table("mysql", "/x.cf", True)
    assert str(parse_table("proxy:mysql:/x.cf")) == "proxy:mysql:/x.cf"
    for item in ("example.com", "/etc/file", "[::1]:25", "proxy:x", "hash:"):
        assert parse_table(item) is None


def test_tables_in_restrictions() -> None:
    value = (
        "permit_mynetworks, check_client_access hash:/a, { check_helo_access pcre:/b, sleep 1 },"
        " check_policy_service unix:private/x, inet:127.0.0.1:10023, unionmap:{hash:/c, static:d}, permit"
    )
    assert [str(table) for table in tables_in(value, TYPES)] == ["hash:/a", "pcre:/b", "hash:/c", "static:d"]


def test_inline_keys() -> None:
    assert inline_keys("{a.example=1, {B.example = two words}, c.example = 3}") is not None
    assert inline_keys("{a.example=1, {B.example = two words}}") == ["a.example", "b.example"]
    assert inline_keys("a=b") is None


@pytest.mark.parametrize(
    "name", ["example.com", "a-b.c.example", "xn--e1afmkfd.xn--p1ai", "пример.рф", "a_b.example"]
)
def test_domains(name: str) -> None:
    assert is_domain(name)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "",
        ".",
        "example.com.",
        ".example.com",
        "a..b",
        "[192.0.2.1]",
        "192.0.2.1",
        "-a.example",
        "a-.example",
        "*",
        "a b.example",
        "a@example.com",
        "x" * 64 + ".example",
        ".".join(["abc"] * 80),
        "a\udc80.example",
        "a.example\n",
    ],
)
def test_no_domains(name: str) -> None:
    assert not is_domain(name)
