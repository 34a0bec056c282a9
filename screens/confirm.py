"""A change that is live and waits: keep it, take it back, or let the time run out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Optional

from textual.app import ComposeResult

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding
from conbool_tui.receipt import ChangeState, Progress, Receipt
from conbool_tui.wizard_state import now_utc, seconds_left
from screens import work
from screens.base import BaseScreen, elapsed_text
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
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import Text, TextPane

clock: Callable[[], float] = time.time
_LOOK_EVERY = 5
_LATE = 20
_ENDS = (ChangeState.APPLIED, ChangeState.ROLLED_BACK, ChangeState.UNDONE, ChangeState.INCOMPLETE)


class ConfirmScreen(BaseScreen):
    """Counts down once a second in one line. Dismissed with the receipt of how it ended.

    Args:
        receipt: the change that waits.
        answers: what to test with.
        news: what else to say first.
        shown: called once this was on the screen.
    """

    DEFAULT_CSS = "ConfirmScreen #about { margin-top: 1; }"
    help_topic = "confirm"

    def __init__(
        self,
        receipt: Receipt,
        answers: Optional[Answers],
        news: Sequence[Line] = (),
        shown: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self._news = news
        self._shown = shown
        self._receipt = receipt
        self._answers = answers
        self._ticks = 0
        self._late = 0
        self._tested_at = now_utc()
        self._ended: Optional[Receipt] = None
        self._gone = False

    def title_text(self) -> str:
        """The question."""
        return f" conbool-tui   {QUESTION}"

    def body(self) -> ComposeResult:
        """The line that counts, and what waits."""
        yield Text([count_line(self._receipt, self._left)], id="count")
        yield TextPane(BEFORE, [*self._news, *waiting_lines(self._receipt)], id="about")

    def buttons(self) -> Sequence[Button]:
        """The harmless one first; keeping takes a deliberate Tab."""
        return (
            button(actions.TEST_NOW, "test"),
            button(actions.KEEP_IT, "keep"),
            button(actions.TAKE_BACK_NOW, "take"),
        )

    def first_focus(self) -> Optional[str]:
        """Test now."""
        return "#do-test"

    def opened(self) -> None:
        """Begin to count."""
        super().opened()
        self.set_interval(1.0, self.tick)
        self.call_after_refresh(self._shown)

    # --- counting

    @property
    def _left(self) -> int:
        return seconds_left(self._receipt.confirm_by, clock())

    def tick(self) -> None:
        """Once a second: the line that counts; now and then a look whether somebody else decided."""
        if self._ended is not None or self.busy:
            return
        self._ticks += 1
        left = self._left
        self.query_one("#count", Text).show([count_line(self._receipt, left)])
        if left <= 0:
            self._time_is_over()
        if (left <= 0 or self._ticks % _LOOK_EVERY == 0) and self.job("look") is None:
            self._look()

    def _time_is_over(self) -> None:
        self._late += 1
        self.cancel_job("check")
        self.set_reason("test", "the time is over")
        self.query_one("#about", TextPane).show(over_lines(self._receipt), OVER)
        self.set_reason("keep", "the time is over")
        self.set_reason("take", "" if self._late > _LATE else "it is being taken back already")

    def _look(self) -> None:
        session, change = self.wizard.session, self._receipt.id

        def call(report: work.Reporter) -> Optional[Receipt]:
            return next(
                (item for item in session.history() if item.id == change and item.state in _ENDS), None
            )

        self.run_job("look", "", call)

    def done_look(self, receipt: Optional[Receipt], error: Optional[ConboolError]) -> None:
        """The change does not wait any more: somebody kept it, or it was taken back."""
        if error is None and receipt is not None:
            self._end(receipt)

    def _end(self, receipt: Receipt) -> None:
        if self._ended is not None:
            return
        self._ended = receipt
        self.wizard.state.changed_host(receipt)
        self.cancel_job("check")
        # Textual calls a screen current, too, when the one on top has no background of its own.
        if self.app.screen is self:
            self._go()

    def _go(self) -> None:
        if not self._gone:
            self._gone = True
            self.dismiss(self._ended)

    def resumed(self) -> None:
        """It ended while a question or the help was on top."""
        super().resumed()
        if self._ended is not None:
            self._go()

    # --- testing

    def do_test(self) -> None:
        """Run the checks; the clock goes on."""
        session, answers = self.wizard.session, self._answers

        def call(report: work.Reporter) -> list[Finding]:
            return session.check(answers, report, report.cancelled)

        self._tested_at = now_utc()
        self.set_reason("test", "the test is still running")
        self._show_test(self.run_job("check", TESTING, call), "")

    def _show_test(self, job: work.Job, text: str) -> None:
        self.query_one("#about", TextPane).show(
            [Line(elapsed_text(job) + (f": {text}" if text else ""))], "Test"
        )

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Say what is being done."""
        if job.name == "check":
            self._show_test(job, progress.text)
        else:
            self.query_one("#count", Text).show([Line(f"{job.text}: {progress.text}", "title")])

    def done_check(self, findings: Any, error: Optional[ConboolError]) -> None:
        """Show what the test found; the focus stays where it is."""
        self.set_reason("test", "")
        self.query_one("#do-test", Button).set_label(actions.TEST_AGAIN)
        lines = error_lines(error) if error is not None else result_lines(findings)
        self.query_one("#about", TextPane).show(lines, "Test", keep_place=False)
        if error is None:
            self.wizard.state.findings, self.wizard.state.tested_at = list(findings), self._tested_at

    # --- deciding

    @property
    def busy(self) -> bool:
        """True while the decision is being written."""
        return self.job("keep") is not None or self.job("take") is not None

    def _decide(self, name: str, text: str, call: Callable[[work.Reporter], Optional[Receipt]]) -> None:
        if self.busy:
            return
        for other in ("keep", "take"):
            self.set_reason(other, "it is being decided")
        self.cancel_job("look")
        self.query_one("#count", Text).show([Line(f"{text} ...", "title")])
        # Keeping is written by this process, taking back is not.
        self.wizard.shield(self.run_job(name, text, call, shielded=True), here=name == "keep")

    def do_keep(self) -> None:
        """Keep the change."""
        session, change = self.wizard.session, self._receipt.id

        def call(report: work.Reporter) -> Receipt:
            return session.confirm(change)

        self._decide("keep", KEEPING, call)

    def do_take(self) -> None:
        """Take it back at once."""
        session, change = self.wizard.session, self._receipt.id

        def call(report: work.Reporter) -> Optional[Receipt]:
            taken = session.recover(report, now=True)
            return taken or next((item for item in session.history() if item.id == change), None)

        self._decide("take", TAKING, call)

    def done_keep(self, receipt: Optional[Receipt], error: Optional[ConboolError]) -> None:
        """Kept, or why not."""
        self._decided(receipt, error)

    def done_take(self, receipt: Optional[Receipt], error: Optional[ConboolError]) -> None:
        """Taken back, or why not."""
        self._decided(receipt, error)

    def _decided(self, receipt: Optional[Receipt], error: Optional[ConboolError]) -> None:
        if error is None and receipt is not None:
            self._end(receipt)
            return
        for name in ("keep", "take"):
            self.set_reason(name, "")
        if error is not None:
            self.wizard.state.failure = error
            self.query_one("#about", TextPane).show(error_lines(error), FAILED, keep_place=False)
        self.tick()

    # --- leaving

    def action_back(self) -> None:
        """There is no way round the question."""
        if self.busy:
            self.say([Line("! Please wait: a decision being written is not cut off.", "warn")])
        else:
            self.say([DECIDE_FIRST])
