"""What was edited since a change, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from conbool_tui.receipt import Receipt
from screens.texts.lines import Line
from screens.texts.versions import place, version_lines

if TYPE_CHECKING:
    from conbool_tui.transaction import Conflict

TITLE = "Edited since: keep or put back?"
KEEP, PUT_BACK = "keep", "put back"
"""The choices, in the words of ``conbool_tui.transaction``."""

_MEANING = {
    KEEP: "You chose: KEEP MINE. The value of now stays.",
    PUT_BACK: "You chose: PUT BACK. The value from before the {name} comes back; the value of now is lost.",
}


def name_of(receipt: Receipt) -> str:
    """What the recorded change is called."""
    return "undo" if receipt.undo_of else "change"


def intro_lines(
    receipt: Receipt, conflicts: Sequence[Conflict], again: Collection[tuple[str, str]]
) -> list[Line]:
    """What the choice is about."""
    lines = []
    if again:
        lines.append(
            Line(f"! Edited again just now: {len(again)}. Nothing was changed. Choose again.", "warn")
        )
    what = "place was" if len(conflicts) == 1 else "places were"
    lines.append(
        Line(
            f"{len(conflicts)} {what} edited after {name_of(receipt)} {receipt.id}. Choose for each; everything else of "
            "it is taken back.",
            hang=0,
        )
    )
    later = sorted({item.later for item in conflicts if item.later}, reverse=True)
    if later:
        lines.append(
            Line(
                f"! Better take back {' and '.join(later)} first: later changes of ours set these, too.",
                "warn",
            )
        )
    return lines


def conflict_row(conflict: Conflict, choice: str, *, again: bool = False) -> str:
    """One conflict in one line, its choice first."""
    mark = "KEEP MINE" if choice == KEEP else "PUT BACK "
    return f"{mark}  {place(conflict.path, conflict.key)}" + ("  edited again" if again else "")


def meaning(choice: str, name: str = "change") -> str:
    """What a choice means."""
    return _MEANING[choice].format(name=name)


def conflict_lines(
    conflict: Conflict, choice: str, name: str = "change", *, again: bool = False
) -> list[Line]:
    """The choice, and all three versions."""
    lines = [Line(place(conflict.path, conflict.key), "title"), Line(meaning(choice, name))]
    if again:
        lines.append(Line("! It was edited again after you chose.", "warn"))
    if conflict.later:
        lines.append(
            Line(
                f"! It was set by change {conflict.later}, a later one of ours. Take that back first.", "warn"
            )
        )
    versions = (
        (f"Before the {name}", conflict.base),
        (f"Set by the {name}", conflict.ours),
        ("Now", conflict.now),
    )
    return [*lines, *version_lines(versions)]


def chosen_lines(
    conflicts: Sequence[Conflict], choices: Mapping[tuple[str, str], str], name: str = "change"
) -> list[str]:
    """What the choices come to, for the last question: what is lost first."""
    lines = []
    for choice, text in (
        (PUT_BACK, f"Your edits that are lost; the value from before the {name} comes back:"),
        (KEEP, "Your edits that stay:"),
    ):
        found = [item for item in conflicts if choices[item.at] == choice]
        if found:
            lines.extend([text, *(f"  {place(item.path, item.key)}" for item in found), ""])
    return lines
