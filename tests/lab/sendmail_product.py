"""Plan and apply on a Sendmail machine without firewall, MX records and confirmation, which have tests of their own."""

from __future__ import annotations

from subprocess import CompletedProcess as Completed
from typing import Any

from .lab import Lab
from .machine import APP
from .product import write_answers
from .sendmail import SendmailMachine

SCRIPT = """
import dataclasses, sys
from conbool_tui import answers_file
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.planners import plan_mail_system
from conbool_tui.session import Session

session = Session(Host("/"))
facts = session.detect()
try:
    answers = session.complete(answers_file.load(open(sys.argv[1], "rb").read(), "answers"), facts)
    plan = plan_mail_system(session.target(facts), answers)
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
ENV = {"PYTHONPATH": f"{APP}/app:{APP}/vendor", "PYTHONPYCACHEPREFIX": f"{APP}/bytecode"}


def plan(lab: Lab, machine: SendmailMachine, *flags: str, **answers: Any) -> Completed[str]:
    """Plan, and apply unless there are flags; prints the notices and the seconds to confirm in."""
    machine.write("/usr/local/lib/lab/apply.py", SCRIPT)
    path = write_answers(lab, machine, **answers)
    return machine.run(
        ["python3", "-X", "utf8", "/usr/local/lib/lab/apply.py", path, *flags], env=ENV, timeout=180
    )


def apply(lab: Lab, machine: SendmailMachine, *, seconds: int = 0, **answers: Any) -> str:
    """Apply and insist that it worked, on the seconds to confirm in, and that a second plan is empty."""
    done = plan(lab, machine, **answers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"confirm within {seconds}\n" in done.stdout, done.stdout
    again = plan(lab, machine, "--dry", **answers)
    assert "confirm within 0\nnothing to do" in again.stdout, again.stdout + again.stderr
    return done.stdout


def undo(machine: SendmailMachine) -> None:
    """Take the newest change back."""
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
