"""What the running side of Dovecot looks at, without a Dovecot."""

from __future__ import annotations

import pytest

from conbool_tui import doveconf
from conbool_tui.systems.dovecot import _differences
from conbool_tui.systems.sievec import _path_of_length

BEFORE = "ssl = no\nplugin {\n  sieve = a\n  sieve_before = /own\n}\nsieve_script own {\n  type = before\n}\n"


@pytest.mark.parametrize(
    ("after", "named"),
    [
        (BEFORE.replace("sieve_before = /own", "sieve_before = /ours\n  sieve_before2 = /own"), []),
        (BEFORE + "sieve_script conbool {\n  type = before\n  path = /ours\n}\n", []),
        (BEFORE.replace("ssl = no", "ssl = yes"), ["ssl"]),
        (BEFORE.replace("sieve = a", "sieve = b"), ["plugin / sieve"]),
        (BEFORE.replace("type = before", "type = after"), ["sieve_script own / type"]),
        (BEFORE + "service lmtp {\n}\n", ["service lmtp {}"]),
    ],
)
def test_only_the_order_of_scripts_may_differ(after: str, named: list[str]) -> None:
    assert _differences(doveconf.parse(BEFORE), doveconf.parse(after)) == named


def test_quotes_of_both_languages() -> None:
    reading = doveconf.parse(
        'a = " imap lmtp"\nb = "\\\\Junk"\nmailbox "Sent Messages" {\n  c = x = y\n}\nd =\n'
    )
    assert reading.switched_on("a") == ("imap", "lmtp")
    assert (reading.get("b"), reading.get("d")) == ("\\Junk", "")
    (mailbox,) = reading.sections("mailbox")
    assert (mailbox.argument, mailbox.get("c")) == ("Sent Messages", "x = y")


def test_a_repeated_section_is_not_lost() -> None:
    assert doveconf.flat(doveconf.parse("a x {\n  b = 1\n}\na x {\n  b = 2\n}\n")) == {
        "a x {}": "",
        "a x / b": "1",
        "a x #2 {}": "",
        "a x #2 / b": "2",
    }


@pytest.mark.parametrize("more", range(8, 60))
def test_a_place_to_compile_has_the_length_of_the_real_one(more: int) -> None:
    top = "/run/conbool-0123456789abcdef"
    place = _path_of_length(top, len(top) + more)
    assert place is not None
    assert len(place) == len(top) + more
    assert place.startswith(top + "/")
    assert place.endswith(".sieve")


def test_no_place_when_the_real_one_is_shorter() -> None:
    assert _path_of_length("/run/conbool-0123456789abcdef", 30) is None
