"""How recorded changes hang together: chains of undo, and which value a key had before a change when an earlier one was
taken back meanwhile.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction import record as records
from conbool_tui.transaction.key_values import Key, key_of, same_meaning, values_of
from conbool_tui.transaction.record import Record
from conbool_tui.transaction.store import Store


def chains(receipts: Sequence[Receipt]) -> dict[str, list[Receipt]]:
    """Every change that is no undo, with its undo, the undo of that, and so on, oldest first."""
    found: dict[str, list[Receipt]] = {}
    root: dict[str, str] = {}
    for receipt in sorted(receipts, key=lambda item: item.id):
        root[receipt.id] = root.get(receipt.undo_of, receipt.undo_of) or receipt.id
        found.setdefault(root[receipt.id], []).append(receipt)
    return found


def taken_back_at(chain: Sequence[Receipt]) -> str:
    """The id of the undo that made a change ineffective; empty when it is in force or never was."""
    if not chain or chain[0].state is not ChangeState.UNDONE:
        return ""
    return max(item.id for item in chain if item.state in (ChangeState.APPLIED, ChangeState.UNDONE))


def bases_instead(store: Store, receipts: Sequence[Receipt], record: Record) -> dict[Key, Optional[str]]:
    """Base values to use instead of those recorded, when ``record`` is taken back.

    Without this, taking back two changes of one key in the order they were made would end with the value of the first.

    Raises:
        ConboolError: a record cannot be read.
    """
    instead: dict[Key, Optional[str]] = {}
    if record.undo_of:
        return instead
    changes = {key_of(change): change for change in record.plan.changes}
    bases = {at: values_of(record, change)[0] for at, change in changes.items()}
    for root, chain in sorted(chains(receipts).items(), reverse=True):
        if root >= record.id or taken_back_at(chain) < record.id:
            continue
        earlier = records.load(store, root)
        for change in earlier.plan.changes:
            at = key_of(change)
            if at not in bases:
                continue
            before, after = values_of(earlier, change)
            if before != after and same_meaning(change, after, bases[at]):
                bases[at] = instead[at] = before
    return instead


def set_later(
    store: Store, receipts: Sequence[Receipt], record: Record
) -> Mapping[Key, tuple[str, Optional[str]]]:
    """For every key of ``record``: the newest later change in force that set it, and to what. Raises as ``bases_instead``."""
    found: dict[Key, tuple[str, Optional[str]]] = {}
    keys = {key_of(change) for change in record.plan.changes}
    for later in _in_force_since(store, receipts, record):
        for change in later.plan.changes:
            if key_of(change) in keys:
                found[key_of(change)] = (later.id, values_of(later, change)[1])
    return found


def set_by_later(store: Store, receipts: Sequence[Receipt], record: Record, keys: Iterable[Key]) -> set[str]:
    """The later changes in force that set one of these keys; of master.cf, anything in the file. Raises as ``bases_instead``."""
    wanted = set(keys)
    files = {path for path, _ in wanted if posixpath.basename(path) == "master.cf"}
    return {
        later.id
        for later in _in_force_since(store, receipts, record)
        for change in later.plan.changes
        if key_of(change) in wanted or change.path in files
    }


def _in_force_since(store: Store, receipts: Sequence[Receipt], record: Record) -> Iterator[Record]:
    """The records of later changes that are in force, oldest first. Raises as ``bases_instead``."""
    for receipt in sorted(receipts, key=lambda item: item.id):
        if receipt.id > record.id and receipt.state is ChangeState.APPLIED and not receipt.undo_of:
            yield records.load(store, receipt.id)


def prunable(receipts: Sequence[Receipt], keep: int = 0) -> list[Receipt]:
    """Records that nothing can be taken back from any more, newest first.

    That is: changes that were rolled back, and changes that were undone, with their undo. What a change still in force
    may need for its own undo stays: an undone change in whose time it was made.

    Args:
        keep: the newest so many records stay, whatever they are.
    """
    ordered = sorted(receipts, key=lambda item: item.id, reverse=True)
    spared = {item.id for item in ordered[:keep]}
    every = chains(receipts)
    standing = [root for root, chain in every.items() if chain[0].state not in _OVER]
    gone: set[str] = set()
    for root, chain in every.items():
        if any(item.state not in (*_OVER, ChangeState.APPLIED) for item in chain):
            continue
        if chain[0].undo_of:
            # Its change was removed already, by a run that was cut off.
            gone |= {item.id for item in chain} - spared
            continue
        end = taken_back_at(chain)
        if end and not any(root < other < end for other in standing):
            ids = {item.id for item in chain}
            if not ids & spared:
                gone |= ids
        gone |= {item.id for item in chain if item.state is ChangeState.ROLLED_BACK} - spared
    return [item for item in ordered if item.id in gone]


_OVER = (ChangeState.ROLLED_BACK, ChangeState.UNDONE)


def shared_keys(store: Store, receipts: Sequence[Receipt], record: Record) -> frozenset[Key]:
    """The keys of ``record`` that later records set, too, whatever became of those. Raises as ``bases_instead``."""
    keys = {key_of(change) for change in record.plan.changes}
    found: set[Key] = set()
    for receipt in receipts:
        if receipt.id > record.id and receipt.state in (ChangeState.APPLIED, ChangeState.UNDONE):
            found |= keys & {key_of(change) for change in records.load(store, receipt.id).plan.changes}
    return frozenset(found)
