"""Lists in Postfix parameter values: separated by blanks or commas, with ``{ }`` groups kept whole
(postconf(5), "restriction lists").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
_JUDGES_SENDER = (
    "check_client_",
    "check_helo_",
    "check_policy_service",
    "check_reverse_client_",
    "check_sender_",
    "permit_dnswl_client",
    "permit_rhswl_client",
    "reject_invalid_",
    "reject_maps_rbl",
    "reject_non_fqdn_helo",
    "reject_non_fqdn_hostname",
    "reject_non_fqdn_sender",
    "reject_rbl_client",
    "reject_rhsbl_",
    "reject_unknown_client",
    "reject_unknown_helo",
    "reject_unknown_hostname",
    "reject_unknown_reverse_client",
    "reject_unknown_sender",
    "reject_unlisted_sender",
    "reject_unverified_sender",
    "sleep",
)
_REFUSE_NOBODY = ("permit", "sleep", _WARN)
REFUSING = ("reject", "defer", "reject_unauth_destination", "defer_unauth_destination")


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


def join_list(items: Sequence[str]) -> str:
    """The usual way to write a list."""
    return ", ".join(items)


def refuses(entries: Sequence[str]) -> bool:
    """True when one of the entries turns away whoever came so far."""
    return any(entry.lower() in REFUSING for entry in entries)


def judges_sender(entry: str) -> bool:
    """True for an entry that judges who sends: the client's address or name, its greeting, the envelope sender, or
    whatever a policy service looks at (postconf(5), smtpd_recipient_restrictions).
    """
    word = entry.split(None, 1)[0].lower() if entry.split() else ""
    return word.startswith(_JUDGES_SENDER) or word.endswith("sender_login_mismatch")


def may_refuse(entry: str) -> bool:
    """True for an entry that can turn a client away."""
    return not entry.lower().startswith(_REFUSE_NOBODY)


def insert_before(entries: Sequence[str], entry: str, stops: Sequence[str]) -> tuple[str, ...]:
    """Put ``entry`` right before the first of ``stops``; at the front when none of them is visible (it
    may hide in a $name or class).
    """
    for index, item in enumerate(entries):
        if item.lower() in stops:
            return (*entries[:index], entry, *entries[index:])
    return (entry, *entries)
