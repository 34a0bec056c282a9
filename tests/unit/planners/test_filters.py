"""Released mail is exempted in the filters that are asked, and in no others."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
import re

import pytest

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.facts import Detection, FileText, HostFacts, Listener, Outcome
from conbool_tui.facts_filters import FilterFacts
from conbool_tui.plan import Plan
from conbool_tui.planners.filters import plan_filters
from conbool_tui.planners.filters.address_patterns import pattern
from conbool_tui.planners.filters.in_path import in_path
from detectors.postfix import services
from tests.unit.planners import facts_builder

EMPTY = Plan("postfix", "-", "/etc/postfix", (), ())
ANSWERS = Answers(domains=("example.com",), conbool_networks=("198.51.100.0/24", "2001:db8:c::/48"))
OWN = b'partner {\n  ip = "192.0.2.1";\n}\n'
SETTINGS, RULES = "/etc/rspamd/local.d/settings.conf", "/etc/spamassassin/conbool.cf"


def filters(text: bytes = b"") -> tuple[FilterFacts, ...]:
    """Both filters, rspamd with settings of its own."""
    held = FileText(SETTINGS, text) if text else None
    return (
        FilterFacts("rspamd", "/etc/rspamd", SETTINGS, held, True),
        FilterFacts("spamassassin", "/etc/spamassassin", RULES, None, True),
    )


def postfix(main: str) -> Detection:
    """A Postfix with these settings."""
    facts = facts_builder.facts_for(facts_builder.MAIN + main)
    milters = services.milters(facts.services, facts.expanded)
    return Detection("postfix", Outcome.PRESENT, "", postfix=dataclasses.replace(facts, milters=milters))


def planned(main: str, *, text: bytes = b"", answers: Answers = ANSWERS) -> Plan:
    """What is added to an empty plan."""
    target = postfix(main)
    return plan_filters(EMPTY, HostFacts((target,), filters=filters(text)), target, answers)


@pytest.mark.parametrize(
    ("main", "found"),
    [
        ("", set()),
        ("smtpd_milters = inet:127.0.0.1:8891\n", set()),
        ("smtpd_milters = inet:127.0.0.1:11332\n", {"rspamd"}),
        ("smtpd_milters = unix:/run/rspamd/milter.sock\n", {"rspamd"}),
        ("smtpd_milters = unix:spamass/spamass.sock, inet:localhost:11332\n", {"rspamd", "spamassassin"}),
        ("smtpd_milters = inet:127.0.0.1:9900\n", {"spamassassin"}),
        ("smtpd_milters = { inet:localhost:11332, default_action=accept }\n", {"rspamd"}),
        # Mail from Conbool goes past an after-queue filter.
        ("content_filter = smtp-amavis:[127.0.0.1]:10024\n", set()),
    ],
)
def test_which_filters_are_asked(main: str, found: set[str]) -> None:
    target = postfix(main)
    listeners = (Listener("127.0.0.1", 9900, 7, "spamass-milter"),)
    assert in_path(HostFacts((target,), listeners), target) == found


def test_rspamd_keeps_settings_of_others() -> None:
    plan = planned("smtpd_milters = inet:127.0.0.1:11332\n", text=OWN)
    (target,) = plan.files
    assert target.after is not None
    assert target.after.startswith(OWN)
    assert 'ip = ["198.51.100.0/24", "2001:db8:c::/48"];' in target.after.decode()
    assert text_blocks.put(target.after, "released", None) == OWN
    assert planned("smtpd_milters = inet:127.0.0.1:11332\n", text=target.after).empty
    # Not asked any more: ours goes, theirs stays.
    assert planned("", text=target.after).files[0].after == OWN


def test_without_addresses_nobody_is_exempted() -> None:
    answers = Answers(domains=("example.com",))
    assert planned("smtpd_milters = inet:127.0.0.1:11332\n", answers=answers).empty


def test_spamassassin_says_what_it_cannot_recognise() -> None:
    answers = Answers(domains=("example.com",), conbool_networks=("198.51.100.0/24", "2001:db8::/44"))
    plan = planned("smtpd_milters = unix:spamass.sock\n", answers=answers)
    assert [target.path for target in plan.files] == [RULES]
    assert "2001:db8::/44" in plan.notices[0].text


@pytest.mark.parametrize("network", ["198.51.100.0/24", "198.51.96.0/20", "203.0.113.7/32", "10.0.0.0/9"])
def test_patterns_are_the_network(network: str) -> None:
    text, one = pattern(network), ipaddress.ip_network(network)
    assert text is not None
    chance = random.Random(3)
    inside = [str(one[chance.randrange(one.num_addresses)]) for _ in range(50)]
    near = [str(one[0] + more) for more in (-256, -1, one.num_addresses, one.num_addresses + 300)]
    for address in [*inside, *near, "1" + inside[0][1:], "9.9.9.9"]:
        within = ipaddress.ip_address(address) in one
        assert (re.fullmatch(text, address) is not None) is within, address


def test_patterns_of_version_6() -> None:
    text = pattern("2001:db8:c::/48")
    assert text is not None
    assert re.fullmatch(text, "2001:db8:c::25")
    assert re.fullmatch(text, "2001:db8:c:1:2:3:4:5")
    assert not re.fullmatch(text, "2001:db8:c1::25")
    assert pattern("2001:db8::/48") is None
