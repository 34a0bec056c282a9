from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conbool_tui.postfix_config import ConfigTextError, MasterCf, ServiceEntry, ServiceOption

from .corpus import corpus_params
from .strategies import master_texts, values

HEAD = b"smtp inet n - y - - smtpd"
BLOCK = "lane unix - - n - - smtp\n  -o a=b\n# in\n127.0.0.1:10026 inet n - n - - smtpd\n"


def options(data: bytes) -> list[tuple[str, str]]:
    (service,) = MasterCf.parse(data).services()
    return [(option.name, option.value) for option in service.options]


def after_set(data: bytes, value: str, option: str = "a") -> bytes:
    master = MasterCf.parse(data)
    master.set_option("smtp", "inet", option, value)
    return master.to_bytes()


def after_remove(data: bytes, option: str = "a") -> bytes:
    master = MasterCf.parse(data)
    master.remove_option("smtp", "inet", option)
    return master.to_bytes()


# ------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("path", corpus_params("master"))
def test_real_files_round_trip_and_undo_every_kind_of_change(path: Path) -> None:
    data = path.read_bytes()
    master = MasterCf.parse(data)
    assert master.to_bytes() == data
    services = master.services()
    for service in services:
        for value in ("x", "x, {y z}"):
            master.set_option(service.name, service.type, "conbool_test", value)
            changed = MasterCf.parse(master.to_bytes()).service(service.name, service.type)
            assert changed is not None
            assert changed.option("conbool_test") == value
            master.remove_option(service.name, service.type, "conbool_test")
            assert master.to_bytes() == data
    master.add_block("lane", BLOCK)
    assert len(master.services()) == len(services) + 2
    master.remove_block("lane")
    assert master.to_bytes() == data


@given(master_texts)
def test_any_bytes_round_trip(data: bytes) -> None:
    master = MasterCf.parse(data)
    assert master.to_bytes() == data
    assert len(master.services()) <= data.count(b"\n") + 1
    master.problems()


def test_a_service_has_its_columns_arguments_and_overrides() -> None:
    data = b"# c\nsubmission inet n - y 30? 1 smtpd -v\n\t-o a=b\r\n# in\n -o { c = d e } -o c= {x y} z\n"
    assert MasterCf.parse(data).services() == (
        ServiceEntry(
            name="submission",
            type="inet",
            private="n",
            unpriv="-",
            chroot="y",
            wakeup="30?",
            maxproc="1",
            command="smtpd",
            args=("-v", "-o", "a=b", "-o", "c = d e", "-o", "c=", "x y", "z"),
            options=(ServiceOption("a", "b"), ServiceOption("c", "d e"), ServiceOption("c", "")),
            line=2,
        ),
    )


def test_of_repeated_overrides_and_services_the_last_counts() -> None:
    master = MasterCf.parse(HEAD + b" -o a=1\n" + HEAD + b" -o a=2 -o a=3\n")
    service = master.service("smtp", "inet")
    assert service is not None
    assert service.line == 2
    assert service.option("a") == "3"
    assert service.option("b") is None
    assert master.service("smtp", "unix") is None
    assert master.service("smtpd", "inet") is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b" -o a=b -o c=d", [("a", "b"), ("c", "d")]),
        (b" -oa=b", [("a", "b")]),
        (b" -vo a=b", [("a", "b")]),
        (b" -voa=b", [("a", "b")]),
        (b" -o {a=b  c}", [("a", "b  c")]),
        (b" -o { a = {b c}\n  # in\n  d }", [("a", "{b c}  d")]),
        (b" -o a={b c}", [("a", "{b c}")]),
        (b" -o a=}{b c}", [("a", "}{b c}")]),
        (b" -o\n  a=b", [("a", "b")]),
        # The argument of another option is no option, whatever it looks like.
        (b" -m -oa=b -o c=d", [("c", "d")]),
        (b" -n x -o c=d", [("c", "d")]),
        # What does not start with "-" ends the options.
        (b" flags=x -o a=b", []),
        (b" -- -o a=b", []),
        (b" - -o a=b", []),
        # Written with blanks the override is torn apart.
        (b" -o a = b", []),
        (b" -o a=b, c -o d=e", [("a", "b,")]),
        # Only a brace at the start of an argument groups.
        (b" -o{ a = b }", []),
        (b" -o", []),
        (b" -o a=b\0 -o c=d", [("a", "b")]),
    ],
)
def test_overrides_are_those_the_daemon_sees(arguments: bytes, expected: list[tuple[str, str]]) -> None:
    assert options(HEAD + arguments + b"\n") == expected


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"  x\n", "ignored"),
        (b"smtp inet n - y - -\n", "fewer than eight"),
        (HEAD + b" -o a = b\n", "-o a: not of the form name=value"),
        (HEAD + b" -o\n", "-o without its argument"),
        (HEAD + b" -m\n", "-m without its argument"),
        (HEAD + b" -o { a = b\n", "do not pair up"),
        (HEAD + b" -o {a=b}c\n", "do not pair up"),
        (b"# BEGIN conbool-tui x\n", "do not pair up"),
    ],
)
def test_problems_are_told(data: bytes, told: str) -> None:
    problems = MasterCf.parse(HEAD + b"\n" + data).problems() if not data.startswith(b" ") else ()
    problems = problems or MasterCf.parse(data).problems()
    assert any(told in problem for problem in problems)
    assert MasterCf.parse(HEAD + b" -o a=b {c d}\n").problems() == ()


