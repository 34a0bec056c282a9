from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conbool_tui.errors import ConboolError
from conbool_tui.postfix_config import ConfigTextError, MainCf, main_cf_changes

from .corpus import corpus_params
from .strategies import main_texts, names, values


def after_set(data: bytes, name: str, value: str, comment: Optional[str] = None) -> bytes:
    main = MainCf.parse(data)
    main.set(name, value, comment)
    return main.to_bytes()


def after_remove(data: bytes, name: str) -> bytes:
    main = MainCf.parse(data)
    main.remove(name)
    return main.to_bytes()


def settings(main: MainCf) -> dict[str, Optional[str]]:
    return {name: main.get(name) for name in main.names()}


# ------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("path", corpus_params("main"))
def test_real_files_round_trip_and_undo_an_appended_key(path: Path) -> None:
    data = path.read_bytes()
    main = MainCf.parse(data)
    assert main.to_bytes() == data
    before = settings(main)
    main.set("conbool_test_key", "x y", comment="a test")
    assert settings(main) == {**before, "conbool_test_key": "x y"}
    main.remove("conbool_test_key")
    assert main.to_bytes() == data


@pytest.mark.parametrize("path", corpus_params("main"))
def test_a_list_of_a_real_file_gains_and_loses_an_element_without_a_trace(path: Path) -> None:
    data = path.read_bytes()
    main = MainCf.parse(data)
    for name in main.names():
        value = main.get(name)
        # A BOM belongs to the first name, and no such name can be set.
        if not value or "," not in value or not name.isascii():
            continue
        head, comma, tail = value.partition(",")
        comments = [line for line in data.split(b"\n") if line.lstrip().startswith(b"#")]
        main.set(name, f"{head}, check_client_access cidr:/x{comma}{tail}")
        lines = main.to_bytes().split(b"\n")
        assert [line for line in lines if line.lstrip().startswith(b"#")] == comments
        assert len(lines) == len(data.split(b"\n"))
        main.set(name, value)
        assert main.to_bytes() == data


@given(main_texts)
def test_any_bytes_round_trip(data: bytes) -> None:
    main = MainCf.parse(data)
    assert main.to_bytes() == data
    assert set(settings(main)) == set(main.names())
    main.problems()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"a = 1\n", "1"),
        (b"a=1", "1"),
        (b"a =\n", ""),
        (b"a = 1\na = 2\n", "2"),
        (b"a = 1,\n# c\n\n   2\t\r\n", "1,   2"),
        (b"a\n = 1\n", "1"),
        (b"a = 1\0 2\n", "1"),
        (b'a = #1 \\ "x"\n', '#1 \\ "x"'),
        (b"a = \xff\xc3\xa9\n", "\udcff\u00e9"),
        # Commenting out the first line leaves its indented lines alive: they join the parameter before.
        (b"a = 1\n#b = 2\n  3\n", "1  3"),
        (b"  a = 1\n", None),
        (b"\xef\xbb\xbfa = 1\n", None),
        (b"#a = 1\n", None),
        (b"a\n", None),
        (b"a b = 1\n", None),
    ],
)
def test_get_is_what_postfix_sees(data: bytes, value: Optional[str]) -> None:
    assert MainCf.parse(data).get("a") == value


def test_a_byte_order_mark_is_part_of_the_first_name() -> None:
    assert MainCf.parse(b"\xef\xbb\xbfa = 1\nb = 2\n").names() == ("\ufeffa", "b")


def test_names_come_once_in_the_order_of_their_first_definition() -> None:
    assert MainCf.parse(b"b = 1\na = 2\nb = 3\nnot a setting\n").names() == ("b", "a")


def test_occurrences_show_every_definition() -> None:
    first, second = MainCf.parse(b"# c\na = 1\nb = 2\na = 3,\n# in\n  4\n# out\n").occurrences("a")
    assert (first.value, first.line, first.raw) == ("1", 2, b"a = 1\n")
    assert (second.value, second.line, second.raw) == ("3,  4", 4, b"a = 3,\n# in\n  4\n")
    assert MainCf.parse(b"a = 1\n").occurrences("b") == ()


