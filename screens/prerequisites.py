"""Prerequisites: what name service publishes about the domains, and whether the Setup Assistant is content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from textual.app import ComposeResult
from textual.containers import Container
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from conbool_tui.answers import Answers
from conbool_tui.checks.dns_model import DomainReport
from conbool_tui.errors import ConboolError
from conbool_tui.receipt import Progress
from conbool_tui.wizard_state import FIELDS, NO, YES, FieldError, NameService
from screens import glyphs, work
from screens.base import WizardScreen
from screens.flow import FlowStep
from screens.texts import actions, questions
from screens.texts.lines import Line, error_lines
from screens.texts.prerequisites import ASKING, NOT_YET, ordered, report_lines, rows, state_text
from screens.texts.questions import GREEN, SELECTORS
from screens.widgets.button import Button, button
from screens.widgets.choice import Toggle
from screens.widgets.field import Field, field_id
from screens.widgets.lines import Text, TextPane
from screens.widgets.row_list import RowList

_REDRAW = 0.3
_JOB = "names"


class PrerequisitesScreen(WizardScreen):
    """Looks up every chosen domain, shows what comes as it comes, and asks the one question only the admin can
    answer.
    """

    DEFAULT_CSS = """
    PrerequisitesScreen #intro { margin-bottom: 1; }
    PrerequisitesScreen #state { height: auto; margin-top: 1; }
    PrerequisitesScreen #found { height: 1fr; layout: vertical; }
    PrerequisitesScreen #domains { height: 5; }
    PrerequisitesScreen.-few #domains { height: 2; }
    PrerequisitesScreen #detail { height: 1fr; }
    PrerequisitesScreen.-wide #found { layout: horizontal; }
    PrerequisitesScreen.-wide #domains { width: 1fr; height: 1fr; }
    PrerequisitesScreen.-wide #detail { width: 1fr; margin-left: 2; }
    """

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._names: list[str] = []
        self._delay: Optional[Timer] = None

    # --- layout

    def body(self) -> ComposeResult:
        """Question, selectors, and what was found."""
        draft = self.wizard.state.draft
        yield Text([Line(questions.PREREQUISITES)], id="intro")
        yield Toggle(questions.label(GREEN), draft.text(GREEN) == YES, id=field_id(GREEN))
        hint = questions.placeholder(SELECTORS, self.wizard.state)
        yield Field(FIELDS[SELECTORS], draft.text(SELECTORS), placeholder=hint)
        yield Text(id="state")
        with Container(id="found"):
            yield RowList(empty="no domain is chosen yet", keys=(("Enter", "Details"),), id="domains")
            yield TextPane("Published", id="detail")

    def buttons(self) -> Sequence[Button]:
        """Next is always possible: what is not published yet does not lock the admin in."""
        return (
            button(actions.NEXT, "next"),
            button(actions.BACK, "back"),
            button(actions.AGAIN, "again"),
            button(actions.CANCEL, "cancel", "nothing is being looked up"),
            button(actions.HISTORY, "history"),
        )

    def first_focus(self) -> Optional[str]:
        """The list."""
        return "#domains"

    def resumed(self) -> None:
        """Look up at once, and again when other domains were chosen meanwhile."""
        super().resumed()
        self.call_after_refresh(self._look_or_draw)

    def _look_or_draw(self) -> None:
        known = self.wizard.state.name_service
        if known is None or known.asked != NameService.key(self._answers()):
            self.look()
        else:
            self._draw()

    # --- looking up

    def _answers(self) -> Answers:
        return self.wizard.state.draft.answers()

    def look(self) -> None:
        """Ask name service about every domain, in a thread."""
        answers, session = self._answers(), self.wizard.session
        results = NameService(NameService.key(answers))
        self.wizard.state.name_service = results
        if not answers.domains:
            self.set_reason("again", "no domain is chosen; the next screen has the list")
            self._draw()
            return

        def call(report: work.Reporter) -> list[DomainReport]:
            return session.look_up(answers, report.item, report.cancelled, report.tell)

        self.set_reason("cancel", "")
        self.set_reason("again", "")
        self.run_job(_JOB, ASKING, call)
        self._draw()

    def arrived(self, job: work.Job, item: Any) -> None:
        """Keep a report; the picture follows a little later, together with those that come right behind it."""
        results = self.wizard.state.name_service
        if results is not None:
            results.reports[item.domain] = item
            if self._delay is None:
                self._delay = self.set_timer(_REDRAW, self._draw)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self._draw_state()

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """The reports themselves say how far it is."""

    def done_names(self, reports: Any, error: Optional[ConboolError]) -> None:
        """Show all of it, trouble first."""
        self.set_reason("cancel", "nothing is being looked up")
        results = self.wizard.state.name_service
        assert results is not None
        if error is not None:
            self.query_one("#detail", TextPane).show(error_lines(error))
            self.query_one("#state", Text).show([Line(f"{glyphs.current().fail} {error.what}", "fail")])
            return
        results.reports.update({report.domain: report for report in reports})
        results.seconds = self._seconds
        self._draw()

    def do_again(self) -> None:
        """Ask once more."""
        self.look()

    def do_cancel(self) -> None:
        """Keep what came so far."""
        job = self.job(_JOB)
        if job is None:
            return
        self._seconds = job.elapsed
        self.cancel_job(_JOB)
        self.set_reason("cancel", "nothing is being looked up")
        self._draw()

    # --- drawing

    _seconds = 0

    def _draw(self) -> None:
        if self._delay is not None:
            self._delay.stop()
            self._delay = None
        results = self.wizard.state.name_service
        if results is None or not self.is_mounted:
            return
        domains = self._answers().domains
        listed = self.query_one("#domains", RowList)
        marked = self._marked
        running = self.job(_JOB) is not None
        self._names = (
            list(dict.fromkeys((*domains, *results.reports)))
            if running
            else ordered(domains, results.reports)
        )
        texts, kinds = rows(self._names, results.reports, running=running)
        self.set_class(len(texts) <= 2, "-few")
        if not running and marked in self._names and self._moved:
            listed.index = self._names.index(marked)
        listed.show(texts, kinds=kinds)
        self._draw_state()
        self._draw_detail()

    _moved = False

    @property
    def _marked(self) -> str:
        index = self.query_one("#domains", RowList).index
        return self._names[index] if index < len(self._names) else ""

    def _draw_state(self) -> None:
        results, job = self.wizard.state.name_service, self.job(_JOB)
        if results is None or not self.is_mounted:
            return
        if job is not None:
            self._seconds = job.elapsed
        elapsed = None if job is None else job.elapsed
        text = state_text(results, len(self._answers().domains), elapsed)
        self.query_one("#state", Text).show([Line(text, "head")])

    def _draw_detail(self) -> None:
        results, name = self.wizard.state.name_service, self._marked
        pane = self.query_one("#detail", TextPane)
        report = results.reports.get(name) if results else None
        lines = report_lines(report) if report else [Line(NOT_YET, "dim")] if name else []
        pane.show(lines, name or "Published")

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the marked domain from its beginning."""
        event.stop()
        self._moved = True
        self.query_one("#detail", TextPane).top = 0
        self._draw_detail()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter on a domain goes to its details, to scroll them."""
        event.stop()
        self.query_one("#detail").focus()

    # --- answering

    def on_toggle_changed(self, event: Toggle.Changed) -> None:
        """Keep yes or no."""
        event.stop()
        self.wizard.state.draft.set(GREEN, YES if event.value else NO)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep the selectors as typed."""
        event.stop()
        self.wizard.state.draft.set(SELECTORS, event.value)
        self.query_one(Field).tell(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter looks up the selectors just typed."""
        event.stop()
        if self._tell() is None:
            self._look_if_changed()
            self.focus_next()

    def focus_moved(self, widget: Widget) -> None:
        """Leaving the selectors looks them up."""
        if widget is not self.query_one(Field).box and self._tell() is None:
            self._look_if_changed()

    def _look_if_changed(self) -> None:
        known = self.wizard.state.name_service
        if known is not None and known.asked != NameService.key(self._answers()):
            self.look()

    def _tell(self) -> Optional[FieldError]:
        error = self.wizard.state.draft.error(SELECTORS)
        self.query_one(Field).tell(error)
        return error

    # --- going on

    def do_next(self) -> None:
        """On, unless what is typed is no selector."""
        error = self._tell()
        if error is not None:
            mark = glyphs.current().fail
            self.say_at(
                self.query_one(Field).box, [Line(f"{mark} {FIELDS[SELECTORS].label}: {error.what}", "fail")]
            )
            return
        self.go_on()

    def action_back(self) -> None:
        """What is still being looked up is given up."""
        self.cancel_job(_JOB)
        super().action_back()