# ------------------------------------------------------------------------------------------------ overrides


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        # A line of its own, in the service's own indentation, behind the last option.
        (HEAD + b"\nx\n", "1", HEAD + b"\n  -o a=1\nx\n"),
        (HEAD + b"\n\t-o c=d\n# in\n", "1", HEAD + b"\n\t-o c=d\n\t-o a=1\n# in\n"),
        (HEAD + b" \r\n", "1", HEAD + b" \r\n  -o a=1\r\n"),
        (HEAD + b"\n", "", HEAD + b"\n  -o a=\n"),
        (HEAD + b"\n", "b, c", HEAD + b"\n  -o { a = b, c }\n"),
        (HEAD + b"\n", "{b c} d", HEAD + b"\n  -o { a = {b c} d }\n"),
        (HEAD + b"\n", "{b}", HEAD + b"\n  -o a={b}\n"),
        (HEAD, "1", HEAD + b"\n  -o a=1"),
        (HEAD + b"\r", "1", HEAD + b"\r\r\n  -o a=1"),
        # Options come before the command's own arguments.
        (HEAD + b"\n  flags=x\n  argv=y\n", "1", HEAD + b"\n  -o a=1\n  flags=x\n  argv=y\n"),
        (HEAD + b" flags=x\n", "1", HEAD + b" -o a=1 flags=x\n"),
        (HEAD + b" -v -- x\n", "1", HEAD + b" -v -o a=1 -- x\n"),
        # An override that is there keeps its way of writing.
        (HEAD + b" -o a=b # c\n", "1", HEAD + b" -o a=1 # c\n"),
        (HEAD + b"\n  -oa=b\n", "1", HEAD + b"\n  -oa=1\n"),
        (HEAD + b"\n  -o {a=b}\n", "1", HEAD + b"\n  -o {a=1}\n"),
        (HEAD + b"\n  -o { a = b,\n # in\n   c,\n  d }\n", "b,   x,  d", None),
        (HEAD + b"\n  -o a=b -o c=d\n", "x y", HEAD + b"\n  -o { a = x y } -o c=d\n"),
        (HEAD + b"\n  -oa=b\n", "x y", HEAD + b"\n  -o { a = x y }\n"),
        (HEAD + b" -vo a=b\n", "x y", HEAD + b" -v -o { a = x y }\n"),
        (HEAD + b" -o a=1 -o a=2\n", "3", HEAD + b" -o a=1 -o a=3\n"),
        (HEAD + b" -o a=1\n" + HEAD + b"\n", "3", HEAD + b" -o a=1\n" + HEAD + b"\n  -o a=3\n"),
    ],
)
def test_set_option_writes_one_override(before: bytes, value: str, after: Optional[bytes]) -> None:
    expected = HEAD + b"\n  -o { a = b,\n # in\n   x,\n  d }\n" if after is None else after
    assert after_set(before, value) == expected
    assert after_set(expected, value) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + b"\n  -o a=b\n  -o c=d\n", HEAD + b"\n  -o c=d\n"),
        (HEAD + b"\n  -o a=b -o c=d\n", HEAD + b"\n  -o c=d\n"),
        (HEAD + b"\n  -o c=d  -o a=b\n", HEAD + b"\n  -o c=d\n"),
        (HEAD + b" -o a=b flags=x\n", HEAD + b" flags=x\n"),
        (HEAD + b" -vo a=b\n", HEAD + b" -v\n"),
        (HEAD + b" -o\n  # in\n  a=b -o c=d\nx\n", HEAD + b"\n  # in\n  -o c=d\nx\n"),
        (HEAD + b"\n -o { a = b,\n\n  c }\r\n", HEAD + b"\n\n"),
        (HEAD + b" -o a=1\n  -o a=2\n -o c=d\n", HEAD + b"\n -o c=d\n"),
        (HEAD + b"\n  -o a=b", HEAD),
        (HEAD + b"\r\n  -o a=b", HEAD),
        (HEAD + b"\n  -o c=d\n", HEAD + b"\n  -o c=d\n"),
        # The other services keep theirs.
        (HEAD + b" -o a=1\n" + HEAD + b" -o a=2\n", HEAD + b" -o a=1\n" + HEAD + b"\n"),
    ],
)
def test_remove_option_takes_every_override_of_that_name(before: bytes, after: bytes) -> None:
    assert after_remove(before) == after