def test_problems_name_the_line() -> None:
    data = b" orphan\na = 1\n\nwhat is this\n# BEGIN conbool-tui\n"
    orphan, malformed, marker = MainCf.parse(data).problems()
    assert orphan.startswith("line 1:")
    assert "ignored" in orphan
    assert malformed.startswith("line 4:")
    assert "'name = value'" in malformed
    assert "BEGIN in line 5, END in line none" in marker
    assert MainCf.parse(b"a = 1\n").problems() == ()


# ---------------------------------------------------------------------------------------- changing in place


@pytest.mark.parametrize(
    ("data", "value", "expected"),
    [
        (b"a = 1\nb = 2\n", "x", b"a = x\nb = 2\n"),
        (b"a=1", "x", b"a=x"),
        (b"a\t=  1 \t\r\nb = 2\r\n", "x y", b"a\t=  x y \t\r\nb = 2\r\n"),
        (b"a = 1\na = 1\n", "x", b"a = 1\na = x\n"),
        (b"a =\n", "x", b"a = x\n"),
        (b"a=\n", "x", b"a=x\n"),
        (b"a = \t\r\n", "x", b"a = \tx\r\n"),
        (b"a = 1\n", "", b"a = \n"),
        # Lines that are equal in both values keep their layout; the comments between them stay.
        (b"a =\n  1,\n  # c\n  2,\n  3\n", "1,  x,  3", b"a =\n  1,\n  # c\n  x,\n  3\n"),
        (b"a = 1,\n# c\n  2\n", "1, x,  2", b"a = 1, x,\n# c\n  2\n"),
        # Taking the element out again must not pull the next line up, though a blank before it is equal too.
        (b"a = 1, x,\n    2\n", "1,    2", b"a = 1,\n    2\n"),
        (b"a = 1,\n# c\n  2\n", "1,", b"a = 1,\n# c\n"),
        (b"a = 1,\n# c\n\n  2\nb = 3\n", "x", b"a = x\n# c\n\nb = 3\n"),
        (b"a =\n  1,\n  2\n", "x", b"a =\n  x\n"),
        (b"a\n = 1\n", "x", b"a\n = x\n"),
        # Without a line end the comment would be glued to the value.
        (b"a = 1,\n# c\n  2", "x", b"a = x\n# c\n"),
        (b"a = 1,\n  2", "x", b"a = x"),
        # On a line of its own this value would be a comment.
        (b"a =\n  1\n", "#x", b"a = #x\n"),
        (b"a =\r\n  1\r\n", "#x", b"a = #x\r\n"),
        # A NUL hides what follows; the value is put before it.
        (b"a = 1\0 2\n", "x", b"a = x\0 2\n"),
        # Text that Postfix ignores stays.
        (b"  a = 0\na = 1\n", "x", b"  a = 0\na = x\n"),
    ],
)
def test_set_changes_the_last_definition_and_nothing_else(data: bytes, value: str, expected: bytes) -> None:
    assert after_set(data, "a", value) == expected
    assert MainCf.parse(expected).get("a") == value


def test_setting_the_value_it_has_changes_no_byte() -> None:
    data = b"a = 1,\n# c\n  2"
    assert after_set(data, "a", "1,  2", comment="not used") == data
    assert after_set(b"a =\n", "a", "") == b"a =\n"


def test_the_comment_is_only_for_a_new_parameter() -> None:
    assert after_set(b"a = 1\n", "a", "x", comment="why") == b"a = x\n"


@given(main_texts, names, values)
def test_set_is_read_back_and_leaves_the_other_values_alone(data: bytes, name: str, value: str) -> None:
    main = MainCf.parse(data)
    before = main.copy()
    comments = [line for line in data.split(b"\n") if line.lstrip(b" \t\r\v\f").startswith(b"#")]
    try:
        main.set(name, value)
    except ConfigTextError:
        # Only damaged markers of our own block can be in the way, and only of a new parameter.
        assert before.get(name) is None
        assert any("conbool-tui" in problem for problem in before.problems())
        assert main.to_bytes() == data
        return
    reread = MainCf.parse(main.to_bytes())
    assert reread.get(name) == main.get(name) == value
    assert set(main_cf_changes(before, reread)) <= {name}
    kept = [line for line in main.to_bytes().split(b"\n") if line.lstrip(b" \t\r\v\f").startswith(b"#")]
    assert [line for line in kept if line in comments] == comments


