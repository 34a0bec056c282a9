"""Step B in the plan: port 25 closed to others, rules that spare Conbool, and what the admin is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from conbool_tui.answers import Answers, Inbound, Spam
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.facts import PostfixFacts
from conbool_tui.plan import ChangeKind, Plan, Step
from conbool_tui.planners.postfix import plan_postfix
from conbool_tui.planners.postfix.lists import split_restrictions
from conbool_tui.postfix_config import MasterCf

from .facts_builder import DIRECTORY, MAIN, MASTER, applied, facts_for, replaced, tables_of, with_files

TLS = "smtpd_tls_cert_file = /etc/ssl/certs/mx1.pem\nsmtpd_tls_security_level = may\n"
SERVER = MAIN + TLS
NETWORKS = ("198.51.100.0/24", "2001:db8:c::/48")
OPEN = Answers(domains=("example.com",), conbool_networks=NETWORKS)
CLOSED = dataclasses.replace(OPEN, inbound=Inbound(restrict_port_25=True))
FOLDER = "cidr:$config_directory/conbool/"
GATE = f"check_client_access {FOLDER}port_25_clients.cidr"
RULES = "smtpd_client_restrictions"


def with_inbound(**inbound: Any) -> Answers:
    """Answers with port 25 closed and more."""
    return dataclasses.replace(CLOSED, inbound=dataclasses.replace(CLOSED.inbound, **inbound))


def after(facts: PostfixFacts, answers: Answers = CLOSED) -> PostfixFacts:
    """The host once the plan was applied; planning again must find nothing."""
    new = applied(facts, plan_postfix(facts, answers))
    assert plan_postfix(new, answers).empty
    return new


def options(facts: PostfixFacts, identity: str = "smtp/inet") -> dict[str, str]:
    """The options of a service."""
    name, _, kind = identity.rpartition("/")
    service = facts.service(name, kind)
    assert service is not None
    return {option.name: option.value for option in service.options}


def rules(facts: PostfixFacts, identity: str = "smtp/inet") -> tuple[str, ...]:
    """The client rules of a service."""
    return split_restrictions(options(facts, identity)[RULES])


def told(plan: Plan, level: str, *words: str) -> bool:
    """Whether a notice of this level holds all the words."""
    return any(one.level == level and all(word in one.text for word in words) for one in plan.notices)


# --- port 25


def test_a_plain_host() -> None:
    new = after(facts_for(SERVER))
    assert rules(new) == (GATE,)
    assert RULES not in new.explicit
    assert tables_of(new)["port_25_clients.cidr"].splitlines()[1:] == [
        "198.51.100.0/24\tconbool_inbound",
        "2001:db8:c::/48\tconbool_inbound",
        "0.0.0.0/0\tconbool_others",
        "::/0\tconbool_others",
    ]
    assert new.parameters["conbool_inbound"] == "reject_plaintext_session, permit"
    assert split_restrictions(new.parameters["conbool_others"]) == (
        "permit_mynetworks",
        "permit_sasl_authenticated",
        "check_client_access static:{554 5.7.1 Mail for this server is taken at the MX hosts of its domains only}",
        "reject",
    )
    assert options(new)["smtpd_tls_ask_ccert"] == "yes"
    assert options(new)["smtpd_tls_loglevel"] == "1,peercert"
    assert not {"smtpd_tls_security_level", "smtpd_delay_reject", "conbool_admitted"} & set(options(new))


def test_every_change_of_the_restriction_belongs_to_step_b() -> None:
    plan = plan_postfix(applied(facts_for(SERVER), plan_postfix(facts_for(SERVER), OPEN)), CLOSED)
    other = [change.key or change.path for change in plan.changes if change.step is not Step.B]
    assert other == [f"{DIRECTORY}/conbool/previous", "smtpd_restriction_classes"]


def test_submission_keeps_its_own_rules() -> None:
    master = MASTER + "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"
    host = facts_for(SERVER + f"{RULES} = reject_rbl_client zen.example.org\n", master)
    new = after(host)
    assert RULES not in options(new, "submission/inet")
    assert new.parameters[RULES] == "reject_rbl_client zen.example.org"
    assert rules(new) == (GATE, "reject_rbl_client zen.example.org")


@pytest.mark.parametrize(
    ("own", "listed"),
    [
        ("", False),
        ("permit_mynetworks, reject_rbl_client z", False),
        ("reject_rbl_client z, permit_mynetworks", True),
        ("check_client_access hash:/blocked, permit_mynetworks", True),
        ("warn_if_reject reject_rbl_client z, permit_mynetworks, reject", False),
        ("$mine", True),
    ],
)
def test_own_rules_still_judge_mynetworks(own: str, listed: bool) -> None:
    """Where an own rule comes first, networks are let on to it; else later edits of mynetworks count at once."""
    main = SERVER + f"mynetworks = 192.0.2.0/24\nmine = reject_rbl_client z\n{RULES} = {own}\n"
    new = after(facts_for(main))
    assert ("192.0.2.0/24\tDUNNO" in tables_of(new)["port_25_clients.cidr"]) == listed
    assert rules(new) == (GATE, *split_restrictions(own))


def test_own_rules_still_judge_who_logs_in() -> None:
    own = "check_client_access hash:/blocked, permit_sasl_authenticated, reject"
    main = SERVER + f"smtpd_sasl_auth_enable = yes\n{RULES} = {own}\n"
    new = after(facts_for(main))
    assert "check_sasl_access static:conbool_admitted" in new.parameters["conbool_others"]
    assert options(new)["conbool_admitted"] == own + ", permit"
    assert "conbool_admitted" not in options(after(new, OPEN))


def test_extra_networks_pass_a_rule_that_turns_everybody_away() -> None:
    main = SERVER + f"mine = permit_mynetworks, reject\n{RULES} = reject_rbl_client z, $mine\n"
    new = after(facts_for(main), with_inbound(extra_networks=("203.0.113.8/29",)))
    extra = f"check_client_access {FOLDER}extra_clients.cidr"
    assert rules(new) == (GATE, "reject_rbl_client z", extra, "$mine")
    assert tables_of(new)["extra_clients.cidr"].endswith("203.0.113.8/29\tOK\n")
    assert "203.0.113.8/29\tDUNNO" in tables_of(new)["port_25_clients.cidr"]
    assert "extra_clients.cidr" not in tables_of(after(facts_for(main)))


def test_every_service_of_port_25_is_closed() -> None:
    master = MASTER.replace("smtp      inet", "192.0.2.1:25 inet", 1)
    master += f"[2001:db8::1]:smtp inet n - y - - smtpd\n  -o {RULES}=permit_mynetworks,reject\n"
    host = facts_for(SERVER, master)
    new = after(host)
    assert rules(new, "192.0.2.1:25/inet") == (GATE,)
    assert rules(new, "[2001:db8::1]:smtp/inet") == (GATE, "permit_mynetworks", "reject")
    back = after(new, OPEN)
    assert RULES not in options(back, "192.0.2.1:25/inet")
    assert options(back, "[2001:db8::1]:smtp/inet")[RULES] == "permit_mynetworks,reject"


def test_a_service_for_this_server_alone_is_left_as_it_is() -> None:
    """Nobody outside reaches it, so it needs no certificate either; behind a proxy it is a door like any other."""
    local = "127.0.0.1:25 inet n - y - - smtpd\n  -o smtpd_tls_security_level=none\n"
    new = after(facts_for(SERVER, MASTER.replace("smtp      inet", "192.0.2.1:25 inet", 1) + local))
    assert rules(new, "192.0.2.1:25/inet") == (GATE,)
    assert set(options(new, "127.0.0.1:25/inet")) == {"smtpd_tls_security_level"}
    only = MASTER.replace("smtp      inet", "127.0.0.1:25 inet", 1)
    with pytest.raises(CheckFailedError, match="no SMTP server"):
        plan_postfix(facts_for(SERVER, only), CLOSED)
    behind = after(facts_for(SERVER + "smtpd_upstream_proxy_protocol = haproxy\n", only))
    assert rules(behind, "127.0.0.1:25/inet") == (GATE,)


def test_networks_of_one_service_are_not_let_in_at_another() -> None:
    master = MASTER + "192.0.2.1:25 inet n - y - - smtpd\n  -o mynetworks=10.0.0.0/8,192.0.2.0/24\n"
    main = SERVER + f"mynetworks = 192.0.2.0/25 172.16.0.0/12\n{RULES} = reject_rbl_client z\n"
    text = tables_of(after(facts_for(main, master)))["port_25_clients.cidr"]
    assert [line for line in text.splitlines() if line.endswith("DUNNO")] == ["192.0.2.0/25\tDUNNO"]


def test_postscreen_lets_conbool_through() -> None:
    master = MASTER.replace("smtp      inet", "smtpd     pass", 1) + "smtp inet n - y - 1 postscreen\n"
    new = after(facts_for(SERVER, master))
    assert rules(new, "smtpd/pass") == (GATE,)
    assert new.parameters["postscreen_access_list"] == f"{FOLDER}postscreen_clients.cidr, permit_mynetworks"
    assert tables_of(new)["postscreen_clients.cidr"].endswith("2001:db8:c::/48\tpermit\n")
    gone = after(new, Answers(domains=("example.com",)))
    assert "postscreen_access_list" not in gone.explicit
    assert "postscreen_access_list" not in after(facts_for(SERVER)).explicit


def test_early_refusals_wait_for_the_recipient() -> None:
    """TLS and login are not known when the client connects."""
    host = facts_for(SERVER + "smtpd_delay_reject = no\n")
    new = after(host)
    assert options(new)["smtpd_delay_reject"] == "yes"
    assert "smtpd_delay_reject" not in options(after(new, OPEN))


@pytest.mark.parametrize(
    ("main", "level"),
    [
        (TLS, None),
        ("smtpd_tls_cert_file = /c\n", "may"),
        ("smtpd_tls_chain_files = /c\n", "may"),
        ("smtpd_tls_eccert_file = /c\nsmtpd_use_tls = yes\n", None),
        ("smtpd_tls_cert_file = /c\nsmtpd_tls_security_level = encrypt\n", None),
    ],
)
def test_starttls_is_offered(main: str, level: str) -> None:
    new = after(facts_for(main))
    assert options(new).get("smtpd_tls_security_level") == level
    assert "smtpd_tls_security_level" not in options(after(new, OPEN))


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ("", "no certificate"),
        ("smtpd_tls_security_level = may\n", "no certificate"),
        ("smtpd_tls_cert_file = none\nsmtpd_tls_security_level = may\n", "no certificate"),
        ("smtpd_tls_cert_file = /c\nsmtpd_tls_security_level = none\n", "offers no TLS"),
        (TLS + "smtpd_discard_ehlo_keywords = dsn, StartTLS\n", "hides STARTTLS"),
    ],
)
def test_without_starttls_conbool_would_be_locked_out(main: str, words: str) -> None:
    with pytest.raises(CheckFailedError, match=words) as caught:
        plan_postfix(facts_for(main), CLOSED)
    assert all(caught.value.lines())
    assert plan_postfix(facts_for(main), OPEN).files


def test_what_the_admin_set_is_not_set_again() -> None:
    master = MASTER.replace("smtpd\n", "smtpd\n  -o smtpd_tls_ask_ccert=yes\n", 1)
    host = facts_for(SERVER + "smtpd_tls_loglevel = 2\n", master)
    new = after(host)
    assert "smtpd_tls_loglevel" not in options(new)
    assert options(after(new, OPEN))["smtpd_tls_ask_ccert"] == "yes"


def test_port_25_cannot_be_closed_to_conbool_as_well() -> None:
    with pytest.raises(UsageError, match="conbool_networks"):
        plan_postfix(facts_for(SERVER), dataclasses.replace(CLOSED, conbool_networks=()))


def test_nothing_to_close() -> None:
    host = replaced(facts_for(SERVER), port_25_services=(), port_25_owner="exim4")
    with pytest.raises(CheckFailedError, match="no SMTP server") as caught:
        plan_postfix(host, CLOSED)
    assert "exim4" in " ".join(caught.value.lines())


def test_own_values_come_back() -> None:
    master = MASTER.replace("smtpd\n", f"smtpd\n  -o smtpd_tls_ask_ccert=no\n  -o {RULES}=\n", 1)
    host = facts_for(SERVER + f"smtpd_delay_reject = no\n{RULES} = permit_mynetworks\n", master)
    straight, back = after(host, OPEN), after(after(host), OPEN)
    assert straight.files[f"{DIRECTORY}/main.cf"].data == back.files[f"{DIRECTORY}/main.cf"].data
    assert options(straight) == options(back)
    assert tables_of(straight) == tables_of(back)


def test_an_edit_of_main_cf_reaches_port_25_with_the_next_plan() -> None:
    new = after(facts_for(SERVER))
    data = new.files[f"{DIRECTORY}/main.cf"].data + f"{RULES} = reject_rbl_client z\n".encode()
    later = after(with_files(new, {f"{DIRECTORY}/main.cf": data}))
    assert rules(later) == (GATE, "reject_rbl_client z")


# --- confirmation


def changed(facts: PostfixFacts, answers: Answers) -> int:
    """The seconds to confirm in when these answers are planned."""
    return plan_postfix(facts, answers).confirm_within


def test_only_what_shuts_somebody_out_needs_a_confirmation() -> None:
    extra = with_inbound(extra_networks=("203.0.113.0/25", "203.0.113.128/25"), confirm_within=90)
    host = facts_for(SERVER)
    assert changed(host, OPEN) == 0
    assert changed(host, extra) == 90
    closed = after(host, extra)
    assert changed(closed, extra) == 0
    assert changed(closed, dataclasses.replace(extra, spam=Spam(action="none"))) == 0
    assert changed(closed, OPEN) == 0
    one = dataclasses.replace(
        extra, inbound=dataclasses.replace(extra.inbound, extra_networks=("203.0.113.0/24",))
    )
    assert changed(closed, one) == 0
    assert changed(closed, with_inbound(extra_networks=("203.0.113.0/25",))) == 60
    assert changed(closed, dataclasses.replace(extra, conbool_networks=("198.51.100.0/24",))) == 90
    assert changed(closed, dataclasses.replace(extra, conbool_networks=(*NETWORKS, "203.0.113.4/32"))) == 90
    assert changed(closed, dataclasses.replace(extra, conbool_networks=(*NETWORKS, "192.0.2.0/24"))) == 0


def test_a_rule_taken_out_by_hand_is_new_again() -> None:
    closed = after(facts_for(SERVER))
    master = MasterCf.parse(closed.files[f"{DIRECTORY}/master.cf"].data)
    master.remove_option("smtp", "inet", RULES)
    opened = with_files(closed, {f"{DIRECTORY}/master.cf": master.to_bytes()})
    assert changed(opened, CLOSED) == 60


def test_a_network_that_leaves_the_table_for_mynetworks_is_not_shut_out() -> None:
    closed = after(facts_for(SERVER), with_inbound(extra_networks=("192.0.2.0/25",)))
    data = closed.files[f"{DIRECTORY}/main.cf"].data
    wider = with_files(closed, {f"{DIRECTORY}/main.cf": data + b"mynetworks = 192.0.2.0/24\n"})
    assert changed(wider, CLOSED) == 0
    assert changed(closed, CLOSED) == 60


# --- rules that judge who sends


def test_conbool_meets_all_rules_but_those_about_the_sender() -> None:
    main = SERVER + (
        "mine = check_policy_service inet:127.0.0.1:10023, reject_non_fqdn_recipient\n"
        "smtpd_recipient_restrictions = permit_mynetworks, reject_rbl_client z, $mine,"
        " warn_if_reject reject_rhsbl_sender z, reject_unauth_destination, check_recipient_access hash:/lists\n"
    )
    new = after(facts_for(main), OPEN)
    assert split_restrictions(new.parameters["conbool_recipient"]) == (
        "reject_non_fqdn_recipient",
        f"check_client_access {FOLDER}hand_back_clients.cidr",
        "reject_unauth_destination",
        "check_recipient_access hash:/lists",
        "permit_auth_destination",
    )
    assert split_restrictions(new.parameters["smtpd_recipient_restrictions"])[:3] == (
        "permit_mynetworks",
        f"check_client_access {FOLDER}recipient_clients.cidr",
        "reject_rbl_client z",
    )
    gone = after(new, Answers(domains=("example.com",)))
    assert "conbool_recipient" not in gone.parameters
    assert "conbool_recipient" not in gone.parameters["smtpd_restriction_classes"]


def test_foreign_recipients_never_end_the_list() -> None:
    """A policy service may be what refuses relaying: only hosted recipients get past it."""
    main = SERVER + "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10023\n"
    mode = dataclasses.replace(OPEN, inbound=Inbound(return_mode="conbool_delivers"))
    assert after(facts_for(main), mode).parameters["conbool_recipient"] == "permit_auth_destination"


def test_a_service_with_its_own_list_has_its_own_copy() -> None:
    own = "-o { smtpd_recipient_restrictions = reject_rbl_client y, check_recipient_access hash:/y }"
    master = MASTER + f"192.0.2.1:25 inet n - y - - smtpd\n  {own}\n"
    host = facts_for(SERVER + "smtpd_recipient_restrictions = reject_rbl_client z\n", master)
    new = after(host, OPEN)
    handed = f"check_client_access {FOLDER}hand_back_clients.cidr, permit_auth_destination"
    assert new.parameters["conbool_recipient"] == handed
    found = options(new, "192.0.2.1:25/inet")["conbool_recipient"]
    assert found == "check_recipient_access hash:/y, " + handed
    assert "conbool_recipient" not in options(
        after(new, Answers(domains=("example.com",))), "192.0.2.1:25/inet"
    )


@pytest.mark.parametrize("kind", ["client", "helo", "sender", "data", "end_of_data"])
def test_lists_that_relay_nothing_let_conbool_pass(kind: str) -> None:
    name = f"smtpd_{kind}_restrictions"
    host = facts_for(
        SERVER + f"{name} = reject_unauth_pipelining, check_policy_service inet:127.0.0.1:10023\n"
    )
    found = split_restrictions(after(host, OPEN).parameters[name])
    trusted = f"check_client_access {FOLDER}trusted_clients.cidr"
    assert found.index(trusted) == found.index("check_policy_service inet:127.0.0.1:10023") - 1
    assert found.index("reject_unauth_pipelining") < found.index(trusted)
    assert told(plan_postfix(host, OPEN), "note", "passed over", "check_policy_service")
    assert (
        trusted
        not in after(facts_for(SERVER + f"{name} = reject_unauth_pipelining\n"), OPEN).parameters[name]
    )


# --- notices


@pytest.mark.parametrize(
    ("main", "master", "facts", "level", "words"),
    [
        ("", "", {}, "note", ["Closed to others: smtp/inet"]),
        ("", "submission inet n - y - - smtpd\n", {}, "note", ["not touched", "submission/inet"]),
        ("", "", {}, "note", ["offers no login"]),
        ("smtpd_sasl_auth_enable = yes\n", "", {}, "note", ["offers a login"]),
        ("mynetworks = 0.0.0.0/0\n", "", {}, "warn", ["0.0.0.0/0", "stays open"]),
        ("mynetworks = 127.0.0.0/8 52.0.0.0/8\n", "", {}, "warn", ["52.0.0.0/8", "stays open"]),
        ("mynetworks = 127.0.0.0/8 hash:/n\n", "", {}, "warn", ["hash:/n", "cannot be listed"]),
        ("mynetworks = 192.0.2.0/24\n", "", {}, "warn", ["loopback"]),
        ("smtpd_client_message_rate_limit = 30\n", "", {}, "warn", ["message_rate_limit", "exceptions"]),
        ("soft_bounce = yes\n", "", {}, "warn", ["soft_bounce"]),
        (
            "smtpd_restriction_classes = grey\ngrey = check_policy_service inet:127.0.0.1:10023\n",
            "",
            {},
            "warn",
            ["classes grey", "judge who sends"],
        ),
        ("", "2525 inet n - y - - smtpd\n", {}, "warn", ["2525/inet", "anybody"]),
        ("", "submission inet n - y - - smtpd\n", {}, "warn", ["submission/inet", "anybody"]),
        ("", "", {"milters": ("inet:127.0.0.1:11332",)}, "note", ["inet:127.0.0.1:11332", "trusted relay"]),
    ],
)
def test_notices(main: str, master: str, facts: dict[str, Any], level: str, words: list[str]) -> None:
    own = facts_for(SERVER + main, MASTER + master, **facts)
    assert told(plan_postfix(own, CLOSED), level, *words)


def test_a_tidy_host_is_warned_of_nothing() -> None:
    master = MASTER + (
        "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"
        "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n"
        "127.0.0.1:10025 inet n - n - - smtpd\n  -o content_filter=\n"
    )
    main = SERVER + "mynetworks = 127.0.0.0/8 [::1]/128 10.0.0.0/8 192.0.2.0/24\n"
    plan = plan_postfix(facts_for(main, master), CLOSED)
    assert [one.text for one in plan.notices if one.level == "warn"] == []
    assert not [one for one in plan_postfix(facts_for(main, master), OPEN).notices if "Closed" in one.text]


def test_changes_of_step_b_name_their_service() -> None:
    plan = plan_postfix(facts_for(SERVER), CLOSED)
    titles = {change.key: change.title for change in plan.changes if change.kind is ChangeKind.SERVICE_OPTION}
    assert titles[f"smtp/inet/{RULES}"] == "Port 25 is closed to others (smtp/inet)"
