"""What our header tables match, read as pcre_table(5) and regexp_table(5) say."""

from __future__ import annotations

import re
from typing import Optional

import pytest

from conbool_tui.answers import Answers, Markers
from conbool_tui.planners.postfix import header_tables, plan_postfix

from .facts_builder import applied, facts_for, tables_of

ACTION = "FILTER conbool-reinject:[127.0.0.1]:10026"


def look_up(lines: list[str], header: str) -> Optional[str]:
    """The action of the first rule that matches ``header``, or None; ``if`` and ``endif`` count."""
    skipping = 0
    for line in lines:
        if line.startswith("#"):
            continue
        if line == "endif":
            skipping = max(0, skipping - 1)
            continue
        guard, rest = line.startswith("if "), line.removeprefix("if ")
        if skipping:
            skipping += guard
            continue
        end = next(at for at in range(1, len(rest)) if rest[at] == "/" and rest[at - 1] != "\\")
        pattern = rest[1:end].replace("[[:space:]]", r"[ \t\n\v\f\r]").replace("\\/", "/")
        matched = re.search(pattern, header, re.IGNORECASE | re.DOTALL)
        if guard:
            skipping += not matched
        elif matched:
            return rest[end + 1 :].strip()
    assert not skipping, "if without endif"
    return None


def tried(lines: list[str], header: str) -> int:
    """How many patterns a header is compared with."""
    count, skipping = 0, 0
    for line in lines:
        if skipping:
            skipping += {"if": 1, "en": -1}.get(line[:2], 0)
        elif line[:2] in ("if", "/^"):
            count += 1
            rule = line.removeprefix("if ") + (" OK" if line.startswith("if") else "")
            matched = look_up([rule], header)
            if matched and not line.startswith("if"):
                return count
            skipping = int(line.startswith("if") and not matched)
    return count


MARKERS = header_tables.marker_rules(
    ["X-Conbool-example-com", "X-Conbool-a-b-de", "X-Loop.(odd)+[name]"], "X-Conbool-Released", ACTION
)


@pytest.mark.parametrize(
    "header",
    [
        "X-Conbool-example-com: true",
        "x-conbool-EXAMPLE-com: TRUE",
        "X-Conbool-example-com:true",
        "X-Conbool-example-com:\n true",
        "X-Conbool-example-com: \t true \t ",
        "X-Conbool-example-com:\r\n\ttrue\n ",
        "X-Conbool-Released: Yes",
        "X-Loop.(odd)+[name]: true",
        "x-loop.(ODD)+[name]:true",
    ],
)
def test_marker(header: str) -> None:
    assert look_up(MARKERS, header) == ACTION


@pytest.mark.parametrize(
    "header",
    [
        "X-Conbool-example-com-x: true",
        "X-Conbool-example-co: true",
        "X-X-Conbool-example-com: true",
        "X-Conbool-example-com : true",
        "X-Conbool-example-com: false",
        "X-Conbool-example-com: true or not",
        "X-Conbool-example-com: untrue",
        "X-Conbool-example-com: ",
        "X-Conbool-example-info: true",
        "X-Conbool-Released: true",
        "X-Conbool-Released: yes\n true",
        "Subject: X-Conbool-example-com: true",
        "Subject: hi\n X-Conbool-example-com: true",
        "X-Loopx(odd)+[name]: true",
        "X-Loop.oddd[name]: true",
    ],
)
def test_no_marker(header: str) -> None:
    assert look_up(MARKERS, header) is None


CALENDAR = header_tables.calendar_rule(ACTION)


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/calendar; method=REQUEST",
        "content-type:TEXT/CALENDAR;METHOD=reply",
        "Content-Type: text/calendar;\n\tcharset=utf-8;\n\tmethod = REQUEST",
        'Content-Type: text/calendar; name="a;b"; method=REQUEST',
        'Content-Type: text/calendar; name="a\\"; x"; method=REQUEST',
        'Content-Type: text/calendar; method="REQUEST"; charset="utf-8"',
        'Content-Type: text/calendar; a=b; c="d"; e=f; method=CANCEL; component=VEVENT',
        'Content-Type: text/calendar; name=""; method=CANCEL',
    ],
)
def test_calendaring(header: str) -> None:
    assert look_up(CALENDAR, header) == ACTION


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/calendar",
        "Content-Type: text/calendar; charset=utf-8",
        'Content-Type: text/calendar; name="a; method=b.ics"',
        'Content-Type: text/calendar; name="a\\"; method=b.ics"',
        'Content-Type: text/calendar; name="; method=',
        "Content-Type: text/calendar; xmethod=REQUEST",
        "Content-Type: text/calendar; method*x=REQUEST",
        "Content-Type: text/calendarx; method=REQUEST",
        "Content-Type: text/calendar method=REQUEST",
        "Content-Type: application/ics; method=REQUEST",
        "Content-Type: text/plain; a=text/calendar; method=REQUEST",
        "X-Content-Type: text/calendar; method=REQUEST",
        "Content-Description: text/calendar; method=REQUEST",
    ],
)
def test_no_calendaring(header: str) -> None:
    assert look_up(CALENDAR, header) is None


