"""What the entries of restriction lists do, and how to write lists."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.postfix_config.value_lists import SEPARATORS, split_list, split_restrictions, splitter

__all__ = [
    "REFUSING",
    "SEPARATORS",
    "insert_before",
    "join_list",
    "judges_sender",
    "may_refuse",
    "refuses",
    "split_list",
    "split_restrictions",
    "splitter",
]

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
