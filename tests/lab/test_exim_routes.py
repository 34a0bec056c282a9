"""Every row of the guide on real Exim: where each kind of message goes once the plan was applied.

All of it on one configuration; on the other releases, layouts and daemons what they could do differently.
"""

from __future__ import annotations

import dataclasses
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from . import messages
from .exim import PASSWORD, EximMachine, EximSite
from .lab import CONBOOL, CONBOOL6, STRANGER, STRANGER6, Lab
from .messages import Message
from .product import apply_answers, plan_answers
from .releases import chosen_suites
from .test_postfix_routes import CASES, CLIENT_NAME, LOOP, OUT_A, OUT_B, RELEASED, Case, marked

SITE = EximSite(
    virtual_aliases={
        "info@example.org": "alice@example.com",
        "forward@example.org": OUT_A,
        "both@example.org": f"alice@example.com, {OUT_B}",
    },
    forwards={"dave": OUT_B},
    relay={"relayed.example": "backend.lab.invalid"},
    submission=True,
)


@dataclass(frozen=True)
class Setting:
    """One Exim: release, daemon, layout; ``full``: every case is tried on it."""

    suite: str
    heavy: bool
    layout: str
    full: bool = False

    def __str__(self) -> str:
        return f"{self.suite}-{'heavy' if self.heavy else 'light'}-{self.layout}"


SETTINGS = [
    Setting("bookworm", heavy=True, layout="split", full=True),
    Setting("bookworm", heavy=False, layout="split"),
    Setting("bullseye", heavy=False, layout="template"),
    Setting("trixie", heavy=True, layout="template"),
    Setting("trixie", heavy=True, layout="plain"),
]

# What release, daemon or layout could do differently.
THIN = frozenset(
    (
        "plain",
        "sender of a virtual mailbox domain",
        "sender not in scope",
        "hosted and outside",
        "relay domain keeps its route",
        "loop marker folded",
        "loop marker value_case",
        "loop, hosted and two outside",
        "loop with .forward, foreign sender",
        "longer name",
        "marker in attached message",
        "null sender",
        "calendaring top",
        "calendaring part",
        ".ics attachment",
        "calendar without method",
        "flagged to mailbox",
        "released plain",
        "released and flagged",
        "hand-back without marker",
        "inbound from Conbool",
        "foreign sender from Conbool",
        "null sender from Conbool to outside",
        "stranger relays with marker",
        "stranger's markers are dropped",
        "stranger's marker to an alias that leads out",
    )
)


def for_exim(case: Case) -> Case:
    """The case as it is with Exim: flagged mail is filed by Exim itself, and a stranger's flag is no flag."""
    if case.name == "stranger's flagged release stays flagged":
        return dataclasses.replace(
            case, has=(), lacks=("X-Conbool-Released", "X-Conbool-Flag", "X-Spam-Flag")
        )
    if case.has == (("X-Spam-Flag", "YES"),):
        return dataclasses.replace(case, places=("mx1:alice/Junk",))
    return case


