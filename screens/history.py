"""History: every recorded change, its journal, undo, and removing old records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from conbool_tui.errors import ConboolError
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from screens import work
from screens.base import BaseScreen, elapsed_text
from screens.dialogs import Question
from screens.texts import actions, asked
from screens.texts.countdown import outcome_line
from screens.texts.history import (
    ALL_NEEDED,
    LOOKING_AT_EDITS,
    LOOKING_FOR_OLD,
    NO_CHANGES,
    READING,
    REMOVING,
    again_id,
    receipt_lines,
    removed_line,
    row,
    undoing_text,
    undone_lines,
    why_not,
)
from screens.texts.lines import Line, error_lines
from screens.undoing import Undo
from screens.widgets.button import Button, button
from screens.widgets.lines import Hint, TextPane
from screens.widgets.row_list import RowList

if TYPE_CHECKING:
    pass


class HistoryScreen(BaseScreen):
    """A list of changes, the details of the marked one below or beside it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "journal", show=False)]

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
        self._undoing: Optional[Undo] = None
        self._again = ""

    def title_text(self) -> str:
        """History has no number: it can be reached from anywhere."""
        return " conbool-tui   History"

    def body(self) -> ComposeResult:
        """List and details."""
        yield RowList(empty="reading the journal ...", keys=(("Enter", "Undo"),), id="changes")
        yield TextPane("Details", id="detail")

    def buttons(self) -> Sequence[Button]:
        """What writes or removes something asks first."""
        none = "no change is marked"
        return (
            button(actions.BACK, "back"),
            button(actions.UNDO_THIS, "undo", none),
            button(actions.JOURNAL, "journal", none),
            button(actions.REMOVE_OLD, "prune", "the list is still being read"),
        )

    def hints(self) -> list[Hint]:
        """The usual keys, with the journal's."""
        keys = super().hints()
        return [*keys[:-3], ("F4", "Journal"), *keys[-3:]]

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

        self.run_job("history", READING, call)

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self.query_one("#detail", TextPane).show([Line(elapsed_text(job), "dim")])

    def done_history(self, receipts: Any, error: Optional[ConboolError]) -> None:
        """Show the list."""
        changes = self.query_one("#changes", RowList)
        changes.empty = NO_CHANGES
        if error is not None:
            changes.show([])
            self.query_one("#detail", TextPane).show(error_lines(error))
            for name in ("undo", "journal", "prune"):
                self.set_reason(name, "the list cannot be read")
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
        self.set_reason("undo", why_not(receipt))
        again = receipt is not None and again_id(receipt, self._receipts)
        self.query_one("#do-undo", Button).set_label(actions.IN_FORCE_AGAIN if again else actions.UNDO_THIS)
        self.set_reason("journal", "" if receipt is not None else "no change is marked")
        self.set_reason("prune", "" if self._receipts else "nothing is recorded")

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter on a change means Undo, which asks first."""
        event.stop()
        self.query_one("#do-undo", Button).action_press()

    # --- undo

    def do_undo(self) -> None:
        """Look what was edited since, in a thread; then ask."""
        receipt = self._marked
        if receipt is None or self.busy:
            return
        session = self.wizard.session

        def call(report: work.Reporter) -> Undo:
            return Undo(receipt, session.conflicts(receipt.id))

        self.run_job("conflicts", LOOKING_AT_EDITS, call)

    def done_conflicts(self, undo: Any, error: Optional[ConboolError]) -> None:
        """Ask what to do about each edit, if there are any."""
        if error is not None:
            self._tell_failure(error)
            return
        self._show_detail()
        self._decide(undo) if undo.conflicts else self._ask(undo)

    def _decide(self, undo: Undo) -> None:
        from screens.conflicts import ConflictsScreen

        def decided(choices: Optional[dict[tuple[str, str], str]]) -> None:
            if choices is not None:
                self._ask(replace(undo, choices=choices))

        screen = ConflictsScreen(undo.receipt, undo.conflicts, undo.choices, undo.again)
        self.app.push_screen(screen, decided)

    def _ask(self, undo: Undo) -> None:
        again = again_id(undo.receipt, self._receipts)

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._undo(undo, again)

        question = asked.undo(undo.receipt, again, undo.conflicts, undo.choices)
        self.app.push_screen(Question.of(question), answered)

    def _undo(self, undo: Undo, again: str) -> None:
        session = self.wizard.session
        self._undoing, self._again = undo, again

        def call(report: ProgressSink) -> Receipt:
            return session.undo(undo.receipt.id, report, choices=undo.choices, asked=undo.conflicts)

        for name in ("undo", "back", "journal", "prune"):
            self.set_reason(name, "an undo is being written")
        text = undoing_text(undo.receipt, again)
        self.wizard.shield(self.run_job("undo", text, call, shielded=True))

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Show the phase."""
        self.query_one("#detail", TextPane).show(
            [Line(job.text, "title"), Line(f"  {progress.phase}: {progress.text}")]
        )

    def done_undo(self, receipt: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended and read the journal again."""
        from conbool_tui.transaction import UndoConflictError

        self.set_reason("back", "")
        undo, again = self._undoing, self._again
        if isinstance(error, UndoConflictError) and error.conflicts and undo is not None:
            self._show_detail()
            self._decide(undo.edited_again(error.conflicts))
            return
        if error is not None:
            self.wizard.state.failure = error
            self._tell_failure(error)
            self.look()
            return
        self.wizard.state.changed_host(receipt, in_force_again=again)
        self.wizard.state.findings = None
        if receipt.state is ChangeState.UNCONFIRMED:
            self._wait_for_confirmation(receipt)
            return
        self._tell_outcome(receipt, again)

    def _tell_outcome(self, receipt: Receipt, again: str) -> None:
        """The undo's own end, or how the change ended that it took back by rolling it back."""
        self._outcome = [*undone_lines(receipt, again), Line("")]
        self.look()

    def _wait_for_confirmation(self, receipt: Receipt) -> None:
        """Bringing a change into force again may have to be confirmed like the change itself."""
        from screens.confirm import ConfirmScreen

        def settled(outcome: Optional[Receipt]) -> None:
            if outcome is not None:
                self._outcome = [outcome_line(outcome), Line("")]
            self.look()

        self.app.push_screen(ConfirmScreen(receipt, self.wizard.state.start_answers), settled)

    def _tell_failure(self, error: ConboolError) -> None:
        self._outcome = [*error_lines(error), Line("")]
        self._show_detail()

    # --- journal and old records

    def action_journal(self) -> None:
        """The key for the Journal button."""
        self.query_one("#do-journal", Button).action_press()

    def do_journal(self) -> None:
        """Show the journal of the marked change."""
        from screens.journal import JournalScreen

        if self._marked is not None:
            self.app.push_screen(JournalScreen(self._marked.id))

    def do_prune(self) -> None:
        """Look in a thread which records could go."""
        session = self.wizard.session

        def call(report: work.Reporter) -> tuple[list[Receipt], int]:
            return session.prunable(), len(session.history())

        self.run_job("prunable", LOOKING_FOR_OLD, call)

    def done_prunable(self, result: Any, error: Optional[ConboolError]) -> None:
        """Show them, and ask."""
        if error is not None:
            self._tell_failure(error)
            return
        self._show_detail()
        found, total = result
        if not found:
            self.say([Line(ALL_NEEDED, "note")])
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._prune()

        self.app.push_screen(Question.of(asked.prune(found, total)), answered)

    def _prune(self) -> None:
        session = self.wizard.session

        def call(report: work.Reporter) -> list[Receipt]:
            return session.prune()

        for name in ("undo", "back", "journal", "prune"):
            self.set_reason(name, "records are being removed")
        self.wizard.shield(self.run_job("prune", REMOVING, call, shielded=True), here=True)

    def done_prune(self, removed: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended and read the journal again."""
        self.set_reason("back", "")
        if error is not None:
            self.wizard.state.failure = error
            self._outcome = [*error_lines(error), Line("")]
        else:
            self._outcome = [removed_line(len(removed)), Line("")]
        self.look()

    # --- leaving

    @property
    def busy(self) -> bool:
        """True while something is being written."""
        return self.job("undo") is not None or self.job("prune") is not None

    def action_back(self) -> None:
        """Not while something is being written."""
        if self.busy:
            what = "an undo being written" if self.job("undo") is not None else "removing records"
            self.say([Line(f"! Please wait: {what} is not cut off.", "warn")])
        else:
            super().action_back()
