"""A guide step: its questions one after the other, then what to do with the answers."""

from __future__ import annotations

import contextlib

from conbool_tui.errors import ByHandError, ConboolError
from conbool_tui.plain import fields
from conbool_tui.plain.console import Text
from conbool_tui.plain.pages import history, inbound, loading, saving, senders
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from screens.flow import FlowStep
from screens.texts import actions, questions
from screens.texts.diffs import NOT_IN_PREVIEW, PREVIEW, step_lines
from screens.texts.lines import Line, error_lines


def form(run: Run, step: FlowStep, *, again: bool) -> None:
    """Ask, then offer what leads on; returns when the next step comes.

    Args:
        again: the admin was here before: the questions are not asked one by one.

    Raises:
        BackError: back to the step before.
    """
    run.title(step)
    run.talk.say(*_intro(run, step))
    if not again:
        _ask_all(run, step)
    while True:
        run.talk.topic = step.id
        chosen = run.talk.menu(_options(step), enter="next")
        if chosen == "next":
            if _may_go_on(run, step):
                return
        elif chosen == "back":
            raise BackError
        elif chosen == "preview":
            _preview(run, step)
        elif chosen == "change":
            _change(run, step)
        elif chosen == "load":
            loading.load(run)
        elif chosen == "senders":
            senders.senders(run)
        elif chosen == "history":
            history.history(run)
        elif chosen == "save":
            saving.save_answers(run)


def _intro(run: Run, step: FlowStep) -> list[Text]:
    if step.id == "loop":
        return [questions.addresses_line(run.state), questions.ALWAYS_DIRECT]
    text = {"release": questions.RELEASE, "scope": questions.SCOPE}.get(step.id)
    return [text] if text else []


def _options(step: FlowStep) -> list[Option]:
    extra = (
        [Option("load", actions.LOAD_LIST), Option("senders", actions.WHO_IS_CUT_OFF)]
        if step.id == "inbound"
        else []
    )
    return [
        Option("next", actions.NEXT),
        Option("back", actions.BACK),
        Option("preview", PREVIEW),
        Option("change", actions.CHANGE_ANSWER),
        *extra,
        Option("save", actions.SAVE_ANSWERS),
        Option("history", actions.HISTORY),
    ]


# --- asking


def shown(run: Run, step: FlowStep) -> list[str]:
    """The questions that mean something with the answers as they stand."""
    draft = run.state.draft
    hidden: set[str] = set()
    if step.id == "inbound":
        hidden = inbound.hidden(draft)
    elif draft.text("spam.action") != "folder":
        hidden = {"spam.folder"}
    if step.id == "scope" and draft.text("scope.mode") != "senders":
        hidden = {"scope.senders"}
    return [key for key in questions.KEYS[step.id] if key not in hidden]


def _ask_all(run: Run, step: FlowStep) -> None:
    """Raises BackError: before the first question."""
    index = 0
    while index < len(shown(run, step)):
        key = shown(run, step)[index]
        try:
            ask(run, key)
        except BackError:
            if index == 0:
                raise
            index -= 1
        else:
            index = shown(run, step).index(key) + 1


def ask(run: Run, key: str) -> None:
    """Ask one question, with what belongs to its answer. Raises BackError."""
    fields.ask(run, key)
    if key == questions.CLOSE:
        inbound.told_who(run)


def _change(run: Run, step: FlowStep) -> None:
    keys = shown(run, step)
    options = [Option(key, f"{questions.label(key)}: {fields.present(run, key)}") for key in keys]
    try:
        ask(run, run.talk.choose(["", actions.CHANGE_ANSWER], options, enter=keys[0]))
        # What means something only since then has not been asked.
        for key in shown(run, step):
            if key not in keys:
                ask(run, key)
    except BackError:
        return


# --- the plan


def _preview(run: Run, step: FlowStep) -> None:
    """Say what this step adds."""
    run.talk.heading(PREVIEW)
    try:
        plan = run.plan()
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return
    assert step.guide_step is not None
    wrong = [NOT_IN_PREVIEW] if run.state.draft.errors(questions.KEYS[step.id]) else []
    run.talk.page([*wrong, *step_lines(plan, step.guide_step)])


def _may_go_on(run: Run, step: FlowStep) -> bool:
    """Whether all answers of this step can be used; else the first that cannot is asked again."""
    wrong = run.state.draft.errors(questions.KEYS[step.id])
    for key, error in wrong.items():
        run.talk.say(Line(f"x {questions.label(key)}: {error.what} {error.todo}", hang=2))
    if wrong:
        _ask_again(run, next(iter(wrong)))
        return False
    return _plan_goes_on(run, step)


def _plan_goes_on(run: Run, step: FlowStep) -> bool:
    """Whether the plan refuses none of this step's answers; what it wants confirmed is asked."""
    while True:
        try:
            run.plan()
        except ByHandError:
            # What to set by hand is told in Review, once everything is answered.
            return True
        except ConboolError as error:
            asked = questions.asked_for(error, run.state.draft) if step.id == "inbound" else {}
            if not asked:
                run.talk.say(*error_lines(error))
                refused = questions.refused(questions.KEYS[step.id], error)
                if refused:
                    _ask_again(run, refused[0])
                return not refused
            if not inbound.confirm(run, asked):
                return False
        else:
            return True


def _ask_again(run: Run, key: str) -> None:
    with contextlib.suppress(BackError):
        ask(run, key)