MORE = [
    Case(
        "flagged to a virtual mailbox",
        marked("X-Conbool-Flag: YES"),
        ("sales@example.net",),
        ("mx1:sales@example.net",),
        has=(("X-Spam-Flag", "YES"),),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case(
        "flagged, with an old X-Spam-Flag",
        marked("X-Spam-Flag: NO", "X-Conbool-Flag: YES"),
        ("alice@example.com",),
        ("mx1:alice/Junk",),
        has=(("X-Spam-Flag", "YES"),),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case(
        "released, with an old X-Spam-Flag",
        marked("X-Spam-Flag: YES", RELEASED),
        ("alice@example.com",),
        ("mx1:alice",),
        lacks=("X-Spam-Flag",),
        source="conbool",
        sender="x@elsewhere.example",
    ),
    Case("calendaring far down", lambda: far_down(), (OUT_A,), ("outside_a",)),
    Case(
        "calendaring in an attached message",
        lambda: messages.attached(messages.calendar("part")),
        (OUT_A,),
        ("conbool",),
    ),
    Case(
        "calendar header quoted in the text",
        lambda: messages.build((), b"Look:\r\nContent-Type: text/calendar; method=REQUEST\r\nis it.\r\n"),
        (OUT_A,),
        ("conbool",),
    ),
    Case(
        "a marker in a folded line of another header",
        marked(f"X-Other: a\r\n {LOOP}"),
        (OUT_A,),
        ("conbool",),
    ),
]


def far_down() -> Message:
    """An invitation behind 600 kB of text."""
    text = (
        ("Content-Type: text/html",),
        b"<p>words words words words words words words words words</p>\r\n" * 10_000,
    )
    part = (("Content-Type: text/calendar; charset=utf-8; method=REQUEST",), messages.ICALENDAR)
    return messages.multipart([text, part], kind="alternative")


Stage = tuple[Lab, EximMachine, Setting]


@pytest.fixture(scope="module", params=[one for one in SETTINGS if one.suite in chosen_suites()], ids=str)
def stage(lab_ready: None, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """An Exim with the plan applied, in a lab of its own."""
    setting: Setting = request.param
    with Lab() as one:
        offered = one.authority.issue(CLIENT_NAME)
        files = {
            "/etc/ssl/offer.pem": offered.certificate.decode(),
            "/etc/ssl/offer.key": offered.key.decode(),
        }
        site = dataclasses.replace(SITE, layout=setting.layout, files=files)
        machine = one.exim(setting.suite, site, heavy=setting.heavy)
        smart_host = {"client_certificate": "/etc/ssl/offer.pem", "client_key": "/etc/ssl/offer.key"}
        apply_answers(one, machine, smart_host=smart_host)
        again = plan_answers(one, machine, smart_host=smart_host)
        assert again.returncode == 0, again.stdout
        yield one, machine, setting
        assert machine.panics() == ""


@pytest.fixture
def lab(stage: Stage) -> Lab:
    """The lab the machine stands in."""
    return stage[0]


@pytest.fixture
def site(stage: Stage) -> EximMachine:
    """The machine with the plan applied."""
    return stage[1]


def source_address(machine: EximMachine, name: str) -> str:
    """The client address behind a case's word."""
    words = {"conbool": CONBOOL, "conbool6": CONBOOL6, "stranger": STRANGER, "stranger6": STRANGER6}
    return words.get(name, machine.place.neighbour4)


def test_routes(stage: Stage) -> None:
    """All messages first, then where each of them is: Exim delivers them side by side."""
    lab, site, setting = stage
    cases = [*map(for_exim, CASES), *MORE]
    if not setting.full:
        cases = [case for case in cases if case.name in THIN]
        assert len(cases) == len(THIN)
    sent = [(case, message := case.build(), send(lab, site, case, message)) for case in cases]
    lab.settle()
    wrong = [text for case, message, said in sent if (text := verdict(lab, site, case, message, said))]
    assert not wrong, "\n".join(wrong) + "\n" + lab.report()
    assert not lab.decoy_mx.connections
    assert site.queue() == []


class Session(smtplib.SMTP):
    """An SMTP client on a connection from any address of the lab."""

    def __init__(self, lab: Lab, site: EximMachine, source: str) -> None:
        super().__init__(local_hostname="client.lab.invalid", timeout=60)
        self.sock = lab.connect(source, site.place.ipv4, 25)
        self.file = None
        assert self.getreply()[0] == 220
        self.ehlo()


def send(lab: Lab, site: EximMachine, case: Case, message: Message) -> int:
    """Send a case's message; the reply that decided."""
    source = source_address(site, case.source)
    tls = case.source.startswith("conbool")
    return lab.send(site, message, case.recipients, sender=case.sender, source=source, tls=tls).code


def verdict(lab: Lab, site: EximMachine, case: Case, message: Message, code: int) -> str:
    """What is wrong with where a message went, and with its copies; empty when nothing is."""
    found = lab.where(message)
    if found != sorted(case.places):
        return f"{case.name}: at {found} instead of {sorted(case.places)} ({code})"
    if code != (250 if case.places else 550):
        return f"{case.name}: answered {code}"
    for received in lab.conbool.find(message.token):
        if received.tls is None or received.tls.client_name != CLIENT_NAME or received.auth_user is not None:
            return f"{case.name}: TLS {received.tls}, login {received.auth_user}"
    copies = [*(copy for sink in lab.sinks.values() for copy in sink.find(message.token))]
    stored = [one for one in site.mailboxes() if message.token.encode() in one.raw]
    digests = [copy.body_sha256 for copy in copies] + [one.body_sha256 for one in stored]
    if any(digest != message.body_sha256 for digest in digests):
        return f"{case.name}: the body was changed"
    for one in stored:
        for name, value in case.has:
            if [text.strip() for text in one.headers(name)] != [value]:
                return f"{case.name}: {name} is {one.headers(name)}"
        for name in case.lacks:
            if one.headers(name):
                return f"{case.name}: {name} is there"
    return ""


def test_submission_and_local_hosts(lab: Lab, site: EximMachine) -> None:
    """Authenticated users and strangers cannot bring markers in; local commands can. All of them use the smart host."""
    forged = [LOOP, RELEASED, "x-CONBOOL-example-com : TRUE", "X-CONBOOL-EXAMPLE-COM:\r\n true"]
    for source, port in ((STRANGER, 587), (site.place.neighbour4, 587), (site.place.neighbour4, 25)):
        for header in forged:
            message = messages.build([header])
            login = ("alice@example.com", PASSWORD)
            sent = lab.send(site, message, OUT_A, port=port, tls=True, auth=login, source=source)
            assert sent.accepted, sent.replies
            lab.expect(message, "conbool")
            received = lab.conbool.find(message.token)[0]
            assert not [name for name in received.message if name.lower().startswith("x-conbool-")]
    plain, loop, calendar = messages.plain(), messages.loop(), messages.calendar("part")
    for message in (plain, loop, calendar):
        site.sendmail(message.raw, [OUT_A], sender="alice@example.com")
    lab.expect(plain, "conbool")
    lab.expect(loop, "outside_a")
    lab.expect(calendar, "outside_a")


def test_one_session_and_the_queue(lab: Lab, site: EximMachine) -> None:
    """Verdicts neither leak into the next message of a session nor get lost while a message waits."""
    with Session(lab, site, site.place.neighbour4) as client:
        sent = []
        for number in range(6):
            message = messages.loop() if number % 2 else messages.plain()
            if number == 2:
                # A marked message that is given up in the middle.
                client.mail("alice@example.com")
                client.rcpt(OUT_A)
                client.rset()
            client.sendmail("alice@example.com", [OUT_A], message.raw)
            sent.append((message, "outside_a" if number % 2 else "conbool"))
    for message, place in sent:
        lab.expect(message, place)
    lab.outside_a.refuse("rcpt", "451 4.3.0 later")
    waiting = messages.loop()
    bounced = messages.loop()
    try:
        assert lab.send(site, waiting, OUT_A).accepted
        lab.expect(waiting)
        site.stop()
        site.start()
    finally:
        lab.outside_a.accept()
    site.flush()
    lab.expect(waiting, "outside_a")
    # The bounce of a marked message has no marker and no sender: it goes to its own MX.
    lab.outside_b.refuse("rcpt", "550 5.1.1 nobody")
    try:
        assert lab.send(site, bounced, OUT_B, sender="x@outside-a.example").accepted
        lab.expect(bounced, "outside_a")
    finally:
        lab.outside_b.accept()
    assert lab.outside_a.find(bounced.token)[0].sender == ""


def test_an_untrusted_smart_host_keeps_mail_queued(lab: Lab, site: EximMachine) -> None:
    """Wrong name, expired, self-signed, no TLS, down: it waits, nothing leaks, and it is delivered after the repair."""
    lab.dns.forget()
    waiting = []
    for certificate in ("wrong_name", "expired", "self_signed", "none", "down"):
        if certificate == "down":
            lab.conbool.down()
        else:
            lab.conbool.certificate = certificate
        message, direct = messages.plain(), messages.loop()
        try:
            site.shell("rm -f /var/spool/exim4/db/retry* /var/spool/exim4/db/wait-*")
            for one in (message, direct):
                assert lab.send(site, one, OUT_A).accepted
            lab.expect(direct, "outside_a")
            lab.expect(message)
            waiting.append(message)
            assert len(site.queue()) == len(waiting), site.queue()
            reason = site.delay_reasons()[-1].lower()
            assert {"none": "did not offer tls", "down": "refused"}.get(
                certificate, "certificate"
            ) in reason, reason
        finally:
            lab.conbool.up()
            lab.conbool.certificate = "good"
    site.flush()
    for message in waiting:
        lab.expect(message, "conbool")
    assert not lab.dns.asked("mail.conbool.com", "MX")
