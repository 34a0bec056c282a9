"""Edited since: what differs from what was applied; apply it again, or accept it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conbool_tui.errors import ConboolError
from conbool_tui.plain.fields import picked
from conbool_tui.plain.run import GoToError, Run
from conbool_tui.plain.talk import BackError, Option
from screens.texts import actions, asked
from screens.texts.drift import (
    COMPARING,
    NO_SYSTEM,
    READING_ANSWERS,
    RECORDING,
    TITLE,
    accepted_line,
    drift_lines,
    drift_row,
    summary,
)
from screens.texts.lines import error_lines
from screens.texts.versions import VERSIONS

if TYPE_CHECKING:
    from conbool_tui.checks.drift import Drift

_HINT = "A number shows both versions and asks, Enter goes on."


def drift(run: Run) -> None:
    """List what differs, and offer both ways; returns to the step.

    Raises:
        GoToError: to Review, to apply again.
    """
    topic, run.talk.topic = run.talk.topic, "drift"
    run.talk.heading(TITLE)
    try:
        while True:
            found = _compare(run)
            if not found:
                return
            if not _list(run, found):
                continue
            again = "" if run.state.mta is not None else NO_SYSTEM
            options = (
                Option("back", actions.BACK),
                Option("all", actions.ACCEPT_ALL),
                Option("again", actions.APPLY_AGAIN, again),
            )
            chosen = run.talk.menu(options, enter="back")
            if chosen == "back":
                return
            if chosen == "all":
                _accept(run, found)
            else:
                _apply_again(run)
    except BackError:
        return
    finally:
        run.talk.topic = topic


def _compare(run: Run) -> list[Drift]:
    """What differs, which is told."""
    session = run.session
    try:
        found = run.jobs.run(COMPARING, lambda report: list(session.drift()))
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return []
    run.talk.say(summary(found))
    return found


def _list(run: Run, found: list[Drift]) -> bool:
    """Say each, and its versions when wanted. False when something was accepted, so that it is compared again. Raises BackError."""
    while True:
        typed = run.talk.rows([""], [drift_row(item) for item in found], _HINT)
        if not typed:
            return True
        for place in picked(run, typed, len(found), _HINT)[:1]:
            run.talk.say("", VERSIONS)
            run.talk.page(drift_lines(found[place]))
            options = (Option("back", actions.BACK), Option("one", actions.ACCEPT_THIS))
            chosen = run.talk.choose([""], options, enter="back", keys={"a": "one"})
            if chosen == "one" and _accept(run, [found[place]]):
                return False


def _accept(run: Run, items: list[Drift]) -> bool:
    """Ask, and record; whether it was recorded."""
    if not run.talk.asked(asked.accept(items)):
        return False
    run.talk.say(f"{RECORDING} ...")
    try:
        run.session.accept_drift(items)
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return False
    run.state.findings = None
    run.talk.say(accepted_line(len(items)))
    return True


def _apply_again(run: Run) -> None:
    """Ask, and go to Review with the recorded answers. Raises GoToError."""
    if not run.talk.asked(asked.apply_again(draft_lost=run.state.draft.changed)):
        return
    session = run.session
    try:
        answers = run.jobs.run(READING_ANSWERS, lambda report: session.applied_answers())
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return
    run.state.take_answers(answers)
    raise GoToError("review")