@given(master_texts, values, st.data())
def test_a_new_override_can_be_taken_back_byte_by_byte(data: bytes, value: str, draw: st.DataObject) -> None:
    master = MasterCf.parse(data)
    assume(master.services())
    service = draw.draw(st.sampled_from(master.services()))
    others = [s for s in master.services() if (s.name, s.type) != (service.name, service.type)]
    try:
        master.set_option(service.name, service.type, "new_key", value)
    except ConfigTextError:
        assert master.to_bytes() == data
        return
    changed = MasterCf.parse(master.to_bytes())
    found = changed.service(service.name, service.type)
    assert found is not None
    assert found.option("new_key") == value
    assert [
        (s.name, s.args) for s in changed.services() if (s.name, s.type) != (service.name, service.type)
    ] == [(s.name, s.args) for s in others]
    changed.remove_option(service.name, service.type, "new_key")
    assert changed.to_bytes() == data


@given(values)
def test_every_value_with_paired_braces_can_be_set(value: str) -> None:
    assume("{" not in value and "}" not in value)
    assert options(after_set(HEAD + b"\n", value)) == [("a", value)]
    assert options(after_set(HEAD + b" -o a=old\n", value)) == [("a", value)]
    assert options(after_set(HEAD + b" -o { a = old }\n", value)) == [("a", value)]


@pytest.mark.parametrize("value", ["{", "a {", "a }", "} {", "a\nb", "a\0", " a", "a "])
@pytest.mark.parametrize("data", [HEAD + b"\n", HEAD + b" -o a=b\n", HEAD + b" -o { a = b c }\n"])
def test_values_that_would_swallow_other_text_are_refused(data: bytes, value: str) -> None:
    data += b"x unix - - n - - smtp -o q=}\n"
    master = MasterCf.parse(data)
    with pytest.raises(ConfigTextError):
        master.set_option("smtp", "inet", "a", value)
    assert master.to_bytes() == data


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a\nb", "#a"])
def test_option_names_that_would_break_the_file_are_refused(name: str) -> None:
    with pytest.raises(ConfigTextError, match="cannot be the name"):
        after_set(HEAD + b"\n", "x", option=name)


def test_an_override_is_not_put_behind_an_option_that_would_take_it_as_its_argument() -> None:
    with pytest.raises(ConfigTextError, match="cannot be written"):
        after_set(HEAD + b" -o\n", "x")


def test_a_missing_service_is_told() -> None:
    master = MasterCf.parse(HEAD + b"\n")
    with pytest.raises(ConfigTextError, match="no service smtp/unix"):
        master.set_option("smtp", "unix", "a", "x")
    with pytest.raises(ConfigTextError, match="no service other/inet"):
        master.remove_option("other", "inet", "a")


# ------------------------------------------------------------------------------------------------ blocks


def test_a_block_is_added_read_replaced_and_removed() -> None:
    master = MasterCf.parse(HEAD + b"\n")
    master.add_block("lane", BLOCK)
    master.add_block("b.2", "x unix - - n - - smtp")
    assert master.to_bytes() == (
        HEAD + b"\n# BEGIN conbool-tui lane\n" + BLOCK.encode() + b"# END conbool-tui lane\n"
        b"# BEGIN conbool-tui b.2\nx unix - - n - - smtp\n# END conbool-tui b.2\n"
    )
    assert master.block("lane") == BLOCK
    assert master.block("b.2") == "x unix - - n - - smtp\n"
    assert master.block("other") is None
    assert master.block_ids() == ("lane", "b.2")
    master.replace_block("lane", "y unix - - n - - smtp\n")
    assert [service.name for service in master.services()] == ["smtp", "y", "x"]
    assert master.to_bytes().startswith(HEAD + b"\n# BEGIN conbool-tui lane\ny unix - - n - - smtp\n# END")
    master.remove_block("lane")
    master.remove_block("b.2")
    assert master.to_bytes() == HEAD + b"\n"


@given(master_texts)
def test_adding_and_removing_a_block_gives_the_same_bytes(data: bytes) -> None:
    # In a group that nothing closes (Postfix refuses it) a final CR is text, and white space once a line end follows.
    assume(not (b"{" in data and data.endswith(b"\r")))
    master = MasterCf.parse(data)
    before = master.services()
    master.add_block("lane", BLOCK)
    master = MasterCf.parse(master.to_bytes())
    assert master.services()[: len(before)] == before
    assert [service.name for service in master.services()[len(before) :]] == ["lane", "127.0.0.1:10026"]
    assert master.block("lane") == BLOCK
    master.replace_block("lane", "x unix - - n - - smtp")
    master.remove_block("lane")
    assert master.to_bytes() == data


