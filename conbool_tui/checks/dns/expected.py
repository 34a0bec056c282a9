"""The entries of ``dns_expectations``: is it published as expected? Pure: replies in, lookups out."""

from __future__ import annotations

import re
from typing import Optional

from conbool_tui.answers import DnsExpectation
from conbool_tui.checks.dns.client import Outcome, Reply
from conbool_tui.checks.dns.words import Asked, troubles
from conbool_tui.checks.dns_model import Lookup
from conbool_tui.findings import Status

# So many characters of a value are searched.
_MATCHED = 16384


def compiled(wanted: DnsExpectation) -> Optional[re.Pattern[str]]:
    """The pattern of an expectation, None when it is none."""
    try:
        return re.compile(wanted.matches)
    except (re.error, RecursionError, OverflowError):
        return None


def judge_expected(wanted: DnsExpectation, reply: Reply) -> Lookup:
    """An entry of ``dns_expectations``; the only lookup that can fail."""
    asked = Asked(wanted.name.rstrip("."), reply)
    what = f"{wanted.type.upper()} record"
    pattern = compiled(wanted)
    if pattern is None:
        remedy = "Correct matches: of this entry of dns_expectations."
        return asked.lookup(
            "EXPECTED", Status.NOT_TESTED, "the pattern expected is no regular expression", remedy
        )
    expected = f"expected: {wanted.type.upper()} {asked.name} matching {wanted.matches}"
    if not reply.outcome.certain:
        words, remedy = troubles(reply)
        headline = f"whether the {what} is as expected is not known: {words}"
        return asked.lookup("EXPECTED", Status.NOT_TESTED, headline, remedy, lines=[expected])
    if reply.outcome is not Outcome.FOUND:
        words, remedy = troubles(reply)
        headline = f"the {what} expected is not published: {words}"
        return asked.lookup("EXPECTED", Status.FAIL, headline, remedy, lines=[expected])
    if any(pattern.search(value[:_MATCHED]) for value in reply.values):
        return asked.lookup("EXPECTED", Status.OK, f"the {what} is as expected", lines=[expected])
    headline = f"no {what} is as expected"
    remedy = "Publish the record that the Setup Assistant shows, or correct the entry of dns_expectations."
    return asked.lookup("EXPECTED", Status.FAIL, headline, remedy, lines=[expected])
