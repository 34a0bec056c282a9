"""Prerequisites: what name service publishes about the domains, and whether the Setup Assistant is content."""

from __future__ import annotations

from conbool_tui.checks.dns_model import DomainReport
from conbool_tui.errors import ConboolError
from conbool_tui.findings import Status
from conbool_tui.plain import fields
from conbool_tui.plain.jobs import CANCEL, Reporter, StoppedError
from conbool_tui.plain.pages import history
from conbool_tui.plain.run import Run
from conbool_tui.plain.talk import ROWS, BackError, Option
from conbool_tui.wizard_state import NameService
from screens.flow import FlowStep
from screens.texts import actions, questions
from screens.texts.lines import Line, error_lines
from screens.texts.prerequisites import ASKING, NOT_YET, ordered, report_lines, rows, state_text

_HINT = "A number says all that is published for that domain, Enter goes on."


def prerequisites(run: Run, step: FlowStep, *, again: bool) -> None:
    """Look up every chosen domain, tell, and ask the one question only the admin can answer; returns when the next step comes.

    Args:
        again: the admin was here before: the questions are not asked one by one.

    Raises:
        BackError: back to the step before.
    """
    run.title(step)
    run.talk.say(questions.PREREQUISITES)
    if not _look_if_changed(run):
        _tell(run)
    if not again:
        _ask(run)
    while True:
        run.talk.topic = step.id
        options = (
            Option("next", actions.NEXT),
            Option("back", actions.BACK),
            Option("details", actions.DETAILS, "" if _reports(run) else NOT_YET),
            Option("again", actions.AGAIN),
            Option("change", actions.CHANGE_ANSWER),
            Option("history", actions.HISTORY),
        )
        chosen = run.talk.menu(options, enter="next")
        if chosen == "next":
            error = run.state.draft.error(questions.SELECTORS)
            if error is None:
                return
            fields.tell(run, error)
        elif chosen == "back":
            raise BackError
        elif chosen == "details":
            _details(run)
        elif chosen == "again":
            _look(run)
        elif chosen == "change":
            try:
                _ask(run)
            except BackError:
                continue
        else:
            history.history(run)


def _ask(run: Run) -> None:
    """Both questions. Raises BackError: before the first."""
    keys, index = questions.KEYS["prerequisites"], 0
    while index < len(keys):
        try:
            fields.ask(run, keys[index])
        except BackError:
            if index == 0:
                raise
            index -= 1
        else:
            index += 1
    _look_if_changed(run)


# --- looking up


def _reports(run: Run) -> dict[str, DomainReport]:
    known = run.state.name_service
    return known.reports if known is not None else {}


def _look_if_changed(run: Run) -> bool:
    known = run.state.name_service
    if known is not None and known.asked == NameService.key(run.state.draft.answers()):
        return False
    _look(run)
    return True


def _look(run: Run) -> None:
    """Ask name service about every domain, and tell."""
    state, session = run.state, run.session
    answers = state.draft.answers()
    results = NameService(NameService.key(answers))
    state.name_service = results

    def call(report: Reporter) -> list[DomainReport]:
        return session.look_up(answers, report.item, report.cancelled, report.tell)

    def arrived(report: DomainReport) -> None:
        results.reports[report.domain] = report

    def waiting(seconds: int) -> str:
        return state_text(results, len(answers.domains), seconds)

    if answers.domains:
        try:
            reports = run.jobs.run(ASKING, call, stop=CANCEL, on_item=arrived, waiting=waiting)
        except StoppedError:
            pass
        except ConboolError as error:
            run.talk.say(*error_lines(error))
            return
        else:
            results.reports.update({report.domain: report for report in reports})
            results.seconds = run.jobs.seconds
    _tell(run)


def _tell(run: Run) -> None:
    """The sentence, and a row for every domain, trouble first; of many only those in trouble."""
    results = run.state.name_service
    assert results is not None
    domains = run.state.draft.answers().domains
    names = ordered(domains, results.reports)
    run.talk.say("", state_text(results, len(domains), None))
    told = names
    if len(names) > ROWS:
        trouble = [name for name in names if _status(run, name) is not Status.OK]
        told = trouble[:ROWS]
    texts, _ = rows(told, results.reports, running=False)
    run.talk.say(*(Line(f"  {text}", hang=4) for text in texts))
    if len(told) < len(names):
        run.talk.say(f"  and {len(names) - len(told):,} more: see {actions.DETAILS}")
    elif len(names) == 1 and names[0] in results.reports:
        run.talk.page(report_lines(results.reports[names[0]]))


def _status(run: Run, name: str) -> Status:
    report = _reports(run).get(name)
    return report.status if report is not None else Status.NOT_TESTED


def _details(run: Run) -> None:
    reports = _reports(run)
    names = ordered(run.state.draft.answers().domains, reports)
    texts, _ = rows(names, reports, running=False)
    try:
        while True:
            typed = run.talk.rows(["", actions.DETAILS], texts, _HINT)
            if not typed:
                return
            for place in fields.picked(run, typed, len(names), _HINT):
                report = reports.get(names[place])
                run.talk.say("", names[place])
                run.talk.page(report_lines(report) if report else [NOT_YET])
    except BackError:
        return
