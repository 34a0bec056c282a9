"""The plan for hosts of many kinds: words, errors, ports, and what a careful admin would look for."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

import pytest

from conbool_tui.answers import Answers, Inbound, Markers, Scope, SmartHost
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.facts import HostedDomains, Listener, PostfixFacts
from conbool_tui.plan import ChangeKind, Plan, Step
from conbool_tui.planners.postfix import plan_postfix
from conbool_tui.planners.postfix.lists import split_restrictions
from conbool_tui.postfix_config import MasterCf

from .facts_builder import DIRECTORY, MASTER, TABLE_TYPES, applied, facts_for, replaced, tables_of

NETWORKS = ("198.51.100.0/24",)
ANSWERS = Answers(domains=("example.com",), conbool_networks=NETWORKS)
EVERYTHING = dataclasses.replace(ANSWERS, scope=Scope(mode="everything"))
CONBOOL_ONLY = dataclasses.replace(ANSWERS, markers=Markers(trust="conbool"))
LIST_ITEM = "check_client_access cidr:$config_directory/conbool/"
SCANNED = """\
content_filter = scan:[127.0.0.1]:10024
"""
REENTRY = """\
127.0.0.1:10025 inet n - n - - smtpd
  -o content_filter=
  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks
"""


def after(facts: PostfixFacts, answers: Answers = ANSWERS) -> PostfixFacts:
    """The host once the plan was applied."""
    return applied(facts, plan_postfix(facts, answers))


def options(facts: PostfixFacts, name: str, type: str = "unix") -> dict[str, str]:
    """The options of a service."""
    service = facts.service(name, type)
    assert service is not None, name
    return {option.name: option.value for option in service.options}


def lane(facts: PostfixFacts, role: str) -> dict[str, str]:
    """The options of one of our loopback services."""
    found = [one for one in facts.services if one.option("syslog_name") == f"postfix/conbool-{role}"]
    servers = [one for one in found if one.type == "inet"]
    assert len(servers) == 1, role
    return {option.name: option.value for option in servers[0].options}


def told(plan: Plan, level: str, *words: str) -> bool:
    """Whether a notice of this level holds all the words."""
    return any(one.level == level and all(word in one.text for word in words) for one in plan.notices)


# --- errors


@pytest.mark.parametrize(
    ("facts", "answers", "error", "words"),
    [
        ({"version": "3.3.22"}, {}, CheckFailedError, "3.3.22 is too old"),
        ({}, {"domains": ()}, UsageError, "No hosted domain"),
        ({}, {"scope": Scope(mode="senders")}, UsageError, "No sender"),
        ({"table_types": TABLE_TYPES - {"cidr", "pipemap"}}, {}, CheckFailedError, "cidr, pipemap"),
        (
            {"listeners": tuple(Listener("127.0.0.1", port) for port in range(10026, 10200))},
            {},
            CheckFailedError,
            "No free TCP port",
        ),
    ],
)
def test_refusals(facts: dict[str, Any], answers: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        plan_postfix(facts_for(**facts), dataclasses.replace(ANSWERS, **answers))
    assert all(caught.value.lines())  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", ["3.4.0", "3.7.11-rc1", "3.11-20250101", "4.0"])
def test_new_versions(version: str) -> None:
    assert plan_postfix(facts_for(version=version), ANSWERS).files


# --- words


def test_steps_hold_what_belongs_to_them() -> None:
    plan = plan_postfix(facts_for("relayhost = [mail.conbool.com]:25\n"), ANSWERS)
    by_step: dict[Step, set[str]] = {}
    for change in plan.changes:
        by_step.setdefault(change.step, set()).add(change.key or change.path.rpartition("/")[2])
    assert by_step[Step.A] == {"smart-host", "relayhost", "drop_origin", "previous"}
    assert by_step[Step.D] == {"released", "split_checks", "released_checks"}
    assert by_step[Step.SCOPE] == {"senders", "sender_dependent_default_transport_maps"}
    assert by_step[Step.B] == {
        "conbool_hand_back",
        "hand_back_clients.cidr",
        "hand_back_domains",
        "sender_domain",
        "smtpd_relay_restrictions",
    }
    assert {"lane", "markers", "calendar", "header_checks", "smtpd_data_restrictions"} <= by_step[Step.C]


def test_undo_says_what_comes_back() -> None:
    plan = plan_postfix(facts_for("header_checks = regexp:/etc/postfix/a\n"), ANSWERS)
    words = {change.key: change.undo for change in plan.changes if change.kind is ChangeKind.PARAMETER}
    assert words["header_checks"] == "header_checks is set back to regexp:/etc/postfix/a."
    assert words["smtpd_data_restrictions"] == "smtpd_data_restrictions is removed."


def test_main_cf_is_written_last() -> None:
    plan = plan_postfix(facts_for(), ANSWERS)
    assert [target.path for target in plan.files][-2:] == [f"{DIRECTORY}/master.cf", f"{DIRECTORY}/main.cf"]
    assert plan.reload == ("postfix reload",)
    assert len(plan.health_ports) == 4


@pytest.mark.parametrize(
    ("main", "facts", "answers", "level", "words"),
    [
        ("", {}, Answers(domains=("example.com",)), "warn", ["conbool_networks is empty"]),
        (
            "",
            {"transport_catch_all": "smtp:[x]"},
            ANSWERS,
            "warn",
            ["transport_maps sends everything to smtp:[x]"],
        ),
        ("", {"system_ca_file": None}, ANSWERS, "warn", ["No CA bundle"]),
        (
            "",
            {"domains": HostedDomains(relay=("example.org",))},
            ANSWERS,
            "warn",
            ["Not hosted", "example.com"],
        ),
        (
            "relayhost = [smtp.provider.example]:587\n",
            {},
            ANSWERS,
            "note",
            ["smtp.provider.example", "stays"],
        ),
        ("relayhost = [smtp.provider.example]:587\n", {}, EVERYTHING, "note", ["kept for bounces"]),
        (
            "sender_dependent_relayhost_maps = hash:/x\n",
            {},
            EVERYTHING,
            "note",
            ["hash:/x", "keep their own"],
        ),
        ("sender_dependent_default_transport_maps = hash:/x\n", {}, ANSWERS, "note", ["hash:/x", "win over"]),
        ("disable_mime_input_processing = yes\n", {}, ANSWERS, "warn", ["MIME processing is switched off"]),
        (
            "relayhost = mail.conbool.com\nsmtp_tls_security_level = encrypt\n",
            {},
            ANSWERS,
            "warn",
            ["smtp_tls_security_level = encrypt", "queue"],
        ),
    ],
)
def test_notices(main: str, facts: dict[str, Any], answers: Answers, level: str, words: list[str]) -> None:
    assert told(plan_postfix(facts_for(main, **facts), answers), level, *words)
    assert not told(plan_postfix(facts_for(), ANSWERS), level, *words)


def test_a_plain_host_is_warned_of_nothing() -> None:
    assert not [one for one in plan_postfix(facts_for(), ANSWERS).notices if one.level == "warn"]


# --- ports


def test_ports_skip_what_others_use_and_stay() -> None:
    host = facts_for(
        "content_filter = scan:[127.0.0.1]:10026\nsmtpd_proxy_filter = 127.0.0.1:10027\n",
        MASTER + "127.0.0.1:10028 inet n - n - - smtpd\n  -o content_filter=\n  -o smtpd_proxy_filter=\n",
        listeners=(Listener("127.0.0.1", 10029), Listener("::1", 10031)),
    )
    first = plan_postfix(host, ANSWERS)
    assert first.health_ports == (10030, 10032, 10033, 10034)
    ours = tuple(Listener("127.0.0.1", port, 1, "master") for port in first.health_ports)
    running = replaced(applied(host, first), listeners=(Listener("127.0.0.1", 10026), *ours))
    assert plan_postfix(running, ANSWERS).empty
    assert plan_postfix(running, EVERYTHING).health_ports == first.health_ports


# --- what a list holds


def test_warn_if_reject_keeps_what_it_softens() -> None:
    host = facts_for(
        "smtpd_relay_restrictions = permit_mynetworks, warn_if_reject reject_unauth_destination, "
        "warn_if_reject check_client_access hash:/x, reject_unauth_destination\n"
    )
    assert split_restrictions(after(host).parameters["smtpd_relay_restrictions"]) == (
        "permit_mynetworks",
        "warn_if_reject reject_unauth_destination",
        "warn_if_reject check_client_access hash:/x",
        LIST_ITEM + "hand_back_clients.cidr",
        "reject_unauth_destination",
    )


def test_names_of_the_admin_that_look_like_ours_stay() -> None:
    host = facts_for(
        "header_checks = pcre:/etc/postfix/conbool-checks\n"
        "smtpd_sender_restrictions = check_sender_access hash:/etc/postfix/conbool-senders\n"
        "sender_dependent_default_transport_maps = hash:/etc/postfix/conbool-routes\n"
    )
    new = after(host).parameters
    assert "pcre:/etc/postfix/conbool-checks" in new["header_checks"]
    assert "check_sender_access hash:/etc/postfix/conbool-senders" in new["smtpd_sender_restrictions"]
    assert "hash:/etc/postfix/conbool-routes" in new["sender_dependent_default_transport_maps"]


def test_marked_relay_is_the_smart_host_only_by_its_whole_name() -> None:
    for value in ("[mail.conbool.com]:25", "mail.conbool.com", "MAIL.conbool.com:25"):
        assert after(facts_for(f"relayhost = {value}\n")).parameters["relayhost"] == "", value
    for value in ("[mail.conbool.com.other.example]:25", "notmail.conbool.com"):
        assert after(facts_for(f"relayhost = {value}\n")).parameters["relayhost"] == value


def test_explicit_reference_to_header_checks_does_not_bring_ours_along() -> None:
    """nested_header_checks = $header_checks would make markers of attached messages count."""
    host = facts_for(
        "header_checks = regexp:/etc/postfix/a\n"
        "mime_header_checks = $header_checks\nnested_header_checks = ${header_checks}\n"
    )
    new = after(host)
    assert new.parameters["nested_header_checks"] == "regexp:/etc/postfix/a"
    assert (
        new.parameters["mime_header_checks"]
        == "regexp:/etc/postfix/a, pcre:$config_directory/conbool/calendar"
    )
    assert plan_postfix(new, ANSWERS).empty


def test_authenticated_clients_of_port_25_are_not_believed() -> None:
    """The note comes before every permit_sasl_authenticated of the admin."""
    host = facts_for(
        "smtpd_sasl_auth_enable = yes\n"
        "smtpd_data_restrictions = permit_sasl_authenticated, reject_unauth_pipelining\n"
    )
    entries = split_restrictions(after(host).parameters["smtpd_data_restrictions"])
    assert entries[0] == "check_sasl_access regexp:$config_directory/conbool/authenticated"
    assert entries[2:] == ("permit_sasl_authenticated", "reject_unauth_pipelining", "conbool_origin")
    assert tables_of(after(host))["authenticated"].endswith(
        "PREPEND X-Conbool-Origin: untrusted mx1.example.com\n"
    )


def test_no_permit_of_the_admin_makes_a_neighbour_believed() -> None:
    """markers.trust = conbool: the note comes first."""
    host = facts_for("smtpd_data_restrictions = permit_mynetworks, reject_unauth_pipelining\n")
    entries = split_restrictions(after(host, CONBOOL_ONLY).parameters["smtpd_data_restrictions"])
    assert entries == (
        LIST_ITEM + "arrivals.cidr",
        "conbool_origin",
        "permit_mynetworks",
        "reject_unauth_pipelining",
    )


@pytest.mark.parametrize("name", ["25", "192.0.2.1:smtp", "[2001:db8::1]:25"])
def test_port_25_by_any_name(name: str) -> None:
    master = MASTER.replace("smtp      inet", f"{name} inet", 1).replace(
        "smtpd\n", "smtpd\n  -o smtpd_relay_restrictions=permit_mynetworks,reject\n", 1
    )
    new = after(facts_for(master_cf=master))
    assert "hand_back_clients" in options(new, name, "inet")["smtpd_relay_restrictions"]
    assert "smtpd_relay_restrictions" not in new.explicit


def test_several_services_on_port_25() -> None:
    """One reads main.cf, the other its own list: both get the rule."""
    master = MASTER + "192.0.2.1:25 inet n - y - - smtpd\n  -o { smtpd_relay_restrictions = $own_rules }\n"
    new = after(facts_for("own_rules = permit_mynetworks, reject_unauth_destination\n", master))
    assert "hand_back_clients" in new.parameters["smtpd_relay_restrictions"]
    assert "hand_back_clients" in options(new, "192.0.2.1:25", "inet")["smtpd_relay_restrictions"]


def test_hand_back_needs_a_rule_that_refuses() -> None:
    new = after(facts_for("smtpd_recipient_restrictions = permit_mynetworks\nsmtpd_relay_restrictions =\n"))
    assert new.parameters["smtpd_relay_restrictions"] == ""
    assert new.parameters["smtpd_recipient_restrictions"] == "permit_mynetworks"
    gone = after(facts_for(), dataclasses.replace(ANSWERS, inbound=Inbound(return_mode="conbool_delivers")))
    assert "smtpd_relay_restrictions" not in gone.explicit
    assert "hand_back_domains" not in tables_of(gone)


LAID_OUT = """\
# Who may come in.
smtpd_recipient_restrictions =
    permit_mynetworks,
    # Accounts.
    permit_sasl_authenticated,

    check_client_access hash:/etc/postfix/clients
    # Nobody else relays.
    reject_unauth_destination,
    reject_rbl_client zen.example.org
