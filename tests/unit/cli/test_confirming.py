"""Changes that wait for confirmation, asking twice, replacing Conbool's addresses: the command line's side."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import pytest

from conbool_tui import cli, log
from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError, ExitCode, UsageError
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, ProgressSink, Receipt
from tests.unit.cli import samples
from tests.unit.cli.test_command_line import ROOT, FakeSession, in_terminal

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ID = "20260101-000000-abcd"


def receipt(state: ChangeState, seconds: float = 60) -> Receipt:
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    shown = until.isoformat() if state is ChangeState.UNCONFIRMED else ""
    return Receipt(ID, "postfix", state, "2026-01-01T00:00:00Z", "", ("One",), (), confirm_by=shown)


class WaitingSession(FakeSession):
    """After apply the change waits; what happens to it then is said by ``ending``."""

    planned: Plan = dataclasses.replace(samples.plan(), confirm_within=60)
    state: Optional[ChangeState] = None
    ending: Optional[ChangeState] = None
    calls: tuple[str, ...] = ()
    answers = Answers(domains=("a.example",), conbool_networks=("198.51.100.0/24",))
    left: float = 60

    def _note(self, call: str) -> None:
        type(self).calls = (*type(self).calls, call)

    def apply(
        self, plan: Plan, progress: Optional[ProgressSink] = None, *, by_probe: bool = False
    ) -> Receipt:
        self._note(f"apply{' by probe' if by_probe else ''}")
        type(self).state = ChangeState.UNCONFIRMED
        return receipt(ChangeState.UNCONFIRMED, self.left)

    def unconfirmed(self) -> Optional[Receipt]:
        if self.ending is not None:
            type(self).state = self.ending
        return receipt(ChangeState.UNCONFIRMED) if self.state is ChangeState.UNCONFIRMED else None

    def confirm(self, change_id: Optional[str] = None) -> Receipt:
        self._note(f"confirm {change_id}")
        if self.state is not ChangeState.UNCONFIRMED:
            raise UsageError("No change waits for confirmation.")
        type(self).state = ChangeState.APPLIED
        return receipt(ChangeState.APPLIED)

    def recover(
        self, progress: Optional[ProgressSink] = None, *, now: bool = False, accept: bool = False
    ) -> Optional[Receipt]:
        self._note(f"recover{' now' if now else ''}")
        type(self).state = ChangeState.ROLLED_BACK
        return receipt(ChangeState.ROLLED_BACK)

    def history(self) -> list[Receipt]:
        return [receipt(self.state)] if self.state else []

    def applied_answers(self) -> Answers:
        return self.answers


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[WaitingSession]:
    made = type("Made", (WaitingSession,), {"calls": (), "state": None})
    monkeypatch.setattr("conbool_tui.session.Session", made)
    monkeypatch.setattr(log, "record", lambda host, text: None)
    return made


def test_unattended_says_how_to_keep_it(
    session: type[WaitingSession], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["apply", "--domains", "a.example", "--yes"]) == ExitCode.DONE
    out, err = capsys.readouterr()
    assert session.calls == ("apply by probe",)
    assert "conbool-tui confirm" in err
    assert f"conbool-tui confirm {ID}" in out
    assert "unless it is confirmed" in " ".join(out.split())
    assert cli.main(["confirm", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["receipt"]["state"] == "applied"
    assert cli.main(["confirm"]) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("ending", "code"),
    [(ChangeState.APPLIED, ExitCode.DONE), (ChangeState.ROLLED_BACK, ExitCode.ROLLED_BACK)],
)
def test_waiting_for_the_outcome(
    session: type[WaitingSession], capsys: pytest.CaptureFixture[str], ending: ChangeState, code: int
) -> None:
    session.ending = ending
    assert cli.main(["apply", "--domains", "a.example", "--yes", "--wait"]) == code
    out, err = capsys.readouterr()
    assert ("was applied" in out) == (code == ExitCode.DONE)
    assert ("was taken back" in err) == (code != ExitCode.DONE)


def test_waiting_takes_back_itself_when_nobody_else_does(
    session: type[WaitingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conbool_tui.commands.confirming._GRACE", -1.0)
    session.left = 0
    assert cli.main(["apply", "--domains", "a.example", "--yes", "--wait"]) == ExitCode.ROLLED_BACK
    assert session.calls == ("apply by probe", "recover")


SCRIPT = """
import sys
from tests.unit.cli.test_confirming import WaitingSession
from conbool_tui import cli, log, session
session.Session = WaitingSession
log.record = lambda host, text: None
{setup}
code = cli.main(['apply', '--domains', 'a.example'])
print('calls', WaitingSession.calls)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("typed", "code", "calls"),
    [
        (b"y\ny\n", ExitCode.DONE, ("apply", f"confirm {ID}")),
        (b"y\nn\n", ExitCode.ROLLED_BACK, ("apply", "recover now")),
    ],
)
def test_asking_on_a_terminal(typed: bytes, code: int, calls: tuple[str, ...]) -> None:
    script = SCRIPT.format(setup="")
    found = in_terminal([sys.executable, "-c", script], typed, PYTHONPATH=str(ROOT))
    assert (found[0], f"calls {calls}" in found[1]) == (code, True), found


