"""Who hands mail to port 25 today, as data: read from the mail log, shown in step B before the port is closed."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 20
"""So many senders are named; the others are counted."""


@dataclass(frozen=True)
class PresentSender:
    """One client address that handed over mail.

    Attributes:
        address: its IP address.
        name: its host name as the mail system saw it, ``unknown`` when it had none.
        messages: how many messages were accepted from it without authentication.
        last: when the last one came, as the log writes it.
        cut_off: it could not connect any more under the answers.
    """

    address: str
    name: str
    messages: int
    last: str
    cut_off: bool


@dataclass(frozen=True)
class SenderReport:
    """All senders in the log, those that would be cut off first, then by number of messages.

    Attributes:
        senders: at most ``SHOWN`` entries; ``others`` says how many more there are, with ``other_messages`` of them.
        messages: messages accepted on port 25 in all, ``cut_off_messages`` of them from senders that would be cut off.
        sources: the files read, oldest first.
        days: days between the first and the last line read.
        note: what could not be read or tells less than it seems, in sentences; empty when all is well.
    """

    senders: tuple[PresentSender, ...]
    others: int
    other_messages: int
    messages: int
    cut_off_messages: int
    sources: tuple[str, ...]
    days: float
    note: str = ""
