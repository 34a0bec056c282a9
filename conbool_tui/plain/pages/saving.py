"""Where to save the answers, or the transcript of a test; asks before a file is replaced."""

from __future__ import annotations

from typing import Callable

from conbool_tui.errors import ConboolError
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError
from conbool_tui.wizard_state import FieldError, convert
from screens.texts import asked
from screens.texts.lines import error_lines
from screens.texts.saving import ANSWERS, PATH, TRANSCRIPT, Saved, saved_line, transcript


def save_answers(run: Run) -> None:
    """Save the answers as they stand."""
    answers, session = run.state.draft.answers(), run.session
    path = _save(run, ANSWERS, run.state.saved_to, lambda path: session.save_answers(answers, path))
    if path:
        run.state.saved_to = path
        run.state.draft.keep()


def save_transcript(run: Run) -> None:
    """Save the transcript of the last test."""
    session = run.session
    findings, started = list(run.state.findings or ()), run.state.tested_at
    _save(run, TRANSCRIPT, "", lambda path: session.save_text(transcript(findings, started), path))


def _save(run: Run, saved: Saved, known: str, write: Callable[[str], None]) -> str:
    """Ask and write; the path, empty when nothing was written. ``known``: this file may be replaced without asking."""
    run.talk.heading(saved.heading)
    run.talk.say(saved.purpose)
    while True:
        try:
            path = _path(run, known or saved.path)
            if not _may_write(run, path, known):
                continue
            write(path)
        except BackError:
            return ""
        except ConboolError as error:
            run.talk.say(*error_lines(error))
            continue
        run.talk.say(saved_line(path))
        return path


def _path(run: Run, proposed: str) -> str:
    """Raises BackError."""
    while True:
        typed = run.talk.text(["", PATH.label, PATH.help, f"Now: {proposed}"], about=[PATH.help])
        try:
            return str(convert(PATH.form, typed or proposed))
        except FieldError as error:
            run.talk.say(f"x {error}")


def _may_write(run: Run, path: str, known: str) -> bool:
    session = run.session
    exists = path != known and session.path_exists(path)
    return not exists or run.talk.asked(asked.replace_file(path))