@given(main_texts, names, values, st.one_of(st.none(), st.just("why")), values)
def test_setting_a_new_parameter_and_removing_it_gives_the_same_bytes(
    data: bytes, name: str, value: str, comment: Optional[str], other: str
) -> None:
    main = MainCf.parse(data)
    assume(main.get(name) is None and b"conbool-tui" not in data)
    main.set(name, value, comment)
    main.set("second_key", other)
    main.set(name, other)
    main = MainCf.parse(main.to_bytes())
    main.remove(name)
    assert main.get("second_key") == other
    main.remove("second_key")
    assert main.to_bytes() == data


@given(main_texts, names)
def test_remove_takes_exactly_the_parameter(data: bytes, name: str) -> None:
    main = MainCf.parse(data)
    main.remove(name)
    reread = MainCf.parse(main.to_bytes())
    assert reread.occurrences(name) == ()
    assert set(main_cf_changes(MainCf.parse(data), reread)) <= {name}


# ------------------------------------------------------------------------------------------------ our block


def test_new_parameters_share_one_block_at_the_end() -> None:
    main = MainCf.parse(b"a = 1\n")
    main.set("b", "2", comment="guide step C")
    main.set("c", "")
    assert main.to_bytes() == (
        b"a = 1\n# BEGIN conbool-tui\n# b: guide step C\nb = 2\nc =\n# END conbool-tui\n"
    )
    main.remove("b")
    assert main.to_bytes() == b"a = 1\n# BEGIN conbool-tui\nc =\n# END conbool-tui\n"
    main.remove("c")
    assert main.to_bytes() == b"a = 1\n"


def test_the_block_uses_the_line_end_of_the_file() -> None:
    assert after_set(b"a = 1\r\n", "b", "2") == (
        b"a = 1\r\n# BEGIN conbool-tui\r\nb = 2\r\n# END conbool-tui\r\n"
    )


@pytest.mark.parametrize("data", [b"a = 1", b"a = 1\r", b"# c", b"x\r\na = 1", b"x\r\na = 1\r", b"", b"\n"])
def test_a_missing_last_line_end_comes_back(data: bytes) -> None:
    changed = after_set(data, "b", "2")
    assert changed.endswith(b"# END conbool-tui" + (b"\r\n" if data.startswith(b"x") else b"\n"))
    assert (b"no line end" in changed) == (data[-1:] not in (b"", b"\n"))
    assert MainCf.parse(changed).get("b") == "2"
    assert after_remove(changed, "b") == data


def test_lines_added_behind_the_block_keep_the_line_end_before_it() -> None:
    changed = after_set(b"a = 1", "b", "2") + b"c = 3\n"
    assert after_remove(changed, "b") == b"a = 1\nc = 3\n"


def test_what_the_admin_wrote_into_the_block_stays() -> None:
    data = b"# BEGIN conbool-tui\n# b is mine\nb = 2\nz = 1\n# END conbool-tui\n"
    assert after_remove(data, "b") == b"# BEGIN conbool-tui\n# b is mine\nz = 1\n# END conbool-tui\n"
    only_comment = b"# BEGIN conbool-tui\n# mine\nb = 2\n# END conbool-tui\n"
    assert after_remove(only_comment, "b") == b"# BEGIN conbool-tui\n# mine\n# END conbool-tui\n"


def test_blank_lines_do_not_keep_the_block() -> None:
    assert after_remove(b"# BEGIN conbool-tui\n\nb = 2\n \n# END conbool-tui\nc = 1\n", "b") == b"c = 1\n"


def test_a_comment_outside_the_block_is_never_taken_for_ours() -> None:
    assert after_remove(b"# b: mine\nb = 2\n", "b") == b"# b: mine\n"
    # Nor one between the lines of the value.
    data = b"# BEGIN conbool-tui\nb = 2,\n# b: mine\n  3\n# END conbool-tui\n"
    assert after_remove(data, "b") == b"# BEGIN conbool-tui\n# b: mine\n# END conbool-tui\n"


