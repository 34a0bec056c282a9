"""Long lists are read faster, and exactly as PyYAML reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conbool_tui import answers_file, long_lists
from conbool_tui.answers_file import AnswerError


def flat(node: Optional[yaml.Node]) -> Any:
    """A node with all that counts: tags, values, places."""
    if node is None:
        return None
    place = (type(node).__name__, node.tag, node.start_mark.line, node.start_mark.column)
    if isinstance(node, yaml.ScalarNode):
        return (*place, node.value)
    if isinstance(node, yaml.SequenceNode):
        return (*place, [flat(child) for child in node.value])
    return (*place, [(flat(key), flat(value)) for key, value in node.value])


def slow(data: bytes) -> Any:
    try:
        return flat(yaml.compose(data, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        return str(getattr(error, "problem_mark", error))


def fast(data: bytes) -> Any:
    try:
        return flat(long_lists.compose(data))
    except yaml.YAMLError as error:
        return str(getattr(error, "problem_mark", error))


def entries(count: int, indent: str = "  ", form: str = "- user{}@example.com") -> str:
    return "".join(indent + form.format(number) + "\n" for number in range(count))


MANY = 6


@pytest.fixture(scope="module", autouse=True)
def as_shipped() -> Iterator[None]:
    """PyYAML without its C part, whose marks look different; and short runs, so that the many cases stay quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader", raising=False)
        patch.setattr(long_lists, "SHORTEST_RUN", 3)
        yield


CASES = {
    "block list": f"scope:\n  senders:\n{entries(MANY)}spam: {{action: none}}\n",
    "indentless": f"domains:\n{entries(MANY, '', '- d{}.example.com')}x: 1\n",
    "two lists": f"a:\n{entries(MANY)}b:\n{entries(MANY, ' ', '-  b{}.example')}c: [x, y]\n",
    "single quotes": f"a:\n{entries(MANY, form=chr(45) + ' ' + chr(39) + '@d{}.example' + chr(39))}b: 1\n",
    "double quotes": f"a:\n{entries(MANY, form='- ' + chr(34) + '@d{}.example' + chr(34))}b: 1\n",
    "numbers stay numbers": f"a:\n{entries(MANY, form='- 1.{}')}",
    "words stay words": f"a:\n{entries(MANY, form='- yes')}",
    "last entry continues": f"a:\n{entries(MANY)}    and more\nb: 1\n",
    "comments between": f"a:\n{entries(MANY)}  # note\n{entries(MANY)}b: 1\n",
    "block scalar": f"a: |\n{entries(MANY)}b: 1\n",
    "folded scalar": f"a: >-\n{entries(MANY)}b: 1\n",
    "plain scalar": f"a: word\n{entries(MANY)}b: 1\n",
    "quoted scalar": f'a: "word\n{entries(MANY)} "\nb: 1\n',
    "flow": f"a: [\n{entries(MANY)}]\n",
    "nested list": f"a:\n- \n{entries(MANY)}- b\n",
    "compact nested list": f"a:\n- - first@example.com\n{entries(MANY)}- b\n",
    "top level": entries(MANY, ""),
    "CRLF": f"a:\n{entries(MANY)}b: 1\n".replace("\n", "\r\n"),
    "lone CR": f"a: 1\rb:\n{entries(MANY)}c: 1\n",
    "line separator": f"a: 'x\u2028  y'\nb:\n{entries(MANY)}c: 1\n",
    "no last newline": f"a:\n{entries(MANY)}".rstrip("\n"),
    "two documents": f"a:\n{entries(MANY)}---\nb:\n{entries(MANY)}",
    "error behind": f"a:\n{entries(MANY)}b: [\n",
    "error before": f"a: ]\nb:\n{entries(MANY)}",
    "indent error": f"a:\n{entries(MANY)} b: 1\n",
    "anchors": f"a: &x\n{entries(MANY)}b: *x\n",
    "not UTF-8": f"a:\n{entries(MANY)}b: é\n",
    "byte order mark": f"\ufeffa:\n{entries(MANY)}b: 1\n",
    "empty": "",
}


@pytest.mark.parametrize("name", list(CASES))
def test_same_nodes(name: str) -> None:
    data = CASES[name].encode("latin-1" if name == "not UTF-8" else "utf-8")
    assert fast(data) == slow(data)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "a:\n",
                "b: |\n",
                "c: x\n",
                "  d:\n",
                " e: >\n",
                "f: '\n",
                "- \n",
                "# x\n",
                "\n",
                "---\n",
                "  '\n",
            ]
            + [
                "RUN0",
                "RUN1",
                "RUN2",
                "RUN4",
                "  - x@y.example\n",
                "- 'z@y.example'\n",
                "  - k: v\n",
                "    more\n",
            ]
        ),
        max_size=8,
    )
)
def test_same_nodes_whatever_surrounds_a_run(pieces: list[str]) -> None:
    text = "".join(
        entries(MANY, " " * int(piece[3:])) if piece.startswith("RUN") else piece for piece in pieces
    )
    assert fast(text.encode()) == slow(text.encode())


@pytest.mark.parametrize(
    "name", ["block list", "indentless", "two lists", "single quotes", "double quotes", "CRLF"]
)
def test_the_short_way_is_taken(name: str) -> None:
    assert long_lists._compose_short(CASES[name].encode()) is not None


def test_a_fault_in_a_long_list_is_found_in_its_line() -> None:
    lines = ["scope:", "  mode: senders", "  senders:", *entries(5000).splitlines()]
    lines[4000] = "  - user1@example.com"
    with pytest.raises(AnswerError, match=r"line 4001\b.*|twice"):
        answers_file.load("\n".join(lines).encode(), "file")
    lines[4000] = "  - two@@example.com"
    with pytest.raises(AnswerError, match=r"line 4001\)"):
        answers_file.load("\n".join(lines).encode(), "file")