smtpd_data_restrictions = permit_mynetworks
    # Clients in a hurry.
    reject_unauth_pipelining,
\tpermit
header_checks =
    regexp:/etc/postfix/a

    # Second.
    regexp:/etc/postfix/b
"""


def changed_lines(before: bytes, after: bytes) -> list[str]:
    """The lines of a unified diff that go or come, without our block at the end."""
    text = after.decode().partition("\n# BEGIN conbool-tui")[0].rstrip("\n")
    diff = difflib.unified_diff(before.decode().rstrip("\n").split("\n"), text.split("\n"), lineterm="", n=0)
    return [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def test_lists_keep_their_lines_and_comments() -> None:
    host = facts_for(LAID_OUT)
    new = after(host)
    path = f"{DIRECTORY}/main.cf"
    folder = "$config_directory/conbool"
    assert changed_lines(host.files[path].data, new.files[path].data) == [
        "-    check_client_access hash:/etc/postfix/clients",
        f"+    {LIST_ITEM}recipient_clients.cidr, check_client_access hash:/etc/postfix/clients",
        "-    reject_unauth_destination,",
        f"+    {LIST_ITEM}hand_back_clients.cidr, reject_unauth_destination,",
        "-smtpd_data_restrictions = permit_mynetworks",
        f"+smtpd_data_restrictions = {LIST_ITEM}arrivals.cidr, permit_mynetworks",
        "-\tpermit",
        "+\tconbool_origin, permit",
        "-    regexp:/etc/postfix/a",
        f"+    pcre:{folder}/markers, pcre:{folder}/spam, regexp:/etc/postfix/a",
    ]
    assert plan_postfix(new, ANSWERS).empty
    gone = dataclasses.replace(ANSWERS, inbound=Inbound(return_mode="conbool_delivers"))
    back = after(new, gone).files[path].data
    assert not [line for line in changed_lines(host.files[path].data, back) if "unauth_dest" in line]


def test_lists_of_a_service_keep_their_layout() -> None:
    value = "permit_mynetworks   permit_sasl_authenticated,\n    reject_unauth_destination"
    line = f"  -o {{ smtpd_relay_restrictions = {value} }}\n"
    host = facts_for(master_cf=MASTER.replace("smtpd\n", "smtpd\n" + line, 1))
    new = after(host)
    path = f"{DIRECTORY}/master.cf"
    assert changed_lines(host.files[path].data, new.files[path].data)[:2] == [
        "-    reject_unauth_destination }",
        f"+    {LIST_ITEM}hand_back_clients.cidr, reject_unauth_destination }}",
    ]
    assert plan_postfix(new, ANSWERS).empty


# --- scope


def test_scope_everything_keeps_the_null_sender_out() -> None:
    main = "default_transport = smtp:[smtp.provider.example]:25\n"
    main += "empty_address_default_transport_maps_lookup_key = nobody\n"
    new = after(facts_for(main), EVERYTHING)
    assert new.parameters["default_transport"] == "conbool-smarthost:[mail.conbool.com]:25"
    assert "nobody\tsmtp:[smtp.provider.example]:25\n" in tables_of(new)["senders"]
    assert after(new).parameters["default_transport"] == "smtp:[smtp.provider.example]:25"
    assert "<>\tsmtp:\n" in tables_of(after(facts_for(), EVERYTHING))["senders"]


def test_senders_are_listed_once_in_lower_case() -> None:
    scope = Scope(mode="senders", senders=("Alice@Example.com", "alice@example.com", "@example.org"))
    text = tables_of(after(facts_for(), dataclasses.replace(ANSWERS, scope=scope)))["senders"]
    assert text.count("alice@example.com\t") == 1
    assert "@example.org\tconbool-smarthost:[mail.conbool.com]:25\n" in text


# --- services


def test_smart_host_service_depends_on_nothing_of_the_host() -> None:
    host = facts_for(
        "smtp_tls_wrappermode = yes\nsmtp_tls_per_site = hash:/x\n"
        "smtp_tls_servername = smtp.provider.example\n"
    )
    smart_host = SmartHost(
        host="relay.conbool.example",
        port=2525,
        tls_name="tls.conbool.example",
        ca_file="/c.pem",
        client_certificate="/me.pem",
    )
    new = options(after(host, dataclasses.replace(ANSWERS, smart_host=smart_host)), "conbool-smarthost")
    wanted = {
        "smtp_tls_security_level": "secure",
        "smtp_tls_secure_cert_match": "tls.conbool.example",
        "smtp_tls_policy_maps": "",
        "smtp_tls_per_site": "",
        "smtp_tls_servername": "",
        "smtp_tls_wrappermode": "no",
        "smtp_sasl_auth_enable": "no",
        "smtp_fallback_relay": "",
        "smtp_tls_CAfile": "/c.pem",
        "smtp_tls_CApath": "",
        "smtp_tls_cert_file": "/me.pem",
        "smtp_tls_key_file": "/me.pem",
        "smtp_tls_chain_files": "",
    }
    assert {name: new.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("", "may"),
        ("smtp_tls_security_level = dane\n", "dane"),
        (
            "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = nexthop, hostname\n",
            "secure match=nexthop:hostname",
        ),
        ("smtp_tls_security_level = secure\n", "secure match=nexthop:dot-nexthop"),
        ("smtp_tls_security_level = secure\nrelayhost = [smtp.provider.example]:465\n", "may"),
    ],
)
def test_gateways_in_transport_maps_are_not_asked_for_our_certificate(level: str, wanted: str) -> None:
    """The smart host's own rule comes first, the host's policies next, its level last."""
    host = facts_for(
        "transport_maps = hash:/t\nsmtp_tls_policy_maps = hash:/p\nsmtp_sasl_auth_enable = yes\n" + level
    )
    new = after(host)
    found = options(new, "conbool-smarthost")
    folder = "regexp:$config_directory/conbool/"
    assert found["smtp_tls_policy_maps"] == f"{folder}smart_host_tls, hash:/p, {folder}gateway_tls"
    assert found["smtp_tls_security_level"] == "secure"
    assert "mail\\.conbool\\.com" in tables_of(new)["smart_host_tls"]
    assert tables_of(new)["smart_host_tls"].endswith(" secure match=mail.conbool.com\n")
    assert tables_of(new)["gateway_tls"].endswith(f"/./\t{wanted}\n")
    assert told(plan_postfix(host, ANSWERS), "note", "without SASL", "smtp:[gateway]")
    assert plan_postfix(new, ANSWERS).empty
    assert "gateway_tls" not in tables_of(after(facts_for(level)))


@pytest.mark.parametrize(
    ("main", "level"),
    [
        ("", "may"),
        ("smtp_tls_security_level = dane\n", None),
        ("smtp_tls_security_level = encrypt\n", None),
        ("smtp_tls_security_level = encrypt\nrelayhost = [smtp.provider.example]:465\n", "may"),
        ("smtp_tls_security_level = secure\nrelayhost = [mail.conbool.com]:25\n", "may"),
        ("smtp_tls_security_level = dane\nrelayhost = [smtp.provider.example]:465\n", None),
    ],
)
def test_direct_delivery_can_reach_everybody(main: str, level: str) -> None:
    """A relayhost's wrapper mode and strict TLS are not for the world's MX hosts."""
    new = options(after(facts_for(main)), "conbool-direct")
    assert new.get("smtp_tls_security_level") == level
    assert new["smtp_tls_wrappermode"] == "no"
    assert new["smtp_sasl_auth_enable"] == "no"
    again = after(facts_for(main))
    assert plan_postfix(again, ANSWERS).empty


def test_lanes_take_what_was_accepted_already() -> None:
    new = after(facts_for("message_size_limit = 1000\ntransport_maps = $routes\nroutes = hash:/a, hash:/b\n"))
    for role in ("gate", "split", "released", "untrusted"):
        found = lane(new, role)
        assert found["message_size_limit"] == "0"
        assert found["smtpd_upstream_proxy_protocol"] == ""
        assert found["parent_domain_matches_subdomains"] == ""
        assert "no_address_mappings" in found["receive_override_options"]
        assert options(new, found["cleanup_service_name"])["message_size_limit"] == "0"
    route, gateway = (f"regexp:$config_directory/conbool/{name}_route" for name in ("manual", "gateway"))
    assert split_restrictions(lane(new, "split")["smtpd_recipient_restrictions"]) == (
        "permit_auth_destination",
        f"check_recipient_access pipemap:{{hash:/a,{route}}}",
        f"check_recipient_access pipemap:{{hash:/b,{route}}}",
        "check_recipient_access static:{FILTER conbool-direct:}",
        f"check_recipient_access pipemap:{{hash:/b,{gateway}}}",
        f"check_recipient_access pipemap:{{hash:/a,{gateway}}}",
        "permit",
    )


@pytest.mark.parametrize(
    ("protocols", "address"),
    [("all", "127.0.0.1"), ("ipv4", "127.0.0.1"), ("ipv6", "[::1]"), ("ipv4, ipv6", "127.0.0.1")],
)
def test_loopback_address_follows_inet_protocols(protocols: str, address: str) -> None:
    new = after(facts_for(f"inet_protocols = {protocols}\n"))
    assert new.service(f"{address}:10026", "inet") is not None
    assert "FILTER conbool-reinject:[" + address.strip("[]") + "]:10026" in tables_of(new)["markers"]


def test_chroot_columns_are_taken_over() -> None:
    master = MASTER.replace("cleanup   unix  n       -       y", "cleanup   unix  n       -       n")
    new = after(facts_for(master_cf=master))
    chroot = {one.name: one.chroot for one in new.services}
    assert chroot["conbool-smarthost"]
    assert chroot["127.0.0.1:10026"]
    assert not chroot["conbool-gate-cleanup"]


# --- entrances


def test_submission_drops_markers_even_where_header_checks_were_off() -> None:
    """Scanned submission with no_header_body_checks: without that change the drop table would never run."""
    master = (
        MASTER
        + REENTRY
        + (
            "submission inet n - y - - smtpd\n"
            "  -o receive_override_options=no_header_body_checks,no_milters\n"
        )
    )
    new = after(facts_for(SCANNED, master))
    found = options(new, "submission", "inet")
    assert found["receive_override_options"] == "no_milters"
    cleanup = options(new, found["cleanup_service_name"])
    assert cleanup["header_checks"] == "pcre:$config_directory/conbool/drop_markers"
    assert cleanup["body_checks"] == ""
    assert cleanup["mime_header_checks"] == ""
    assert plan_postfix(new, ANSWERS).empty


def test_shared_cleanup_service_is_not_changed_for_all_who_use_it() -> None:
    """Port 25 and submission share a cleanup service: only submission must drop markers."""
    master = MASTER.replace("smtpd\n", "smtpd\n  -o cleanup_service_name=pre-cleanup\n", 1) + (
        "submission inet n - y - - smtpd\n  -o cleanup_service_name=pre-cleanup\n"
        "pre-cleanup unix n - n - 0 cleanup\n  -o header_checks=pcre:/etc/postfix/own\n"
        "  -o always_bcc=log@example.com\n"
    )
    new = after(facts_for(master_cf=master))
    assert options(new, "pre-cleanup")["header_checks"] == "pcre:/etc/postfix/own"
    port_25 = options(new, options(new, "smtp", "inet")["cleanup_service_name"])
    submission = options(new, options(new, "submission", "inet")["cleanup_service_name"])
    folder = "pcre:$config_directory/conbool/"
    assert port_25["header_checks"] == f"{folder}markers, {folder}spam, pcre:/etc/postfix/own"
    assert submission["header_checks"] == f"{folder}drop_markers, pcre:/etc/postfix/own"
    assert port_25["nested_header_checks"] == submission["nested_header_checks"] == "pcre:/etc/postfix/own"
    assert port_25["always_bcc"] == submission["always_bcc"] == "log@example.com"
    for name in ("conbool-pre-cleanup-cleanup", "conbool-submission-pre-cleanup-cleanup"):
        service = new.service(name, "unix")
        assert service is not None
        assert not service.chroot


def test_own_header_checks_of_the_cleanup_service_do_not_hide_ours() -> None:
    master = MASTER.replace("  cleanup\n", "  cleanup\n", 1).replace(
        "       cleanup\n", "       cleanup\n  -o header_checks=regexp:/etc/postfix/own\n"
    )
    new = after(facts_for(master_cf=master))
    for name, kind in (("smtp", "inet"), ("pickup", "unix")):
        checks = options(new, options(new, name, kind)["cleanup_service_name"])["header_checks"]
        assert checks.startswith("pcre:$config_directory/conbool/markers"), name
        assert checks.endswith("regexp:/etc/postfix/own"), name
    assert options(new, "cleanup") == {"header_checks": "regexp:/etc/postfix/own"}


def test_spam_flag_is_added_once_behind_a_content_filter() -> None:
    reentry = REENTRY.replace("no_header_body_checks,", "")
    new = after(facts_for(SCANNED, MASTER + reentry))
    assert "conbool/spam" in new.parameters["header_checks"]
    assert "conbool/markers" not in new.parameters["header_checks"]
    back = options(new, options(new, "127.0.0.1:10025", "inet")["cleanup_service_name"])
    assert "conbool/spam" not in back["header_checks"]
    assert "conbool/markers" in back["header_checks"]


def test_mail_that_skips_the_filter_is_mapped_where_only_the_way_back_does_it() -> None:
    """no_address_mappings on port 25: Conbool's mail gets its aliases expanded in a lane of its own."""
    master = (
        MASTER.replace("smtpd\n", "smtpd\n  -o receive_override_options=no_address_mappings\n", 1) + REENTRY
    )
    host = facts_for(SCANNED, master)
    new = after(host)
    assert "no_address_mappings" not in lane(new, "arrivals")["receive_override_options"]
    assert "[127.0.0.1]:10030" in tables_of(new)["arrivals.cidr"]
    assert (
        "FILTER conbool-reinject:[127.0.0.1]:10027" in lane(new, "arrivals")["smtpd_recipient_restrictions"]
    )
    assert plan_postfix(host, ANSWERS).health_ports == (10026, 10027, 10028, 10029, 10030)
    assert "arrivals" not in str(
        MasterCf.parse(after(facts_for()).files[f"{DIRECTORY}/master.cf"].data).block("lane")
    )


