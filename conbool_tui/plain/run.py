"""One run of the wizard in lines: what all its pages share, and the way from one to the next."""

from __future__ import annotations

import errno
from typing import Callable, Optional

from conbool_tui.answers import Answers
from conbool_tui.facts import HostFacts
from conbool_tui.plain.console import Console
from conbool_tui.plain.jobs import Jobs, Reporter
from conbool_tui.plain.keyboard import GoneError, Keyboard
from conbool_tui.plain.talk import Talk
from conbool_tui.plan import Plan
from conbool_tui.receipt import Progress, ProgressSink, Receipt
from conbool_tui.wizard_state import WizardState
from screens.flow import FlowStep, counter
from screens.ports import WizardSession
from screens.texts import asked
from screens.texts.lines import Line
from screens.texts.summary import WORKING

SessionSource = Callable[[], WizardSession]


class LeftError(Exception):
    """The admin leaves."""


class GoToError(Exception):
    """Another step comes next, named by its id."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


class Run:
    """What the pages work with.

    Args:
        source: makes the session at the first look.
        answers: where the questions begin.
    """

    def __init__(
        self, source: SessionSource, answers: Optional[Answers], console: Console, keyboard: Keyboard
    ) -> None:
        self.state = WizardState(answers)
        self.console = console
        self.keyboard = keyboard
        self.talk = Talk(console, keyboard, self.leave)
        self.jobs = Jobs(console, keyboard)
        self.applied: Optional[tuple[Plan, Receipt]] = None
        """The plan that was applied last in this run, and its receipt."""
        self._source = source
        self._session: Optional[WizardSession] = None

    @property
    def session(self) -> WizardSession:
        """The session; made at the first call."""
        if self._session is None:
            self._session = self._source()
        return self._session

    @property
    def opened(self) -> bool:
        """Whether the session was made."""
        return self._session is not None

    def title(self, step: FlowStep) -> None:
        """Say which step this is."""
        self.talk.topic = step.id
        self.talk.heading(counter(step))

    def leave(self) -> None:
        """Leave, after asking when something would be lost; returns when the admin stays. Raises LeftError."""
        if not self.state.pending or self._leaving():
            raise LeftError

    def _leaving(self) -> bool:
        # Asked by a talk of its own, whose q leaves at once: a second q is a clear answer.
        return Talk(self.console, self.keyboard, _left).asked(asked.leave(self.state))

    # --- work

    def plan(self) -> Plan:
        """The plan for the answers as they stand.

        Raises:
            ConboolError: there is none.
            GoneError: nobody is there any more.
        """
        state, session = self.state, self.session
        answers, known, stale = state.draft.answers(), state.facts, state.stale

        def call(report: Reporter) -> tuple[Plan, Optional[HostFacts]]:
            facts = session.detect(answers.instance) if stale else known
            return session.plan(answers, facts), facts

        plan, self.state.facts = self.jobs.run(WORKING, call)
        self.state.stale = False
        return plan

    def teller(self, line: Callable[[Progress], Line]) -> ProgressSink:
        """What tells the steps of a change. It raises OSError when the terminal is gone: the change goes on, and the next start tells
        how it ended.
        """

        def tell(progress: Progress) -> None:
            try:
                self.console.say(line(progress))
            except GoneError:
                raise OSError(errno.EIO, "the terminal is gone") from None

        return tell


def _left() -> None:
    raise LeftError
