"""What was edited since a change: for each, keep it or put back the value from before."""

from __future__ import annotations

from typing import Optional

from conbool_tui.plain.fields import picked
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from screens.texts import actions
from screens.texts.conflicts import (
    KEEP,
    PUT_BACK,
    TITLE,
    conflict_lines,
    conflict_row,
    intro_lines,
    meaning,
    name_of,
)
from screens.texts.versions import VERSIONS
from screens.undoing import Undo

Chosen = dict[tuple[str, str], str]
EACH = "Choose for each"
_HINT = "A number shows all three versions and asks; Enter goes on."


def decide(run: Run, undo: Undo) -> Optional[Chosen]:
    """The choices; None when the admin goes back. What nobody chose about is kept: that loses nothing."""
    topic, run.talk.topic = run.talk.topic, "conflicts"
    choices: Chosen = {item.at: undo.choices.get(item.at, KEEP) for item in undo.conflicts}
    options = (
        Option("each", EACH),
        Option("undo", actions.UNDO),
        Option("keep", actions.KEEP_ALL),
        Option("put", actions.PUT_BACK_ALL),
        Option("back", actions.CANCEL),
    )
    run.talk.heading(TITLE)
    run.talk.say(*intro_lines(undo.receipt, undo.conflicts, undo.again))
    enter = "each"
    try:
        while True:
            _list(run, undo, choices)
            chosen = run.talk.menu(options, enter=enter)
            if chosen == "undo":
                return choices
            if chosen == "back":
                return None
            if chosen == "each":
                _each(run, undo, choices, range(len(undo.conflicts)))
                enter = "undo"
            else:
                choices = dict.fromkeys(choices, KEEP if chosen == "keep" else PUT_BACK)
    except BackError:
        return None
    finally:
        run.talk.topic = topic


def _list(run: Run, undo: Undo, choices: Chosen) -> None:
    """Say what was chosen so far; a number chooses for one. Raises BackError."""
    while True:
        rows = [conflict_row(item, choices[item.at], again=item.at in undo.again) for item in undo.conflicts]
        typed = run.talk.rows([""], rows, _HINT)
        if not typed:
            return
        _each(run, undo, choices, picked(run, typed, len(rows), _HINT))


def _each(run: Run, undo: Undo, choices: Chosen, places: range | list[int]) -> None:
    """All versions of these, and the choice; going back keeps what was chosen so far."""
    options = (Option(KEEP, actions.KEEP_MINE), Option(PUT_BACK, actions.PUT_BACK))
    name = name_of(undo.receipt)
    for place in places:
        item = undo.conflicts[place]
        run.talk.say("", VERSIONS, f"{place + 1} of {len(undo.conflicts)}")
        run.talk.page(conflict_lines(item, choices[item.at], name, again=item.at in undo.again))
        try:
            choices[item.at] = run.talk.choose(
                [""],
                options,
                enter=choices[item.at],
                kept=True,
                fresh=True,
                keys={"k": KEEP, "p": PUT_BACK},
            )
        except BackError:
            return
        run.talk.say(meaning(choices[item.at], name))
