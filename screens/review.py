"""Review: everything that would happen, in words and as differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from conbool_tui.errors import ByHandError, ConboolError
from conbool_tui.plan import Plan
from screens import work
from screens.base import WizardScreen, elapsed_text
from screens.texts import actions
from screens.texts.diffs import file_lines, live_lines
from screens.texts.lines import Line
from screens.texts.summary import FILES, NO_CHANGES, WORKING, doubt_lines, refused_lines, review_lines
from screens.widgets.button import Button, button
from screens.widgets.lines import Hint, TextPane


class ReviewScreen(WizardScreen):
    """Summary and files; one after the other on a small terminal, side by side on a wide one."""

    DEFAULT_CSS = """
    ReviewScreen #body { layout: vertical; }
    ReviewScreen.-wide #body { layout: horizontal; }
    ReviewScreen.-wide #summary { width: 5fr; }
    ReviewScreen.-wide #files { width: 4fr; margin-left: 2; }
    ReviewScreen.-narrow #files { display: none; }
    ReviewScreen.-narrow.-files #files { display: block; }
    ReviewScreen.-narrow.-files #summary { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "files", show=False)]

    _by_hand = False
    """Whether the mail system can only be set up by hand, so that nothing but testing is left to do here."""

    def body(self) -> ComposeResult:
        """Two panes."""
        yield TextPane("Summary", [Line(f"{WORKING} ...", "dim")], id="summary")
        yield TextPane(FILES, id="files")

    def buttons(self) -> Sequence[Button]:
        """Apply is the next screen and asks again there."""
        wait = "the changes are still being worked out"
        return (
            button(actions.NEXT_APPLY, "next", wait),
            button(actions.BACK, "back"),
            button(actions.FILES, "files", wait),
            button(actions.SAVE_ANSWERS, "save"),
            button(actions.HISTORY, "history"),
        )

    def hints(self) -> list[Hint]:
        """The usual keys, with the one that changes the pane."""
        keys = super().hints()
        return [*keys[:-3], ("F4", "Summary" if self.has_class("-files") else "Files"), *keys[-3:]]

    def first_focus(self) -> Optional[str]:
        """The text comes first: it is what this screen is for."""
        return "#summary"

    def resumed(self) -> None:
        """Work out the plan, also after coming back from Apply or History."""
        super().resumed()
        self.call_after_refresh(self.look)

    def look(self) -> None:
        """Plan in a thread."""
        self.request_plan(WORKING)

    def waiting(self, job: work.Job) -> None:
        """Show that it is still going on."""
        self.query_one("#summary", TextPane).show([Line(elapsed_text(job), "dim")])

    def planned(self, plan: Optional[Plan], error: Optional[ConboolError]) -> None:
        """Show the plan, or why there is none."""
        summary, files = self.query_one("#summary", TextPane), self.query_one("#files", TextPane)
        state = self.wizard.state
        state.plan = plan
        if plan is None:
            error = error or ConboolError("There is no plan.")
            summary.show(refused_lines(error))
            files.show([])
            self._by_hand = isinstance(error, ByHandError)
            self.query_one("#do-next", Button).set_label(
                actions.NEXT_TEST if self._by_hand else actions.NEXT_APPLY
            )
            self.set_reason("next", "" if self._by_hand else "the answers cannot be used yet, see above")
            self.set_reason("files", NO_CHANGES)
            return
        assert state.mta is not None
        self._by_hand = False
        summary.show(review_lines(plan, state.draft.answers(), state.mta, self._doubts()))
        files.show([*live_lines(plan.live), *file_lines(plan.files)])
        self.set_reason("next", "")
        self.query_one("#do-next", Button).set_label(actions.NEXT_TEST if plan.empty else actions.NEXT_APPLY)
        self.set_reason("files", NO_CHANGES if plan.empty else "")

    def _doubts(self) -> list[Line]:
        """What the screens before found, and what was not looked at."""
        state = self.wizard.state
        return doubt_lines(state.draft, state.name_service, state.known_senders)

    def action_files(self) -> None:
        """Change between summary and files."""
        self.toggle_class("-files")
        self.query_one("#files" if self.has_class("-files") else "#summary").focus()

    def action_back(self) -> None:
        """From the files back to the summary first."""
        if self.has_class("-files") and self.has_class("-narrow"):
            self.action_files()
        else:
            super().action_back()

    def do_files(self) -> None:
        """The Files button."""
        self.action_files()

    def do_save(self) -> None:
        """Ask for a path and save the answers."""
        self.wizard.ask_save()

    def do_next(self) -> None:
        """To Apply; straight to Test when there is nothing to apply."""
        plan = self.wizard.state.plan
        if self._by_hand or (plan is not None and plan.empty):
            self.wizard.go_to_id("test")
        else:
            self.go_on()
