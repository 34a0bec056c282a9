"""Scopes, existing routes and other answers on real Exim: what was there before keeps its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import messages
from .exim import EximMachine, EximSite
from .lab import CONBOOL, Lab
from .messages import Message
from .product import apply_answers, plan_answers, write_answers
from .test_postfix_routes import LOOP, OUT_A, OUT_B, RELEASED

ALICE = "alice@example.com"

SENDER_ROUTE = """
by_sender:
  driver = manualroute
  senders = special@elsewhere.example : *@viaprovider.example
  domains = ! +local_domains
  transport = remote_smtp
  route_list = * smtp.provider.example byname
"""


def send(lab: Lab, machine: EximMachine, message: Message, *to: str, **more: Any) -> Message:
    """Send and insist that it was accepted."""
    sent = lab.send(machine, message, to, **more)
    assert sent.accepted, sent.replies
    return message


def expect(lab: Lab, wanted: dict[Message, tuple[str, ...]]) -> None:
    """Every message where it belongs, once nothing moves."""
    lab.settle()
    for message, places in wanted.items():
        lab.expect(message, *places)


@pytest.fixture(scope="module")
def plain_host(lab_ready: None) -> Iterator[tuple[Lab, EximMachine]]:
    """A host that delivers to the MX, with manual routes of its own; each test applies answers of its own to it."""
    with Lab() as lab:
        site = EximSite(
            first_routers=SENDER_ROUTE,
            relay={"relayed.example": "backend.lab.invalid", "outside-b.example": "backend.lab.invalid"},
            aliases={"list": f"alice@example.com, {OUT_A}, {OUT_B}"},
        )
        yield lab, lab.exim("bookworm", site)


def test_everything(plain_host: tuple[Lab, EximMachine]) -> None:
    """All outbound mail uses the smart host; bounces, markers, hosted domains, manual routes and senders with their own do not."""
    lab, machine = plain_host
    apply_answers(lab, machine, scope={"mode": "everything"}, domains=["example.com", "example.net"])
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example"): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A, sender=""): ("outside_a",),
            send(lab, machine, messages.loop(), OUT_A, ALICE): ("outside_a", "mx1:alice"),
            send(lab, machine, messages.plain(), "x@relayed.example"): ("backend",),
            send(lab, machine, messages.plain(), OUT_B): ("backend",),
            send(lab, machine, messages.plain(), ALICE): ("mx1:alice",),
            send(lab, machine, messages.plain(), OUT_A, sender="special@elsewhere.example"): ("provider",),
            send(lab, machine, messages.plain(), OUT_A, sender="y@viaprovider.example"): ("provider",),
            send(lab, machine, messages.plain(), "list@example.com", sender="x@elsewhere.example"): (
                "mx1:alice",
                "conbool",
                "backend",
            ),
        },
    )
    assert (
        plan_answers(
            lab, machine, scope={"mode": "everything"}, domains=["example.com", "example.net"]
        ).returncode
        == 0
    )


def test_senders(plain_host: tuple[Lab, EximMachine]) -> None:
    """Only the listed senders use the smart host; then the scope is narrowed to the hosted domains again."""
    lab, machine = plain_host
    apply_answers(lab, machine, scope={"mode": "senders", "senders": ["Alice@example.com", "@example.net"]})
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), OUT_A, sender=ALICE): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A, sender="ALICE@Example.COM"): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A, sender="sales@example.net"): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A, sender="bob@example.com"): ("outside_a",),
            send(lab, machine, messages.plain(), OUT_A, sender="x@sub.example.net"): ("outside_a",),
            send(lab, machine, messages.loop(), OUT_A, sender=ALICE): ("outside_a",),
        },
    )
    apply_answers(lab, machine, domains=["example.com"])
    assert not machine.exists("/etc/exim4/conbool/senders")
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), OUT_A, sender="bob@example.com"): ("conbool",),
            # A hosted domain that is not registered at Conbool.
            send(lab, machine, messages.plain(), OUT_A, sender="sales@example.net"): ("outside_a",),
            send(lab, machine, messages.plain(), "sales@example.net", sender="bob@example.com"): (
                "mx1:sales@example.net",
            ),
        },
    )


def test_only_conbool_is_believed(plain_host: tuple[Lab, EximMachine]) -> None:
    """markers.trust is conbool, headers have names of their own, and flagged mail is only flagged."""
    lab, machine = plain_host
    markers = {
        "trust": "conbool",
        "loop_headers": {"example.com": "X-Went-Round"},
        "released": "X-Let-Go",
        "spam": ["X-Is-Spam"],
    }
    apply_answers(lab, machine, markers=markers, spam={"action": "header"})
    own, command = (
        messages.build(["X-Went-Round: true"]),
        messages.build(["X-Went-Round: true", "X-Let-Go: yes"]),
    )
    send(lab, machine, own, OUT_A)
    machine.sendmail(command.raw, [OUT_A], sender=ALICE)
    flagged, released = (
        messages.build(["X-Is-Spam: yes"]),
        messages.build(["X-Is-Spam: yes", "X-Let-Go: yes"]),
    )
    other = messages.build([LOOP, RELEASED])
    for message in (flagged, released):
        send(lab, machine, message, ALICE, source=CONBOOL, tls=True, sender="x@elsewhere.example")
    send(lab, machine, other, OUT_A)
    expect(
        lab,
        {
            own: ("conbool",),
            command: ("conbool",),
            flagged: ("mx1:alice",),
            released: ("mx1:alice",),
            other: ("conbool",),
        },
    )
    for message in (own, command):
        received = lab.conbool.find(message.token)[0]
        assert not received.headers("X-Went-Round")
        assert not received.headers("X-Let-Go")
    stored = {one.message["Message-ID"]: one for one in machine.mailbox("alice")}
    assert stored[f"<{flagged.token}@lab.invalid>"].headers("X-Spam-Flag") == ["YES"]
    assert stored[f"<{released.token}@lab.invalid>"].headers("X-Spam-Flag") == []


def test_smart_host_under_another_name(plain_host: tuple[Lab, EximMachine]) -> None:
    """Port, certificate name and CA as given: the certificate must carry that name and come from that CA."""
    lab, machine = plain_host
    lab.dns.zone.host("relay.lab.invalid", "192.0.2.25")
    machine.write("/etc/ssl/lab-ca.pem", lab.authority.root_pem, 0o644)
    good = {"host": "relay.lab.invalid", "tls_name": "mail.conbool.com", "ca_file": "/etc/ssl/lab-ca.pem"}
    apply_answers(lab, machine, smart_host=good)
    first = send(lab, machine, messages.plain(), OUT_A)
    lab.expect(first, "conbool")
    assert lab.conbool.find(first.token)[0].tls is not None
    waiting = []
    for certificate in ("wrong_name", "self_signed"):
        lab.conbool.certificate = certificate
        waiting.append(send(lab, machine, messages.plain(), OUT_A))
        lab.expect(waiting[-1])
        lab.conbool.certificate = "good"
    apply_answers(lab, machine, smart_host={**good, "tls_name": "relay.lab.invalid"})
    machine.flush()
    lab.settle()
    assert [lab.where(message) for message in waiting] == [[], []]
    apply_answers(lab, machine, smart_host={**good, "port": 2525})
    machine.flush()
    lab.settle()
    assert len(machine.queue()) == 2
    assert "[192.0.2.25]:2525 Connection refused" in machine.log() or "Connection refused" in machine.log()
    apply_answers(lab, machine)
    machine.flush()
    expect(lab, dict.fromkeys(waiting, ("conbool",)))
    assert machine.panics() == ""


def test_a_key_that_exim_cannot_read_is_refused(plain_host: tuple[Lab, EximMachine]) -> None:
    lab, machine = plain_host
    offered = lab.authority.issue("relay.example.com")
    machine.write("/etc/ssl/mine.pem", offered.certificate, 0o644)
    machine.write("/etc/ssl/mine.key", offered.key, 0o600)
    smart_host = {"client_certificate": "/etc/ssl/mine.pem", "client_key": "/etc/ssl/mine.key"}
    done = apply_answers(lab, machine, expect=3, smart_host=smart_host)
    assert "/etc/ssl/mine.key cannot be read by Exim's user Debian-exim" in " ".join(done.stderr.split())


def test_an_old_smart_host_keeps_the_rest(lab: Lab) -> None:
    """With its login, which the new one never sees; exempted mail goes to its MX, bounces go the old way; masquerading stays."""
    machine = lab.exim(
        "trixie",
        EximSite(
            layout="template",
            smarthost="smtp.provider.example",
            settings="dc_eximconfig_configtype='smarthost'\ndc_hide_mailname='true'\ndc_readhost='masked.example'\n",
            files={
                "/etc/exim4/passwd.client": "smtp.provider.example:user:secret\n*.conbool.com:user:secret\n"
            },
        ),
    )
    machine.shell("chgrp Debian-exim /etc/exim4/passwd.client; chmod 640 /etc/exim4/passwd.client")
    apply_answers(lab, machine)
    plain, foreign = messages.plain(), messages.plain()
    wanted = {
        send(lab, machine, plain, OUT_A): ("conbool",),
        send(lab, machine, foreign, OUT_A, sender="x@elsewhere.example"): ("provider",),
        send(lab, machine, messages.plain(), OUT_A, sender=""): ("provider",),
        send(lab, machine, messages.loop(), OUT_A, OUT_B): ("outside_a", "outside_b"),
        send(lab, machine, messages.calendar("part"), OUT_A): ("outside_a",),
        send(lab, machine, messages.plain(), OUT_A, source=CONBOOL, tls=True): ("outside_a",),
    }
    expect(lab, wanted)
    assert lab.provider.find(foreign.token)[0].auth_user == "user"
    received = lab.conbool.find(plain.token)[0]
    assert (received.auth_user, received.sender) == (None, "alice@masked.example")
    assert received.headers("From") == ["alice@masked.example"]
    apply_answers(lab, machine, scope={"mode": "everything"})
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example"): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A, sender=""): ("provider",),
        },
    )
    assert machine.conbool("undo", "--yes").returncode == 0
    assert machine.conbool("undo", "--yes").returncode == 0
    back = send(lab, machine, messages.plain(), OUT_A)
    lab.expect(back, "provider")


def test_conbool_as_hand_made_smart_host_is_taken_over(lab: Lab) -> None:
    """Debian's own transport for a smart host checks no certificate: nothing may use it any more."""
    machine = lab.exim("bookworm", EximSite(layout="plain", smarthost="mail.conbool.com"))
    before = send(lab, machine, messages.plain(), OUT_A, sender="")
    lab.expect(before, "conbool")
    done = apply_answers(lab, machine)
    assert "The host's own smart host is mail.conbool.com already" in done.stderr.replace("\n    ", " ")
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), OUT_A): ("conbool",),
            send(lab, machine, messages.plain(), OUT_A, sender=""): ("outside_a",),
            send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example"): ("outside_a",),
            send(lab, machine, messages.loop(), OUT_A): ("outside_a",),
        },
    )


