"""Guide step C: loop protection and flagged mail."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual.app import ComposeResult
from textual.widgets import Input

from conbool_tui.wizard_state import FIELDS, FieldError
from screens.flow import FlowStep
from screens.step import StepScreen, typed
from screens.texts import questions
from screens.texts.lines import Line
from screens.texts.questions import LOOP_HEADERS
from screens.widgets.choice import Choice
from screens.widgets.field import Field, field_id
from screens.widgets.lines import Text
from screens.widgets.row_list import RowList


class StepCScreen(StepScreen):
    """Who is believed, loop headers, flagged mail; Conbool's addresses to read, they are edited in step B."""

    DEFAULT_CSS = """
    StepCScreen #headers { height: auto; max-height: 3; }
    """
    field_keys: ClassVar[tuple[str, ...]] = questions.KEYS["loop"]

    lists: ClassVar[dict[str, str]] = {"headers": "markers.loop_headers"}

    def __init__(self, step: FlowStep) -> None:
        super().__init__(step)
        self._header_error: Optional[FieldError] = None

    def form(self) -> ComposeResult:
        """Addresses, trust, headers with one line to edit the marked one, flagged mail."""
        yield Text([questions.addresses_line(self.wizard.state)], id="addresses")
        yield self.caption("markers.trust")
        yield self.choice("markers.trust")
        yield self.caption(LOOP_HEADERS)
        yield RowList(empty="no hosted domain is chosen", keys=(("Enter", "Edit"),), id="headers")
        yield Field(FIELDS[LOOP_HEADERS], "", label=questions.label(LOOP_HEADERS))
        yield self.field("markers.spam")
        yield self.caption("spam.action")
        yield self.choice("spam.action")
        yield self.field("spam.folder")
        yield Text([Line(f"  {questions.ALWAYS_DIRECT}", "dim")])

    def first_focus(self) -> Optional[str]:
        """Who is believed."""
        return f"#{field_id('markers.trust')}"

    def opened(self) -> None:
        """Fill the list of headers."""
        super().opened()
        self._fill()
        self._show_header()
        self._show_folder()

    # --- loop headers

    @property
    def _headers(self) -> RowList:
        return self.query_one("#headers", RowList)

    @property
    def _editing(self) -> Field:
        return self.query_one(f"#{field_id('markers.loop_headers')}", Field)

    def _domain(self) -> Optional[str]:
        domains = self.draft.chosen_domains
        return domains[self._headers.index] if self._headers.index < len(domains) else None

    def _fill(self) -> None:
        domains = self.draft.chosen_domains
        width = min(30, max((len(domain) for domain in domains), default=0))
        self._headers.show([f"{domain:<{width}}  {self.draft.loop_header(domain)}" for domain in domains])
        self._headers.styles.height = max(1, min(3, len(domains)))

    def _show_header(self) -> None:
        domain = self._domain()
        self._editing.box.value = self.draft.loop_header(domain) if domain else ""

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """The line below shows the header of the marked row."""
        event.stop()
        self.collect()
        self._show_header()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter on a row edits it."""
        event.stop()
        self._editing.box.focus()

    def typed_in(self, box: Input, text: str) -> None:
        """A header being typed is taken over as soon as it is one."""
        if box is not self._editing.box:
            super().typed_in(box, text)
            return
        self._header_error = None
        self.collect()

    def collect(self) -> None:
        """Take over the header of the marked row."""
        domain, text = self._domain(), typed(self._editing.box)
        if domain is None or text == self.draft.loop_header(domain):
            return
        try:
            self.draft.set_loop_header(domain, text)
        except FieldError as error:
            self._header_error = error
            return
        self._fill()
        self.edited("markers.loop_headers")

    def tell(self, key: str) -> Optional[FieldError]:
        """The header being typed has no place in the draft until it is right."""
        if key == "markers.loop_headers":
            self.show_error(key, self._header_error)
            return self._header_error
        return super().tell(key)

    # --- flagged mail

    def chose(self, owner: Choice, word: str) -> None:
        """The folder matters only when flagged mail goes to one."""
        super().chose(owner, word)
        self._show_folder()

    def _show_folder(self) -> None:
        folder = self.query_one(f"#{field_id('spam.folder')}", Field)
        folder.set_class(self.draft.text("spam.action") != "folder", "-off")
