"""Sendmail hosts with a history: an old smart host, fallback relays, masquerading, several scopes and smart hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import messages
from .lab import CONBOOL, SINKS, Lab
from .releases import SENDMAIL
from .sendmail import SendmailMachine, SendmailSite
from .sendmail_product import apply, undo
from .sinks import SinkSpec

OUT_A, OUT_B = "friend@outside-a.example", "friend@outside-b.example"
ALICE = "alice@example.com"
HISTORY = """\
define(`SMART_HOST', `esmtp:[smtp.provider.example]')dnl
define(`confFALLBACK_MX', `smtp.provider.example')dnl
MASQUERADE_AS(`example.com')dnl
MASQUERADE_DOMAIN(`mx1.example.com')dnl
FEATURE(`masquerade_envelope')dnl
"""
SITE = SendmailSite(
    features=HISTORY,
    relay={"relayed.example": "esmtp:[backend.lab.invalid]"},
    aliases={"broken": "no-such-user", "team": f"alice, {OUT_A}", "owner-team": "bob"},
)
EDGE = SinkSpec("edge", "edge.conbool.test", ("203.0.113.77",), port=2525)


@pytest.fixture(scope="module", params=SENDMAIL)
def stage(lab_ready: None, request: pytest.FixtureRequest) -> Iterator[tuple[Lab, SendmailMachine]]:
    """A host with a history."""
    with Lab([EDGE]) as one:
        yield one, one.sendmail(str(request.param), SITE)


@pytest.fixture
def lab(stage: tuple[Lab, SendmailMachine]) -> Lab:
    """The lab the machine stands in."""
    return stage[0]


@pytest.fixture
def site(stage: tuple[Lab, SendmailMachine]) -> Iterator[SendmailMachine]:
    """The machine; what was applied is taken back afterwards."""
    yield stage[1]
    undo(stage[1])


def goes(
    lab: Lab, site: SendmailMachine, message: messages.Message, to: str, sender: str, *places: str
) -> None:
    """Send from the server's own network and look where it went."""
    sent = lab.send(site, message, to, sender=sender)
    assert sent.accepted, sent.replies
    lab.expect(message, *places)


def test_what_is_outside_the_scope_keeps_its_way(lab: Lab, site: SendmailMachine) -> None:
    told = apply(lab, site)
    assert "SMART_HOST esmtp:[smtp.provider.example] stays" in told
    assert "FallbackMXhost=smtp.provider.example is not used for mail to the smart host" in told
    goes(lab, site, messages.plain(), OUT_A, ALICE, "conbool")
    goes(lab, site, messages.plain(), OUT_A, "root@mx1.example.com", "conbool")  # masqueraded
    goes(lab, site, messages.plain(), OUT_A, "bob@elsewhere.example", "provider")
    goes(lab, site, messages.plain(), OUT_A, "", "provider")
    goes(lab, site, messages.plain(), "broken@example.com", OUT_B, "provider")  # our own bounce
    goes(lab, site, messages.plain(), "x@relayed.example", ALICE, "backend")
    goes(lab, site, messages.loop(), OUT_A, ALICE, "outside_a")
    # An owner- alias splits the envelope, and the copy keeps the marks.
    goes(lab, site, messages.plain(), "team@example.com", ALICE, "mx1:alice", "conbool")
    goes(lab, site, messages.loop(), "team@example.com", ALICE, "mx1:alice", "outside_a")
    command = messages.plain()
    site.sendmail(command.raw, [OUT_A])
    lab.expect(command, "conbool")


def test_no_fallback_relay_gets_mail_for_the_smart_host(lab: Lab, site: SendmailMachine) -> None:
    apply(lab, site)
    waiting = []
    try:
        for certificate in ("wrong_name", "expired", "self_signed", "none"):
            lab.conbool.certificate = certificate
            message = messages.plain()
            goes(lab, site, message, OUT_A, ALICE)
            waiting.append(message)
        lab.conbool.certificate = "good"
        lab.conbool.down()
        message = messages.plain()
        goes(lab, site, message, OUT_A, ALICE)
        waiting.append(message)
    finally:
        lab.conbool.certificate = "good"
        lab.conbool.up()
    site.flush()
    for message in waiting:
        lab.expect(message, "conbool")


def test_everything_and_single_senders(lab: Lab, site: SendmailMachine) -> None:
    apply(lab, site, scope={"mode": "everything"})
    goes(lab, site, messages.plain(), OUT_A, "bob@elsewhere.example", "conbool")
    goes(lab, site, messages.plain(), OUT_A, "", "provider")
    undo(site)
    lab.dns.zone.set("sub.example.org", "MX", "10 mx.outside-b.example.")
    apply(
        lab,
        site,
        scope={"mode": "senders", "senders": ["o'brien@example.com", "alice@example.com", "@example.org"]},
    )
    for sender, place in (
        ("bob@example.com", "provider"),
        ("Alice+news@Example.com", "conbool"),
        ("o'brien@example.com", "conbool"),
        ("zed@example.org", "conbool"),
        ("zed@sub.example.org", "provider"),
    ):
        goes(lab, site, messages.plain(), OUT_A, sender, place)


@pytest.mark.parametrize(
    ("smart_host", "place"),
    [
        ({"host": "alias.conbool.test", "tls_name": "mail.conbool.com"}, "conbool"),
        ({"host": SINKS[0].addresses[0], "tls_name": "mail.conbool.com"}, "conbool"),
        ({"host": "edge.conbool.test", "port": 2525, "ca_file": "/etc/ssl/lab-ca.pem"}, "edge"),
        ({"host": "alias.conbool.test"}, ""),
    ],
    ids=["CNAME", "address", "port and CA file", "name not in the certificate"],
)
def test_smart_hosts(lab: Lab, site: SendmailMachine, smart_host: dict[str, object], place: str) -> None:
    lab.dns.zone.set("alias.conbool.test", "CNAME", "mail.conbool.com.")
    site.write("/etc/ssl/lab-ca.pem", lab.authority.root_pem, 0o644)
    apply(lab, site, smart_host=smart_host)
    goes(lab, site, messages.plain(), OUT_A, ALICE, *filter(None, [place]))
    goes(lab, site, messages.loop(), OUT_A, ALICE, "outside_a")
    site.drop_queue()


def test_an_old_smart_host_to_conbool_is_taken_out_of_force(lab: Lab, site: SendmailMachine) -> None:
    source = site.read_text("/etc/mail/sendmail.mc")
    site.write("/etc/mail/sendmail.mc", source.replace("esmtp:[smtp.provider.example]", "mail.conbool.com"))
    site.rebuild()
    try:
        told = apply(lab, site)
        assert "The old SMART_HOST (mail.conbool.com) is taken out of force" in told
        goes(lab, site, messages.plain(), OUT_A, ALICE, "conbool")
        goes(lab, site, messages.plain(), OUT_A, "bob@elsewhere.example", "outside_a")
        goes(lab, site, messages.plain(), OUT_A, "", "outside_a")
        undo(site)
    finally:
        site.write("/etc/mail/sendmail.mc", source)
        site.rebuild()
    apply(lab, site)


def test_flagged_mail_goes_to_the_folder(lab: Lab, site: SendmailMachine) -> None:
    apply(lab, site, spam={"action": "folder", "folder": "Junk"})
    for headers, place in (
        (["X-Conbool-Flag: YES"], "mx1:alice/Junk"),
        (["X-Conbool-Spam: yes", "X-Spam-Flag: NO"], "mx1:alice/Junk"),
        (["X-Conbool-Flag: NO"], "mx1:alice"),
        (["X-Conbool-Flag: YES", "X-Conbool-Released: yes"], "mx1:alice"),
        (["X-Conbool-Released: yes", "X-Conbool-Flag: YES"], "mx1:alice"),
    ):
        message = messages.build(headers)
        lab.send(site, message, ALICE, sender="x@elsewhere.example", source=CONBOOL, tls=True)
        lab.expect(message, place)
