"""What differs now from what was applied: per key, per file and per set of firewall rules, from the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.plan import Change, ChangeKind, LiveTarget
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import list_changes
from conbool_tui.transaction.accepted import load_accepted
from conbool_tui.transaction.key_values import Key, key_of, same_meaning, value_in, values_of
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.record import Record, load
from conbool_tui.transaction.store import Store

_REMEDY = (
    "conbool-tui apply --recorded sets it again as it was applied; conbool-tui accept keeps it as it is now; "
    "conbool-tui undo takes the change back."
)


@dataclass(frozen=True)
class Drift:
    """One key, file or set of firewall rules that is not as it was applied.

    Attributes:
        change_id: the change that had set it.
        path: the file, or the name of the rules.
        key: the key in the file; empty for all of it.
        applied: the value it should have, that is, as applied, or as accepted later. None: not there.
        now: the value it has.
        when: when it was applied (UTC, ISO 8601).
    """

    change_id: str
    path: str
    key: str
    applied: Optional[str]
    now: Optional[str]
    when: str


@dataclass
class _Compared:
    """What a look at everything that was applied gave."""

    drift: list[Drift]
    untested: list[Finding]
    total: int = 0
    rules: bool = False
    last: str = ""


def find_drift(host: Host, state_dir: str, *, live_for: LiveFor = real_live) -> list[Drift]:
    """What is not as applied any more; read only. Raises ConboolError: what was applied cannot be read."""
    return _look(host, state_dir, live_for).drift


def check_drift(host: Host, state_dir: str, *, live_for: LiveFor = real_live) -> list[Finding]:
    """The findings ``drift``: one for each key, file or set of rules that is not as applied any more, or one that all is.

    Of several applied changes the newest that set a key decides what it should be; an accepted value counts instead.

    Args:
        live_for: gives the driver of firewall rules.
    """
    try:
        seen = _look(host, state_dir, live_for)
    except ConboolError as error:
        summary = f"What was applied cannot be read: {error.what}"
        return [Finding("drift", Status.NOT_TESTED, summary, error.why, error.todo)]
    if not seen.last:
        summary = "Nothing was applied by conbool-tui on this server, so nothing can differ."
        return [Finding("drift", Status.NOT_TESTED, summary)]
    findings = [_finding(item, host) for item in seen.drift] + seen.untested
    if findings:
        return findings
    what = "settings, files and firewall rules" if seen.rules else "settings and files"
    return [Finding("drift", Status.OK, f"All {seen.total} {what} are as applied (last change {seen.last}).")]


def _look(host: Host, state_dir: str, live_for: LiveFor) -> _Compared:
    store = Store(host, state_dir)
    expected: dict[Key, tuple[str, Record, Change]] = {}
    rules: dict[str, tuple[str, str, LiveTarget]] = {}
    accepted: dict[str, dict[Key, Optional[str]]] = {}
    seen = _Compared([], [])
    for receipt in reversed(list_changes(host, state_dir)):
        if receipt.state is not ChangeState.APPLIED or receipt.undo_of:
            continue
        record = load(store, receipt.id)
        accepted[receipt.id] = load_accepted(store, receipt.id)
        for change in record.plan.changes:
            if change.kind is not ChangeKind.FIREWALL:
                expected[key_of(change)] = (receipt.started, record, change)
        rules.update({target.name: (receipt.started, receipt.id, target) for target in record.plan.live})
        seen.last = receipt.id
    seen.total, seen.rules = len(expected) + len(rules), bool(rules)
    contents: dict[str, Optional[bytes]] = {}
    for (path, key), (when, record, change) in expected.items():
        try:
            if path not in contents:
                contents[path] = host.read_bytes(path) if host.exists(path) else None
            now = value_in(contents[path], change)
            applied = accepted[record.id].get((path, key), values_of(record, change)[1])
        except ConboolError as error:
            summary = f"{path} cannot be compared: {error.what}"
            seen.untested.append(Finding("drift", Status.NOT_TESTED, summary, error.why, error.todo))
            continue
        if not same_meaning(change, now, applied):
            seen.drift.append(Drift(record.id, path, key, applied, now, when))
    for when, change_id, target in rules.values():
        _look_at_rules(host, seen, target, (when, change_id), accepted[change_id], live_for)
    return seen


def _look_at_rules(
    host: Host,
    seen: _Compared,
    target: LiveTarget,
    by: tuple[str, str],
    accepted: Mapping[Key, Optional[str]],
    live_for: LiveFor,
) -> None:
    """Compare one set of rules with what is in force."""
    if not host.live:
        summary = f"{target.name}: rules are in force only on the running system."
        seen.untested.append(Finding("drift", Status.NOT_TESTED, summary))
        return
    try:
        now = live_for(host, target.name).read()
    except ConboolError as error:
        summary = f"{target.name} cannot be compared: {error.what}"
        seen.untested.append(Finding("drift", Status.NOT_TESTED, summary, error.why, error.todo))
        return
    applied = accepted.get((target.name, ""), target.after)
    if now != applied:
        seen.drift.append(Drift(by[1], target.name, "", applied, now, by[0]))


def _finding(item: Drift, host: Host) -> Finding:
    """One difference for people. Contents of whole files are not shown: a table may hold anything."""
    detail = f"applied: {_shown(item.applied)}\nnow: {_shown(item.now)}"
    if not item.path.startswith("/"):
        what = "are not in force any more" if item.now is None else "are not as applied"
        summary = f"The firewall rules ({item.path}) {what} ({item.when})."
    elif item.key and not host.exists(item.path):
        summary, detail = f"{item.path} is gone since {item.key} was applied ({item.when}).", ""
    elif item.key:
        summary = f"{item.path}: {item.key} is not as applied ({item.when})."
    else:
        what = "is gone" if item.now is None else ("is back" if item.applied is None else "was edited")
        summary, detail = f"{item.path} {what} since it was applied ({item.when}).", ""
    return Finding("drift", Status.FAIL, summary, detail, _REMEDY)


def _shown(value: Optional[str]) -> str:
    if value is None:
        return "(not there)"
    text = " ".join(value.split())
    return text if len(text) <= 200 else text[:200] + "…"
