"""Step B on real Exim: who may hand over what at which port, before, while port 25 is closed, and after undo."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from subprocess import DEVNULL
from subprocess import CompletedProcess as Completed
from typing import Any

import pytest

from . import messages
from .exim import EximMachine, EximSite
from .lab import CONBOOL, CONBOOL6, STRANGER, Lab
from .machine import APP
from .product import write_answers
from .snapshot import differences
from .test_exim_routes import Session
from .test_postfix_inbound import ALICE, BOX, CLOSED, EXTRA, EXTRA_NETWORKS, FOREIGN, OUT, ROWS, Row, run

SITE = EximSite(submission=True)
CODES = {554: 550}
"""Exim's word for a refusal."""


def for_exim(row: Row) -> Row:
    """The row with Exim's codes. Debian's rules are the same at every port, so that 587 takes mail for hosted recipients as before."""
    if row.name == "stranger at 587 without a login":
        return replace(row, before=(250, [BOX]), closed=(250, [BOX]))
    before, closed = ((CODES.get(code, code), places) for code, places in (row.before, row.closed))
    return replace(row, before=before, closed=closed)


EXIM_ROWS = [for_exim(row) for row in ROWS]

# Exim's part alone: the firewall, the MX records and the wait for a confirmation have tests of their own.
SCRIPT = """
import dataclasses, sys
from conbool_tui import answers_file
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.planners.exim import plan_exim
from conbool_tui.session import Session

session = Session(Host("/"))
facts = session.detect()
try:
    answers = session.complete(answers_file.load(open(sys.argv[1], "rb").read(), "answers"), facts)
    plan = plan_exim(session.target(facts).exim, answers)
    for notice in plan.notices:
        print(notice.level, notice.text)
    print("confirm within", plan.confirm_within)
    if plan.empty:
        print("nothing to do")
    elif len(sys.argv) == 2:
        session.apply(dataclasses.replace(plan, confirm_within=0))
except ConboolError as error:
    sys.exit("\\n".join(error.lines()))
"""


def plan(lab: Lab, machine: EximMachine, *flags: str, **answers: Any) -> Completed[str]:
    """Plan, and apply unless there are flags; prints the notices and the seconds to confirm in."""
    machine.write("/usr/local/lib/lab/apply.py", SCRIPT)
    path = write_answers(lab, machine, **answers)
    env = {"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"}
    argv = ["python3", "-X", "utf8", "/usr/local/lib/lab/apply.py", path, *flags]
    return machine.run(argv, env=env, timeout=120)


