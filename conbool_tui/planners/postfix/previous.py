"""The host's own settings beneath ours: what each setting was before this program changed it, and is
again when the plan no longer needs it.

The record lies beside our tables. It makes a second plan start from the admin's values, not from ours, so
that planning twice plans nothing
and narrowing the scope brings the old value back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.planners.postfix.lists import split_list
from conbool_tui.planners.postfix.names import is_ours

_HEADING = "# Settings as they were before conbool-tui changed them. Read by conbool-tui, not by Postfix.\n"


@dataclass(frozen=True)
class Recorded:
    """A setting before us: ``explicit`` tells a value that was written down from a default."""

    value: str
    explicit: bool


Record = Mapping[str, Recorded]


def parse_record(text: str) -> dict[str, Recorded]:
    """Read a record; lines that are none are skipped, because an edited record must not stop a plan."""
    found: dict[str, Recorded] = {}
    for line in text.split("\n"):
        kind, _, rest = line.partition(" ")
        key, separator, value = rest.partition(" =")
        if kind in ("set", "default") and separator:
            found[key] = Recorded(value.strip(), kind == "set")
    return found


def format_record(record: Record) -> str:
    """Write a record, sorted."""
    lines = [
        f"{'set' if item.explicit else 'default'} {key} = {item.value}".rstrip() + "\n"
        for key, item in sorted(record.items())
    ]
    return _HEADING + "".join(lines)


def base_scalar(
    current: Optional[str], recorded: Optional[Recorded], *, blank_is_ours: bool = False
) -> Optional[str]:
    """The admin's explicit value of a single-valued setting, None when it was not set; an edit made after
    us counts as the admin's.
    """
    ours = current is not None and (
        is_ours(current) or (blank_is_ours and recorded is not None and not current.strip())
    )
    if not ours:
        return current
    if recorded is None or not recorded.explicit:
        return None
    return recorded.value


def base_list(current: Optional[str], recorded: Optional[Recorded]) -> Optional[str]:
    """The admin's explicit value of a list setting: as recorded while our items are the only difference,
    else what is there without ours.
    """
    if current is None:
        return None
    items = split_list(current)
    own = without_restrictions(items)
    if recorded is not None and own == split_list(recorded.value):
        return recorded.value if recorded.explicit else None
    if own == items:
        return current
    # With a record an empty rest is the admin's doing: whoever emptied the list did not ask for the default.
    return ", ".join(own) if own or recorded is not None else None


def without_restrictions(items: tuple[str, ...]) -> tuple[str, ...]:
    """The items that are not ours, nor the check_… word in front of one of ours."""
    kept: list[str] = []
    for item in items:
        if is_ours(item):
            if kept and kept[-1].startswith("check_"):
                kept.pop()
            continue
        kept.append(item)
    return tuple(kept)
