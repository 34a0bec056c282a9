"""Test: the checks of the session, with their transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding
from conbool_tui.receipt import Progress
from conbool_tui.wizard_state import now_utc
from screens import work
from screens.base import WizardScreen, elapsed_text
from screens.dialogs import SaveTranscriptScreen
from screens.flow import FlowStep
from screens.texts import actions
from screens.texts.findings import FINDINGS, STOPPED, TESTING, WITH_TRANSCRIPT, all_lines, edited
from screens.texts.lines import Line, error_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import Hint, TextPane


class TestScreen(WizardScreen):
    """Begins by itself; can be stopped and repeated."""

    __test__ = False
    DEFAULT_CSS = """
    TestScreen #do-differs { display: none; }
    TestScreen.-differs #do-differs { display: block; }
    TestScreen.-differs #do-stop { display: none; }
    TestScreen.-differs.-narrow #do-transcript { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "transcript", show=False)]

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._doing = ""
        self._with_detail = False
        self._started = now_utc()
        self._looked_at_edits = False

    def body(self) -> ComposeResult:
        """One pane."""
        yield TextPane(FINDINGS, id="findings")

    def buttons(self) -> Sequence[Button]:
        """Next is always possible: a failed check does not lock the admin in."""
        none = "there is no transcript yet"
        return (
            button(actions.NEXT_DONE, "next", "the test is still running"),
            button(actions.AGAIN, "again", "the test is still running"),
            button(actions.STOP, "stop"),
            button(actions.EDITED_SINCE, "differs"),
            button(actions.TRANSCRIPT, "transcript", none),
            button(actions.SAVE, "save", none),
            button(actions.BACK, "back"),
        )

    def hints(self) -> list[Hint]:
        """The usual keys, with the transcript's."""
        keys = super().hints()
        return [*keys[:-3], ("F4", "Transcript"), *keys[-3:]]

    def first_focus(self) -> Optional[str]:
        """Next."""
        return "#do-next"

    def opened(self) -> None:
        """Begin at once, or show what an earlier test in this run found."""
        super().opened()
        if self.wizard.state.findings is None:
            self.do_again()
        else:
            self._show(self.wizard.state.findings)

    def resumed(self) -> None:
        """What was accepted, or applied again, shows in another test only."""
        super().resumed()
        if self._looked_at_edits and self.wizard.state.findings is None and self.job("check") is None:
            self._looked_at_edits = False
            self.call_after_refresh(self.do_again)

    def do_differs(self) -> None:
        """What differs from what was applied."""
        from screens.drift import DriftScreen

        self._looked_at_edits = True
        self.app.push_screen(DriftScreen())

    def do_again(self) -> None:
        """Test in a thread."""
        session, answers = self.wizard.session, self.wizard.state.draft.answers()

        def call(report: work.Reporter) -> list[Finding]:
            return session.check(answers, report, report.cancelled)

        self._started = now_utc()

        for name in ("next", "again"):
            self.set_reason(name, "the test is still running")
        self.set_reason("stop", "")
        if self.focused is not None and self.focused.id == "do-differs":
            self.query_one("#do-next").focus()
        self.remove_class("-differs")
        self._doing = ""
        job = self.run_job("check", TESTING, call)
        self.waiting(job)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        lines = [Line(elapsed_text(job), "title")]
        if self._doing:
            lines.append(Line(f"  {self._doing}"))
        self.query_one("#findings", TextPane).show(lines)

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Say what is being tried."""
        self._doing = f"{progress.done} of {progress.total}  {progress.text}"
        self.waiting(job)

    def do_stop(self) -> None:
        """Stop waiting."""
        self.cancel_job("check")
        self.query_one("#findings", TextPane).show([STOPPED])
        self._end()

    def done_check(self, findings: Any, error: Optional[ConboolError]) -> None:
        """Show what was found."""
        self._end()
        if error is not None:
            self.query_one("#findings", TextPane).show(error_lines(error))
            return
        self.wizard.state.findings, self.wizard.state.tested_at = list(findings), self._started
        self._show(findings)

    def _end(self) -> None:
        for name in ("next", "again"):
            self.set_reason(name, "")
        self.set_reason("stop", "no test is running")

    def _show(self, findings: Sequence[Finding]) -> None:
        self.set_reason("stop", "no test is running")
        for name in ("next", "again"):
            self.set_reason(name, "")
        has_detail = any(finding.detail for finding in findings)
        self.set_reason("transcript", "" if has_detail else "no check left a transcript")
        self.set_reason("save", "")
        self.set_class(edited(findings), "-differs")
        lines = all_lines(findings, with_detail=self._with_detail)
        title = WITH_TRANSCRIPT if self._with_detail else FINDINGS
        self.query_one("#findings", TextPane).show(lines, title)

    def action_transcript(self) -> None:
        """Show or hide the transcripts."""
        findings = self.wizard.state.findings
        if self.job("check") is None and findings is not None:
            self._with_detail = not self._with_detail
            self._show(findings)
            self.query_one("#findings").focus()

    def do_transcript(self) -> None:
        """The Transcript button."""
        self.action_transcript()

    def do_save(self) -> None:
        """Ask where to save the transcript."""
        self.app.push_screen(SaveTranscriptScreen())

    def do_next(self) -> None:
        """On to the end."""
        self.go_on()

    def action_back(self) -> None:
        """A running test is given up."""
        self.cancel_job("check")
        super().action_back()
