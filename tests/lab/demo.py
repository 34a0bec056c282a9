"""The demo: a disposable Debian server with a real Postfix, and the product on it.

``python -m tests.lab.demo`` opens the wizard; ``python -m tests.lab.demo headless`` does the same run from an
answers file and prints where each probe message went. Needs root; only the disposable server is changed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import yaml

from . import messages
from .cache import LabError
from .lab import CONBOOL, CONBOOL6, STRANGER, Lab
from .messages import Message
from .postfix import PASSWORD, PostfixMachine, PostfixSite
from .prerequisites import why_not
from .roots import SUITES
from .snapshot import differences

OUTSIDE_A, OUTSIDE_B = "friend@outside-a.example", "friend@outside-b.example"
ANSWERS = "/root/conbool-answers.yaml"
CLOSING = "/root/conbool-closing.yaml"
# Like many a server: SSH, mail and nothing else.
FIREWALL = """\
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif lo accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { 22, 25, 587 } accept
	}
}
"""

HOW_TO = """\
A disposable Debian {suite} server is running: {hostname} with Postfix
{version}, hosting {domains}. Its internet is made up:
mail.conbool.com, the outside mail servers and the name service are sinks on
this machine, and nothing leaves it. All of it goes when you leave the wizard.

  Keys     Tab and arrows move, Enter acts, Space toggles, Esc goes back,
           F1 helps, F10 leaves.
  Try      take what is proposed, read the Review, apply, run the Test, then
           undo from the History. In step B, give Conbool's addresses and close
           port 25: its firewall is nftables.
  Conbool  sends from {networks} here.
"""


@dataclass(frozen=True)
class Probe:
    """One message, and where it must go with the guide's settings; ``code`` is set when it must be refused.

    ``source`` is an address, or "" for a neighbour in mynetworks, "command" for the sendmail command,
    "submission" for port 587.
    """

    title: str
    build: Callable[[], Message]
    recipients: Sequence[str]
    expected: Sequence[str]
    sender: str = "alice@example.com"
    source: str = ""
    code: int = 0


PROBES = (
    Probe("plain", messages.plain, (OUTSIDE_A,), ("conbool",)),
    Probe("8-bit", messages.eight_bit, (OUTSIDE_A,), ("conbool",)),
    Probe("5 MB", messages.large, (OUTSIDE_A,), ("conbool",)),
    Probe("sendmail command", messages.plain, (OUTSIDE_A,), ("conbool",), source="command"),
    Probe("submission", messages.plain, (OUTSIDE_A,), ("conbool",), source="submission"),
    Probe("submission, forged marker", messages.loop, (OUTSIDE_A,), ("conbool",), source="submission"),
    Probe("loop header", messages.loop, (OUTSIDE_A,), ("outside_a",)),
    Probe("loop header, folded", lambda: messages.loop(form="folded"), (OUTSIDE_A,), ("outside_a",)),
    Probe("released", messages.released, (OUTSIDE_A,), ("outside_a",)),
    Probe("null sender", messages.plain, (OUTSIDE_A,), ("outside_a",), sender=""),
    Probe("calendaring", messages.calendar, (OUTSIDE_A,), ("outside_a",)),
    Probe("calendaring, as a part", lambda: messages.calendar("part"), (OUTSIDE_A,), ("outside_a",)),
    Probe(".ics attachment", lambda: messages.calendar("attachment"), (OUTSIDE_A,), ("conbool",)),
    Probe("marker in attached mail", lambda: messages.attached(messages.loop()), (OUTSIDE_A,), ("conbool",)),
    Probe(
        "mixed recipients",
        messages.plain,
        ("bob@example.com", "sales@example.net", OUTSIDE_A),
        ("mx1:bob", "mx1:sales@example.net", "conbool"),
    ),
    Probe(
        "mixed recipients, loop header",
        messages.loop,
        ("bob@example.com", OUTSIDE_A, OUTSIDE_B),
        ("mx1:bob", "outside_a", "outside_b"),
    ),
    Probe("sender not in scope", messages.plain, (OUTSIDE_B,), ("outside_b",), sender="x@elsewhere.example"),
    Probe(
        "inbound from Conbool",
        messages.plain,
        ("bob@example.com",),
        ("mx1:bob",),
        "x@elsewhere.example",
        CONBOOL,
    ),
    Probe("hand-back from Conbool", messages.plain, (OUTSIDE_A,), ("outside_a",), source=CONBOOL),
    Probe(
        "foreign sender from Conbool", messages.plain, (OUTSIDE_A,), (), "x@elsewhere.example", CONBOOL, 554
    ),
    Probe("stranger relays", messages.plain, (OUTSIDE_A,), (), source=STRANGER, code=554),
    Probe("stranger relays, loop header", messages.loop, (OUTSIDE_A,), (), source=STRANGER, code=554),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a probe: the places it reached or the code of the refusal; TLS as the sinks saw it.

    Code 421 stands for a server that did not answer or hung up.
    """

    places: Sequence[str]
    code: int
    tls: str


