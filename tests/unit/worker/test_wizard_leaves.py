"""The wizard whose terminal is gone: it leaves a change to its worker, and waits for one that it writes itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import pytest

from conbool_tui import app as app_module
from conbool_tui import log
from conbool_tui.app import WizardApp
from conbool_tui.receipt import ChangeState, Receipt
from screens.ports import WizardSession
from screens.work import Job


class Left(BaseException):
    """The process would be gone."""


class Fake:
    """A session by whether a process of its own does the work."""

    def __init__(self, detached: bool) -> None:
        self.detached = detached


@pytest.fixture
def end() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def leave(code: int) -> NoReturn:
        raise Left(code)

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(log, "record", lambda host, text: found.append(text))
    return found


def at_work(session: Any, end: threading.Event, *, here: bool = False) -> WizardApp:
    app = WizardApp(cast("WizardSession", session))
    app.open_session()
    job = Job("apply", "Applying", shielded=True)
    job.thread = threading.Thread(target=end.wait)
    job.thread.start()
    app.shield(job, here=here)
    return app


def test_it_leaves_the_change_to_its_worker(said: list[str], end: threading.Event) -> None:
    app = at_work(Fake(True), end)
    app.wait_for_change()
    assert app.shielded_job is not None, "it did not wait"
    with pytest.raises(Left, match="129"):
        app.leave_watching(129)
    assert "goes on by itself" in said[0]


@pytest.mark.parametrize(("detached", "here"), [(False, False), (True, True)])
def test_it_finishes_what_it_writes_itself(
    said: list[str], end: threading.Event, detached: bool, here: bool
) -> None:
    """Below another root everything; on the running system the decision to keep a change, for one."""
    app = at_work(Fake(detached), end, here=here)
    app.leave_watching(129)
    assert said == []
    threading.Timer(0.1, end.set).start()
    app.wait_for_change()
    assert app.shielded_job is None


def test_without_a_change_there_is_nothing_to_say(said: list[str], end: threading.Event) -> None:
    end.set()
    app = at_work(Fake(True), end)
    app.wait_for_change()
    thread = app._shielded
    assert thread is not None
    assert thread.thread is not None
    thread.thread.join()
    app.leave_watching(129)
    assert said == []


class Missing(Fake):
    """A session in which something ended while nobody watched."""

    def __init__(self) -> None:
        super().__init__(True)
        self.marked = 0

    def unseen(self) -> Receipt:
        return Receipt("20250101-0000-zz", "postfix", ChangeState.APPLIED, "", "2025-01-02T03:04:09Z", (), ())

    def seen(self) -> None:
        self.marked += 1


@pytest.mark.parametrize("told", [True, False])
def test_the_scrollback_says_only_what_no_screen_said(capsys: pytest.CaptureFixture[str], told: bool) -> None:
    session = Missing()
    app = WizardApp(cast("WizardSession", session))
    app_module._tell_unseen(app)
    assert session.marked == 0, "nothing was looked up before the session was there"
    app.open_session()
    app.state.told = told
    app_module._tell_unseen(app)
    assert session.marked == 1
    said = " ".join(capsys.readouterr().err.split())
    assert ("While you were away: change 20250101-0000-zz was applied" in said) is not told