def test_a_host_without_remote_mail(lab: Lab) -> None:
    """Debian's "local delivery only": mail in scope and what is exempted get a way, everything else still has none."""
    machine = lab.exim("bookworm", EximSite(settings="dc_eximconfig_configtype='local'\n"))
    apply_answers(lab, machine)
    refused = lab.send(machine, messages.plain(), OUT_A, sender="x@elsewhere.example")
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), OUT_A): ("conbool",),
            send(lab, machine, messages.loop(), OUT_A): ("outside_a",),
            send(lab, machine, messages.plain(), OUT_A, sender=""): ("outside_a",),
        },
    )
    lab.settle()
    assert not refused.accepted or not lab.where("nothing")


def test_a_route_in_front_is_told(lab: Lab) -> None:
    """A router of the admin's that takes everything before ours: nothing is changed, and it is named."""
    route = "lab_first:\n  driver = dnslookup\n  domains = ! +local_domains\n  transport = remote_smtp\n  no_more\n"
    machine = lab.exim("bookworm", EximSite(first_routers=route))
    before = machine.snapshot("/etc/exim4")
    done = machine.conbool("apply", "--answers", write_answers(lab, machine), "--yes")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the router lab_first takes it first" in " ".join(done.stderr.split())
    assert machine.snapshot("/etc/exim4") == before