def send_probe(lab: Lab, machine: PostfixMachine, probe: Probe) -> Outcome:
    """Send one probe and wait until it has arrived somewhere."""
    message = probe.build()
    code = 0
    if probe.source == "command":
        machine.sendmail(message.raw, probe.recipients, sender=probe.sender)
    else:
        submission = probe.source == "submission"
        try:
            sent = lab.send(
                machine,
                message,
                probe.recipients,
                sender=probe.sender,
                source=STRANGER if submission else probe.source,
                port=587 if submission else 25,
                tls=submission or probe.source == CONBOOL,
                auth=("alice@example.com", PASSWORD) if submission else None,
            )
        except OSError:
            return Outcome([], 421, "-")
        code = 0 if sent.accepted else sent.code
    try:
        lab.wait_delivered(message, max(1, len(probe.expected))) if not code else lab.settle()
    except TimeoutError:
        pass
    sessions = [copy.tls for sink in lab.sinks.values() for copy in sink.find(message.token)]
    versions = sorted({tls.version if tls else "none" for tls in sessions})
    return Outcome(lab.where(message), code, " ".join(versions) or "-")


def words(places: Sequence[str], code: int) -> str:
    """An outcome in one cell of the table."""
    return f"refused {code}" if code else ", ".join(sorted(places)) or "nowhere"


def run_probes(lab: Lab, machine: PostfixMachine, probes: Sequence[Probe]) -> bool:
    """Send the probes and print the table; returns whether each went where it should."""
    good = True
    print(f"{'message':31} {'went to':40} {'TLS':8} {'expected':40} result")
    for probe in probes:
        outcome = send_probe(lab, machine, probe)
        fine = sorted(outcome.places) == sorted(probe.expected) and outcome.code == probe.code
        good = good and fine
        went, expected = words(outcome.places, outcome.code), words(probe.expected, probe.code)
        print(
            f"{probe.title:31} {went:40} {outcome.tls:8} {expected:40} {'OK' if fine else 'FAIL'}", flush=True
        )
    return good


class Headless:
    """The run without a terminal; every step prints what it did and whether that was as it should be."""

    def __init__(self, lab: Lab, machine: PostfixMachine) -> None:
        self.lab = lab
        self.machine = machine
        self.failures: list[str] = []

    def note(self, what: str, fine: bool) -> None:
        """Print one result."""
        print(f"[{'OK' if fine else 'FAIL'}] {what}", flush=True)
        if not fine:
            self.failures.append(what)

    def conbool(self, *args: str, status: int) -> None:
        """Run the product, show what it prints, and check its exit code."""
        print(f"\n$ conbool-tui {' '.join(args)}", flush=True)
        started = time.monotonic()
        try:
            done = self.machine.conbool(*args)
        except subprocess.TimeoutExpired as slow:
            print(((slow.stdout or b"") + (slow.stderr or b"")).decode("utf-8", "replace"))
            self.note(f"no end after {slow.timeout:.0f} s; killed", False)
            return
        print(done.stdout + done.stderr, end="", flush=True)
        self.note(
            f"exit code {done.returncode} (expected {status}), {time.monotonic() - started:.1f} s",
            done.returncode == status,
        )

    def probes(self, title: str, probes: Sequence[Probe]) -> None:
        """Send probes under a heading."""
        print(f"\n== {title}", flush=True)
        self.note(title, run_probes(self.lab, self.machine, probes))

    def bad_certificate(self) -> None:
        """Mail for a smart host with a wrong name in its certificate has to wait until that is repaired."""
        print("\n== mail.conbool.com shows a certificate for another name", flush=True)
        self.lab.conbool.certificate = "wrong_name"
        message = messages.plain()
        self.lab.send(self.machine, message, OUTSIDE_A)
        self.lab.settle()
        queued = self.machine.delay_reasons()
        self.note(f"stays queued: {'; '.join(queued) or 'no'}", bool(queued) and not self.lab.where(message))
        self.lab.conbool.certificate = "good"
        self.machine.flush()
        try:
            self.lab.wait_delivered(message)
        except TimeoutError:
            pass
        self.note("delivered after the repair", self.lab.where(message) == ["conbool"])

    def port_25(self, title: str, expected: Mapping[str, str]) -> None:
        """Who can connect to port 25."""
        print(f"\n== port 25, {title}", flush=True)
        for who, source in (("Conbool", CONBOOL), ("Conbool, IPv6", CONBOOL6), ("a stranger", STRANGER)):
            server = self.machine.place.ipv6 if ":" in source else self.machine.place.ipv4
            try:
                with self.lab.connect(source, server, 25) as connection:
                    met = "greeted" if connection.recv(3) == b"220" else "turned away"
            except ConnectionRefusedError:
                met = "refused by the firewall"
            wanted = expected.get(who, "greeted")
            self.note(f"{who} ({source}) is {met}", met == wanted)

    def step_b(self) -> None:
        """Close port 25, watch it being taken back, close it again and keep it."""
        inbound = {
            "relay_host": self.machine.place.hostname,
            "restrict_port_25": True,
            "extra_networks": [self.machine.place.network4, self.machine.place.network6],
        }
        answers = dict(self.lab.answers(self.machine, inbound={**inbound, "confirm_within": 10}))
        self.machine.write(CLOSING, yaml.safe_dump(answers, sort_keys=False), 0o600)
        self.port_25("before step B", {})
        closed = {"a stranger": "refused by the firewall"}
        self.conbool("apply", "--answers", CLOSING, "--yes", status=0)
        self.port_25("closed, and nobody confirms", closed)
        for _ in range(120):
            if "waiting" not in self.machine.conbool("history").stdout:
                break
            time.sleep(0.5)
        self.port_25("after the countdown", {})
        self.conbool("apply", "--answers", CLOSING, "--yes", status=0)
        self.conbool("confirm", status=0)
        self.port_25("closed and confirmed", closed)
        self.conbool("check", "--answers", CLOSING, status=0)
        self.conbool("undo", "--yes", status=0)
        self.port_25("after undo", {})

    def run(self) -> int:
        """Everything, in order; returns the exit code."""
        direct = Probe("plain", messages.plain, (OUTSIDE_A,), ("outside_a",))
        self.probes("before", [direct])
        before = self.machine.snapshot("/etc/postfix")
        self.machine.write(
            ANSWERS, yaml.safe_dump(dict(self.lab.answers(self.machine)), sort_keys=False), 0o600
        )
        print(f"\n$ cat {ANSWERS}\n{self.machine.read_text(ANSWERS)}", end="")
        self.conbool("detect", status=0)
        self.conbool("plan", "--answers", ANSWERS, "--diff", status=2)
        self.conbool("apply", "--answers", ANSWERS, "--yes", status=0)
        self.lab.forget()
        self.probes("with Conbool", PROBES)
        self.note(
            "the MX of mail.conbool.com was not asked for", not self.lab.dns.asked("mail.conbool.com", "MX")
        )
        self.note("nothing came to the decoy behind that MX", not self.lab.decoy_mx.connections)
        self.note("nothing went in a circle to Conbool's inbound side", not self.lab.conbool_mx.connections)
        self.bad_certificate()
        self.conbool("plan", "--answers", ANSWERS, status=0)
        self.step_b()
        self.conbool("undo", "--yes", status=0)
        changed = differences(
            before, self.machine.snapshot("/etc/postfix"), ignore_mtime=(".", "main.cf", "master.cf")
        )
        for line in changed:
            print("  " + line)
        self.note("/etc/postfix is as before", not changed)
        self.probes("after undo", [direct])
        print()
        if self.failures:
            print(f"{len(self.failures)} of the results above are not as expected:")
            print("\n".join("  " + failure for failure in self.failures))
            print("The end of the server's mail log:")
            print("\n".join("  " + line for line in self.machine.log().splitlines()[-60:]))
            return 1
        print("Everything went as expected.")
        return 0


