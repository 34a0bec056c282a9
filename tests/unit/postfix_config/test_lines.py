from __future__ import annotations

import pytest
from hypothesis import given

from conbool_tui.postfix_config import ConfigTextError
from conbool_tui.postfix_config.lines import (
    decode,
    encode,
    end_line,
    line_end_style,
    logical_lines,
    split_name_value,
    split_physical,
    unend_line,
)

from .strategies import main_texts


def joined(data: bytes) -> list[bytes]:
    return [line.joined for line in logical_lines(split_physical(data))]


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"", []),
        (b"\n \n\t\n\r\n", []),
        (b"a = 1\nb = 2\n", [b"a = 1", b"b = 2"]),
        (b"a = 1\n 2\n\t3\n", [b"a = 1 2\t3"]),
        # CR, VT and FF at the start of a line continue like blank and tab.
        (b"a = 1\n\r2\n\v3\n\f4", [b"a = 1\r2\v3\f4"]),
        (b"a = 1\n# no\n  # no\n\n  2\nb", [b"a = 1  2", b"b"]),
        # Only LF ends a line.
        (b"a = 1\rb = 2\x85c = 3\xe2\x80\xa8d", [b"a = 1\rb = 2\x85c = 3\xe2\x80\xa8d"]),
        (b"\xc2\xa0a = 1\n\xc2\xa0b", [b"\xc2\xa0a = 1", b"\xc2\xa0b"]),
        (b"a = 1\n \\\n", [b"a = 1 \\"]),
        (b"a = 1 # 2\n", [b"a = 1 # 2"]),
        (b"# c\n  orphan\n more\na = 1", [b"  orphan more", b"a = 1"]),
    ],
)
def test_joining(data: bytes, texts: list[bytes]) -> None:
    assert joined(data) == texts


def test_text_before_the_first_parameter_is_ignored_only_when_indented() -> None:
    first, second = logical_lines(split_physical(b"\t x\na\n"))
    assert first.ignored
    assert not second.ignored


def test_a_nul_hides_the_rest_of_the_logical_line() -> None:
    (line,) = logical_lines([b"a = 1\0 2\n", b" 3\n"])
    assert line.text == b"a = 1"
    assert line.pieces == (0, 1)


@given(main_texts)
def test_no_text_is_lost_or_invented(data: bytes) -> None:
    lines = split_physical(data)
    assert b"".join(lines) == data
    assert all(line.endswith(b"\n") for line in lines[:-1])
    used = [index for line in logical_lines(lines) for index in line.pieces]
    assert used == sorted(set(used))
    for index in set(range(len(lines))) - set(used):
        assert lines[index].strip() == b"" or lines[index].lstrip().startswith(b"#")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        (b"a=b", b"a", b"b"),
        (b"a  =\t b c \r", b"a", b"b c"),
        (b"a =", b"a", b""),
        (b"a == b", b"a", b"= b"),
        (b"a = b = c", b"a", b"b = c"),
    ],
)
def test_name_and_value(text: bytes, name: bytes, value: bytes) -> None:
    found = split_name_value(text)
    assert found is not None
    assert (found.name, found.value) == (name, value)
    assert text[found.start : found.end] == value
    assert text[found.equals] == ord("=")


@pytest.mark.parametrize("text", [b"", b"a", b"= b", b" = b", b"a b = c", b"a\rb = c"])
def test_what_is_no_name_and_value(text: bytes) -> None:
    assert split_name_value(text) is None


@pytest.mark.parametrize("style", [b"\n", b"\r\n"])
@pytest.mark.parametrize("line", [b"a", b"a\r", b"\r", b"a\r\r"])
def test_a_line_end_given_can_be_taken_back(line: bytes, style: bytes) -> None:
    assert end_line(line, style).endswith(style)
    assert unend_line(end_line(line, style)) == line


@pytest.mark.parametrize(
    ("data", "style"),
    [
        (b"", b"\n"),
        (b"a\r", b"\n"),
        (b"a\r\n", b"\r\n"),
        (b"a\r\nb\n", b"\n"),
        (b"a\r\nb\r\nc\nd", b"\r\n"),
    ],
)
def test_line_end_style_is_that_of_most_lines(data: bytes, style: bytes) -> None:
    assert line_end_style(split_physical(data)) == style


def test_bytes_that_are_no_utf8_survive_as_text() -> None:
    assert encode(decode(b"\xff\xc3\xa9"), "value") == b"\xff\xc3\xa9"


@pytest.mark.parametrize("text", ["\ud800", "\udcc3\udca9"])
def test_text_that_would_read_back_differently_is_refused(text: str) -> None:
    with pytest.raises(ConfigTextError, match="value of x"):
        encode(text, "value of x")
