"""Test: the checks of the session, with their transcripts."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding
from conbool_tui.plain.jobs import STOP, Reporter, StoppedError
from conbool_tui.plain.pages import drift, saving
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import BackError, Option
from conbool_tui.receipt import Progress
from conbool_tui.wizard_state import now_utc
from screens.flow import FlowStep
from screens.texts import actions
from screens.texts.findings import FINDINGS, STOPPED, TESTING, WITH_TRANSCRIPT, all_lines, edited
from screens.texts.lines import error_lines

_NONE: tuple[Finding, ...] = ()


def testing(run: Run, step: FlowStep, *, again: bool) -> None:
    """Test at once, or tell what an earlier test in this run found; returns when the last step comes.

    Raises:
        BackError: back to the step before.
    """
    run.title(step)
    if run.state.findings is None:
        _test(run)
    else:
        run.talk.page(["", FINDINGS, *all_lines(run.state.findings)])
    while True:
        run.talk.topic = step.id
        findings = run.state.findings or _NONE
        chosen = run.talk.menu(_options(findings), enter="next")
        if chosen == "next":
            return
        if chosen == "back":
            raise BackError
        if chosen == "again":
            _test(run)
        elif chosen == "transcript":
            run.talk.page(["", WITH_TRANSCRIPT, *all_lines(findings, with_detail=True)])
        elif chosen == "save":
            saving.save_transcript(run)
        else:
            drift.drift(run)
            if run.state.findings is None:
                _test(run)


def _options(findings: Sequence[Finding]) -> list[Option]:
    none = "there is no transcript yet"
    detail = "" if any(finding.detail for finding in findings) else "no check left a transcript"
    differs = [Option("differs", actions.EDITED_SINCE)] if edited(findings) else []
    return [
        Option("next", actions.NEXT_DONE),
        Option("again", actions.AGAIN),
        *differs,
        Option("transcript", actions.TRANSCRIPT, detail if findings else none),
        Option("save", actions.SAVE, "" if findings else none),
        Option("back", actions.BACK),
    ]


def _test(run: Run) -> None:
    session, answers, started = run.session, run.state.draft.answers(), now_utc()
    doing = ""

    def call(report: Reporter) -> list[Finding]:
        return session.check(answers, report, report.cancelled)

    def progressed(progress: Progress) -> None:
        nonlocal doing
        doing = f": {progress.done} of {progress.total}  {progress.text}"

    def waiting(seconds: int) -> str:
        return f"{TESTING} ({seconds} s){doing}"

    try:
        findings = run.jobs.run(TESTING, call, stop=STOP, on_progress=progressed, waiting=waiting)
    except StoppedError:
        run.talk.say(STOPPED)
        return
    except ConboolError as error:
        run.talk.say(*error_lines(error))
        return
    run.state.findings, run.state.tested_at = list(findings), started
    run.talk.page(["", FINDINGS, *all_lines(findings)])
