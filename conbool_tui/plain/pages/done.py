"""Done: what to type into the Setup Assistant, and how to take everything back."""

from __future__ import annotations

from conbool_tui.plain.pages import history, saving
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from screens.flow import FlowStep
from screens.texts import actions
from screens.texts.summary import done_lines


def done(run: Run, step: FlowStep, *, again: bool) -> None:
    """The last step; ends by leaving.

    Raises:
        BackError: back to the test.
        LeftError: the admin leaves.
    """
    run.title(step)
    state = run.state
    assert state.mta is not None
    answers = state.draft.answers()
    relay_host = answers.inbound.relay_host or state.mta.host_name
    run.talk.page(done_lines(answers, state.mta, state.last_applied, relay_host))
    options = (
        Option("leave", actions.FINISH),
        Option("save", actions.SAVE_ANSWERS),
        Option("history", actions.HISTORY),
        Option("back", actions.BACK),
    )
    while True:
        run.talk.topic = step.id
        chosen = run.talk.menu(options, enter="leave")
        if chosen == "leave":
            run.leave()
        elif chosen == "save":
            saving.save_answers(run)
        elif chosen == "history":
            history.history(run)
        else:
            raise BackError
