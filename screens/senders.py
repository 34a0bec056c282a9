"""Who would be cut off: the present senders on port 25, read from the mail log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Optional

from textual.app import ComposeResult

from conbool_tui.errors import ConboolError
from conbool_tui.present_senders import PresentSender, SenderReport
from conbool_tui.receipt import Progress
from screens import work
from screens.base import BaseScreen, elapsed_text
from screens.texts import actions
from screens.texts.lines import Line, error_lines
from screens.texts.senders import (
    HELD,
    READING,
    STOPPED,
    TITLE,
    remarks,
    rows,
    sender_lines,
    summary,
    when_closed,
)
from screens.widgets.button import Button, button
from screens.widgets.lines import Text, TextPane
from screens.widgets.row_list import RowList

if TYPE_CHECKING:
    from conbool_tui.app import WizardApp


def read_senders(wizard: WizardApp) -> Callable[[work.Reporter], SenderReport]:
    """The work: read the log for the answers as they stand, as if port 25 were closed."""
    state, session = wizard.state, wizard.session
    answers, facts = state.draft.answers(), state.facts
    closed = when_closed(answers)

    def call(report: work.Reporter) -> SenderReport:
        found = facts if facts is not None else session.detect(answers.instance)
        return session.senders(closed, found, report.cancelled, report.tell)

    return call


class SendersScreen(BaseScreen):
    """A list of senders, those that would be cut off first; Enter lets one in."""

    DEFAULT_CSS = """
    SendersScreen #summary { margin-bottom: 1; }
    SendersScreen #senders { height: 1fr; }
    SendersScreen #detail { height: 6; }
    """
    help_topic = "senders"

    def __init__(self) -> None:
        super().__init__()
        self._doing = ""

    def title_text(self) -> str:
        """What this is."""
        return f" conbool-tui   {TITLE}"

    def body(self) -> ComposeResult:
        """The sentence, the list, the marked sender."""
        yield Text(id="summary")
        yield Text(id="heading")
        yield RowList(empty="nobody", keys=(("Enter", "Let in"),), id="senders")
        yield TextPane("Sender", id="detail")

    def buttons(self) -> Sequence[Button]:
        """Nothing here changes the server."""
        return (
            button(actions.BACK, "back"),
            button(actions.LET_IN, "let", "no sender is marked"),
            button(actions.READ_AGAIN, "again"),
            button(actions.CANCEL, "cancel", "nothing is being read"),
        )

    def first_focus(self) -> Optional[str]:
        """The list."""
        return "#senders"

    def opened(self) -> None:
        """Read the log unless this run has done so."""
        super().opened()
        if self.wizard.state.known_senders is None:
            self.do_again()
        else:
            self._draw()

    # --- reading

    def do_again(self) -> None:
        """Read the log in a thread."""
        self.set_reason("again", "the mail log is being read")
        self.set_reason("cancel", "")
        self._doing = ""
        self.waiting(self.run_job("read", READING, read_senders(self.wizard)))

    def waiting(self, job: work.Job) -> None:
        """Count the seconds."""
        self.query_one("#summary", Text).show([Line(elapsed_text(job) + self._doing)])

    def progressed(self, job: work.Job, progress: Progress) -> None:
        """Say how far it is; shown with the next second."""
        share = f", {100 * progress.done // progress.total} %" if progress.total else ""
        self._doing = f": {progress.text}{share}"

    def do_cancel(self) -> None:
        """Stop reading."""
        self.cancel_job("read")
        self._end()
        if self.wizard.state.known_senders is None:
            self.query_one("#summary", Text).show([STOPPED])
        else:
            self._draw()

    def done_read(self, report: Any, error: Optional[ConboolError]) -> None:
        """Show the senders."""
        self._end()
        if error is not None:
            self.query_one("#summary", Text).show(error_lines(error))
            return
        self.wizard.state.keep_senders(report)
        self._draw()

    def _end(self) -> None:
        self.set_reason("again", "")
        self.set_reason("cancel", "nothing is being read")

    # --- showing

    @property
    def _marked(self) -> Optional[PresentSender]:
        report, index = self.wizard.state.known_senders, self.query_one("#senders", RowList).index
        return report.senders[index] if report is not None and index < len(report.senders) else None

    def _draw(self) -> None:
        report, draft = self.wizard.state.known_senders, self.wizard.state.draft
        if report is None:
            return
        head, texts, kinds = rows(report.senders, draft.lets_in)
        self.query_one("#heading", Text).show([Line(f"  {head}", "dim")] if texts else [])
        self.query_one("#senders", RowList).show(texts, kinds=kinds)
        self.query_one("#summary", Text).show([summary(report, draft.lets_in)])
        self._draw_detail()

    def _draw_detail(self) -> None:
        report, sender, draft = self.wizard.state.known_senders, self._marked, self.wizard.state.draft
        lines: list[Line] = []
        inside = sender is not None and sender.cut_off and draft.lets_in(sender.address)
        if sender is not None:
            lines.extend(sender_lines(sender, inside))
        if report is not None:
            lines.extend(remarks(report))
        self.query_one("#detail", TextPane).show(lines, keep_place=False)
        reason = (
            "no sender is marked" if sender is None else "" if sender.cut_off else "it may connect already"
        )
        self.set_reason("let", reason)
        self.query_one("#do-let", Button).set_label(actions.TAKE_OUT if inside else actions.LET_IN)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the marked sender."""
        event.stop()
        self._draw_detail()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter on a sender lets it in."""
        event.stop()
        self.query_one("#do-let", Button).action_press()

    def do_let(self) -> None:
        """Add the sender to the extra networks, or take it out again."""
        sender, draft = self._marked, self.wizard.state.draft
        if sender is None:
            return
        was_in = draft.lets_in(sender.address)
        draft.let_in(sender.address, not was_in)
        self._draw()
        if was_in and draft.lets_in(sender.address):
            self.say([HELD])

    def action_back(self) -> None:
        """Reading is given up."""
        self.cancel_job("read")
        super().action_back()
