"""The plan for a Sendmail: what is written, that it is written once, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from conbool_tui.answers import Markers, Scope, SmartHost, Spam
from conbool_tui.errors import ConboolError
from conbool_tui.facts import Detection, Outcome
from conbool_tui.facts_sendmail import Daemon
from conbool_tui.mta import mta_facts
from conbool_tui.sendmail_config import Named

from .build import ACCESS, CF, FLAGS, MC, SOURCE, after, answers, applied, closed, facts, plan

PROCMAILRC = "/etc/procmailrc"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"inbound": closed(peer_certificate="require", extra_networks=("192.0.2.0/23",))},
        {"scope": Scope("senders", ("o'brien@example.com", "@example.org"))},
        {"scope": Scope("everything"), "markers": Markers(trust="conbool"), "spam": Spam(action="none")},
        {"conbool_networks": ()},
    ],
)
def test_planning_twice_plans_once_and_going_back_leaves_nothing(changes: dict[str, Any]) -> None:
    host = facts()
    made = plan(host, **changes)
    assert made.files
    again = plan(applied(host, made), **changes)
    assert again.empty
    assert not again.changes
    assert again.confirm_within == 0
    # What is outside the blocks is as it was.
    assert after(made).startswith(MC.decode() + "dnl BEGIN conbool-tui routing\n")


def test_every_line_of_rules_has_tabs_and_no_stray_m4_quotes() -> None:
    text = after(plan(inbound=closed(peer_certificate="require")))
    block = text.split("BEGIN conbool-tui routing\n")[1].split("dnl END")[0]
    for line in block.split("\n"):
        if line.startswith("R"):
            assert "\t" in line, line
    assert block.count("`") == block.count("'")


def test_scope() -> None:
    assert "`C{ConboolScope}example.com'" in after(plan())
    assert "ConboolScope}" not in after(plan(scope=Scope("everything"))).replace("$={ConboolScope}", "")
    senders = after(
        plan(scope=Scope("senders", ("alice@Example.com", "@example.org", "o'brien@example.com")))
    )
    assert "`C{ConboolScope}alice@example.com'" in senders
    assert "`C{ConboolScope}example.org'" in senders
    assert "<<<C{ConboolScope}o'brien@example.com>>>" in senders
    assert "`C{ConboolScope}example.com'" not in senders


def test_smart_host() -> None:
    given = SmartHost(
        "edge.example.net", 2525, "name.example.net", "/etc/ssl/ca.pem", "/etc/ssl/c.pem", "/etc/ssl/k.pem"
    )
    text = after(plan(smart_host=given))
    assert "A=TCP $?{conbool_via}[edge.example.net]$|$h$. $?{conbool_via}2525$|25$." in text
    assert "$>ConboolName name.example.net $| x" in text
    assert "define(`confCACERT', `/etc/ssl/ca.pem')dnl" in text
    assert '"CertFile=/etc/ssl/c.pem;KeyFile=/etc/ssl/k.pem"' in text
    assert "tls_clt_features" not in after(plan())
    assert "confCACERT" not in after(plan()), "the host has its own"
    assert "`/etc/ssl/certs/ca-certificates.crt'" in after(plan(facts(options={})))


def test_old_smart_host() -> None:
    assert "undefine(`SMART_HOST')" in after(plan(facts(smart_host="esmtp:[mail.conbool.com]")))
    other = plan(facts(smart_host="relay.example.net"))
    assert "undefine" not in after(other)
    assert any("relay.example.net stays" in notice.text for notice in other.notices)


def test_access_block_has_what_the_host_needs() -> None:
    text = after(plan(), ACCESS)
    for line in ("GreetPause:198.51.100\t0", "ClientRate:IPv6:2001:db8:c\t0", "SRV_Features:198.51.100\tv"):
        assert line + "\n" in text
    bare = facts(features=frozenset(("access",)), options={"ServerCertFile": "/c", "ServerKeyFile": "/k"})
    assert [target.path for target in plan(bare).files if target.path == ACCESS] == []
    same = facts(files={ACCESS: b"clientrate:198.51.100 0\n"})
    assert "ClientRate:198.51.100\t" not in after(plan(same), ACCESS)


def test_step_b() -> None:
    made = plan(inbound=closed())
    assert made.confirm_within == 60
    assert "550 5.7.1 This port takes mail from Conbool only" in after(made)
    assert plan().confirm_within == 0
    host = applied(facts(), made)
    assert plan(host, inbound=closed(extra_networks=("203.0.113.0/24",))).confirm_within == 0
    assert plan(host, inbound=closed(), conbool_networks=("198.51.100.0/24",)).confirm_within == 60
    assert plan(host).confirm_within == 0


def test_loopback_only_is_opened_with_step_b_alone() -> None:
    host = facts(daemons=(Daemon("MTA-v4", "inet", "127.0.0.1", "smtp", ""),))
    assert "_DPO_" not in after(plan(host))
    assert any("loopback interface only" in notice.text for notice in plan(host).notices)
    assert "_DPO_" in after(plan(host, inbound=closed()))


def test_flagged_mail() -> None:
    maildir = facts(files={PROCMAILRC: b"DEFAULT=$HOME/Maildir/\n"})
    assert '"$HOME/Maildir/.Junk/"' in after(plan(maildir), PROCMAILRC)
    mbox = after(plan(spam=Spam(folder="Spam")), PROCMAILRC)
    assert ':0:\n"$HOME/mail/Spam"' in mbox
    assert [target for target in plan(spam=Spam(action="header")).files if target.path == PROCMAILRC] == []
    other = plan(facts(local_mailer="/usr/libexec/mail.local"))
    assert any("X-Spam-Flag: YES" in notice.text for notice in other.notices)
    assert "X-Spam-Flag" not in after(plan(spam=Spam(action="none")))


def test_capabilities_say_what_cannot_be() -> None:
    def of(**changes: Any) -> dict[str, tuple[bool, str]]:
        found = mta_facts(Detection("sendmail", Outcome.PRESENT, "", sendmail=facts(**changes)))
        assert found is not None
        return {one.key: (one.available, one.reason) for one in found.capabilities}

    usual = of()
    assert usual["inbound.peer_certificate: require"] == (True, "")
    assert usual["spam.action: folder"] == (True, "")
    assert not usual["calendar parts"][0]
    assert not usual["removing markers of strangers"][0]
    assert not of(features=frozenset())["inbound.peer_certificate: require"][0]
    assert "X-Spam-Flag" in of(local_mailer="/usr/libexec/mail.local")["spam.action: folder"][1]
    old = of(flags=frozenset(FLAGS) - {"_FFR_TLS_ALTNAMES"})
    assert "common name" in old["names in subjectAltName"][1]


@pytest.mark.parametrize(
    ("host", "more", "words"),
    [
        (facts(source=None), {}, ("no sendmail.mc", CF)),
        (facts(build_error="m4 says no", build_remedy="do this"), {}, ("m4 says no", "do this")),
        (facts(drift=("- O MaxHopCount=3",)), {}, ("is not what", "- O MaxHopCount=3", "make -C /etc/mail")),
        (facts(rulesets={}), {}, ("MAILER(`smtp')", "nullclient")),
        (facts(flags=frozenset()), {}, ("without STARTTLS",)),
        (facts(catch_all="/etc/mail/mailertable line 3: . x"), {}, ("line 3: . x", "SMART_HOST")),
        (
            facts(
                rulesets={**facts().rulesets, "Local_check_rcpt": Named("Local_check_rcpt", 7, "R$*\t$@ OK")}
            ),
            {},
            ("line 7: Local_check_rcpt: R$*  $@ OK", SOURCE),
        ),
        (
            facts(headers={"content-type": Named("Content-Type", 9, "HContent-Type: $>Mine")}),
            {},
            ("line 9: Content-Type: HContent-Type: $>Mine",),
        ),
        (facts(mailers={"conbool": Named("conbool", 5, "Mconbool, P=[IPC]")}), {}, ("Mconbool",)),
        (
            facts(files={ACCESS: b"# mine\nClientRate:198.51.100 5\n"}),
            {},
            ("line 2: ClientRate:198.51.100 5",),
        ),
        (facts(options={}), {"inbound": closed()}, ("offers no STARTTLS", "confSERVER_CERT")),
        (facts(), {"inbound": closed(), "conbool_networks": ()}, ("conbool_networks is empty",)),
        (facts(), {"conbool_networks": ("2001:db8::/33",)}, ("2001:db8::/33", "knows no masks")),
        (facts(), {"domains": ()}, ("No hosted domain",)),
        (facts(), {"scope": Scope("senders", ())}, ("No sender is listed",)),
        (facts(), {"smart_host": SmartHost(ca_file="/etc/ssl/it's.pem")}, ("cannot hold",)),
    ],
)
def test_refusals_name_the_lines_and_what_to_do(
    host: Any, more: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConboolError) as caught:
        plan(host, **more)
    said = "\n".join(caught.value.lines())
    for word in words:
        assert word in said
    assert caught.value.todo or caught.value.why


def test_without_some_compile_flags() -> None:
    old = facts(flags=frozenset(("STARTTLS", "NETINET6")))
    text = after(plan(old))
    assert "SetCertAltnames" not in text
    assert "cert_altnames" not in text
    assert "conbool_method" not in text
    told = " ".join(notice.text for notice in plan(old).notices)
    assert "_FFR_TLS_ALTNAMES" in told
    assert "every text/calendar message" in told
    assert "IPV6_FULL" in told


def test_loop_headers_of_ones_own() -> None:
    text = after(
        plan(domains=("example.com", "example.org"), markers=Markers(loop_headers={"example.com": "X-Loop"}))
    )
    assert "`HX-Loop: $>ConboolLoop'" in text
    assert "`HX-Conbool-example-org: $>ConboolLoop'" in text


def test_answers_are_not_changed() -> None:
    given = answers()
    assert dataclasses.replace(given) == given
