"""The wizard in lines from its first word to its last."""

from __future__ import annotations

import contextlib
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.plain.console import Console
from conbool_tui.plain.keyboard import GoneError, Keyboard, TerminalKeyboard
from conbool_tui.plain.pages.apply import Apply
from conbool_tui.plain.pages.done import done
from conbool_tui.plain.pages.form import form
from conbool_tui.plain.pages.prerequisites import prerequisites
from conbool_tui.plain.pages.review import review
from conbool_tui.plain.pages.testing import testing
from conbool_tui.plain.pages.welcome import Welcome
from conbool_tui.plain.run import GoToError, LeftError, Run, SessionSource
from conbool_tui.plain.talk import BackError
from screens import glyphs
from screens.flow import FLOW, FlowStep, after

TERMINAL_GONE = 129
GREETING = "Enter keeps what is there, ? helps, < goes back, q leaves. ?? explains how to answer."
_PAGES = {"prerequisites": prerequisites, "review": review, "test": testing, "done": done}


def run_plain(
    source: SessionSource,
    answers: Optional[Answers] = None,
    *,
    console: Optional[Console] = None,
    keyboard: Optional[Keyboard] = None,
) -> int:
    """Run the wizard in lines, and say at its end what it did.

    Args:
        source: makes the session.
        answers: where the questions begin.
        console: where it is said, by default standard error.
        keyboard: where answers come from, by default standard input.

    Returns:
        The exit code (``ExitCode``), 129 when the terminal is lost.

    Raises:
        KeyboardInterrupt: interrupted; the summary has been said.
        SystemExit: told to end while a change is under way, which goes on without this process.
        Exception: an unforeseen error ended the run; the summary has been said.
    """
    glyphs.use(glyphs.ASCII)
    run = Run(source, answers, console or Console(), keyboard or TerminalKeyboard())
    try:
        with contextlib.suppress(LeftError):
            _walk(run)
    except GoneError:
        if run.keyboard.lost():
            return TERMINAL_GONE
    except (KeyboardInterrupt, Exception):
        with contextlib.suppress(GoneError):
            _farewell(run)
        raise
    try:
        _tell_unseen(run)
        _farewell(run)
    except GoneError:
        return TERMINAL_GONE
    return run.state.exit_code


def _walk(run: Run) -> None:
    """From step to step. Raises LeftError, GoneError."""
    run.talk.say("conbool-tui", GREETING)
    stack: list[FlowStep] = [FLOW[0]]
    walked: set[str] = set()
    back = False
    while True:
        step = stack[-1]
        try:
            _show(run, step, again=back or step.id in walked)
            walked.add(step.id)
            following: Optional[FlowStep] = after(step)
        except GoToError as found:
            following = next(other for other in FLOW if other.id == found.step)
        except BackError:
            stack.pop()
            back = True
            continue
        back = False
        assert following is not None
        stack.append(following)


def _show(run: Run, step: FlowStep, *, again: bool) -> None:
    if step.id == "welcome":
        Welcome(run, step).show()
    elif step.id == "apply":
        Apply(run, step).show()
    elif step.id in _PAGES:
        _PAGES[step.id](run, step, again=again)
    else:
        form(run, step, again=again)


def _tell_unseen(run: Run) -> None:
    """Note what was said as seen; say how a change ended while nobody watched when no step came to that."""
    if not run.opened:
        return
    from conbool_tui import render

    with contextlib.suppress(ConboolError):
        missed = None if run.state.told else run.session.unseen()
        if missed is not None:
            run.console.say(render.unseen_text(missed))
        run.session.seen()


def _farewell(run: Run) -> None:
    """What the run did."""
    if not run.opened:
        return
    from conbool_tui.log import FILE

    run.console.say("", *run.state.farewell(run.session.state_dir, FILE))
