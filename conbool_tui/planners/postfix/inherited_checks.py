"""The MIME and nested header checks of a host, whose default is ``$header_checks``."""

from __future__ import annotations

from typing import Optional

from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.lists import join_list, split_list
from conbool_tui.planners.postfix.previous import base_list


def explicit_inherited(design: Design, name: str, own_header_checks: Optional[str]) -> Optional[str]:
    """The admin's explicit value of a parameter whose default is $header_checks."""
    current, recorded = design.current(name), design.record.get(name)
    if current is None:
        return None
    without = base_list(current, None)
    if recorded is not None:
        before = design.record.get("header_checks")
        meant = recorded.value if recorded.explicit else "$header_checks"
        for checks in (own_header_checks or "", before.value if before is not None else ""):
            if split_list(without or "") == resolved(meant, checks):
                return recorded.value if recorded.explicit else None
    return current if without == current else (without or "")


def inherited(design: Design, name: str, own_header_checks: Optional[str]) -> str:
    """The checks in force, with ``$header_checks`` written out: ours must not come along with it."""
    explicit = explicit_inherited(design, name, own_header_checks)
    return join_list(resolved("$header_checks" if explicit is None else explicit, own_header_checks or ""))


def resolved(value: str, header_checks: str) -> tuple[str, ...]:
    """The items of a value, with those of ``header_checks`` in the place of ``$header_checks``."""
    found: list[str] = []
    for item in split_list(value):
        inner = (
            split_list(header_checks)
            if item.strip("${}()") == "header_checks" and item[0] == "$"
            else (item,)
        )
        found += inner
    return tuple(found)
