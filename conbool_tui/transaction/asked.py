"""Choices about conflicts are about the values that were seen: an edit made since makes them void."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Callable, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.transaction.key_values import Key, key_of, text_of, value_in
from conbool_tui.transaction.merge import Choices, Conflict
from conbool_tui.transaction.record import Record

if TYPE_CHECKING:
    from conbool_tui.firewall.driver import LiveRules

Asked = Mapping[Key, Optional[str]]
"""What was there, by path and key, when the admin chose; None: nothing was."""


def asked_about(conflicts: Sequence[Conflict]) -> dict[Key, Optional[str]]:
    """What was there when these conflicts were shown."""
    return {conflict.at: conflict.now for conflict in conflicts}


def still_meant(
    host: Host, record: Record, driver: Callable[[str], LiveRules], choices: Choices, asked: Asked
) -> dict[Key, str]:
    """The choices without those that were made about a value that is not there any more.

    A choice that is not in ``asked`` is about whatever is there.
    """
    return {
        at: choice
        for at, choice in choices.items()
        if at not in asked or _is_now(host, record, driver, at, asked[at])
    }


def _is_now(
    host: Host, record: Record, driver: Callable[[str], LiveRules], at: Key, value: Optional[str]
) -> bool:
    path, key = at
    try:
        if not path.startswith("/"):
            return driver(path).read() == value
        now = host.capture(path)
        data = None if now is None else now.data
        if not key:
            return text_of(data) == value
        return any(value_in(data, change) == value for change in record.plan.changes if key_of(change) == at)
    except ConboolError:
        return False