def test_removing_another_parameter_leaves_an_empty_block_alone() -> None:
    data = b"a = 1\nb = 2\n# BEGIN conbool-tui\n# END conbool-tui\n"
    assert after_remove(data, "a") == data[6:]


def test_remove_takes_all_definitions_and_no_comment_or_neighbour() -> None:
    data = b"a = 1,\n# c\n  2\nb = 3\n\na = 4\n # d\nc = 5"
    assert after_remove(data, "a") == b"# c\nb = 3\n\n # d\nc = 5"
    assert after_remove(data, "x") == data


@pytest.mark.parametrize(
    "data",
    [
        b"# BEGIN conbool-tui\nb = 2\nc = 3\n",
        b"b = 2\n# END conbool-tui\nc = 3\n",
        b"# END conbool-tui\nb = 2\n# BEGIN conbool-tui\nc = 3\n",
        b"# BEGIN conbool-tui\nb = 2\n# BEGIN conbool-tui\n# END conbool-tui\nc = 3\n",
        b"# BEGIN conbool-tui\nb = 2\n# END conbool-tui\n# END conbool-tui\nc = 3\n",
        b"# BEGIN conbool-tui\nb = 2\n# BEGIN conbool-tui x\n# END conbool-tui\nc = 3\n",
    ],
)
def test_damaged_markers_stop_a_new_key_and_are_never_followed(data: bytes) -> None:
    main = MainCf.parse(data)
    with pytest.raises(ConfigTextError, match="do not pair up") as caught:
        main.set("new", "x")
    assert "once each" in caught.value.todo
    assert main.to_bytes() == data
    # What needs no block still works, and takes nothing else along.
    main.set("b", "x")
    assert main.to_bytes() == data.replace(b"b = 2", b"b = x")
    main.remove("b")
    assert main.to_bytes() == data.replace(b"b = 2\n", b"")


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a\nb", "#a", "a\0", "\u00e9", "a\x7f", " a", "\tb"])
def test_names_that_would_break_the_file_are_refused(name: str) -> None:
    main = MainCf.parse(b"z = 1\n")
    with pytest.raises(ConfigTextError, match="cannot be the name"):
        main.set(name, "x")
    assert main.to_bytes() == b"z = 1\n"


@pytest.mark.parametrize(
    "value", ["a\nb", "a\0b", " a", "a ", "\ta", "a\r", "\v", "\fa", "\n", "\udcc3\udca9"]
)
@pytest.mark.parametrize("name", ["z", "new"])
def test_values_that_would_read_back_differently_are_refused(name: str, value: str) -> None:
    main = MainCf.parse(b"z = 1\n")
    with pytest.raises(ConfigTextError, match=f"value of {name}"):
        main.set(name, value)
    assert main.to_bytes() == b"z = 1\n"


@pytest.mark.parametrize("comment", ["a\nb", "a\rb", "a\0b", "", "  "])
def test_comments_that_would_break_the_file_are_refused(comment: str) -> None:
    with pytest.raises(ConfigTextError, match="comment"):
        after_set(b"", "a", "1", comment)


def test_the_refusal_is_a_value_error_in_three_parts() -> None:
    with pytest.raises(ValueError, match="white space") as caught:
        after_set(b"", "a", " 1")
    assert isinstance(caught.value, ConboolError)
    assert len(caught.value.lines()) == 3


# ------------------------------------------------------------------------------------------------ differences


def test_changes_are_named_with_old_and_new_value() -> None:
    before = MainCf.parse(b"b = 1\na = 1\nsame = x\ndup = 1\ndup = 2\n")
    after = MainCf.parse(b"# c\nsame   =   x\nb = 2\nc = 3\ndup = 2\n")
    changes = main_cf_changes(before, after)
    assert changes == {"a": ("1", None), "b": ("1", "2"), "c": (None, "3")}
    assert list(changes) == ["a", "b", "c"]


def test_a_copy_is_independent() -> None:
    main = MainCf.parse(b"a = 1\n")
    copy = main.copy()
    copy.set("a", "2")
    assert (main.get("a"), copy.get("a")) == ("1", "2")