def wizard(lab: Lab, machine: PostfixMachine) -> int:
    """Open the wizard on this terminal; afterwards show where some mail goes now."""
    print(
        HOW_TO.format(
            suite=machine.spec.suite,
            hostname=machine.place.hostname,
            version=machine.postconf("mail_version"),
            domains=", ".join(machine.site.hosted),
            networks=", ".join(lab.answers(machine)["conbool_networks"]),
        )
    )
    if sys.stdin.isatty():
        input("Enter starts the wizard. ")
    kept = ("TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL")
    status = machine.attach(["conbool-tui"], {name: os.environ[name] for name in kept if name in os.environ})
    if status == 0:
        print("\nWhere mail goes on this server now:")
        for probe in PROBES:
            if probe.title in ("plain", "loop header", "calendaring", "sender not in scope"):
                outcome = send_probe(lab, machine, probe)
                print(
                    f"  {probe.title:22} {words(outcome.places, outcome.code):20} TLS {outcome.tls}",
                    flush=True,
                )
    return status


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab.demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("mode", nargs="?", choices=("wizard", "headless"), default="wizard")
    parser.add_argument(
        "--suite", choices=SUITES, default="bookworm", help="the Debian release of the server"
    )
    parser.add_argument(
        "--content-filter", action="store_true", help="with an after-queue scanner on the server"
    )
    options = parser.parse_args(argv)
    reason = why_not()
    if reason:
        print(f"The demo cannot run: {reason}", file=sys.stderr)
        return 77
    if options.mode == "wizard" and not (sys.stdin.isatty() and sys.stderr.isatty()):
        print("The wizard needs a terminal; without one use: make demo DEMO=headless", file=sys.stderr)
        return 64
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A lost terminal must not leave mounts and namespaces behind.
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        with Lab() as lab:
            site = PostfixSite(submission=True, content_filter=options.content_filter)
            machine = lab.postfix(options.suite, site, extra_packages=("nftables",))
            machine.write("/etc/nftables.conf", FIREWALL)
            machine.shell("nft -f /etc/nftables.conf")
            return Headless(lab, machine).run() if options.mode == "headless" else wizard(lab, machine)
    except LabError as error:
        print(f"The demo cannot run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
