"""Every row of the guide on real Postfix: where each kind of message goes once the plan was applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Callable, Optional

import pytest

from . import messages
from .lab import CONBOOL, CONBOOL6, STRANGER, STRANGER6, Lab
from .machine import Machine
from .messages import Message
from .postfix import PASSWORD, PostfixMachine, PostfixSite
from .product import apply_answers

CLIENT_NAME = "relay.example.com"
OUT_A, OUT_B = "friend@outside-a.example", "friend@outside-b.example"

SITE = PostfixSite(
    virtual_aliases={
        "info@example.org": "alice@example.com",
        "forward@example.org": OUT_A,
        "both@example.org": f"alice@example.com, {OUT_B}",
    },
    forwards={"dave": OUT_B},
    relay={"relayed.example": "smtp:[backend.lab.invalid]"},
    submission=True,
)


@dataclass(frozen=True)
class Case:
    """One message and the places its copies must reach. ``source``: conbool, conbool6, stranger, stranger6, or empty for a neighbour."""

    name: str
    build: Callable[[], Message]
    recipients: Sequence[str]
    places: Sequence[str]
    sender: str = "alice@example.com"
    source: str = ""
    has: Sequence[tuple[str, str]] = field(default_factory=tuple)
    lacks: Sequence[str] = field(default_factory=tuple)


def marked(*headers: str) -> Callable[[], Message]:
    """A plain message with these header lines."""
    return lambda: messages.build(headers)


def flagged(*more: str) -> Callable[[], Message]:
    """A message that Conbool scored as spam."""
    return marked("X-Conbool-Flag: YES", *more)


LOOP = "X-Conbool-example-com: true"
RELEASED = "X-Conbool-Released: yes"
ALICE = ("alice@example.com",)

CASES = [
    # Step A and scope: hosted senders use the smart host, nobody else does.
    Case("plain", messages.plain, (OUT_A,), ("conbool",)),
    Case("eight-bit", messages.eight_bit, (OUT_A,), ("conbool",)),
    Case("5 MB", messages.large, (OUT_A,), ("conbool",)),
    Case("plain to two outside domains", messages.plain, (OUT_A, OUT_B), ("conbool", "conbool")),
    Case(
        "sender of a virtual mailbox domain",
        messages.plain,
        (OUT_A,),
        ("conbool",),
        sender="sales@example.net",
    ),
    Case("sender in capitals", messages.plain, (OUT_A,), ("conbool",), sender="Alice@EXAMPLE.COM"),
    Case("sender with extension", messages.plain, (OUT_A,), ("conbool",), sender="alice+news@example.com"),
    Case("sender not in scope", messages.plain, (OUT_A,), ("outside_a",), sender="bob@elsewhere.example"),
    Case("sender of a subdomain", messages.plain, (OUT_A,), ("outside_a",), sender="bob@sub.example.com"),
    Case("hosted to hosted", messages.plain, ALICE, ("mx1:alice",)),
    Case("hosted to virtual mailbox", messages.plain, ("sales@example.net",), ("mx1:sales@example.net",)),
    Case("relay domain keeps its route", messages.plain, ("x@relayed.example",), ("backend",)),
    Case("hosted and outside", messages.plain, (*ALICE, OUT_A), ("mx1:alice", "conbool")),
    Case("alias to outside, in scope", messages.plain, ("forward@example.org",), ("conbool",)),
    Case(
        "alias to outside, foreign sender",
        messages.plain,
        ("forward@example.org",),
        ("outside_a",),
        sender="x@elsewhere.example",
        source="stranger",
    ),
    Case(
        ".forward to outside, foreign sender",
        messages.plain,
        ("dave@example.com",),
        ("outside_b",),
        sender="x@elsewhere.example",
        source="stranger",
    ),
    # Step C: loop markers.
    *[
        Case(f"loop marker {form}", partial(messages.loop, form=form), (OUT_A,), ("outside_a",))
        for form in messages.MARKER_FORMS
    ],
    Case("loop marker, other hosted domain", lambda: messages.loop("example.net"), (OUT_A,), ("outside_a",)),
    Case(
        "loop, hosted and two outside",
        marked(LOOP),
        (*ALICE, OUT_A, OUT_B),
        ("mx1:alice", "outside_a", "outside_b"),
    ),
    Case("loop to alias", marked(LOOP), ("both@example.org",), ("mx1:alice", "outside_b")),
    Case("loop to relay domain", marked(LOOP), ("x@relayed.example",), ("backend",)),
    Case(
        "loop, 8-bit",
        lambda: messages.build(
            [LOOP],
            "Grüße\r\n".encode(),
            options=("BODY=8BITMIME",),
            mime=(
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: 8bit",
            ),
        ),
        (OUT_A,),
        ("outside_a",),
    ),
    Case(
        "loop with .forward, foreign sender",
        marked(LOOP),
        ("dave@example.com",),
        ("outside_b",),
        sender="x@elsewhere.example",
    ),
    # What is no marker.
    Case("longer name", marked("X-Conbool-example-com-x: true"), (OUT_A,), ("conbool",)),
    Case("other domain's name", marked("X-Conbool-example-info: true"), (OUT_A,), ("conbool",)),
    Case("other value", marked("X-Conbool-example-com: false"), (OUT_A,), ("conbool",)),
    Case("longer value", marked("X-Conbool-example-com: true or not"), (OUT_A,), ("conbool",)),
    Case("marker in attached message", lambda: messages.attached(messages.loop()), (OUT_A,), ("conbool",)),
    Case(
        "marker in the body",
        lambda: messages.build((), b"X-Conbool-example-com: true\r\n"),
        (OUT_A,),
        ("conbool",),
    ),
    Case("flag is no routing marker", flagged(), (OUT_A,), ("conbool",)),
    # Step C: null sender and calendaring.
    Case("null sender", messages.plain, (OUT_A,), ("outside_a",), sender=""),
    Case(
        "null sender, two domains and a mailbox",
        messages.plain,
        (OUT_A, OUT_B, *ALICE),
        ("outside_a", "outside_b", "mx1:alice"),
        sender="",
    ),
    *[
        Case(f"calendaring {form}", partial(messages.calendar, form), (OUT_A,), ("outside_a",))
        for form in messages.CALENDAR_FORMS[:4]
    ],
    Case(
        "calendaring to mailbox and outside",
        lambda: messages.calendar("part"),
        (*ALICE, OUT_A),
        ("mx1:alice", "outside_a"),
    ),
    Case(".ics attachment", lambda: messages.calendar("attachment"), (OUT_A,), ("conbool",)),
    Case("calendar without method", lambda: messages.calendar("no_method"), (OUT_A,), ("conbool",)),
    Case(
        "method only inside a quoted file name",
        lambda: messages.build(
            (),
            messages.ICALENDAR,
            mime=("MIME-Version: 1.0", 'Content-Type: text/calendar; name="a; method=b.ics"'),
        ),
        (OUT_A,),
        ("conbool",),
    ),
    Case(
        "method after a quoted file name",
        lambda: messages.build(
            (),
            messages.ICALENDAR,
            mime=("MIME-Version: 1.0", 'Content-Type: text/calendar; name="a;b"; method=REQUEST'),
        ),
        (OUT_A,),
        ("outside_a",),
    ),
    # Step C: spam. Step D: released.
    Case(
        "flagged to mailbox",
        flagged(),
        ALICE,
        ("mx1:alice",),
        has=(("X-Spam-Flag", "YES"),),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case(
        "other flag header",
        marked("X-Conbool-Spam: Yes"),
        ALICE,
        ("mx1:alice",),
        has=(("X-Spam-Flag", "YES"),),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case(
        "flag with other value",
        marked("X-Conbool-Flag: NO"),
        ALICE,
        ("mx1:alice",),
        lacks=("X-Spam-Flag",),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    *[
        Case(f"released {form}", partial(messages.released, form=form), (OUT_A,), ("outside_a",))
        for form in messages.MARKER_FORMS
    ],
    Case(
        "released, mixed", marked(RELEASED), (*ALICE, OUT_A, OUT_B), ("mx1:alice", "outside_a", "outside_b")
    ),
    Case(
        "released and flagged",
        flagged(RELEASED),
        ALICE,
        ("mx1:alice",),
        lacks=("X-Spam-Flag",),
        has=(("X-Conbool-Released", "yes"),),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case(
        "released, flagged and loop",
        marked(RELEASED, LOOP, "X-Conbool-Flag: YES"),
        ALICE,
        ("mx1:alice",),
        lacks=("X-Spam-Flag",),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case("released with other value", lambda: messages.released(value="no"), (OUT_A,), ("conbool",)),
    # Hand-back from Conbool's addresses.
    Case("hand-back without marker", messages.plain, (OUT_A,), ("outside_a",), source="conbool"),
    Case("hand-back over IPv6", messages.plain, (OUT_B,), ("outside_b",), source="conbool6"),
    Case("hand-back with marker", marked(LOOP), (OUT_A, OUT_B), ("outside_a", "outside_b"), source="conbool"),
    Case(
        "inbound from Conbool",
        messages.plain,
        ALICE,
        ("mx1:alice",),
        sender="x@elsewhere.example",
        source="conbool",
    ),
    Case(
        "inbound from Conbool to an alias that leads out",
        messages.plain,
        ("forward@example.org",),
        ("outside_a",),
        source="conbool",
    ),
    Case(
        "inbound from Conbool to relay domain",
        messages.plain,
        ("x@relayed.example",),
        ("backend",),
        sender="x@elsewhere.example",
        source="conbool",
    ),
    Case(
        "foreign sender from Conbool",
        messages.plain,
        (OUT_A,),
        (),
        sender="x@elsewhere.example",
        source="conbool",
    ),
    Case(
        "subdomain sender from Conbool",
        messages.plain,
        (OUT_A,),
        (),
        sender="x@sub.example.com",
        source="conbool",
    ),
    Case("null sender from Conbool to outside", messages.plain, (OUT_A,), (), sender="", source="conbool"),
    # Strangers.
    Case(
        "stranger to mailbox",
        messages.plain,
        ALICE,
        ("mx1:alice",),
        sender="x@elsewhere.example",
        source="stranger",
    ),
    Case("stranger relays", messages.plain, (OUT_A,), (), source="stranger"),
    Case("stranger relays with marker", marked(LOOP, RELEASED), (OUT_A,), (), source="stranger"),
    Case("stranger relays over IPv6", marked(LOOP), (OUT_B,), (), source="stranger6"),
    Case(
        "stranger's markers are dropped",
        marked(RELEASED, LOOP),
        ALICE,
        ("mx1:alice",),
        sender="x@elsewhere.example",
        source="stranger",
        lacks=("X-Conbool-Released", "X-Conbool-example-com", "X-Conbool-Origin"),
    ),
    Case(
        "stranger's flagged release stays flagged",
        flagged(RELEASED),
        ALICE,
        ("mx1:alice",),
        sender="x@elsewhere.example",
        source="stranger6",
        has=(("X-Spam-Flag", "YES"),),
        lacks=("X-Conbool-Released",),
    ),
    Case(
        "stranger's marker to an alias that leads out",
        marked(LOOP),
        ("forward@example.org",),
        ("conbool",),
        source="stranger",
    ),
]


@pytest.fixture(scope="module")
def stage(lab_ready: None, suite: str) -> Iterator[tuple[Lab, PostfixMachine]]:
    """A Postfix with the plan applied, in a lab of its own; one for each release."""
    with Lab() as one:
        offered = one.authority.issue(CLIENT_NAME)
        files = {
            "/etc/ssl/offer.pem": offered.certificate.decode(),
            "/etc/ssl/offer.key": offered.key.decode(),
        }
        machine = one.postfix(suite, dataclasses.replace(SITE, files=files))
        smart_host = {"client_certificate": "/etc/ssl/offer.pem", "client_key": "/etc/ssl/offer.key"}
        apply_answers(one, machine, smart_host=smart_host)
        yield one, machine


@pytest.fixture
def lab(stage: tuple[Lab, PostfixMachine]) -> Lab:
    """The lab the machine stands in."""
    return stage[0]


@pytest.fixture
def site(stage: tuple[Lab, PostfixMachine]) -> PostfixMachine:
    """The machine with the plan applied."""
    return stage[1]


def source_address(machine: Machine, name: str) -> str:
    """The client address behind a case's word."""
    return {
        "": machine.place.neighbour4,
        "conbool": CONBOOL,
        "conbool6": CONBOOL6,
        "stranger": STRANGER,
        "stranger6": STRANGER6,
    }[name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_route(lab: Lab, site: PostfixMachine, case: Case) -> None:
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
        assert {reply.code for reply in sent.refused.values()} == {554}, sent.replies
    else:
        assert sent.accepted, sent.replies
    lab.expect(message, *case.places)
    assert not lab.decoy_mx.connections
    assert not lab.conbool_mx.find(message.token)
    check_copies(lab, site, case, message)


def check_copies(lab: Lab, site: Machine, case: Case, message: Message) -> None:
    """Every copy: the body unchanged, the headers as the case says, and TLS and certificate at the smart host."""
    for received in lab.conbool.find(message.token):
        assert received.tls is not None
        assert received.tls.client_name == CLIENT_NAME
        assert received.body_sha256 == message.body_sha256
        assert not received.headers("X-Conbool-Origin")
        assert received.auth_user is None
    for name in ("outside_a", "outside_b"):
        for received in lab.sinks[name].find(message.token):
            assert received.body_sha256 == message.body_sha256
            assert len(received.recipients) == 1 or not case.name.startswith(("loop", "released", "calend"))
    for stored in site.mailboxes():
        if message.token.encode() not in stored.raw:
            continue
        assert stored.body_sha256 == message.body_sha256
        for name, value in case.has:
            assert [text.strip() for text in stored.headers(name)] == [value]
        for name in case.lacks:
            assert not stored.headers(name)


def test_mx_of_smart_host_is_never_asked(lab: Lab, site: PostfixMachine) -> None:
    lab.dns.forget()
    message = messages.plain()
    lab.send(site, message, OUT_A)
    lab.expect(message, "conbool")
    assert lab.dns.asked("mail.conbool.com", "A")
    assert not lab.dns.asked("mail.conbool.com", "MX")


def test_bounce_of_undeliverable_mail_does_not_use_the_smart_host(lab: Lab, site: PostfixMachine) -> None:
    """The null sender of a bounce that this host makes itself (RFC 3464)."""
    message = messages.plain()
    # The pickup service accepts what smtpd would refuse, so the bounce is ours to send.
    site.sendmail(message.raw, ["nobody-here@example.com"], sender="friend@outside-a.example")
    lab.expect(message, "outside_a")
    assert lab.outside_a.find(message.token)[0].sender == ""


def test_mail_by_command_is_routed_and_its_markers_are_believed(lab: Lab, site: PostfixMachine) -> None:
    plain, loop = messages.plain(), messages.loop()
    site.sendmail(plain.raw, [OUT_A], sender="alice@example.com")
    site.sendmail(loop.raw, [OUT_A], sender="alice@example.com")
    lab.expect(plain, "conbool")
    lab.expect(loop, "outside_a")


@pytest.mark.parametrize("header", [LOOP, RELEASED, "x-CONBOOL-example-com: TRUE"])
def test_submission_cannot_forge_markers(lab: Lab, site: PostfixMachine, header: str) -> None:
    message = messages.build([header])
    sent = lab.send(
        site, message, OUT_A, port=587, tls=True, auth=("alice@example.com", PASSWORD), source=STRANGER
    )
    assert sent.accepted, sent.replies
    lab.expect(message, "conbool")
    received = lab.conbool.find(message.token)[0]
    assert not [name for name in received.message if name.lower().startswith("x-conbool-")]


def test_submission_works_and_calendaring_from_it_goes_direct(lab: Lab, site: PostfixMachine) -> None:
    plain, calendar = messages.plain(), messages.calendar("part")
    for message in (plain, calendar):
        sent = lab.send(
            site, message, OUT_A, port=587, tls=True, auth=("alice@example.com", PASSWORD), source=STRANGER
        )
        assert sent.accepted, sent.replies
    lab.expect(plain, "conbool")
    lab.expect(calendar, "outside_a")


def wait_reason(lab: Lab, site: PostfixMachine, words: Sequence[str]) -> Optional[str]:
    """The delay reason that has all words, once the queue is at rest."""
    lab.settle()
    for reason in site.delay_reasons():
        if all(word.lower() in reason.lower() for word in words):
            return reason
    return None


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("wrong_name", ("certificate",)),
        ("expired", ("certificate",)),
        ("self_signed", ("certificate",)),
        ("none", ("TLS",)),
    ],
)
def test_untrusted_smart_host_keeps_mail_queued(
    lab: Lab, site: PostfixMachine, certificate: str, words: Sequence[str]
) -> None:
    message = messages.plain()
    lab.conbool.certificate = certificate
    try:
        lab.send(site, message, OUT_A)
        lab.expect(message)
        assert wait_reason(lab, site, words), site.queue()
    finally:
        lab.conbool.certificate = "good"
    site.flush()
    lab.expect(message, "conbool")


def test_smart_host_down_keeps_mail_queued(lab: Lab, site: PostfixMachine) -> None:
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
