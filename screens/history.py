"""History: every recorded change, its journal, undo, and removing old records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Status
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from screens import work
from screens.base import BaseScreen, elapsed_text
from screens.dialogs import Question
from screens.texts.conflicts import chosen_lines, name_of
from screens.texts.countdown import outcome_line
from screens.texts.history import again_id, message_lines, prune_lines, receipt_lines, row, undo_question
from screens.texts.lines import Line, error_lines, status_line
from screens.widgets.button import Button, button
from screens.widgets.lines import Hint, TextPane
from screens.widgets.row_list import RowList

if TYPE_CHECKING:
    from conbool_tui.transaction import Conflict


UNDO = "Undo this change"
AGAIN = "Put in force again"


@dataclass(frozen=True)
class _Undo:
    """One undo that is being asked about.

    Attributes:
        conflicts: what was edited since, as it was shown.
        choices: what was chosen about them.
        again: those that were edited after the choice.
    """

    receipt: Receipt
    conflicts: tuple[Conflict, ...]
    choices: Mapping[tuple[str, str], str] = field(default_factory=dict)
    again: frozenset[tuple[str, str]] = frozenset()

    def edited_again(self, found: Sequence[Conflict]) -> _Undo:
        """The same with the new versions, first; choices about those are void."""
        again = frozenset(item.at for item in found)
        rest = tuple(item for item in self.conflicts if item.at not in again)
        kept = {at: choice for at, choice in self.choices.items() if at not in again}
        return replace(self, conflicts=(*found, *rest), choices=kept, again=again)


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
        self._undoing: Optional[_Undo] = None
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
            button("Back", "back"),
            button(UNDO, "undo", none),
            button("Journal", "journal", none),
            button("Remove old ones", "prune", "the list is still being read"),
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
        self.set_reason("undo", self._why_not(receipt))
        again = receipt is not None and again_id(receipt, self._receipts)
        self.query_one("#do-undo", Button).set_label(AGAIN if again else UNDO)
        self.set_reason("journal", "" if receipt is not None else "no change is marked")
        self.set_reason("prune", "" if self._receipts else "nothing is recorded")

    def _why_not(self, receipt: Optional[Receipt]) -> str:
        if receipt is None:
            return "no change is marked"
        if receipt.state is ChangeState.UNCONFIRMED:
            return "it waits for confirmation; search again on the Welcome screen to keep it or take it back"
        if receipt.state in (ChangeState.UNFINISHED, ChangeState.INCOMPLETE):
            return f"it is {receipt.state.value}; choose Recover on the Welcome screen"
        if receipt.state is not ChangeState.APPLIED:
            return f"it is {receipt.state.value} already"
        return ""

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

        def call(report: work.Reporter) -> _Undo:
            return _Undo(receipt, session.conflicts(receipt.id))

        self.run_job("conflicts", "Looking at what was edited since", call)

    def done_conflicts(self, undo: Any, error: Optional[ConboolError]) -> None:
        """Ask what to do about each edit, if there are any."""
        if error is not None:
            self._tell_failure(error)
            return
        self._show_detail()
        self._decide(undo) if undo.conflicts else self._ask(undo)

    def _decide(self, undo: _Undo) -> None:
        from screens.conflicts import ConflictsScreen

        def decided(choices: Optional[dict[tuple[str, str], str]]) -> None:
            if choices is not None:
                self._ask(replace(undo, choices=choices))

        screen = ConflictsScreen(undo.receipt, undo.conflicts, undo.choices, undo.again)
        self.app.push_screen(screen, decided)

    def _ask(self, undo: _Undo) -> None:
        again = again_id(undo.receipt, self._receipts)
        question, lines = undo_question(undo.receipt, again, edited=bool(undo.conflicts))
        # What would be lost must be read without scrolling.
        lines = [*chosen_lines(undo.conflicts, undo.choices, name_of(undo.receipt)), *lines]

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._undo(undo, again)

        labels = ("Put in force", "Leave it") if again else ("Undo", "Keep it")
        self.app.push_screen(Question(question, lines, yes=labels[0], no=labels[1]), answered)

    def _undo(self, undo: _Undo, again: str) -> None:
        session = self.wizard.session
        self._undoing, self._again = undo, again

        def call(report: ProgressSink) -> Receipt:
            return session.undo(undo.receipt.id, report, choices=undo.choices, asked=undo.conflicts)

        for name in ("undo", "back", "journal", "prune"):
            self.set_reason(name, "an undo is being written")
        text = f"Putting change {again} in force again" if again else f"Taking back change {undo.receipt.id}"
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
        if receipt.state is ChangeState.APPLIED and again:
            told = status_line(Status.OK, f"Change {again} is in force again.")
        elif receipt.state is ChangeState.APPLIED:
            told = status_line(Status.OK, f"Change {receipt.undo_of or receipt.id} was taken back.")
        else:
            told = outcome_line(receipt)
        self._outcome = [told, *message_lines(receipt), Line("")]
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

        self.run_job("prunable", "Looking for records that are not needed any more", call)

    def done_prunable(self, result: Any, error: Optional[ConboolError]) -> None:
        """Show them, and ask."""
        if error is not None:
            self._tell_failure(error)
            return
        self._show_detail()
        found, total = result
        if not found:
            self.say([Line("All records are still needed: something may be taken back from each.", "note")])
            return

        def answered(yes: Optional[bool]) -> None:
            if yes:
                self._prune()

        lines = prune_lines(found, total)
        self.app.push_screen(Question("Remove old records?", lines, yes="Remove", no="Keep them"), answered)

    def _prune(self) -> None:
        session = self.wizard.session

        def call(report: work.Reporter) -> list[Receipt]:
            return session.prune()

        for name in ("undo", "back", "journal", "prune"):
            self.set_reason(name, "records are being removed")
        self.wizard.shield(self.run_job("prune", "Removing records", call, shielded=True), here=True)

    def done_prune(self, removed: Any, error: Optional[ConboolError]) -> None:
        """Say how it ended and read the journal again."""
        self.set_reason("back", "")
        if error is not None:
            self.wizard.state.failure = error
            self._outcome = [*error_lines(error), Line("")]
        else:
            self._outcome = [status_line(Status.OK, f"Removed: {len(removed)} old records."), Line("")]
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
