"""Exim's lists, and where things stand in its configuration text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui.exim_config.lists import join_list, split_list
from conbool_tui.exim_config.text import assigned, labels, lines_of, outermost, section


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a : b:c", ("a", "b", "c")),
        ("", ()),
        ("127.0.0.1 : ::::1", ("127.0.0.1", "::1")),
        ("<; 2001:db8::/32 ; 10.0.0.0/8", ("2001:db8::/32", "10.0.0.0/8")),
        ("<, a , b", ("a", "b")),
        ("<; a;;b ; c", ("a;b", "c")),
        ("<\\n a\n b", ("a", "b")),
        ("@:localhost", ("@", "localhost")),
    ],
)
def test_lists(text: str, items: tuple[str, ...]) -> None:
    assert split_list(text) == items


@given(st.lists(st.sampled_from(["192.0.2.1", "2001:db8::/32", "example.com", "::1"]), max_size=5))
def test_what_is_joined_is_split_again(items: list[str]) -> None:
    assert split_list(join_list(tuple(items))) == tuple(items)


TEXT = b"""\
first = 1
begin acl
acl_a:
  deny    message = x \\
acl_not_a_label:
acl_b :   # the other one
  accept
# a remark
.ifdef A
.ifndef B
router_a:
.endif
.endif
BEGIN routers
.ifdef A
one:
.endif
# about the second
two:
"""


def test_sections_and_labels() -> None:
    lines = lines_of(TEXT)
    assert set(labels(lines, section(lines, "acl"))) == {"acl_a", "acl_b", "router_a"}
    assert section(lines, "main") == range(1)
    assert not section(lines, "transports")
    assert lines[section(lines, "routers").start] == b".ifdef A\n"


def test_text_in_front_is_outside_of_every_condition() -> None:
    lines = lines_of(TEXT)
    acls = section(lines, "acl")
    assert lines[outermost(lines, labels(lines, acls)["router_a"], acls)] == b"# a remark\n"
    routers = section(lines, "routers")
    assert lines[outermost(lines, labels(lines, routers)["two"], routers)] == b"# about the second\n"


def test_assignments() -> None:
    lines = lines_of(b"a = 1\n  a = 2 \nab = 3\nb = 4 \\\na = 5\n")
    assert (assigned(lines, "a"), assigned(lines, "none")) == ("2", None)
