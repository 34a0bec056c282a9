"""One undo that is being asked about, in both front ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conbool_tui.receipt import Receipt

if TYPE_CHECKING:
    from conbool_tui.transaction import Conflict


@dataclass(frozen=True)
class Undo:
    """What is to be taken back, and what was chosen about edits.

    Attributes:
        conflicts: what was edited since, as it was shown.
        choices: what was chosen about them.
        again: those that were edited after the choice.
    """

    receipt: Receipt
    conflicts: tuple[Conflict, ...]
    choices: Mapping[tuple[str, str], str] = field(default_factory=dict)
    again: frozenset[tuple[str, str]] = frozenset()

    def edited_again(self, found: Sequence[Conflict]) -> Undo:
        """The same with the new versions, first; choices about those are void."""
        again = frozenset(item.at for item in found)
        rest = tuple(item for item in self.conflicts if item.at not in again)
        kept = {at: choice for at, choice in self.choices.items() if at not in again}
        return replace(self, conflicts=(*found, *rest), choices=kept, again=again)
