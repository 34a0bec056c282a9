"""Marked blocks in files of any language: lossless, found again, taken out without a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui import text_blocks
from conbool_tui.postfix_config.errors import ConfigTextError

_TEXT = st.lists(
    st.sampled_from([b"a\n", b"\n", b"dnl x\n", b"b\r\n", b"\xff\x00\n", b"# BEGIN somebody\n", b"\x0c"]),
    max_size=8,
).map(b"".join)
_BODY = st.lists(st.sampled_from(["x\n", "  y = z\n", "\n", "caf\u00e9\n"]), max_size=4).map("".join)


@given(_TEXT, _BODY, st.sampled_from(text_blocks.COMMENTS), st.sampled_from([None, b"a", b"b", b"nowhere"]))
def test_put_and_taken_out(data: bytes, body: str, comment: str, before: bytes) -> None:
    put = text_blocks.put(data, "one", body, comment=comment, before=before)
    assert text_blocks.get(put, "one") == body
    assert text_blocks.ids(put) == ("one",)
    assert text_blocks.put(put, "one", body, comment=comment, before=before) == put
    assert text_blocks.put(put, "one", None) == data


def test_the_place_and_the_other_bytes() -> None:
    data = b"first\nMAILER(smtp)\nlast"
    put = text_blocks.put(data, "routes", "x\n", comment="dnl", before=b"MAILER(smtp)")
    assert put == b"first\ndnl BEGIN conbool-tui routes\nx\ndnl END conbool-tui routes\nMAILER(smtp)\nlast"
    both = text_blocks.put(put, "end", "y\n", comment="dnl")
    assert both.endswith(
        b"last\ndnl BEGIN conbool-tui end (the line above had no line end)\ny\ndnl END conbool-tui end\n"
    )
    again = text_blocks.put(both, "routes", "z\n")
    assert text_blocks.get(again, "routes") == "z\n"
    assert text_blocks.put(text_blocks.put(again, "end", None), "routes", None) == data


def test_lines_added_below_stay_apart() -> None:
    put = text_blocks.put(b"last", "one", "x\n") + b"added\n"
    assert text_blocks.put(put, "one", None) == b"last\nadded\n"


def test_line_ends_of_the_file() -> None:
    put = text_blocks.put(b"a\r\nb\r\n", "one", "x\ny\n")
    assert put.count(b"\r\n") == put.count(b"\n")
    assert text_blocks.get(put, "one") == "x\ny\n"


@pytest.mark.parametrize(
    "data",
    [
        b"# BEGIN conbool-tui one\nx\n",
        b"# END conbool-tui one\n",
        b"# BEGIN conbool-tui one\n# BEGIN conbool-tui two\n# END conbool-tui one\n# END conbool-tui two\n",
        b"# BEGIN conbool-tui one\n# END conbool-tui one\n# BEGIN conbool-tui one\n# END conbool-tui one\n",
    ],
)
def test_markers_that_do_not_pair_up(data: bytes) -> None:
    for ask in (lambda: text_blocks.ids(data), lambda: text_blocks.put(data, "one", "y\n")):
        with pytest.raises(ConfigTextError, match="do not pair up"):
            ask()


@pytest.mark.parametrize("block_id", ["", "two words", "x\ny"])
def test_a_name_that_is_none(block_id: str) -> None:
    with pytest.raises(ConfigTextError, match="cannot name"):
        text_blocks.put(b"", block_id, "x\n")
