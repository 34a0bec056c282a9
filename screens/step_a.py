"""Guide step A: the smart host."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual.app import ComposeResult
from textual.widgets import Input

from conbool_tui.wizard_state import FIELDS, FieldError
from screens.flow import FlowStep
from screens.step import StepScreen, typed
from screens.texts import questions
from screens.widgets.field import Field, field_id
from screens.widgets.lines import Text
from screens.widgets.row_list import RowList


class StepAScreen(StepScreen):
    """Smart host, its certificate, ours, and the hosted domains."""

    DEFAULT_CSS = """
    StepAScreen #domains { height: auto; max-height: 3; }
    """
    field_keys: ClassVar[tuple[str, ...]] = questions.KEYS["smart-host"]

    lists: ClassVar[dict[str, str]] = {"domains": "domains"}

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._add_error: Optional[FieldError] = None

    def form(self) -> ComposeResult:
        """Six inputs, then the list of domains with one to add more."""
        for key in self.field_keys:
            if key != questions.DOMAINS:
                yield self.field(key)
        unlisted = questions.unlisted_lines(self.wizard.state)
        if unlisted:
            yield Text(unlisted)
        yield Field(FIELDS["domains"], "", placeholder="(type a domain and press Enter to add it)")
        yield RowList(empty="no domain yet", checks=(), id="domains")

    def first_focus(self) -> Optional[str]:
        """The smart host, or the domains when none is known."""
        return f"#{field_id('smart_host.host')} TextBox"

    def opened(self) -> None:
        """Fill the list."""
        super().opened()
        self._fill()

    def _fill(self) -> None:
        names = list(self.draft.domains)
        rows = [name + ("" if self.draft.is_detected(name) else f"  {questions.ADDED}") for name in names]
        domains = self.query_one("#domains", RowList)
        domains.show(rows, [self.draft.domains[name] for name in names])
        domains.styles.height = max(1, min(3, len(rows)))

    def typed_in(self, box: Input, text: str) -> None:
        """What is typed to add a domain belongs to no answer yet."""
        if not self._is_adding(box):
            super().typed_in(box, text)
            return
        self._add_error = None
        self.show_error("domains", self.draft.error("domains") if "domains" in self._told else None)

    def entered(self, box: Input, text: str) -> None:
        """Enter adds what is typed; with nothing typed it goes on."""
        if self._is_adding(box) and text.strip():
            self.collect()
        else:
            super().entered(box, text)

    def _is_adding(self, box: Input) -> bool:
        return box is self._adding().box

    def _adding(self) -> Field:
        return self.query_one(f"#{field_id('domains')}", Field)

    def collect(self) -> None:
        """Add the domains typed but not yet entered."""
        box = self._adding().box
        if not typed(box):
            return
        try:
            self.draft.add_domains(typed(box))
        except FieldError as error:
            self._add_error = error
            self.show_error("domains", error)
            return
        box.value = ""
        self._fill()
        self.edited("domains")

    def tell(self, key: str) -> Optional[FieldError]:
        """A domain typed wrongly counts as an error of the list."""
        if key == "domains" and self._add_error is not None and typed(self._adding().box):
            self.show_error(key, self._add_error)
            return self._add_error
        return super().tell(key)

    def on_row_list_toggled(self, event: RowList.Toggled) -> None:
        """Take a domain in or leave it out."""
        event.stop()
        name = list(self.draft.domains)[event.index]
        self.draft.choose_domain(name, not self.draft.domains[name])
        self.tell("domains")
        self.edited("domains")
