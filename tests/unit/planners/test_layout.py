"""A list gains and loses entries; what the admin wrote stays as written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui.planners.postfix.lists import split_list, split_restrictions
from conbool_tui.postfix_config.layout import stages, with_items

WORDS = st.sampled_from(["a", "b", "{ c, d }", "x:{e f}", "reject", "check_client_access", "hash:/x"])
GAPS = st.sampled_from([", ", " ", ",", ",   ", " , ", "\t", ",\r   "])
LISTS = st.lists(st.tuples(WORDS, GAPS), max_size=6).map(
    lambda pairs: "".join(word + gap for word, gap in pairs).strip()
)
NEW = st.lists(
    st.sampled_from(["a", "reject", "ours", "check_client_access cidr:/ours", "y:{1, 2}"]), max_size=4
)


def is_subsequence(wanted: str, found: str) -> bool:
    """Whether all characters are there in this order."""
    rest = iter(found)
    return all(char in rest for char in wanted)


def words(items: list[str]) -> tuple[str, ...]:
    """The words of entries."""
    return tuple(word for item in items for word in split_list(item))


@given(LISTS, NEW)
def test_words_are_those_wanted(value: str, items: list[str]) -> None:
    for split in (split_list, split_restrictions):
        assert split_list(with_items(value, items, split)) == words(items)


@given(LISTS, st.data())
def test_added_entries_disturb_nothing_and_go_again(value: str, data: st.DataObject) -> None:
    for split in (split_list, split_restrictions):
        old = list(split(value))
        items = list(old)
        for extra in data.draw(NEW):
            items.insert(data.draw(st.integers(0, len(items))), extra)
        longer = with_items(value, items, split)
        assert split_list(longer) == words(items)
        assert is_subsequence(value, longer)
        assert split_list(with_items(longer, old, split)) == split_list(value)
        if not set(items) - {*old, "ours"} and len(set(old)) == len(old) and len(items) == len(set(items)):
            assert with_items(longer, old, split) == value


@given(LISTS, NEW)
def test_every_stage_is_a_value(value: str, items: list[str]) -> None:
    for stage in stages(value, items):
        assert stage == stage.strip()


@pytest.mark.parametrize(
    ("value", "items", "wanted"),
    [
        ("", ["a", "b c"], "a, b c"),
        ("a  b,   d", ["a", "b", "c", "d"], "a  b,   c, d"),
        ("a,b", ["a", "b", "c"], "a,b, c"),
        ("a,   b,  c", ["a", "c"], "a,   c"),
        ("a,   b", ["a"], "a"),
        ("a,   b,  c", ["a", "x", "c"], "a,   x,  c"),
        ("a b", [], ""),
        ("a b", ["a", "b"], "a b"),
    ],
)
def test_examples(value: str, items: list[str], wanted: str) -> None:
    assert with_items(value, items) == wanted


def test_an_entry_stays_together() -> None:
    """The check before ours has the same first word."""
    value = "check_client_access\thash:/x,  reject"
    items = ["check_client_access cidr:/ours", "check_client_access hash:/x", "reject"]
    assert with_items(value, items, split_restrictions) == f"check_client_access cidr:/ours, {value}"