SIZE = 100_000
CALENDAR_HEAD = "Content-Type: text/calendar;"
HOSTILE = {
    "blanks": CALENDAR_HEAD + " " * SIZE + "x",
    "semicolons": CALENDAR_HEAD + ";" * SIZE,
    "parameters": CALENDAR_HEAD + " a=b;" * (SIZE // 5),
    "quoted": CALENDAR_HEAD + ' a="b;c";' * (SIZE // 9),
    "empty quotes": CALENDAR_HEAD + '"";' * (SIZE // 3),
    "open quotes": CALENDAR_HEAD + '";' * (SIZE // 2) + '"',
    "backslashes": CALENDAR_HEAD + ' x="' + "\\" * SIZE,
    "escapes": CALENDAR_HEAD + ' x="' + "\\a" * (SIZE // 2) + '"; y',
    "method words": CALENDAR_HEAD + "method;" * (SIZE // 7),
    "method and blanks": CALENDAR_HEAD + ("method" + " " * 20) * (SIZE // 26),
    "marker blanks": "X-Conbool-example-com:" + " " * SIZE + "true" + " " * 99 + "x",
    "marker words": "X-Conbool-example-com:" + "true " * (SIZE // 5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_header_is_no_marker(name: str) -> None:
    """Real pcre and regexp tables get the same headers in tests/lab/test_header_tables.py."""
    assert look_up([*MARKERS, *CALENDAR], HOSTILE[name]) is None


def table(name: str, answers: Answers) -> list[str]:
    """One of the plan's tables, by lines."""
    host = facts_for()
    return tables_of(applied(host, plan_postfix(host, answers)))[name].rstrip("\n").split("\n")


def test_ten_thousand_domains() -> None:
    """One guard in front of few patterns; every domain's own marker is found, and nobody else's."""
    domains = tuple(f"customer-{number}.example" for number in range(10_000))
    lines = table("markers", Answers(domains=domains))
    assert sum(len(line) + 1 for line in lines) < 450_000
    assert len([line for line in lines if line.startswith("if")]) == lines.count("endif")
    assert len([line for line in lines if "FILTER" in line]) < 1000
    for header in (
        "Subject: hello",
        "X-Mailer: x",
        "X-Conbool-Flag: YES",
        "X-Conbool-customer-7-example: no",
    ):
        assert tried(lines, header) <= 3, header
    assert tried(lines, "X-Conbool-customer-9999-example: true") < 250
    for number in (0, 1, 4_999, 9_999):
        assert look_up(lines, f"X-Conbool-customer-{number}-example: true")
    assert look_up(lines, "X-Conbool-customer-10000-example: true") is None
    assert len(table("senders", Answers(domains=domains))) == 10_001
    assert (
        len(table("hand_back_domains", Answers(domains=domains, conbool_networks=("198.51.100.0/24",))))
        == 10_001
    )


def test_two_domains_with_one_loop_header() -> None:
    lines = table("markers", Answers(domains=("a-b.de", "a.b.de")))
    assert len([line for line in lines if "a-b-de" in line]) == 1
    assert "\n".join(lines).count("X-Conbool-a-b-de") == 1


def test_custom_headers_with_special_characters() -> None:
    """Names outside of X-Conbool- stand behind no guard, and every character of a name means itself."""
    answers = Answers(
        domains=("example.com",),
        markers=Markers(
            loop_headers={"example.com": "X-Seen.By{1}/$it^|*\\"}, released="X-(Out)?", spam=("X-Sp.m+",)
        ),
    )
    markers = table("markers", answers)
    assert look_up(markers, "X-Seen.By{1}/$it^|*\\: true")
    assert look_up(markers, "X-(Out)?: yes")
    assert look_up(markers, "X-Out: yes") is None
    assert look_up(table("spam", answers), "X-Sp.m+: yes") == "PREPEND X-Spam-Flag: YES"
    assert look_up(table("spam", answers), "X-Spam: yes") is None
    untrusted = table("untrusted_checks", answers)
    assert look_up(untrusted, "X-Sp.m+: yes") == "IGNORE"
    for name in ("X-(Out)?", "X-Seen.By{1}/$it^|*\\", "X-Conbool-Anything"):
        assert look_up(untrusted, f"{name}: no") == "IGNORE"
    assert look_up(untrusted, "X-Out: no") is None
    assert look_up(table("drop_markers", answers), "x-conbool-origin: untrusted mx1.example.com") == "IGNORE"


def test_manual_route_knows_a_mere_exception() -> None:
    host = facts_for("transport_maps = hash:/etc/postfix/transport\ndefault_transport = out:[x]\n")
    found = tables_of(applied(host, plan_postfix(host, Answers(domains=("example.com",)))))
    route, gateway = (found[name].rstrip("\n").split("\n") for name in ("manual_route", "gateway_route"))
    for value in ("smtp:[gateway]:25", "smtp:", "local"):
        assert look_up(route, value) == "OK"
        assert look_up(gateway, value) is None
    assert look_up(route, ":[gateway]:25") is None
    assert look_up(gateway, ":[gateway]:25") == "FILTER out:$1"
    assert look_up(route, ":") is None
    assert look_up(gateway, ":") is None


@pytest.mark.parametrize("host", ["mail.conbool.com", "192.0.2.1"])
def test_next_hop_rule(host: str) -> None:
    lines = header_tables.next_hop_rule(host, "secure")
    for hop in (host, f"[{host}]", f"[{host}]:25", f"{host}:2525", host.upper()):
        assert look_up(lines, hop) == "secure", hop
    for hop in (f"x{host}", f"[x.{host}]:25", f"{host}.other.example", host.replace(".", "x")):
        assert look_up(lines, hop) is None, hop