def test_nobody_at_the_terminal() -> None:
    script = SCRIPT.format(setup="WaitingSession.left = 0.3; WaitingSession.ending = cli_state = None")
    script = script.replace(
        "code = cli.main",
        "from conbool_tui.commands import confirming\nconfirming._GRACE = 0\ncode = cli.main",
    )
    code, out = in_terminal([sys.executable, "-c", script], b"y\n", PYTHONPATH=str(ROOT))
    assert code == ExitCode.ROLLED_BACK, out
    assert "was taken back" in " ".join(out.split())


@pytest.mark.parametrize(
    ("typed", "applied"), [(b"y\nclose\ny\n", True), (b"y\nyes\n", False), (b"y\n\n", False), (b"n\n", False)]
)
def test_closing_is_asked_twice(typed: bytes, applied: bool) -> None:
    setup = (
        "import dataclasses; WaitingSession.planned = "
        "dataclasses.replace(WaitingSession.planned, ask_again='Mail still comes here directly.')"
    )
    code, out = in_terminal([sys.executable, "-c", SCRIPT.format(setup=setup)], typed, PYTHONPATH=str(ROOT))
    assert ("calls ('apply'" in out) == applied, out
    assert code == (ExitCode.DONE if applied else ExitCode.PENDING)


def test_replacing_the_networks(
    session: type[WaitingSession], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "read_networks", lambda self, path: (("192.0.2.0/24",), ("One merged.",)))
    assert cli.main(["networks", str(tmp_path / "list"), "--yes"]) == ExitCode.DONE
    assert session.planned_for == dataclasses.replace(session.answers, conbool_networks=("192.0.2.0/24",))
    assert session.calls == ("apply by probe",)


def test_replacing_the_networks_from_a_pipe(
    session: type[WaitingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = SimpleNamespace(buffer=io.BytesIO(b"192.0.2.0/25 # one\n192.0.2.128/25\n"), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", piped)
    assert cli.main(["networks", "-", "--yes"]) == ExitCode.DONE
    assert session.planned_for is not None
    assert session.planned_for.conbool_networks == ("192.0.2.0/24",)


def test_replacing_without_recorded_answers(
    session: type[WaitingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: WaitingSession) -> Answers:
        raise CheckFailedError("There are no recorded answers on this server.")

    monkeypatch.setattr(session, "read_networks", lambda self, path: (("192.0.2.0/24",), ()))
    monkeypatch.setattr(session, "applied_answers", none)
    assert cli.main(["networks", "list", "--yes"]) == ExitCode.CHECK_FAILED
    assert session.calls == ()
