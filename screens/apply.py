"""Apply: the last question, then progress, then the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from textual.app import ComposeResult

from conbool_tui.errors import ConboolError, RolledBackError
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from screens import work
from screens.base import WizardScreen
from screens.dialogs import TypedQuestion
from screens.flow import FlowStep
from screens.texts import actions
from screens.texts.applying import (
    FIRST_REVIEW,
    LOOK_AGAIN,
    WRITING,
    applied_line,
    applied_lines,
    failure_line,
    phase_line,
    question_lines,
    taken_back_lines,
    taken_back_since,
)
from screens.texts.asked import close_port
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import TextPane


class ApplyScreen(WizardScreen):
    """Runs the transaction. While it runs nothing can cut it off."""

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._phases: list[Line] = []
        self._head = Line("")
        self._in_force: Optional[Receipt] = None

    def body(self) -> ComposeResult:
        """One pane."""
        yield TextPane("Apply", question_lines(self.wizard.state.plan), id="progress")

    def buttons(self) -> Sequence[Button]:
        """The question is asked with the focus on Not yet."""
        return (
            button(actions.NOT_YET, "back"),
            button(actions.APPLY_NOW, "apply"),
            button(actions.NEXT_TEST, "next", "nothing has been applied yet"),
            button(actions.HISTORY, "history"),
        )

    def first_focus(self) -> Optional[str]:
        """Not yet."""
        return "#do-back"

    def resumed(self) -> None:
        """Say so when the change was taken back meanwhile, from the History."""
        super().resumed()
        if self._in_force is not None and self.wizard.state.taken_back(self._in_force.id):
            self._head = taken_back_since(self._in_force)
            self._in_force, self._phases = None, []
            self._draw(Line(LOOK_AGAIN))
            self.set_reason("apply", FIRST_REVIEW)
            self.set_reason("next", "nothing is applied any more")

    # --- the transaction

    @property
    def busy(self) -> bool:
        """True while the change is being written."""
        return self.job("apply") is not None

    def do_apply(self) -> None:
        """Start the transaction; ask a second time where the plan wants it."""
        plan = self.wizard.state.plan
        if plan is None or self.busy:
            return
        if not plan.ask_again:
            self._apply(plan)
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._apply(plan)

        self.app.push_screen(TypedQuestion.of(close_port(plan)), answered)

    def _apply(self, plan: Plan) -> None:
        session = self.wizard.session

        def call(report: ProgressSink) -> Receipt:
            return session.apply(plan, report)

        self._phases = []
        wait = "a change is being written; it ends or puts everything back by itself"
        for name in ("apply", "back", "next", "history"):
            self.set_reason(name, wait)
        self._head = Line(f"{WRITING} (0 s)", "title")
        self._draw()
        self.wizard.shield(self.run_job("apply", WRITING, call, shielded=True))

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self._head = Line(f"{job.text} ({job.elapsed} s)", "title")
        self._draw()

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """One line per phase."""
        self._phases.append(phase_line(progress))
        self._draw()

    def _draw(self, *after: Line) -> None:
        pane = self.query_one("#progress", TextPane)
        pane.show([self._head, Line(""), *self._phases, *after])
        pane.action_scroll_to_edge(1)

    def done_apply(self, receipt: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended."""
        state = self.wizard.state
        for name in ("back", "history"):
            self.set_reason(name, "")
        self.query_one("#do-back", Button).set_label(actions.BACK)
        if error is None and receipt is not None and receipt.state is ChangeState.UNCONFIRMED:
            self._wait_for_confirmation(receipt)
            return
        if error is None and receipt is not None and receipt.state is not ChangeState.APPLIED:
            error = RolledBackError(receipt.message or "The change was not applied.", "", "")
        if error is not None:
            state.failure = error
            self._tell_failure(error)
            self.set_reason("apply", "")
            self.set_reason("next", "nothing has been applied")
            self.query_one("#do-back").focus()
            return
        assert receipt is not None
        state.changed_host(receipt)
        state.findings = None
        self._applied(receipt)

    def _wait_for_confirmation(self, receipt: Receipt) -> None:
        from screens.confirm import ConfirmScreen

        state = self.wizard.state
        state.changed_host(receipt)
        state.findings = None

        def settled(outcome: Optional[Receipt]) -> None:
            if outcome is not None and outcome.state is ChangeState.APPLIED:
                self._applied(outcome)
            elif outcome is not None:
                self._taken_back(outcome)

        self.app.push_screen(ConfirmScreen(receipt, state.draft.answers()), settled)

    def _taken_back(self, receipt: Receipt) -> None:
        (self._head, *rest), self._phases = taken_back_lines(receipt), []
        self._draw(*rest)
        self.set_reason("apply", FIRST_REVIEW)
        self.set_reason("next", "nothing has been applied")
        self.query_one("#do-back").focus()

    def _applied(self, receipt: Receipt) -> None:
        self._in_force = receipt
        self.wizard.state.draft.keep()
        self._head = applied_line(receipt)
        self._draw(*applied_lines(receipt))
        self.set_reason("apply", "it has been applied")
        self.set_reason("next", "")
        self.query_one("#do-next").focus()

    def _tell_failure(self, error: ConboolError) -> None:
        self._head = failure_line(error)
        self._draw(Line(""), *error_lines(error))

    def do_next(self) -> None:
        """On to the test."""
        self.go_on()

    def action_back(self) -> None:
        """Not while a change is being written."""
        if self.busy:
            self.say(
                [
                    Line(
                        "! Please wait: a change being written is not cut off.",
                        "warn",
                    )
                ]
            )
        else:
            super().action_back()
