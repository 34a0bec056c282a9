"""How long does a message wait in Sendmail? From DATA until a sink has it, with our rules and without.

Two equal machines in turn, 40 messages each, one after the other: the plain one delivers to the recipient's MX, ours to the smart host
over verified TLS, and marked mail to the recipient's MX. All sinks speak TLS.
"""

from __future__ import annotations

import time
from typing import Callable

import pytest

from tests.lab import messages
from tests.lab.lab import Lab
from tests.lab.product import apply_answers
from tests.lab.sendmail import SendmailMachine

from .figures import Report, Sample, alternate

MESSAGES = 40
LIMIT = 1.2
RECIPIENT = "friend@outside-a.example"


def delay(lab: Lab, machine: SendmailMachine, build: Callable[[], messages.Message], sink: str) -> Sample:
    """Seconds one message is on its way through a machine."""
    message = build()
    with lab.session(machine) as client:
        client.mail("alice@example.com")
        client.rcpt(RECIPIENT)
        handed = time.monotonic()
        assert client.data(message.raw)[0] == 250
    lab.expect(message, sink)
    return {"seconds": lab.sinks[sink].find(message.token)[0].time - handed}


@pytest.mark.parametrize(("kind", "sink"), [("plain", "conbool"), ("loop", "outside_a")])
def test_first_delivery(bench_lab: Lab, report: Report, kind: str, sink: str) -> None:
    build: Callable[[], messages.Message] = getattr(messages, kind)
    plain, ours = bench_lab.sendmail(), bench_lab.sendmail()
    apply_answers(bench_lab, ours)
    pairs = alternate(
        MESSAGES,
        lambda: delay(bench_lab, plain, build, "outside_a"),
        lambda: delay(bench_lab, ours, build, sink),
    )["seconds"]
    what = "to the smart host" if kind == "plain" else "marked, to the MX"
    figure = report.pairs("Sendmail", f"first delivery, {what}", pairs, "s", at_most=LIMIT)
    assert figure.held, figure
