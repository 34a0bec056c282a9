"""Ten thousand damaged answers files, and as many damaged configuration files: never anything but an answer or our own kind of error,
and never a write.
"""

from __future__ import annotations

from typing import Any

import pytest

from conbool_tui import answers_file, plan_script, render
from conbool_tui.answers import Answers, Markers
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.planners.postfix import plan_postfix
from tests.unit.fuzz.mutations import mutated
from tests.unit.planners import facts_builder

ROUNDS = 10_000
PARTS = 10
WRITERS = (
    "write_atomic",
    "write_new",
    "move",
    "remove",
    "remove_tree",
    "make_folder",
    "append_synced",
    "set_mode",
    "make_link",
)

ANSWERS = (
    answers_file.example().encode(),
    b"domains: [example.com, example.org]\nconbool_networks: [198.51.100.0/24, '2001:db8:c::/48']\n",
    b"domains:\n" + b"".join(b"  - d%d.example\n" % number for number in range(150)),
    b"scope:\n  mode: senders\n  senders: ['@example.com', a@example.org]\nsmart_host: {host: mail.conbool.com, port: 25}\n",
    b"inbound: {restrict_port_25: true, extra_networks: [192.0.2.0/24], confirm_within: 60}\n"
    b"dns_expectations: [{type: MX, name: example.com, matches: conbool}]\n",
)
MAIN = (
    facts_builder.MAIN.encode(),
    b"# Comment\nmyhostname = mx1.example.com\nmydestination = example.com,\n  # inside\n  localhost\n\n"
    b"smtpd_recipient_restrictions = permit_mynetworks,\n    reject_unauth_destination,\n    check_policy_service inet:127.0.0.1:10023\n"
    b"header_checks = pcre:/etc/postfix/h\nrelayhost = [relay.example.net]:587\nmynetworks = 127.0.0.0/8 192.0.2.0/24\n",
    b"conbool_origin = check_client_access cidr:/etc/postfix/conbool/x\nsmtpd_restriction_classes = conbool_origin, own\nown = permit\n",
)
MASTER = (
    facts_builder.MASTER.encode(),
    b"smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n  -o smtpd_proxy_filter=127.0.0.1:10024\n"
    b"submission inet n - y - - smtpd\n -o syslog_name=postfix/submission\n -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }\n"
    b"127.0.0.1:10025 inet n - n - - smtpd\n  -o content_filter=\ncleanup unix n - y - 0 cleanup\nsmtp unix - - y - - smtp\n",
    b"# BEGIN conbool-tui lane\n127.0.0.1:10026 inet n - y - - smtpd\n  -o syslog_name=postfix/conbool-split\n# END conbool-tui lane\n"
    b"smtp inet n - y - - smtpd\ncleanup unix n - y - 0 cleanup\nsmtp unix - - y - - smtp\n",
)
PLANNED = Answers(
    domains=("example.com",),
    conbool_networks=("198.51.100.0/24",),
    markers=Markers(loop_headers={"example.com": "X-Conbool-example-com"}),
)


@pytest.fixture(autouse=True)
def no_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was written")

    for name in WRITERS:
        monkeypatch.setattr(Host, name, refuse)


def check_told(error: ConboolError) -> None:
    assert error.what
    assert "\x1b" not in render.error_lines(error)


@pytest.mark.parametrize("part", range(PARTS))
def test_answers(part: int) -> None:
    understood = 0
    for seed in range(part, ROUNDS, PARTS):
        data = mutated(ANSWERS[seed // PARTS % len(ANSWERS)], seed, ANSWERS)
        try:
            answers = answers_file.load(data, "answers.yaml")
        except ConboolError as error:
            check_told(error)
            continue
        understood += 1
        assert answers_file.load(answers_file.dump(answers).encode(), "again") == answers, seed
    assert 0 < understood < ROUNDS // PARTS


@pytest.mark.parametrize("part", range(PARTS))
def test_main_cf_and_master_cf(part: int) -> None:
    planned = 0
    for seed in range(part, ROUNDS, PARTS):
        main, master = MAIN[seed // PARTS % len(MAIN)], MASTER[seed // PARTS // 3 % len(MASTER)]
        if seed // PARTS % 2:
            main = mutated(main, seed, MAIN)
        else:
            master = mutated(master, seed, MASTER)
        try:
            facts = facts_builder.facts_for(raw=(main, master))
            plan = plan_postfix(facts, PLANNED)
        except ConboolError as error:
            check_told(error)
            continue
        planned += 1
        if planned % 10 == 0:
            for text in (render.plan_text(plan), plan_script.plan_script(plan)):
                assert "\x1b" not in text, seed
            render.plan_diff(plan)
    assert 0 < planned < ROUNDS // PARTS
