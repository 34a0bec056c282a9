"""Lists in Postfix parameter values: separated by blanks or commas, with ``{ }`` groups kept whole
(postconf(5), "restriction lists").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

SEPARATORS = " \t\r\n\v\f,"
_TAKES_ARGUMENT = (
    "check_ccert_access",
    "check_client_",
    "check_etrn_access",
    "check_helo_",
    "check_policy_service",
    "check_recipient_",
    "check_reverse_client_",
    "check_sasl_access",
    "check_sender_",
    "reject_rbl_client",
    "reject_rhsbl_",
    "permit_dnswl_client",
    "permit_rhswl_client",
    "sleep",
)
_WARN = "warn_if_reject"


def split_list(value: str) -> tuple[str, ...]:
    """The items of a list value; a ``{ }`` group, also behind ``type:``, is part of its item."""
    items: list[str] = []
    current = ""
    depth = 0
    for char in value:
        if depth == 0 and char in SEPARATORS:
            if current:
                items.append(current)
            current = ""
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        depth = max(depth, 0)
        current += char
    if current:
        items.append(current)
    return tuple(items)


def split_restrictions(value: str) -> tuple[str, ...]:
    """The entries of an smtpd restriction list, an entry with an argument being one string, as is
    ``warn_if_reject`` with what it softens: ``check_client_access cidr:/x``.
    """
    entries: list[str] = []
    pending = ""
    for item in split_list(value):
        word = item.lower()
        complete = bool(pending) and not pending.lower().endswith(_WARN)
        pending = f"{pending} {item}" if pending else item
        if not complete and (word == _WARN or word.startswith(_TAKES_ARGUMENT)):
            continue
        entries.append(pending)
        pending = ""
    if pending:
        entries.append(pending)
    return tuple(entries)


_LISTS = frozenset(
    {
        "header_checks",
        "mime_header_checks",
        "nested_header_checks",
        "postscreen_access_list",
        "receive_override_options",
        "sender_dependent_default_transport_maps",
        "smtpd_restriction_classes",
    }
)


def splitter(name: str) -> Optional[Callable[[str], tuple[str, ...]]]:
    """How the value of a parameter we merge into falls into entries; None for a parameter with one value."""
    if name.endswith("_restrictions"):
        return split_restrictions
    return split_list if name in _LISTS else None
