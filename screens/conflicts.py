"""What was edited since a change (or an undo): for each, keep it or put back the value from before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Optional

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from conbool_tui.receipt import Receipt
from screens.base import BaseScreen
from screens.texts import actions
from screens.texts.conflicts import KEEP, PUT_BACK, TITLE, conflict_lines, conflict_row, intro_lines, name_of
from screens.texts.versions import VERSIONS
from screens.widgets.button import Button, button
from screens.widgets.lines import Text, TextPane
from screens.widgets.row_list import RowList

if TYPE_CHECKING:
    from conbool_tui.transaction import Conflict

Chosen = dict[tuple[str, str], str]
_ROWS = 6


class ConflictsScreen(BaseScreen):
    """All conflicts of one undo with their three versions. Dismissed with the choices; with None when the admin goes back.

    What nobody chose about is kept: that loses nothing.

    Args:
        receipt: the change, or the undo, that is to be taken back.
        conflicts: what was edited since.
        choices: what was chosen earlier, by path and key.
        again: which of the conflicts were edited after somebody chose about them.
    """

    DEFAULT_CSS = """
    ConflictsScreen #about { margin-bottom: 1; }
    ConflictsScreen #versions { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "choose('keep')", show=False),
        Binding("p", "choose('put back')", show=False),
    ]
    help_topic = "conflicts"

    def __init__(
        self,
        receipt: Receipt,
        conflicts: Sequence[Conflict],
        choices: Mapping[tuple[str, str], str],
        again: Collection[tuple[str, str]] = (),
    ) -> None:
        super().__init__()
        self._receipt = receipt
        self._conflicts = tuple(conflicts)
        self._again = frozenset(again)
        self._choices: Chosen = {item.at: choices.get(item.at, KEEP) for item in self._conflicts}

    def title_text(self) -> str:
        """What is asked."""
        return f" conbool-tui   {TITLE}"

    def body(self) -> ComposeResult:
        """What it is about, the list, and the versions of the marked one."""
        yield Text(intro_lines(self._receipt, self._conflicts, self._again), id="about")
        keys = (("k", "Keep mine"), ("p", "Put back"))
        changes = RowList(self._rows(), keys=keys, id="edited")
        changes.styles.height = min(_ROWS, max(2, len(self._conflicts)))
        yield changes
        yield TextPane(VERSIONS, id="versions")

    def buttons(self) -> Sequence[Button]:
        """Nothing is written here: the question comes after it."""
        return (
            button(actions.CANCEL, "back"),
            button(actions.KEEP_ALL, "keep"),
            button(actions.PUT_BACK_ALL, "put"),
            button(actions.UNDO, "undo"),
        )

    def first_focus(self) -> Optional[str]:
        """The list."""
        return "#edited"

    def opened(self) -> None:
        """Show the first."""
        super().opened()
        self._show()

    def _rows(self) -> list[str]:
        return [
            conflict_row(item, self._choices[item.at], again=item.at in self._again)
            for item in self._conflicts
        ]

    def _show(self) -> None:
        changes = self.query_one("#edited", RowList)
        changes.show(self._rows())
        item = self._conflicts[changes.index]
        self.query_one("#versions", TextPane).show(
            conflict_lines(
                item, self._choices[item.at], name_of(self._receipt), again=item.at in self._again
            ),
            f"{changes.index + 1} of {len(self._conflicts)}",
        )

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Another one: from its top."""
        event.stop()
        self.query_one("#versions", TextPane).top = 0
        self._show()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        """Enter changes the choice."""
        event.stop()
        item = self._conflicts[event.index]
        self.action_choose(KEEP if self._choices[item.at] == PUT_BACK else PUT_BACK)

    def action_choose(self, choice: str) -> None:
        """Choose about the marked one."""
        item = self._conflicts[self.query_one("#edited", RowList).index]
        self._choices[item.at] = choice
        self._show()

    def _all(self, choice: str) -> None:
        self._choices = dict.fromkeys(self._choices, choice)
        self._show()

    def do_keep(self) -> None:
        """Keep all as they are now."""
        self._all(KEEP)

    def do_put(self) -> None:
        """Put all values from before the change back."""
        self._all(PUT_BACK)

    def do_undo(self) -> None:
        """On to the last question."""
        self.dismiss(dict(self._choices))

    def action_back(self) -> None:
        """Nothing is undone."""
        self.dismiss(None)
