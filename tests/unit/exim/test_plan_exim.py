"""The plan for an Exim: what it writes where, what it refuses, and that a second one is empty."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from conbool_tui.answers import Answers, Inbound, Markers, Scope, SmartHost, Spam
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.facts import FileText
from conbool_tui.facts_exim import EximDriver, EximFacts
from conbool_tui.plan import ChangeKind, Plan
from conbool_tui.planners.exim import plan_exim
from detectors.exim.detector import read_facts

from .fake import LISTS, OPTIONS, PLAIN, ROUTERS, Exim, EximHost

ANSWERS = Answers(
    domains=("Example.com", "example.org"), conbool_networks=("198.51.100.0/24", "2001:db8:c::/48")
)
CLOSED = Inbound(restrict_port_25=True, extra_networks=("203.0.113.0/29",))


@pytest.fixture
def facts(tmp_path: Path) -> EximFacts:
    """A plain configuration."""
    return read_facts(EximHost(tmp_path), "/usr/sbin/exim")


def applied(facts: EximFacts, plan: Plan) -> EximFacts:
    """The facts as they are once a plan is in force."""
    files = dict(facts.files)
    for target in plan.files:
        if target.after is None:
            files.pop(target.path)
        else:
            files[target.path] = FileText(target.path, target.after)
    options = dict(facts.options)
    text = files[facts.config_file].data.decode()
    for line in text.split("\n"):
        name, _, value = line.partition(" = ")
        if name in options and "conbool" in value:
            options[name] = value
    ours = tuple(EximDriver(name, {}) for name in ("conbool_smarthost", "conbool_junk"))
    return dataclasses.replace(facts, files=files, options=options, routers=(*ours, *facts.routers))


def text_of(plan: Plan, path: str = "/etc/exim/exim.conf") -> str:
    """A file as the plan makes it."""
    data = next(target.after for target in plan.files if target.path == path)
    assert data is not None
    return data.decode()


def block(plan: Plan, key: str) -> str:
    """A block as the plan makes it."""
    return next(change.after or "" for change in plan.changes if change.key == key)


def test_places_in_a_plain_configuration(facts: EximFacts) -> None:
    text = text_of(plan_exim(facts, ANSWERS))
    order = [
        "BEGIN conbool-tui main",
        "begin acl",
        "acl_check_rcpt:",
        "BEGIN conbool-tui head-acl_smtp_rcpt",
        "acl_check_data:",
        "BEGIN conbool-tui head-acl_smtp_data",
        "BEGIN conbool-tui acl",
        "begin routers",
        "relayed:",
        "BEGIN conbool-tui router",
        "# Everything else goes out.",
        "dnslookup:",
        "BEGIN conbool-tui router-junk",
        "localuser:",
        "begin transports",
        "BEGIN conbool-tui transport",
        "begin retry",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert all(line in text.split("\n") for line in PLAIN.split("\n"))


def test_a_second_plan_is_empty_and_other_answers_change_only_what_differs(facts: EximFacts) -> None:
    first = plan_exim(facts, ANSWERS)
    there = applied(facts, first)
    assert plan_exim(there, ANSWERS).files == ()
    closing = plan_exim(there, dataclasses.replace(ANSWERS, inbound=CLOSED))
    assert {change.key for change in closing.changes} == {"main", "acl"}
    assert closing.confirm_within == 60
    closed = applied(there, closing)
    assert plan_exim(closed, dataclasses.replace(ANSWERS, inbound=CLOSED)).files == ()
    wider = dataclasses.replace(CLOSED, extra_networks=("203.0.113.0/28",))
    assert plan_exim(closed, dataclasses.replace(ANSWERS, inbound=wider)).confirm_within == 0
    narrower = dataclasses.replace(CLOSED, extra_networks=())
    assert plan_exim(closed, dataclasses.replace(ANSWERS, inbound=narrower)).confirm_within == 60
    opened = plan_exim(closed, ANSWERS)
    assert text_of(opened) == text_of(first)


def test_data_files(facts: EximFacts) -> None:
    scope = Scope(mode="senders", senders=("VIP@example.org", "@example.net"))
    markers = Markers(loop_headers={"example.org": "X-Mine"})
    plan = plan_exim(facts, dataclasses.replace(ANSWERS, scope=scope, markers=markers))
    assert text_of(plan, "/etc/exim/conbool/domains").endswith("\nexample.com:\nexample.org:\n")
    assert text_of(plan, "/etc/exim/conbool/senders").endswith("\nvip@example.org:\n*@example.net:\n")
    keys = text_of(plan, "/etc/exim/conbool/loopkeys")
    assert keys.endswith("\nx-conbool-example-com: X-Conbool-example-com\nx-mine: X-Mine\n")
    assert "x-conbool-[!-9;-~]+|x\\-mine" in block(plan, "acl")
    ours = {change.path for change in plan.changes if change.kind is ChangeKind.FILE}
    assert ours == {f"/etc/exim/conbool/{name}" for name in ("domains", "senders", "loopkeys")}


def test_the_transport_checks_the_name(facts: EximFacts) -> None:
    text = block(plan_exim(facts, ANSWERS), "transport")
    for line in (
        "hosts_require_tls = *",
        "tls_verify_hosts = *",
        "tls_verify_cert_hostnames = *",
        "tls_verify_certificates = system",
        "tls_tempfail_tryclear = false",
        "helo_data = mail.example.com",
    ):
        assert f"  {line}\n" in text
    assert "dkim_domain" not in text
    other = SmartHost(host="relay.example", tls_name="mail.conbool.com", port=2525, ca_file="/etc/ca.pem")
    inbound = Inbound(return_mode="conbool_delivers")
    text = block(
        plan_exim(facts, dataclasses.replace(ANSWERS, smart_host=other, inbound=inbound)), "transport"
    )
    for part in (
        "port = 2525",
        "tls_verify_certificates = /etc/ca.pem",
        "{eqi{$item}{mail.conbool.com}}",
        "tls:cert",
    ):
        assert part in text
    assert "dkim_domain = example.com" in text


def test_who_is_believed(facts: EximFacts) -> None:
    """Authenticated clients never; own hosts and local commands only where they are trusted."""
    local = block(plan_exim(facts, ANSWERS), "acl")
    assert "hosts = : +relay_from_hosts\n          !authenticated = *\n" in local
    conbool = dataclasses.replace(ANSWERS, markers=Markers(trust="conbool"))
    text = block(plan_exim(facts, conbool), "acl")
    assert text.count("set acl_m_conbool_believed = yes") == 1
    assert local.count("set acl_m_conbool_believed = yes") == 3


def test_hand_back_is_for_hosted_senders_only(facts: EximFacts) -> None:
    relays = "sender_domains = +conbool_domains"
    assert relays in block(plan_exim(facts, ANSWERS), "head-acl_smtp_rcpt")
    delivers = dataclasses.replace(ANSWERS, inbound=Inbound(return_mode="conbool_delivers"))
    text = block(plan_exim(facts, delivers), "head-acl_smtp_rcpt")
    assert relays not in text
    assert "message = relay not permitted" in text


@pytest.mark.parametrize("action", ["header", "none"])
def test_flagged_mail(facts: EximFacts, action: str) -> None:
    plan = plan_exim(facts, dataclasses.replace(ANSWERS, spam=Spam(action=action)))
    assert ("X-Spam-Flag: YES" in block(plan, "acl")) is (action == "header")
    assert "conbool_junk" not in text_of(plan)


def other_route(facts: EximFacts, **options: str) -> EximFacts:
    """Facts with another router for remote mail."""
    routers = tuple(
        EximDriver(one.name, {**one.options, **options}) if one.name == "dnslookup" else one
        for one in facts.routers
    )
    return dataclasses.replace(facts, routers=routers)


def test_an_old_smart_host(facts: EximFacts) -> None:
    old = other_route(facts, driver="manualroute", route_list="* smtp.provider.example::587 byname")
    plan = plan_exim(old, ANSWERS)
    router = block(plan, "router")
    assert "condition = ${if or{ {def:acl_m_conbool_bypass} {def:acl_m_conbool_calendar} }}\n" in router
    assert any("smtp.provider.example stays" in notice.text for notice in plan.notices)
    conbool = other_route(facts, driver="manualroute", route_list="* mail.conbool.com byname")
    plan = plan_exim(conbool, ANSWERS)
    direct = block(plan, "router").partition("conbool_direct:")[2]
    assert direct
    assert "condition" not in direct
    assert "conbool_direct" not in block(plan_exim(facts, ANSWERS), "router")


def test_routes_for_some_senders_keep_their_mail(facts: EximFacts) -> None:
    route = EximDriver(
        "mine", {"driver": "manualroute", "domains": "! +local_domains", "senders": "x@y.example"}
    )
    plan = plan_exim(dataclasses.replace(facts, routers=(route, *facts.routers)), ANSWERS)
    assert text_of(plan).index("relayed:") < text_of(plan).index("BEGIN conbool-tui router")
    assert any("mine" in notice.text for notice in plan.notices)


def test_a_light_daemon_says_what_it_cannot_see(facts: EximFacts) -> None:
    light = dataclasses.replace(facts, content_scanning=False)
    told = [notice.text for notice in plan_exim(light, ANSWERS).notices]
    assert any("first 256K" in text for text in told)
    assert not any("first 256K" in notice.text for notice in plan_exim(facts, ANSWERS).notices)


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("old", {"version": "4.93"}, {}, "too old"),
    ("no TLS", {"features": frozenset()}, {}, "without TLS"),
    ("strict", {"options": {**OPTIONS, "strict_acl_vars": "true"}}, {}, "strict_acl_vars is on"),
    ("retry", {"retry_rule": False}, {}, "no retry rule"),
    ("lists", {"lists": {}}, {}, "cannot be told"),
    ("acl", {"options": {**OPTIONS, "acl_smtp_rcpt": "${if x}"}}, {}, "text of that ACL was not found"),
    ("no STARTTLS", {"options": {**OPTIONS, "tls_advertise_hosts": ""}}, {"inbound": CLOSED}, "STARTTLS"),
    (
        "certificate",
        {"options": {**OPTIONS, "tls_try_verify_hosts": "192.0.2.9"}},
        {"inbound": Inbound(peer_certificate="require")},
        "tls_try_verify_hosts is 192.0.2.9",
    ),
    (
        "events",
        {"features": frozenset({"GnuTLS"})},
        {"smart_host": SmartHost(tls_name="relay.example")},
        "without events",
    ),
]


@pytest.mark.parametrize(("_name", "host", "answers", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_this_exim_cannot_do_is_refused(
    facts: EximFacts, _name: str, host: dict[str, Any], answers: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckFailedError) as caught:
        plan_exim(dataclasses.replace(facts, **host), dataclasses.replace(ANSWERS, **answers))
    assert words in caught.value.what
    assert caught.value.todo


def test_answers_that_leave_nothing_to_do(facts: EximFacts) -> None:
    for answers in (
        dataclasses.replace(ANSWERS, domains=()),
        dataclasses.replace(ANSWERS, conbool_networks=(), inbound=CLOSED),
        dataclasses.replace(ANSWERS, scope=Scope(mode="senders")),
    ):
        with pytest.raises(UsageError):
            plan_exim(facts, answers)


def test_acls_of_the_admins_get_ours_at_their_heads(tmp_path: Path) -> None:
    options = {**OPTIONS, "acl_smtp_mime": "acl_check_mime", "acl_smtp_connect": "acl_check_connect"}
    host = EximHost(tmp_path, Exim(options=options, lists=LISTS, routers=ROUTERS))
    host.put(
        "/etc/exim/exim.conf",
        PLAIN.replace("begin acl\n", "begin acl\nacl_check_mime:\n  accept\nacl_check_connect:\n  accept\n"),
    )
    text = text_of(plan_exim(read_facts(host, "/usr/sbin/exim"), ANSWERS))
    assert (
        "acl_check_connect:\n# BEGIN conbool-tui head-acl_smtp_connect\n  accept  hosts = +conbool_hosts\n"
        in text
    )
    assert "acl_check_mime:\n# BEGIN conbool-tui head-acl_smtp_mime\n" in text
    assert "\nacl_smtp_mime = acl_conbool" not in text
    assert "\nacl_not_smtp_mime = acl_conbool_not_smtp_mime\n" in text
