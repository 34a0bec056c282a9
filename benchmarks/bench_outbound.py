"""Does our configuration slow mail down? Two equal machines, one of them set up by us, send in turn to a third one.

The receiving machine takes mail by Postfix's smtpd with TLS and hands it straight to smtp-sink (smtpd_proxy_filter), without a queue: what
limits the rate is the sending machine, and the CPU time per message says so.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab
from tests.lab.postfix import PostfixMachine, PostfixSite
from tests.lab.product import apply_answers

from .figures import Report, Sample, alternate
from .processes import all_cpu, postfix_cpu, rounds

MESSAGES = 400
SIZE = 4096
PROXY_PORT = 10099
HOSTED, FOREIGN = "alice@example.com", "x@elsewhere.example"
RECIPIENT = "y@outside-a.example"


class Rig:
    """A plain machine, a machine with our configuration, and the one they send to."""

    def __init__(self, lab: Lab) -> None:
        self.sink = lab.postfix(
            hostname="mail.conbool.com",
            start=False,
            site=PostfixSite(
                local=("sink.example",),
                virtual_aliases={},
                mailboxes=(),
                main={
                    "mynetworks": "127.0.0.0/8 192.0.2.0/24 [2001:db8::]/32",
                    "smtpd_proxy_filter": f"127.0.0.1:{PROXY_PORT}",
                    "smtpd_client_connection_count_limit": "0",
                },
            ),
        )
        self._proxy = self.sink.popen(
            ["smtp-sink", "-u", "nobody", f"127.0.0.1:{PROXY_PORT}", "1000"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.sink.wait_port(PROXY_PORT)
        self.sink.start()
        zone, place = lab.dns.zone, self.sink.place
        zone.set("mail.conbool.com", "A", place.ipv4)
        zone.set("mail.conbool.com", "AAAA", place.ipv6)
        zone.set("outside-a.example", "MX", "10 mail.conbool.com.")
        self.plain = lab.postfix()
        self.ours = lab.postfix()
        apply_answers(lab, self.ours)

    def close(self) -> None:
        """End smtp-sink."""
        self.sink.kill(self._proxy)


@pytest.fixture(scope="module")
def rig(bench_lab: Lab) -> Iterator[Rig]:
    one = Rig(bench_lab)
    try:
        yield one
    finally:
        one.close()


def send(machine: PostfixMachine, sink: PostfixMachine, sender: str, count: int = MESSAGES) -> Sample:
    """Send ``count`` messages through a machine; messages a second, and CPU milliseconds a message here, at the sink
    and in everything else on this computer (smtp-source, the kernel, other work)."""
    cpu, sink_cpu, all_before, start = postfix_cpu(machine), postfix_cpu(sink), all_cpu(), time.monotonic()
    machine.run(
        ["smtp-source", "-d", "-s", "10", "-m", str(count), "-l", str(SIZE), "-f", sender, "-t", RECIPIENT]
        + ["127.0.0.1:25"],
        check=True,
        timeout=300,
    )
    while machine.busy():
        time.sleep(0.01)
    seconds = time.monotonic() - start
    everything = all_cpu() - all_before
    cpu, sink_cpu = postfix_cpu(machine) - cpu, postfix_cpu(sink) - sink_cpu
    return {
        "rate": count / seconds,
        "cpu": cpu * 1000 / count,
        "sink": sink_cpu * 1000 / count,
        "others": max(0.001, everything - cpu - sink_cpu) * 1000 / count,
    }


def compare(rig: Rig, report: Report, group: str, sender: str) -> None:
    """Send in turn through both machines and judge."""
    for machine in (rig.plain, rig.ours):
        send(machine, rig.sink, sender, 100)
    found = alternate(
        rounds(11), lambda: send(rig.plain, rig.sink, sender), lambda: send(rig.ours, rig.sink, sender)
    )
    rate = report.pairs(group, "messages a second", found["rate"], "msg/s", at_least=0.95)
    report.pairs(group, "CPU time of Postfix a message", found["cpu"], "ms")
    report.pairs(group, "CPU time of the sink a message", found["sink"], "ms")
    report.pairs(group, "CPU time of all else meanwhile", found["others"], "ms")
    # A sink that does more work for ours than for the other would limit one of them only.
    assert 0.8 < found["sink"].ratio < 1.25
    assert rate.held, f"{rate.text}: {rate.ratio:.3f}, limit {rate.limit}; single pairs {rate.spread}"


def sent(machine: PostfixMachine, words: str) -> int:
    """How many deliveries the log shows with ``words`` in their lines."""
    return sum("status=sent" in line and words in line for line in machine.log().splitlines())


def test_through_the_smart_host(rig: Rig, report: Report) -> None:
    """Both send to the smart host over TLS with its certificate's name checked; one set up by hand, one by us."""
    rig.plain.configure(
        {
            "relayhost": "[mail.conbool.com]:25",
            "smtp_tls_policy_maps": "inline:{{[mail.conbool.com]:25 = secure match=mail.conbool.com}}",
        }
    )
    compare(rig, report, "outbound through the smart host over TLS, against a relayhost set by hand", HOSTED)
    for machine, service in ((rig.plain, "postfix/smtp["), (rig.ours, "postfix/conbool-smarthost/smtp[")):
        log = machine.log()
        assert sent(machine, service) == log.count("status=sent") >= MESSAGES
        verified = sum(service in line and "Verified TLS connection" in line for line in log.splitlines())
        assert verified > 0
        assert "Untrusted TLS" not in log


def test_past_the_smart_host(rig: Rig, report: Report) -> None:
    """Mail of senders out of scope goes to its own MX, with our configuration and without any."""
    rig.plain.configure({"relayhost": None, "smtp_tls_policy_maps": None})
    before = sent(rig.ours, "postfix/smtp[")
    compare(rig, report, "outbound of senders out of scope, against Postfix without us", FOREIGN)
    assert sent(rig.ours, "postfix/smtp[") - before >= MESSAGES
