"""Apply: the last question, then progress, then the result."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError, RolledBackError
from conbool_tui.plain.pages import confirm, history
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, Receipt
from screens.flow import FlowStep
from screens.texts import actions, asked
from screens.texts.applying import (
    FIRST_REVIEW,
    LOOK_AGAIN,
    WRITING,
    applied_line,
    applied_lines,
    failure_lines,
    phase_line,
    question_lines,
    taken_back_lines,
    taken_back_since,
)


class Apply:
    """One visit of the step."""

    def __init__(self, run: Run, step: FlowStep) -> None:
        self._run = run
        self._step = step
        self._in_force: Optional[Receipt] = None
        self._tried = False
        self._old_plan = False

    def show(self) -> None:
        """Ask, apply, and tell how it ended; returns when the test comes.

        Raises:
            BackError: back to Review.
            GoneError, LeftError: as everywhere.
        """
        run = self._run
        run.title(self._step)
        plan = run.state.plan
        if run.applied is not None and run.applied[0] is plan:
            self._back_here(run.applied[1])
        else:
            run.talk.page(question_lines(plan))
        while True:
            run.talk.topic = self._step.id
            chosen = run.talk.choose(
                ["", "What next?"], self._options(), enter="next" if self._in_force else "back", fresh=True
            )
            if chosen == "next":
                return
            if chosen == "back":
                raise BackError
            if chosen == "history":
                self._history()
            elif plan is not None and (not plan.ask_again or run.talk.asked(asked.close_port(plan))):
                self._apply(plan)

    def _back_here(self, receipt: Receipt) -> None:
        """This plan was applied already."""
        self._tried = True
        if self._run.state.taken_back(receipt.id):
            self._run.talk.say(taken_back_since(receipt), LOOK_AGAIN)
            self._old_plan = True
        else:
            self._in_force = receipt
            self._run.talk.say(applied_line(receipt), *applied_lines(receipt))

    def _options(self) -> list[Option]:
        applied = self._in_force is not None
        back = actions.BACK if self._tried else actions.NOT_YET
        reason = FIRST_REVIEW if self._old_plan else "it has been applied" if applied else ""
        if self._run.state.plan is None:
            reason = reason or "there is nothing to apply"
        return [
            Option("back", back),
            Option("apply", actions.APPLY_NOW, reason),
            Option("next", actions.NEXT_TEST, "" if applied else "nothing has been applied yet"),
            Option("history", actions.HISTORY),
        ]

    def _history(self) -> None:
        run = self._run
        history.history(run)
        if self._in_force is not None and run.state.taken_back(self._in_force.id):
            receipt, self._in_force = self._in_force, None
            self._back_here(receipt)

    def _apply(self, plan: Plan) -> None:
        run, state = self._run, self._run.state
        run.talk.say("", WRITING)
        self._tried = True
        try:
            receipt = run.session.apply(plan, run.teller(phase_line))
            if receipt.state not in (ChangeState.APPLIED, ChangeState.UNCONFIRMED):
                raise RolledBackError(receipt.message or "The change was not applied.", "", "")
        except ConboolError as error:
            state.failure = error
            run.talk.say(*failure_lines(error))
            return
        state.changed_host(receipt)
        state.findings = None
        if receipt.state is ChangeState.UNCONFIRMED:
            receipt = confirm.confirm(run, receipt, state.draft.answers())
        if receipt.state is not ChangeState.APPLIED:
            self._old_plan = True
            run.talk.say(*taken_back_lines(receipt))
            return
        self._in_force = receipt
        run.applied = (plan, receipt)
        state.draft.keep()
        run.talk.say(applied_line(receipt), *applied_lines(receipt))
