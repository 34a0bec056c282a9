"""Header tables for any number of domains say the same as one rule for each domain would."""

from __future__ import annotations

import re
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.names import many_domains
from conbool_tui.planners.postfix import header_tables

ACTION = "FILTER lane:[127.0.0.1]:10026"


def look_up(lines: list[str], header: str) -> tuple[Optional[str], int]:
    """What a pcre: or regexp: table says of a header (pcre_table(5): nested if, first match wins), and how many patterns were tried."""
    tried = depth = skipping = 0
    for line in lines:
        if line == "endif":
            skipping = 0 if skipping == depth else skipping
            depth -= 1
            continue
        conditional = line.startswith("if ")
        depth += conditional
        if skipping:
            continue
        pattern, action = line[line.index("/") + 1 :].rsplit("/ ", 1) if not conditional else (line[4:-1], "")
        tried += 1
        hit = re.search(pattern.replace("[[:space:]]", r"\s"), header, re.IGNORECASE | re.DOTALL)
        if conditional and not hit:
            skipping = depth
        elif hit and not conditional:
            return action, tried
    assert depth == 0
    return None, tried


names = st.from_regex(r"X-Conbool-[a-c0.]{1,4}(-[ab]{1,2})?|[xX]-[a-b]{1,3}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=1, max_size=400), st.lists(names, max_size=20))
def test_says_the_same_as_one_rule_a_domain(headers: list[str], others: list[str]) -> None:
    lines = header_tables.marker_rules(headers, "X-Released", ACTION)
    wanted = {name.lower() for name in headers}
    for name in [*headers[:30], *others]:
        for value, right in (
            ("true", True),
            ("\n\tTRUE ", True),
            ("false", False),
            ("true x", False),
            ("", False),
        ):
            found, _ = look_up(lines, f"{name.swapcase()}: {value}")
            assert found == (ACTION if right and name.lower() in wanted else None), (name, value)
    assert look_up(lines, "X-RELEASED: yes")[0] == ACTION
    assert look_up(lines, "X-Released: true")[0] is None


def test_ten_thousand_domains_cost_other_headers_no_more_than_one_does() -> None:
    headers = ["X-Conbool-" + domain.replace(".", "-") for domain in many_domains(10_000)]
    lines = header_tables.marker_rules(headers, "X-Conbool-Released", ACTION)
    for header in ("Subject: true", "X-Conbool-Origin: untrusted", "X-Conbool-Flag: YES", "X-Mailer: x"):
        assert look_up(lines, header) == (None, 2)
    assert look_up(lines, "X-Conbool-Released: yes") == (ACTION, 2)
    tried = [look_up(lines, f"{header}: true") for header in headers[::37]]
    assert all(found == ACTION for found, _ in tried)
    assert max(count for _, count in tried) < 120


@pytest.mark.parametrize(
    "table",
    [
        header_tables.marker_rules(["X-Conbool-a", "X-Conbool-b"], "R", ACTION),
        header_tables.spam_rules(["A", "AB"]),
    ],
)
def test_few_names_need_no_condition(table: list[str]) -> None:
    assert not [line for line in table if line.startswith(("if", "endif"))]
    assert "(|" not in "".join(table)