def test_no_fallback_host_gets_mail_for_the_smart_host(lab: Lab) -> None:
    """Fallback hosts of the admin's transport and router stay theirs: mail for Conbool waits, whatever else could take it."""
    machine = lab.exim("bookworm", EximSite())
    places = {
        "/etc/exim4/conf.d/transport/30_exim4-config_remote_smtp": "driver = smtp",
        "/etc/exim4/conf.d/router/200_exim4-config_primary": "driver = dnslookup",
    }
    for path, line in places.items():
        text = machine.read_text(path)
        assert line in text
        machine.write(path, text.replace(line, f"{line}\n  fallback_hosts = mx.outside-b.example"), 0o644)
    machine.reload()
    apply_answers(lab, machine)
    for certificate in ("wrong_name", "none"):
        lab.conbool.certificate = certificate
        try:
            waiting = send(lab, machine, messages.plain(), OUT_A)
            lab.expect(send(lab, machine, messages.loop(), OUT_A), "outside_a")
            lab.expect(waiting)
            assert machine.queue()
        finally:
            lab.conbool.certificate = "good"
        machine.shell("rm -f /var/spool/exim4/db/retry* /var/spool/exim4/db/wait-*")
        machine.flush()
        lab.expect(waiting, "conbool")
    # They are in force for what is not for Conbool.
    lab.outside_a.down()
    try:
        other = send(lab, machine, messages.plain(), OUT_A, sender="x@elsewhere.example")
        lab.expect(other, "outside_b")
    finally:
        lab.outside_a.up()


def test_a_mailing_list_goes_by_who_sends(lab: Lab) -> None:
    """A list in the aliases: in scope through Conbool, out of scope as before, what came from Conbool direct."""
    machine = lab.exim("bookworm", EximSite(aliases={"readers": f"{OUT_A}, {OUT_B}"}))
    readers = "readers@example.com"
    lab.expect(send(lab, machine, messages.plain(), readers), "outside_a", "outside_b")
    apply_answers(lab, machine)
    expect(
        lab,
        {
            send(lab, machine, messages.plain(), readers): ("conbool", "conbool"),
            send(lab, machine, messages.plain(), readers, sender="x@elsewhere.example"): (
                "outside_a",
                "outside_b",
            ),
            send(lab, machine, messages.loop(), readers): ("outside_a", "outside_b"),
            send(lab, machine, messages.plain(), readers, source=CONBOOL, tls=True): (
                "outside_a",
                "outside_b",
            ),
        },
    )