def test_proxy_filter_takes_no_filter_action() -> None:
    """Where smtpd hands mail to a before-queue filter, Conbool's mail is told by a header instead."""
    new = after(
        facts_for("smtpd_proxy_filter = 127.0.0.1:10024\n", MASTER + REENTRY + "  -o smtpd_proxy_filter=\n")
    )
    assert tables_of(new)["arrivals.cidr"].endswith(
        "198.51.100.0/24\tPREPEND X-Conbool-Origin: handed-over mx1.example.com\n"
    )
    assert "handed-over" in tables_of(new)["markers"]
    assert "handed-over" not in tables_of(after(facts_for()))["markers"]


def test_edits_of_options_survive_the_way_back() -> None:
    master = MASTER.replace("smtpd\n", "smtpd\n  -o smtpd_relay_restrictions=permit_mynetworks,reject\n", 1)
    first = after(facts_for(master_cf=master))
    entry = MasterCf.parse(first.files[f"{DIRECTORY}/master.cf"].data)
    value = options(first, "smtp", "inet")["smtpd_relay_restrictions"]
    entry.set_option("smtp", "inet", "smtpd_relay_restrictions", "reject_unauth_pipelining, " + value)
    later = facts_for(
        raw=(first.files[f"{DIRECTORY}/main.cf"].data, entry.to_bytes()),
        files={path: text.data for path, text in first.files.items() if "/conbool/" in path},
    )
    gone = dataclasses.replace(ANSWERS, inbound=Inbound(return_mode="conbool_delivers"))
    assert options(after(later, gone), "smtp", "inet")["smtpd_relay_restrictions"] == (
        "reject_unauth_pipelining, permit_mynetworks,reject"
    )


@pytest.mark.parametrize(
    ("inbound", "key"),
    [
        (Inbound(peer_certificate="require"), "inbound.peer_certificate"),
    ],
)
def test_what_cannot_be_done_is_refused_not_ignored(inbound: Inbound, key: str) -> None:
    with pytest.raises(UsageError, match=key):
        plan_postfix(facts_for(), dataclasses.replace(ANSWERS, inbound=inbound))
