"""History: every recorded change, and undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from textual.app import ComposeResult

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Status
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from screens import work
from screens.base import BaseScreen, elapsed_text
from screens.dialogs import Question
from screens.texts.history import receipt_lines, row
from screens.texts.lines import Line, error_lines, status_line
from screens.widgets.button import Button, button
from screens.widgets.lines import TextPane
from screens.widgets.row_list import RowList


class HistoryScreen(BaseScreen):
    """A list of changes, the details of the marked one below or beside it."""

    DEFAULT_CSS = """
    HistoryScreen #changes { height: 6; }
    HistoryScreen #detail { height: 1fr; margin-top: 1; }
    HistoryScreen.-wide #body { layout: horizontal; }
    HistoryScreen.-wide #changes { width: 1fr; height: 1fr; }
    HistoryScreen.-wide #detail { width: 1fr; margin: 0 0 0 2; }
    """
    help_topic = "history"

    def __init__(self) -> None:
        super().__init__()
        self._receipts: list[Receipt] = []
        self._outcome: list[Line] = []

    def title_text(self) -> str:
        """History has no number: it can be reached from anywhere."""
        return " conbool-tui   History"

    def body(self) -> ComposeResult:
        """List and details."""
        yield RowList(empty="reading the journal ...", keys=(("Enter", "Undo"),), id="changes")
        yield TextPane("Details", id="detail")

    def buttons(self) -> Sequence[Button]:
        """Undo asks first."""
        return (button("Back", "back"), button("Undo this change", "undo", "no change is marked"))

    def first_focus(self) -> Optional[str]:
        """The list."""
        return "#changes"

    def opened(self) -> None:
        """Read the journal in a thread."""
        super().opened()
        self.look()

    def look(self) -> None:
        """Read the journal."""
        source = self.wizard

        def call(report: ProgressSink) -> list[Receipt]:
            return list(source.open_session().history())

        self.run_job("history", "Reading the journal", call)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self.query_one("#detail", TextPane).show([Line(elapsed_text(job), "dim")])

    def done_history(self, receipts: Any, error: Optional[ConboolError]) -> None:
        """Show the list."""
        changes = self.query_one("#changes", RowList)
        changes.empty = "nothing has been changed on this server by this program"
        if error is not None:
            changes.show([])
            self.query_one("#detail", TextPane).show(error_lines(error))
            self.set_reason("undo", "the journal cannot be read")
            return
        self._receipts = receipts
        changes.show([row(receipt) for receipt in receipts])
        self._show_detail()

    @property
    def _marked(self) -> Optional[Receipt]:
        index = self.query_one("#changes", RowList).index
        return self._receipts[index] if index < len(self._receipts) else None

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the details of the marked change."""
        event.stop()
        self._outcome = []
        self._show_detail()

    def _show_detail(self) -> None:
        receipt = self._marked
        lines = receipt_lines(receipt) if receipt is not None else []
        self.query_one("#detail", TextPane).show([*self._outcome, *lines], keep_place=False)
        self.set_reason("undo", self._why_not(receipt))

    def _why_not(self, receipt: Optional[Receipt]) -> str:
        if receipt is None:
            return "no change is marked"
        if receipt.undo_of:
            return "this is an undo itself; apply the answers again instead"
        if receipt.state is ChangeState.UNCONFIRMED:
            return "it waits for confirmation; search again on the Welcome screen to keep it or take it back"
        if receipt.state is ChangeState.UNFINISHED:
            return "it is unfinished; choose Recover on the Welcome screen"
        if receipt.state is not ChangeState.APPLIED:
            return f"it is {receipt.state.value} already"
        return ""

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter on a change means Undo, which asks first."""
        event.stop()
        self.query_one("#do-undo", Button).action_press()

    def do_undo(self) -> None:
        """Ask, then undo in a thread."""
        receipt = self._marked
        if receipt is None:
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._undo(receipt)

        self.app.push_screen(
            Question(
                f"Take back change {receipt.id}?",
                [
                    "Its changes are taken out of these files, and the mail system is reloaded:",
                    *(f"  {path}" for path in receipt.files),
                    "What you edited yourself since then stays.",
                ],
                yes="Undo",
                no="Keep it",
            ),
            answered,
        )

    def _undo(self, receipt: Receipt) -> None:
        session = self.wizard.session

        def call(report: ProgressSink) -> Receipt:
            return session.undo(receipt.id, report)

        self.set_reason("undo", "an undo is being written")
        self.set_reason("back", "an undo is being written")
        self.wizard.shield(self.run_job("undo", f"Taking back change {receipt.id}", call, shielded=True))

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Show the phase."""
        self.query_one("#detail", TextPane).show(
            [Line(job.text, "title"), Line(f"  {progress.phase}: {progress.text}")]
        )

    def done_undo(self, receipt: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended and read the journal again."""
        self.set_reason("back", "")
        if error is not None:
            self._outcome = [*error_lines(error), Line("")]
            self.wizard.state.failure = error
        else:
            self.wizard.state.changed_host(receipt)
            self._outcome = [
                status_line(Status.OK, f"Change {receipt.undo_of or receipt.id} was taken back."),
                Line(""),
            ]
        self.look()

    def action_back(self) -> None:
        """Not while an undo is being written."""
        if self.job("undo") is not None:
            self.say([Line("! Please wait: an undo being written is not cut off.", "warn")])
        else:
            super().action_back()
