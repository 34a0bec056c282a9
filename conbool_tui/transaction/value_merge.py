"""Take our entries out of a list that both we and somebody else changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from conbool_tui.plan import Change, ChangeKind
from conbool_tui.postfix_config.value_lists import splitter

_DEFAULTS = {
    "mime_header_checks": "$header_checks",
    "nested_header_checks": "$header_checks",
    "postscreen_access_list": "permit_mynetworks",
}
"""postconf(5): lists that are not empty by default."""
_DEFAULT_UNKNOWN = frozenset(("smtpd_recipient_restrictions", "smtpd_relay_restrictions"))
"""Lists whose default depends on version and compatibility level, and keeps others from relaying."""


@dataclass(frozen=True)
class Rest:
    """What is left of a list; ``value`` None: it is not set."""

    value: Optional[str]


def without_ours(
    change: Change, old: Optional[str], new: Optional[str], value: Optional[str], *, shared: bool
) -> Optional[Rest]:
    """A list without our entries; None where that is not certain.

    Certain means: we only added entries to what the list was, or is by default, and each of them is still there as it
    was, or, in a ``shared`` list, gone.

    Args:
        change: what set the list.
        old: its value before us, None: not set.
        new: its value as we left it.
        value: its value now.
        shared: later changes of ours set it, too, and may have taken entries away.
    """
    name = change.key.rsplit("/", 1)[-1]
    split = splitter(name)
    lists = change.kind in (ChangeKind.PARAMETER, ChangeKind.SERVICE_OPTION)
    if split is None or not lists or new is None or value is None:
        return None
    first = old if old is not None else _default(change, name)
    if first is None:
        return None
    own, added, found = list(split(first)), list(split(new)), list(split(value))
    at = 0
    for item in own:
        if item not in added[at:]:
            return None
        at = added.index(item, at)
        del added[at]
    if old is None and not added:
        return None
    for item in added:
        counts = (added.count(item), 0) if shared else (added.count(item),)
        if item in own or found.count(item) not in counts:
            return None
    kept = [item for item in found if item not in added]
    if kept == own or not kept:
        # An empty list where there was none before is not the default, and the default has no entry of the admin's.
        return Rest(old) if kept == own else None
    return Rest(", ".join(kept))


def _default(change: Change, name: str) -> Optional[str]:
    """What a list is that main.cf does not set; None: that cannot be told."""
    if change.kind is not ChangeKind.PARAMETER or name in _DEFAULT_UNKNOWN:
        return None
    return _DEFAULTS.get(name, "")
