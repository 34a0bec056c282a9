"""What only guide step B asks: who would be cut off, and the switches that the plan wants confirmed."""

from __future__ import annotations

from collections.abc import Mapping

from conbool_tui.errors import ConboolError
from conbool_tui.plain import fields
from conbool_tui.plain.jobs import StoppedError
from conbool_tui.plain.pages.senders import read
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError
from conbool_tui.wizard_state import YES, Draft, FieldError
from screens.texts import questions
from screens.texts.lines import Line
from screens.texts.questions import EXTRA, ONLY_CLOSED, SWITCHES
from screens.texts.senders import STOPPED, cut_off_line


def hidden(draft: Draft) -> set[str]:
    """The questions that mean nothing with the answers as they stand, or that nobody asks for."""
    found = {key for key in SWITCHES if draft.text(key) != YES}
    if not draft.closes_port_25:
        found.update(ONLY_CLOSED)
        if draft.text(EXTRA).strip():
            found.discard(EXTRA)
    return found


def told_who(run: Run) -> None:
    """After port 25 is to be closed: who would be cut off, from the mail log unless it was read already."""
    state = run.state
    if not state.draft.closes_port_25:
        return
    trouble = None
    if state.known_senders is None:
        try:
            read(run)
        except StoppedError:
            run.talk.say(STOPPED)
        except ConboolError as error:
            trouble = error
    run.talk.say(cut_off_line(state.known_senders, state.draft.lets_in, trouble))


def confirm(run: Run, asked: Mapping[str, FieldError]) -> bool:
    """Ask what the plan wants confirmed; whether all of it was."""
    for key, reason in asked.items():
        try:
            fields.ask_switch(run, key, reason)
        except BackError:
            return False
    left = [key for key in asked if run.state.draft.text(key) != YES]
    for key in left:
        run.talk.say(Line(f"x {questions.label(key)}: {asked[key]}", hang=2))
    return not left
