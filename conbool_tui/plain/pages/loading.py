"""Load networks from a list file into one of the fields of step B."""

from __future__ import annotations

from conbool_tui.errors import ConboolError
from conbool_tui.plain.jobs import Reporter
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.wizard_state import FIELDS, FieldError, convert
from screens.texts import actions, loading, questions
from screens.texts.lines import error_lines


def load(run: Run) -> None:
    """Ask for the file, say what is in it, and use it for the field that is meant; returns to the step."""
    run.talk.heading(loading.TITLE)
    run.talk.say(loading.INTRO)
    try:
        while True:
            path = _path(run)
            if not path:
                return
            networks = _read(run, path)
            if networks:
                break
        targets = [Option(key, FIELDS[key].label) for key in questions.LOAD_TARGETS]
        target = run.talk.choose(["", questions.IT_REPLACES], targets, enter=questions.LOAD_TARGETS[0])
        options = (Option("use", actions.USE_LIST), Option("back", actions.BACK))
        if run.talk.choose([""], options, enter="use") == "use":
            run.state.draft.set(target, ", ".join(networks))
    except BackError:
        return


def _path(run: Run) -> str:
    """The path, empty to go back. Raises BackError."""
    spec = loading.PATH
    while True:
        typed = run.talk.text(["", spec.label, f"Enter alone: {actions.BACK}"], about=[spec.help])
        if not typed:
            return ""
        try:
            return str(convert(spec.form, typed))
        except FieldError as error:
            run.talk.say(f"x {error}")


def _read(run: Run, path: str) -> tuple[str, ...]:
    """The networks in the file; none when it cannot be read, which is told."""
    session = run.session

    def call(report: Reporter) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return session.read_networks(path)

    try:
        networks, notes = run.jobs.run(f"Reading {path}", call)
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return ()
    run.talk.say("", loading.LIST)
    run.talk.page(loading.list_lines(networks, notes))
    return networks
