"""Step B on real Sendmail: who may hand over what at which port, before, while port 25 is closed, and after undo."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from . import messages
from .lab import CONBOOL, STRANGER, Lab
from .releases import SENDMAIL
from .sendmail import SendmailMachine, SendmailSite
from .sendmail_product import apply, plan, undo
from .snapshot import differences
from .test_postfix_inbound import ALICE, CLOSED, FOREIGN, OUT, ROWS, Row, send

# Sendmail has other numbers for the same refusals.
CODES = {554: (550, 530), 550: (550,), 450: (450,), 250: (250,)}


@pytest.fixture(params=SENDMAIL)
def suite(request: pytest.FixtureRequest) -> str:
    """Each release in turn."""
    return str(request.param)


@pytest.fixture
def machine(lab: Lab, suite: str) -> SendmailMachine:
    """A Sendmail with submission."""
    return lab.sendmail(suite, SendmailSite(auth=True))


def run(lab: Lab, machine: SendmailMachine, rows: Sequence[Row], phase: str) -> None:
    """Send every row's message and compare the replies and the places they reached, all together."""
    sent = [
        (row, message, send(lab, machine, row, message))
        for row in rows
        if row.port != 465
        for message in [messages.plain()]
    ]
    wrong = []
    for row, message, code in sent:
        wanted_code, wanted_places = row.closed if phase == "closed" else row.before
        places = sorted("mx1:carol" if place == "mx1:sales@example.net" else place for place in wanted_places)
        try:
            if places:
                lab.wait_delivered(message, len(places))
            lab.settle()
        except TimeoutError:
            pass
        found = lab.where(message)
        if code not in CODES[wanted_code] or found != places:
            wrong.append(f"{phase}: {row.name}: {code} {found} instead of {wanted_code} {places}")
    assert not wrong, "\n".join(wrong) + "\n" + lab.report()


def test_who_may_hand_over_what(lab: Lab, machine: SendmailMachine) -> None:
    tree = machine.snapshot("/etc/mail")
    run(lab, machine, ROWS, "before")
    told = apply(lab, machine, seconds=60, inbound=dict(CLOSED))
    assert "Submission is not touched: MSA" in told
    run(lab, machine, ROWS, "closed")
    # Rules about who sends do not judge Conbool: this sender's domain does not exist.
    message = messages.plain()
    sent = lab.send(machine, message, ALICE, sender="x@nowhere.invalid", source=CONBOOL, tls=True)
    assert sent.accepted, sent.replies
    lab.expect(message, "mx1:alice")
    undo(machine)
    assert not differences(tree, machine.snapshot("/etc/mail"), ignore_mtime=(".",))
    run(lab, machine, [row for row in ROWS if row.source == STRANGER], "before")


def test_answers_for_step_b(lab: Lab, machine: SendmailMachine) -> None:
    """The name in the client certificate, who delivers, whose markers are believed, and going back to open."""
    closed = {**CLOSED, "peer_certificate": "require", "return_mode": "conbool_delivers"}
    apply(lab, machine, seconds=60, inbound=closed)
    for name, code in (("", 450), ("out1.conbool.com", 450), ("mail.conbool.com", 250)):
        message = messages.plain()
        sent = lab.send(machine, message, ALICE, sender=FOREIGN, source=CONBOOL, tls=True, client_name=name)
        assert sent.code == code, sent.replies
    back = lab.send(
        machine, messages.plain(), OUT, sender=ALICE, source=CONBOOL, tls=True, client_name="mail.conbool.com"
    )
    assert back.code == 550, back.replies
    # Opening needs no confirmation.
    apply(lab, machine, markers={"trust": "conbool"}, inbound={})
    for source, place in ((CONBOOL, "outside_a"), (machine.place.neighbour4, "conbool")):
        message = messages.loop()
        lab.send(machine, message, OUT, source=source)
        lab.expect(message, place)
    command = messages.loop()
    machine.sendmail(command.raw, [OUT], sender=ALICE)
    lab.expect(command, "conbool")
    assert lab.send(machine, messages.plain(), ALICE, sender=FOREIGN, source=STRANGER).accepted


def test_a_server_behind_the_loopback_interface_is_opened_for_conbool_alone(lab: Lab) -> None:
    """Debian's own DAEMON_OPTIONS and limits for clients."""
    machine = lab.sendmail(SENDMAIL[0], SendmailSite(listeners="", limits=True))
    told = apply(lab, machine, inbound={})
    assert "Addr=127.0.0.1" in told
    with pytest.raises(ConnectionRefusedError):
        lab.connect(CONBOOL, machine.place.ipv4, 25, 2)
    apply(lab, machine, seconds=60, inbound=dict(CLOSED))
    for _ in range(12):
        # Debian's access map pauses five seconds and takes ten connections a minute from everybody else.
        sent = lab.send(machine, messages.plain(), ALICE, sender=FOREIGN, source=CONBOOL, tls=True, timeout=4)
        assert sent.accepted, sent.replies
    assert lab.send(machine, messages.plain(), ALICE, sender=FOREIGN, source=STRANGER).code == 550
    undo(machine)
    with pytest.raises(ConnectionRefusedError):
        lab.connect(CONBOOL, machine.place.ipv4, 25, 2)


def test_without_tls_port_25_is_not_closed(lab: Lab) -> None:
    machine = lab.sendmail(SENDMAIL[-1], SendmailSite(tls=False))
    before = machine.snapshot("/etc/mail")
    done = plan(lab, machine, inbound=dict(CLOSED))
    assert done.returncode == 1
    assert "offers no STARTTLS" in done.stderr
    assert not differences(before, machine.snapshot("/etc/mail"), ignore_mtime=(".",))
