"""Every row of the guide on real Sendmail: where each kind of message goes once the plan was applied. The cases are Postfix's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from . import messages
from .lab import CONBOOL, STRANGER, Lab
from .postfix import PASSWORD
from .product import apply_answers
from .releases import SENDMAIL
from .sendmail import SendmailMachine, SendmailSite
from .test_postfix_routes import (
    CASES,
    CLIENT_NAME,
    LOOP,
    OUT_A,
    OUT_B,
    RELEASED,
    Case,
    check_copies,
    source_address,
)

SITE = SendmailSite(
    virtual={
        "info@example.org": "alice@example.com",
        "forward@example.org": OUT_A,
        "both@example.org": "both",
        "sales@example.net": "carol",
    },
    aliases={"both": f"alice, {OUT_B}", "broken": "no-such-user"},
    forwards={"dave": OUT_B},
    relay={"relayed.example": "esmtp:[backend.lab.invalid]"},
    auth=True,
)
# Sendmail's header checks see a message's own type only, it removes no headers, and believes flags of Conbool and its own networks only.
OTHERWISE: dict[str, dict[str, Any]] = {
    "calendaring part": {"places": ("conbool",)},
    # Delivery to the mailbox comes first, and converting MIME for it makes Sendmail check the headers of the parts.
    "calendaring to mailbox and outside": {"places": ("mx1:alice", "conbool")},
    "stranger's markers are dropped": {"lacks": ()},
    "stranger's flagged release stays flagged": {"lacks": (), "has": ()},
}


def adapted(case: Case) -> Case:
    """A case of Postfix's as it must end on Sendmail."""
    places = tuple("mx1:carol" if place == "mx1:sales@example.net" else place for place in case.places)
    return dataclasses.replace(case, **{"places": places, **OTHERWISE.get(case.name, {})})