def apply(lab: Lab, machine: EximMachine, seconds: int, **answers: Any) -> str:
    """Apply and insist that it worked, on the seconds to confirm in, and that a second plan is empty."""
    done = plan(lab, machine, **answers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"confirm within {seconds}\n" in done.stdout
    again = plan(lab, machine, "--dry", **answers)
    assert "confirm within 0\nnothing to do" in again.stdout, again.stdout + again.stderr
    return done.stdout


def close(lab: Lab, machine: EximMachine, *, seconds: int = 60, **answers: Any) -> str:
    """Apply with port 25 closed; ``answers["inbound"]`` adds to what that takes."""
    answers["inbound"] = {**CLOSED, "relay_host": machine.place.hostname, **answers.get("inbound", {})}
    return apply(lab, machine, seconds, **answers)


def undo(machine: EximMachine) -> None:
    """Take the newest change back."""
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", params=["split", "plain"])
def stage(lab_ready: None, request: pytest.FixtureRequest) -> Iterator[tuple[Lab, EximMachine]]:
    """An Exim nothing was done to; tests leave it so."""
    with Lab() as lab:
        suite = {"split": "bookworm", "plain": "trixie"}[request.param]
        machine = lab.exim(suite, replace(SITE, layout=request.param))
        tree = machine.snapshot("/etc/exim4")
        yield lab, machine
        changed = [name for name in tree if tree[name].kind == "directory"]
        assert not differences(tree, machine.snapshot("/etc/exim4"), ignore_mtime=(".", *changed))
        assert machine.panics() == ""


def test_who_may_hand_over_what(stage: tuple[Lab, EximMachine]) -> None:
    lab, machine = stage
    run(lab, machine, EXIM_ROWS, "before")
    said = close(lab, machine)
    assert "ports 587, 465" in said
    run(lab, machine, EXIM_ROWS, "closed")
    served = "conbool-tui: session of [{}] at port 25 ended well"
    for source, ended_well in ((EXTRA, True), (STRANGER, False)):
        with Session(lab, machine, source) as client:
            client.mail(FOREIGN)
            client.rset()
        assert (served.format(source) in machine.log()) is ended_well
    undo(machine)
    run(lab, machine, [row for row in EXIM_ROWS if row.source == STRANGER], "before")


def test_answers_taken_back(stage: tuple[Lab, EximMachine]) -> None:
    """Opening needs no confirmation, closing and taking a network away do, and no edit stays behind."""
    lab, machine = stage
    relay_host = machine.place.hostname
    apply(lab, machine, 0, inbound={"relay_host": relay_host})
    opened = machine.snapshot("/etc/exim4")
    run(lab, machine, [row for row in EXIM_ROWS if row.source == STRANGER], "open")
    close(lab, machine)
    more = {"extra_networks": [*EXTRA_NETWORKS, "203.0.113.96/29"]}
    close(lab, machine, seconds=0, inbound=more)
    run(lab, machine, [replace(EXIM_ROWS[0], closed=(250, [BOX]))], "closed")
    close(lab, machine)
    apply(lab, machine, 0, inbound={"relay_host": relay_host})
    now = machine.snapshot("/etc/exim4")
    assert not differences(opened, now, ignore_mtime=tuple(opened))
    for _ in range(5):
        undo(machine)


def test_conbool_delivers_itself_and_shows_a_certificate(stage: tuple[Lab, EximMachine]) -> None:
    lab, machine = stage
    close(lab, machine, inbound={"return_mode": "conbool_delivers", "peer_certificate": "require"})
    rows = [
        Row("Conbool without a certificate", CONBOOL, ALICE, (250, [BOX]), (454, []), tls=True),
        Row("Conbool without TLS", CONBOOL, ALICE, (250, [BOX]), (450, [])),
        Row("extra network", EXTRA, ALICE, (250, [BOX]), (250, [BOX])),
        Row("own network", "", ALICE, (250, [BOX]), (250, [BOX])),
        Row("stranger", STRANGER, ALICE, (250, [BOX]), (550, [])),
    ]
    run(lab, machine, rows, "closed")
    shown: list[tuple[str, str, str, str, int, Sequence[str]]] = [
        ("its name", "mail.conbool.com", FOREIGN, ALICE, 250, [BOX]),
        ("another name", "mail.elsewhere.example", FOREIGN, ALICE, 454, []),
        ("hands back", "mail.conbool.com", ALICE, OUT, 550, []),
    ]
    for what, name, sender, recipient, code, places in shown:
        for source in (CONBOOL, CONBOOL6):
            message = messages.plain()
            sent = lab.send(
                machine, message, recipient, sender=sender, source=source, client_name=name, tls=True
            )
            assert sent.code == code, (what, sent.replies)
            lab.expect(message, *places)
    undo(machine)


def test_name_in_the_client_certificate_is_logged(stage: tuple[Lab, EximMachine]) -> None:
    lab, machine = stage
    close(lab, machine)
    message = messages.plain()
    sent = lab.send(
        machine, message, ALICE, sender=FOREIGN, source=CONBOOL, client_name="mail.conbool.com", tls=True
    )
    assert sent.accepted, sent.replies
    lab.expect(message, BOX)
    assert "CN=mail.conbool.com, verified" in machine.log()
    undo(machine)


def test_a_session_from_a_listed_network_keeps_the_change(stage: tuple[Lab, EximMachine]) -> None:
    """Exim's log shows it: our ACL writes a line at QUIT when nothing was refused."""
    lab, machine = stage
    inbound = {**CLOSED, "relay_host": machine.place.hostname, "close_despite_mx": True, "firewall": "none"}
    path = write_answers(lab, machine, inbound={**inbound, "confirm_within": 120})
    process = machine.popen(["conbool-tui", "apply", "--answers", path, "--yes", "--wait"], stdin=DEVNULL)
    try:
        deadline = time.monotonic() + 100
        journals = machine.path("/var/lib/conbool-tui/changes")
        while '"await confirmation"' not in "".join(
            one.read_text() for one in sorted(journals.glob("*/journal.jsonl"))[-1:]
        ):
            assert time.monotonic() < deadline, machine.log()[-2000:]
            time.sleep(0.3)
        with Session(lab, machine, EXTRA):
            pass
        out, error = process.communicate(timeout=100)
        assert process.returncode == 0, error
        assert f"Confirmed by an SMTP connection from {EXTRA}" in " ".join(out.decode().split())
    finally:
        machine.kill(process)
    undo(machine)


JUDGES = """
acl_lab_connect:
  deny    hosts = 198.51.100.0/24
          message = 554 no name for your address
  accept
acl_lab_helo:
  deny    !hosts = +relay_from_hosts
          message = 550 your greeting does not exist
  accept
acl_lab_mime:
  deny    condition = ${if match{$mime_filename}{\\N[.]exe$\\N}}
          message = 550 no programs
  accept
acl_lab_not_smtp:
  accept
"""
JUDGE_OPTIONS = (
    "acl_smtp_connect = acl_lab_connect\nacl_smtp_helo = acl_lab_helo\nacl_smtp_mime = acl_lab_mime\n"
    "acl_not_smtp = acl_lab_not_smtp\n"
)


@pytest.mark.parametrize("layout", ["split", "template", "plain"])
def test_acls_of_the_admins_go_on(lab: Lab, layout: str) -> None:
    """Those that judge who connects spare Conbool; the others judge as before, Conbool's mail, too; they were edited at their heads."""
    machine = lab.exim("bookworm", EximSite(layout=layout, acl=JUDGES, main=JUDGE_OPTIONS))
    before = machine.snapshot("/etc/exim4")
    rows = [
        Row("stranger", STRANGER, ALICE, (550, []), (550, [])),
        Row("Conbool", CONBOOL, ALICE, (554, []), (250, [BOX]), tls=True),
        Row("Conbool over IPv6", CONBOOL6, ALICE, (550, []), (250, [BOX]), tls=True),
        Row("own network", "", ALICE, (250, [BOX]), (250, [BOX])),
    ]
    run(lab, machine, rows, "before")
    apply(lab, machine, 0)
    run(lab, machine, rows, "closed")
    program = messages.multipart([(('Content-Type: application/x-msdos-program; name="a.exe"',), b"MZ\r\n")])
    calendar, command = messages.calendar("part"), messages.loop()
    for source in (CONBOOL, ""):
        sent = lab.send(machine, program, ALICE, sender=FOREIGN, source=source, tls=True)
        assert (sent.accepted, sent.last.text) == (False, "no programs")
    assert lab.send(machine, calendar, OUT).accepted
    machine.sendmail(command.raw, [OUT], sender=ALICE)
    lab.expect(calendar, "outside_a")
    lab.expect(command, "outside_a")
    undo(machine)
    folders = [name for name in before if before[name].kind == "directory"]
    assert not differences(before, machine.snapshot("/etc/exim4"), ignore_mtime=(".", *folders))
    assert machine.panics() == ""
