"""Rules that judge who sends, and how a list spares Conbool from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import judges_sender, may_refuse
from conbool_tui.planners.postfix.names import is_ours
from conbool_tui.planners.postfix.restrictions import seen


def judges(design: Design, entries: Sequence[str]) -> list[str]:
    """The admin's entries, also those in a $name or class, that can refuse somebody for who sends."""
    return [
        entry
        for entry in seen(design, entries)
        if not is_ours(entry) and judges_sender(entry) and may_refuse(entry)
    ]


def first_judge(design: Design, entries: Sequence[str]) -> Optional[int]:
    """The place of the first entry that can refuse somebody for who sends; None when there is none."""
    for index, entry in enumerate(entries):
        if judges(design, (entry,)):
            return index
    return None


def spared(design: Design, entries: Sequence[str]) -> Sequence[str]:
    """The list with an entry that lets Conbool pass before the first rule that judges who sends.

    Only for lists that decide nothing about relaying: an OK ends the list (access(5)).
    """
    first = first_judge(design, entries) if design.answers.conbool_networks else None
    if first is None:
        return entries
    design.add_table(
        names.TRUSTED_CLIENTS,
        [f"{network}\tOK" for network in design.answers.conbool_networks],
        Step.B,
        "Clients that rules about the sender spare",
        "Conbool's addresses; who may relay is decided elsewhere.",
    )
    trusted = f"check_client_access {design.table(names.TRUSTED_CLIENTS, kind='cidr')}"
    return [*entries[:first], trusted, *entries[first:]]