@pytest.fixture(params=SENDMAIL, scope="module")
def suite(request: pytest.FixtureRequest) -> str:
    """Each release in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def stage(lab_ready: None, suite: str) -> Iterator[tuple[Lab, SendmailMachine]]:
    """A Sendmail with the plan applied, in a lab of its own; one for each release."""
    with Lab() as one:
        offered = one.authority.issue(CLIENT_NAME)
        files = {
            "/etc/ssl/offer.pem": offered.certificate.decode(),
            "/etc/ssl/offer.key": offered.key.decode(),
        }
        machine = one.sendmail(suite, dataclasses.replace(SITE, files=files))
        machine.shell("chmod 600 /etc/ssl/offer.key")
        smart_host = {"client_certificate": "/etc/ssl/offer.pem", "client_key": "/etc/ssl/offer.key"}
        apply_answers(one, machine, smart_host=smart_host, spam={"action": "header"})
        yield one, machine


@pytest.fixture
def lab(stage: tuple[Lab, SendmailMachine]) -> Lab:
    """The lab the machine stands in."""
    return stage[0]


@pytest.fixture
def site(stage: tuple[Lab, SendmailMachine]) -> SendmailMachine:
    """The machine with the plan applied."""
    return stage[1]


@pytest.mark.parametrize("case", [adapted(case) for case in CASES], ids=lambda case: case.name)
def test_route(lab: Lab, site: SendmailMachine, case: Case) -> None:
    message = case.build()
    sent = lab.send(
        site,
        message,
        case.recipients,
        sender=case.sender,
        source=source_address(site, case.source),
        tls=case.source.startswith("conbool"),
    )
    if not case.places:
        assert not sent.accepted
        assert {reply.code for reply in sent.refused.values()} == {550}, sent.replies
    else:
        assert sent.accepted, sent.replies
    lab.expect(message, *case.places)
    assert not lab.decoy_mx.connections
    assert not lab.conbool_mx.find(message.token)
    check_copies(lab, site, case, message)
    for name in ("outside_a", "outside_b"):
        for received in lab.sinks[name].find(message.token):
            assert received.tls is None or not received.tls.client_name, (
                "the client certificate is for the smart host"
            )


def test_mx_of_smart_host_is_never_asked(lab: Lab, site: SendmailMachine) -> None:
    lab.dns.forget()
    message = messages.plain()
    lab.send(site, message, OUT_A)
    lab.expect(message, "conbool")
    assert lab.dns.asked("mail.conbool.com", "AAAA")
    assert not lab.dns.asked("mail.conbool.com", "MX")


def test_bounces_do_not_use_the_smart_host(lab: Lab, site: SendmailMachine) -> None:
    """The null sender of a bounce that this host makes itself (RFC 3464), of plain and of marked mail."""
    plain, loop, refused = messages.plain(), messages.loop(), messages.loop()
    for message in (plain, loop):
        lab.send(site, message, "broken@example.com", sender=OUT_A)
        lab.expect(message, "outside_a")
        assert lab.outside_a.find(message.token)[0].sender == ""
    lab.outside_a.refuse("rcpt", "550 5.1.1 nobody here")
    try:
        lab.send(site, refused, OUT_A)
        lab.expect(refused, "mx1:alice")
    finally:
        lab.outside_a.accept()


def test_markers_in_an_attached_message_are_none(lab: Lab, site: SendmailMachine) -> None:
    """Delivery to a mailbox makes Sendmail check the headers of attached messages, in a queue run without knowing the client."""
    message = messages.attached(messages.build([LOOP, RELEASED]))
    for sink in (lab.conbool, lab.outside_a):
        sink.down()
    mda = "/usr/sbin/sensible-mda"
    site.shell(f"mv {mda} {mda}.real; printf '#!/bin/sh\\nexit 75\\n' > {mda}; chmod 755 {mda}")
    try:
        login = ("alice@example.com", PASSWORD)
        lab.send(site, message, ["bob@example.com", OUT_A], port=587, tls=True, auth=login, source=STRANGER)
        lab.settle()
        assert [len(one["recipients"]) for one in site.queue()] == [2], site.queue()
    finally:
        for sink in (lab.conbool, lab.outside_a):
            sink.up()
        site.shell(f"mv {mda}.real {mda}")
    site.flush()
    lab.expect(message, "mx1:bob", "conbool")


def test_mail_by_command_is_routed_and_its_markers_are_believed(lab: Lab, site: SendmailMachine) -> None:
    plain, own, loop = messages.plain(), messages.plain(), messages.loop()
    site.sendmail(plain.raw, [OUT_A], sender="alice@example.com")
    site.sendmail(loop.raw, [OUT_A], sender="alice@example.com")
    # Without -f: Sendmail then adds the parameter AUTH= where a server offers AUTH.
    site.sendmail(own.raw, [OUT_A])
    lab.expect(plain, "conbool")
    lab.expect(loop, "outside_a")
    # Its sender is alice@mx1.example.com, which is not in scope.
    lab.expect(own, "outside_a")


@pytest.mark.parametrize("header", [LOOP, RELEASED, "x-CONBOOL-example-com: TRUE"])
@pytest.mark.parametrize("port", [587, 25])
def test_users_who_log_in_cannot_forge_markers(
    lab: Lab, site: SendmailMachine, header: str, port: int
) -> None:
    message = messages.build([header])
    # From the server's own network: who logs in is not believed even there.
    for source in (STRANGER, site.place.neighbour4):
        sent = lab.send(
            site, message, OUT_A, port=port, tls=True, auth=("alice@example.com", PASSWORD), source=source
        )
        assert sent.accepted, sent.replies
    lab.expect(message, "conbool", "conbool")


def test_submission_works_and_calendaring_from_it_goes_direct(lab: Lab, site: SendmailMachine) -> None:
    plain, calendar = messages.plain(), messages.calendar("top")
    for message in (plain, calendar):
        sent = lab.send(
            site, message, OUT_A, port=587, tls=True, auth=("alice@example.com", PASSWORD), source=STRANGER
        )
        assert sent.accepted, sent.replies
    lab.expect(plain, "conbool")
    lab.expect(calendar, "outside_a")


def test_marks_do_not_leak_in_one_session(lab: Lab, site: SendmailMachine) -> None:
    """Marked and unmarked mail alternating in one connection, with RSET and transactions that were given up between."""
    kinds: list[Callable[[], messages.Message]] = [
        messages.plain,
        messages.loop,
        messages.plain,
        messages.released,
        messages.plain,
        messages.calendar,
        messages.plain,
    ]
    sent = [kind() for kind in kinds]
    for source in (site.place.neighbour4, CONBOOL):
        with lab.session(site, source, tls=source == CONBOOL) as client:
            for number, message in enumerate(sent):
                if number % 2:
                    client.mail("alice@example.com")
                    client.rcpt(OUT_A)
                    client.rset()
                client.mail("alice@example.com")
                assert client.rcpt(OUT_B)[0] == 250
                assert client.data(message.raw)[0] == 250
    for kind, message in zip(kinds, sent):
        lab.expect(message, "conbool" if kind is messages.plain else "outside_b", "outside_b")


def test_marks_outlive_the_queue_and_a_restart(lab: Lab, site: SendmailMachine) -> None:
    """All kinds of mail wait in one queue while nobody takes mail; then a restarted Sendmail delivers them in one queue run."""
    plain, loop, released, back, bounce = (messages.plain() for _ in range(5))
    loop, released = messages.loop(), messages.released()
    every = [plain, loop, released, back, bounce]
    for sink in lab.sinks.values():
        sink.down()
    try:
        for message in (plain, loop, released):
            lab.send(site, message, [OUT_A, OUT_B])
        lab.send(site, back, OUT_A, source=CONBOOL, tls=True)
        lab.send(site, bounce, OUT_A, sender="")
        lab.settle()
        assert len(site.queue()) == len(every)
    finally:
        for sink in lab.sinks.values():
            sink.up()
    site.sendmail_stop()
    site.sendmail_start()
    site.flush()
    lab.expect(plain, "conbool", "conbool")
    for message in (loop, released):
        lab.expect(message, "outside_a", "outside_b")
    for message in (back, bounce):
        lab.expect(message, "outside_a")


@pytest.mark.parametrize("certificate", ["wrong_name", "expired", "self_signed", "untrusted", "none"])
def test_untrusted_smart_host_keeps_mail_queued(lab: Lab, site: SendmailMachine, certificate: str) -> None:
    message, direct = messages.plain(), messages.loop()
    lab.conbool.certificate = certificate
    try:
        lab.send(site, message, OUT_A)
        lab.send(site, direct, OUT_A)
        lab.expect(message)
        lab.expect(direct, "outside_a")
        assert any(
            "No verified TLS with the name mail.conbool.com" in reason for reason in site.delay_reasons()
        ), site.queue()
    finally:
        lab.conbool.certificate = "good"
    site.flush()
    lab.expect(message, "conbool")


def test_names_of_another_server_do_not_count(lab: Lab, site: SendmailMachine) -> None:
    """A server met earlier in the same queue run, whose certificate carries the smart host's name, proves nothing for the smart host."""
    liar = lab.authority.server_context(lab.authority.issue("mail.conbool.com"))
    # The longer message has the lower priority, so that the liar is met first.
    direct, message = messages.loop(), messages.build((), b"a longer message\r\n" * 900)
    for sink in (lab.conbool, lab.outside_a):
        sink.down()
    try:
        for one in (direct, message):
            lab.send(site, one, OUT_A)
        lab.settle()
        lab.conbool.certificate = "wrong_name"
        with lab.outside_a.showing(liar):
            for sink in (lab.conbool, lab.outside_a):
                sink.up()
            site.flush()
            lab.expect(direct, "outside_a")
            lab.expect(message)
    finally:
        lab.conbool.certificate = "good"
    site.flush()
    lab.expect(message, "conbool")


def test_certificate_with_a_common_name_only_or_a_wildcard(lab: Lab, site: SendmailMachine) -> None:
    for certificate in ("cn_only", "wildcard"):
        message = messages.plain()
        lab.conbool.certificate = certificate
        try:
            lab.send(site, message, OUT_A)
            lab.expect(message, "conbool")
        finally:
            lab.conbool.certificate = "good"


def test_smart_host_down_keeps_mail_queued(lab: Lab, site: SendmailMachine) -> None:
    message, direct = messages.plain(), messages.loop()
    lab.conbool.down()
    try:
        lab.send(site, message, OUT_A)
        lab.send(site, direct, OUT_A)
        lab.expect(message)
        lab.expect(direct, "outside_a")
    finally:
        lab.conbool.up()
    site.flush()
    lab.expect(message, "conbool")


def test_address_literals(lab: Lab, site: SendmailMachine) -> None:
    own, other = messages.plain(), messages.plain()
    lab.send(site, own, f"alice@[{site.place.ipv4}]")
    lab.send(site, other, "friend@[203.0.113.10]")
    lab.expect(own, "mx1:alice")
    lab.expect(other, "conbool")
