"""A change that is live and waits: keep it, take it back, or let the time run out. Nothing is redrawn: the time left is said at long
intervals.
"""

from __future__ import annotations

import time
from typing import Callable, Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding
from conbool_tui.plain.jobs import STOP, Reporter, StoppedError
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.receipt import ChangeState, Progress, Receipt
from conbool_tui.wizard_state import now_utc, seconds_left
from screens import looking
from screens.texts import actions
from screens.texts.countdown import (
    BEFORE,
    DECIDE_FIRST,
    FAILED,
    KEEPING,
    OVER,
    QUESTION,
    TAKING,
    TESTING,
    count_line,
    over_lines,
    result_lines,
    waiting_lines,
)
from screens.texts.findings import STOPPED
from screens.texts.lines import Line, error_lines

clock: Callable[[], float] = time.time
_SAID_AT = (30, 10)
"""Seconds before the end at which the time left is said once more."""
_EVERY = 120
"""Seconds between two such lines while there is more time."""
_LOOK_EVERY = 5
_LATE = 20
_ENDS = (ChangeState.APPLIED, ChangeState.ROLLED_BACK, ChangeState.UNDONE, ChangeState.INCOMPLETE)


class _EndedError(Exception):
    """The change does not wait any more."""


class _OverError(Exception):
    """The time is over: the question is another one now."""


def confirm(run: Run, receipt: Receipt, answers: Optional[Answers]) -> Receipt:
    """Ask until it is decided, by the admin here, by somebody else, or by the clock.

    Args:
        receipt: the change that waits.
        answers: what to test with.

    Returns:
        how it ended.

    Raises:
        GoneError, LeftError: nobody decides here any more; it is taken back without this program.
    """
    topic, run.talk.topic = run.talk.topic, "confirm"
    try:
        return _Countdown(run, receipt, answers).decide()
    finally:
        run.talk.topic = topic


class _Countdown:
    def __init__(self, run: Run, receipt: Receipt, answers: Optional[Answers]) -> None:
        self._run = run
        self._receipt = receipt
        self._answers = answers
        self._ended: Optional[Receipt] = None
        self._over = False
        self._tested = False
        self._looked = clock()
        self._next = self._left

    @property
    def _left(self) -> int:
        return seconds_left(self._receipt.confirm_by, clock())

    def decide(self) -> Receipt:
        talk = self._run.talk
        talk.heading(QUESTION)
        talk.say(count_line(self._receipt, self._left), "", BEFORE, *waiting_lines(self._receipt))
        self._plan_next()
        while self._ended is None:
            try:
                self._one()
            except BackError:
                talk.say(DECIDE_FIRST)
            except _OverError:
                continue
            except _EndedError:
                break
        assert self._ended is not None
        self._run.state.changed_host(self._ended)
        return self._ended

    def _one(self) -> None:
        """One question and what it asks for. Raises _EndedError, BackError."""
        over = "the time is over" if self._over else ""
        late = "" if not self._over or self._late else "it is being taken back already"
        options = (
            Option("test", actions.TEST_AGAIN if self._tested else actions.TEST_NOW, over),
            Option("keep", actions.KEEP_IT, over),
            Option("take", actions.TAKE_BACK_NOW, late),
        )
        chosen = self._run.talk.choose(
            ["", QUESTION], options, enter="test", fresh=True, tick=self._tick_and_ask
        )
        if chosen == "test":
            self._test()
        elif chosen == "keep":
            self._keep()
        else:
            self._take()

    # --- the clock

    @property
    def _late(self) -> bool:
        return self._left <= 0 and clock() - self._looked_over > _LATE

    _looked_over = 0.0

    def _plan_next(self) -> None:
        left = self._left
        later = [moment for moment in _SAID_AT if moment < left]
        self._next = max([left - _EVERY, *later]) if later else 0

    def _tick_and_ask(self) -> bool:
        over, late = self._over, self._late
        said = self._tick()
        if (self._over, self._late) != (over, late):
            raise _OverError
        return said

    def _tick(self) -> bool:
        """Say the time left now and then, and look whether somebody else decided; whether something was said. Raises _EndedError."""
        left, said = self._left, False
        if left <= 0 and not self._over:
            self._over, self._looked_over = True, clock()
            said = True
            self._run.talk.say("", OVER, *over_lines(self._receipt))
        elif not self._over and left <= self._next:
            said = True
            self._run.talk.say("", count_line(self._receipt, left))
            self._plan_next()
        if self._over or clock() - self._looked >= _LOOK_EVERY:
            self._looked = clock()
            self._look()
        return said

    def _look(self) -> None:
        try:
            found = looking.find(self._run.session.history(), self._receipt.id)
        except ConboolError:
            return
        if found is not None and found.state in _ENDS:
            self._ended = found
            raise _EndedError

    # --- testing

    def _test(self) -> None:
        """Run the checks; the clock goes on, and its end ends them. Raises _EndedError."""
        run, answers = self._run, self._answers
        session, started = run.session, now_utc()

        def call(report: Reporter) -> list[Finding]:
            return session.check(answers, report, report.cancelled)

        def tick() -> None:
            self._tick()
            if self._over:
                raise StoppedError

        run.talk.say(f"{TESTING} ...")
        try:
            findings = run.jobs.run(TESTING, call, stop=STOP, tick=tick)
        except StoppedError:
            run.talk.say(STOPPED)
            return
        except ConboolError as error:
            run.talk.say(*error_lines(error))
            return
        self._tested = True
        run.state.findings, run.state.tested_at = list(findings), started
        run.talk.say("", *result_lines(findings), count_line(self._receipt, self._left))
        self._plan_next()

    # --- deciding

    def _keep(self) -> None:
        run, change = self._run, self._receipt.id
        run.talk.say(f"{KEEPING} ...")
        self._decided(lambda: run.session.confirm(change))

    def _take(self) -> None:
        run, change = self._run, self._receipt.id
        tell = run.teller(_taking_line)
        run.talk.say(f"{TAKING} ...")
        self._decided(
            lambda: run.session.recover(tell, now=True) or looking.find(run.session.history(), change)
        )

    def _decided(self, call: Callable[[], Optional[Receipt]]) -> None:
        try:
            self._ended = call()
        except ConboolError as error:
            self._run.state.failure = error
            self._run.talk.say(FAILED, *error_lines(error))
            self._tick()


def _taking_line(progress: Progress) -> Line:
    return Line(f"{TAKING}: {progress.text}")
