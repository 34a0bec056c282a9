"""Review: everything that would happen, in words and as differences."""

from __future__ import annotations

from conbool_tui.errors import ByHandError, ConboolError
from conbool_tui.plain.pages import history, saving
from conbool_tui.plain.run import GoToError, Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.plan import Plan
from screens.flow import FlowStep
from screens.texts import actions
from screens.texts.diffs import file_lines, live_lines
from screens.texts.summary import FILES, NO_CHANGES, doubt_lines, refused_lines, review_lines

SUMMARY = "Summary"


def review(run: Run, step: FlowStep, *, again: bool) -> None:
    """Plan and tell; returns when Apply comes.

    Raises:
        BackError: back to the step before.
        GoToError: to the test, when there is nothing to apply, or nothing that this program can do itself.
    """
    run.title(step)
    plan, by_hand = _plan(run)
    while True:
        run.talk.topic = step.id
        to_test = by_hand or (plan is not None and plan.empty)
        no_files = NO_CHANGES if plan is None or plan.empty else ""
        no_next = "" if plan or by_hand else "the answers cannot be used yet, see above"
        options = (
            Option("next", actions.NEXT_TEST if to_test else actions.NEXT_APPLY, no_next),
            Option("back", actions.BACK),
            Option("files", actions.FILES, no_files),
            Option("summary", SUMMARY),
            Option("save", actions.SAVE_ANSWERS),
            Option("history", actions.HISTORY),
        )
        chosen = run.talk.menu(options, enter="back" if no_next else "next")
        if chosen == "next":
            if to_test:
                raise GoToError("test")
            return
        if chosen == "back":
            raise BackError
        if chosen == "files" and plan is not None:
            run.talk.heading(FILES)
            run.talk.page([*live_lines(plan.live), *file_lines(plan.files)])
        elif chosen == "summary":
            plan, by_hand = _plan(run)
        elif chosen == "save":
            saving.save_answers(run)
        elif chosen == "history":
            history.history(run)
            if run.state.stale:
                plan, by_hand = _plan(run)


def _plan(run: Run) -> tuple[Plan | None, bool]:
    """The plan, which is told, or None after telling why there is none; and whether it is to be done by hand."""
    state = run.state
    try:
        plan = run.plan()
    except ConboolError as error:
        state.plan = None
        run.talk.page(refused_lines(error))
        return None, isinstance(error, ByHandError)
    state.plan = plan
    assert state.mta is not None
    doubts = doubt_lines(state.draft, state.name_service, state.known_senders)
    run.talk.say("", SUMMARY)
    run.talk.page(review_lines(plan, state.draft.answers(), state.mta, doubts))
    return plan, False
