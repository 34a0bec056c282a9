"""Who would be cut off: the present senders on port 25, and letting them in."""

from __future__ import annotations

from conbool_tui.errors import ConboolError
from conbool_tui.plain.fields import picked
from conbool_tui.plain.jobs import CANCEL, Reporter, StoppedError
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.present_senders import SenderReport
from conbool_tui.receipt import Progress
from screens.texts import actions
from screens.texts.lines import error_lines
from screens.texts.senders import (
    HELD,
    READING,
    STOPPED,
    TITLE,
    remarks,
    rows,
    sender_lines,
    summary,
    when_closed,
)

_HINT = "A number says more about a sender, and lets it in; Enter goes on."


def read(run: Run) -> None:
    """Read the mail log for the answers as they stand, and keep what it says.

    Raises:
        ConboolError: it cannot be read.
        StoppedError: the admin stopped it.
    """
    state, session = run.state, run.session
    answers, facts = when_closed(state.draft.answers()), state.facts
    doing = ""

    def call(report: Reporter) -> SenderReport:
        found = facts if facts is not None else session.detect(answers.instance)
        return session.senders(answers, found, report.cancelled, report.tell)

    def progressed(progress: Progress) -> None:
        nonlocal doing
        share = f", {100 * progress.done // progress.total} %" if progress.total else ""
        doing = f": {progress.text}{share}"

    def waiting(seconds: int) -> str:
        return f"{READING} ({seconds} s){doing}"

    state.keep_senders(run.jobs.run(READING, call, stop=CANCEL, on_progress=progressed, waiting=waiting))


def senders(run: Run) -> None:
    """The list of senders; returns to the step."""
    run.talk.topic = "senders"
    run.talk.heading(TITLE)
    if run.state.known_senders is None:
        _read(run)
    options = (
        Option("back", actions.BACK),
        Option("list", actions.LET_IN),
        Option("again", actions.READ_AGAIN),
    )
    try:
        _list(run)
        while True:
            chosen = run.talk.menu(options, enter="back")
            if chosen == "back":
                return
            if chosen == "again":
                _read(run)
            _list(run)
    except BackError:
        return


def _read(run: Run) -> None:
    try:
        read(run)
    except StoppedError:
        run.talk.say(STOPPED)
    except ConboolError as error:
        run.talk.say(*error_lines(error))


def _list(run: Run) -> None:
    """Say all senders and let some in until Enter is pressed. Raises BackError."""
    state = run.state
    while state.known_senders is not None:
        report = state.known_senders
        head, texts, _ = rows(report.senders, state.draft.lets_in)
        run.talk.say(summary(report, state.draft.lets_in), *remarks(report))
        if not texts:
            return
        typed = run.talk.rows([head], texts, _HINT)
        if not typed:
            return
        for place in picked(run, typed, len(texts), _HINT):
            _one(run, report, place)


def _one(run: Run, report: SenderReport, place: int) -> None:
    sender, draft = report.senders[place], run.state.draft
    inside = sender.cut_off and draft.lets_in(sender.address)
    run.talk.say("", *sender_lines(sender, inside))
    reason = "" if sender.cut_off else "it may connect already"
    options = (
        Option("let", actions.TAKE_OUT if inside else actions.LET_IN, reason),
        Option("back", actions.BACK),
    )
    try:
        if run.talk.choose([""], options, enter="back" if reason else "let") == "back":
            return
    except BackError:
        return
    draft.let_in(sender.address, not inside)
    if inside and draft.lets_in(sender.address):
        run.talk.say(HELD)
