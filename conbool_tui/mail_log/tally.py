"""Counting messages by client address in memory of bounded size."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from conbool_tui.mail_log.lines import Accepted
from conbool_tui.mail_log.networks import Networks, is_loopback, packed
from conbool_tui.present_senders import SHOWN, PresentSender

LARGEST = 60_000
"""So many addresses are kept apart; beyond that the rarest half becomes one sum."""

_HOSTS = 8


@dataclass(frozen=True)
class Sums:
    """What was counted, named as in ``SenderReport``."""

    senders: tuple[PresentSender, ...]
    others: int
    other_messages: int
    messages: int
    cut_off_messages: int


class Tally:
    """Messages by client address.

    Args:
        allowed: who could still connect.
        largest: how many addresses are kept apart.
    """

    def __init__(self, allowed: Networks, largest: int = LARGEST) -> None:
        self._allowed = allowed
        self._largest = largest
        # By address as logged: number, last time, name.
        self._clients: dict[bytes, tuple[int, bytes, bytes]] = {}
        self._dropped = 0
        self._dropped_messages = 0
        self._dropped_cut_off = 0
        self.hosts: set[bytes] = set()
        self.lines = 0

    @property
    def overflowed(self) -> bool:
        """True when addresses were given up: their numbers are in the sums only."""
        return self._dropped > 0

    def add(self, found: Iterable[Accepted]) -> None:
        """Count messages."""
        clients, hosts = self._clients, self.hosts
        for stamp, log_host, repeated, name, address in found:
            times = 1 if repeated is None else int(repeated)
            known = clients.get(address)
            if known is not None:
                clients[address] = (known[0] + times, stamp, name)
            else:
                clients[address] = (times, stamp, name)
                if len(clients) > self._largest:
                    self._drop()
            if log_host not in hosts and len(hosts) < _HOSTS:
                hosts.add(log_host)
            self.lines += 1

    def _drop(self) -> None:
        """Give up the rarest half of the addresses, those known longest first among equals."""
        order = sorted(self._clients, key=lambda address: self._clients[address][0])
        for address in order[: len(order) // 2]:
            number = self._clients.pop(address)[0]
            binary = packed(address)
            if binary is None or is_loopback(binary):
                continue
            self._dropped += 1
            self._dropped_messages += number
            if binary not in self._allowed:
                self._dropped_cut_off += number

    def result(self) -> Sums:
        """The sums and the senders, those that would be cut off first, then by number."""
        merged: dict[bytes, tuple[int, bytes, bytes]] = {}
        for address, (number, stamp, name) in self._clients.items():
            binary = packed(address)
            if binary is None or is_loopback(binary):
                continue
            before = merged.get(binary)
            merged[binary] = (number + (before[0] if before else 0), stamp, name)
        order = sorted(
            merged, key=lambda binary: (binary in self._allowed, -merged[binary][0], len(binary), binary)
        )
        senders = tuple(
            PresentSender(
                str(ipaddress.ip_address(binary)),
                printable(merged[binary][2]),
                merged[binary][0],
                printable(merged[binary][1]),
                binary not in self._allowed,
            )
            for binary in order[:SHOWN]
        )
        messages = sum(number for number, _, _ in merged.values())
        cut_off = sum(number for binary, (number, _, _) in merged.items() if binary not in self._allowed)
        shown = sum(one.messages for one in senders)
        return Sums(
            senders,
            len(merged) - len(senders) + self._dropped,
            messages + self._dropped_messages - shown,
            messages + self._dropped_messages,
            cut_off + self._dropped_cut_off,
        )


def printable(text: bytes) -> str:
    """Text from the log as it can be shown: nothing in it can move the cursor or change colours."""
    decoded = text.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in decoded)