def test_a_block_uses_the_line_end_of_the_file() -> None:
    master = MasterCf.parse(HEAD + b"\r\n")
    master.add_block("lane", BLOCK)
    master.replace_block("lane", BLOCK)
    assert master.to_bytes().count(b"\r\n") == master.to_bytes().count(b"\n")
    assert master.block("lane") == BLOCK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "  indented unix - - n - - smtp\n",
        "x unix - - n - -\n",
        "x unix - - n - - smtp\r\n",
        "x unix - - n - - smtp\0\n",
        "x unix - - n - - smtp\n# END conbool-tui lane\n",
        "x unix - - n - - smtp\n# BEGIN conbool-tui\n",
    ],
)
def test_a_text_that_is_not_made_of_whole_services_is_refused(text: str) -> None:
    master = MasterCf.parse(HEAD + b"\n")
    with pytest.raises(ConfigTextError, match="block"):
        master.add_block("lane", text)
    master.add_block("lane", BLOCK)
    data = master.to_bytes()
    with pytest.raises(ConfigTextError, match="block"):
        master.replace_block("lane", text)
    assert master.to_bytes() == data


@pytest.mark.parametrize("block_id", ["", "a b", "a\n", "\u00e9", "a)"])
def test_a_block_needs_a_name_that_can_be_found_again(block_id: str) -> None:
    with pytest.raises(ConfigTextError, match="cannot name"):
        MasterCf.parse(b"").add_block(block_id, BLOCK)


def test_a_block_is_neither_added_twice_nor_changed_when_missing() -> None:
    master = MasterCf.parse(b"")
    with pytest.raises(ConfigTextError, match="has no block 'lane'"):
        master.remove_block("lane")
    with pytest.raises(ConfigTextError, match="has no block 'lane'"):
        master.replace_block("lane", BLOCK)
    master.add_block("lane", BLOCK)
    with pytest.raises(ConfigTextError, match="already has a block 'lane'"):
        master.add_block("lane", BLOCK)


@pytest.mark.parametrize(
    "damage",
    [
        (b"# END conbool-tui lane\n", b""),
        (b"# BEGIN conbool-tui lane\n", b""),
        (b"# END conbool-tui lane\n", b"# END conbool-tui lan\n"),
        (b"# END conbool-tui lane\n", b"# END conbool-tui lane\n# END conbool-tui lane\n"),
        (b"# in\n", b"# BEGIN conbool-tui other\n"),
    ],
)
def test_a_damaged_block_is_never_followed(damage: tuple[bytes, bytes]) -> None:
    master = MasterCf.parse(HEAD + b"\n")
    master.add_block("lane", BLOCK)
    data = (master.to_bytes() + b"tail unix - - n - - smtp\n").replace(*damage)
    master = MasterCf.parse(data)
    actions: list[Callable[[], object]] = [
        lambda: master.remove_block("lane"),
        lambda: master.replace_block("lane", BLOCK),
        lambda: master.add_block("lane", BLOCK),
        lambda: master.block("lane"),
    ]
    for action in actions:
        with pytest.raises(ConfigTextError, match="do not pair up"):
            action()
    assert master.to_bytes() == data


def test_a_lone_end_marker_is_a_problem_too() -> None:
    assert any("do not pair up" in text for text in MasterCf.parse(b"# END conbool-tui lane\n").problems())


def test_an_indented_line_behind_the_block_stops_its_removal() -> None:
    master = MasterCf.parse(HEAD + b"\n")
    master.add_block("lane", BLOCK)
    data = master.to_bytes() + b"# c\n\n  -o a=b\n"
    master = MasterCf.parse(data)
    actions: list[Callable[[], object]] = [
        lambda: master.remove_block("lane"),
        lambda: master.replace_block("lane", BLOCK),
    ]
    for action in actions:
        with pytest.raises(ConfigTextError, match=r"Line 10 of master\.cf is indented"):
            action()
    assert master.to_bytes() == data


def test_lines_behind_the_block_stay_when_it_goes() -> None:
    master = MasterCf.parse(HEAD)
    master.add_block("lane", BLOCK)
    master = MasterCf.parse(master.to_bytes() + b"# c\nx unix - - n - - smtp\n  -o a=b\n")
    master.remove_block("lane")
    assert master.to_bytes() == HEAD + b"\n# c\nx unix - - n - - smtp\n  -o a=b\n"


def test_a_copy_is_independent() -> None:
    master = MasterCf.parse(HEAD + b"\n")
    copy = master.copy()
    copy.set_option("smtp", "inet", "a", "x")
    assert master.to_bytes() == HEAD + b"\n"
