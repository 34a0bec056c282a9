"""What differs now from what was applied: per key, per file and per set of firewall rules, from the journal."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.findings import Finding, Status
from conbool_tui.firewall import tagged_lines
from conbool_tui.host import Host
from conbool_tui.plan import Change, ChangeKind, LiveTarget
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import list_changes
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.record import Record, load
from conbool_tui.transaction.store import Store

_REMEDY = (
    "Apply again to set it as planned, or conbool-tui undo to take the change back; conbool-tui plan "
    "--diff shows the difference."
)


def check_drift(host: Host, state_dir: str, *, live_for: LiveFor = real_live) -> list[Finding]:
    """The findings ``drift``: one for each key, file or set of rules that is not as applied any more, or one that all is.

    Of several applied changes the newest that set a key decides what it should be.

    Args:
        live_for: gives the driver of firewall rules.
    """
    try:
        applied = [
            receipt
            for receipt in reversed(list_changes(host, state_dir))
            if receipt.state is ChangeState.APPLIED and not receipt.undo_of
        ]
        store = Store(host, state_dir)
        records = [(receipt.started, load(store, receipt.id)) for receipt in applied]
    except ConboolError as error:
        return [
            Finding(
                "drift",
                Status.NOT_TESTED,
                f"What was applied cannot be read: {error.what}",
                error.why,
                error.todo,
            )
        ]
    if not records:
        return [
            Finding(
                "drift",
                Status.NOT_TESTED,
                "Nothing was applied by conbool-tui on this server, so nothing can differ.",
            )
        ]
    expected: dict[tuple[str, str], tuple[str, Record, Change]] = {}
    rules: dict[str, tuple[str, LiveTarget]] = {}
    for when, record in records:
        for change in record.plan.changes:
            if change.kind is not ChangeKind.FIREWALL:
                expected[(change.path, change.key)] = (when, record, change)
        rules.update({target.name: (when, target) for target in record.plan.live})
    findings: list[Finding] = []
    contents: dict[str, Optional[bytes]] = {}
    for (path, key), (when, record, change) in expected.items():
        try:
            if path not in contents:
                contents[path] = host.read_bytes(path) if host.exists(path) else None
            finding = _compare(path, key, contents[path], record, change, when)
        except ConboolError as error:
            finding = Finding(
                "drift", Status.NOT_TESTED, f"{path} cannot be compared: {error.what}", error.why, error.todo
            )
        if finding is not None:
            findings.append(finding)
    for when, target in rules.values():
        difference = _rules_differ(host, target, when, live_for)
        if difference is not None:
            findings.append(difference)
    if findings:
        return findings
    what = "settings, files and firewall rules" if rules else "settings and files"
    return [
        Finding(
            "drift",
            Status.OK,
            f"All {len(expected) + len(rules)} {what} are as applied (last change {records[-1][1].id}).",
        )
    ]


def _rules_differ(host: Host, target: LiveTarget, when: str, live_for: LiveFor) -> Optional[Finding]:
    """The finding for one set of rules; None when they are in force as applied."""
    if not host.live:
        summary = f"{target.name}: rules are in force only on the running system."
        return Finding("drift", Status.NOT_TESTED, summary)
    try:
        now = live_for(host, target.name).read()
    except ConboolError as error:
        summary = f"{target.name} cannot be compared: {error.what}"
        return Finding("drift", Status.NOT_TESTED, summary, error.why, error.todo)
    if now == target.after:
        return None
    what = "are not in force any more" if now is None else "are not as applied"
    detail = f"applied: {_shown(target.after)}\nnow: {_shown(now)}"
    return Finding(
        "drift", Status.FAIL, f"The firewall rules ({target.name}) {what} ({when}).", detail, _REMEDY
    )


def _compare(
    path: str, key: str, now: Optional[bytes], record: Record, change: Change, when: str
) -> Optional[Finding]:
    """The finding for one key or file; None when it is as applied. Raises ConfigTextError."""
    applied = next(
        (entry.after.data for entry in record.entries if entry.path == path and entry.after is not None), None
    )
    name = f"{path}: {key}" if key else path
    if change.kind is ChangeKind.FILE:
        if now == applied:
            return None
        what = "is gone" if now is None else ("is back" if applied is None else "was edited")
        return Finding("drift", Status.FAIL, f"{name} {what} since it was applied ({when}).", "", _REMEDY)
    if now is None:
        return Finding("drift", Status.FAIL, f"{path} is gone since {key} was applied ({when}).", "", _REMEDY)
    before, after = _value(applied or b"", change), _value(now, change)
    if before == after:
        return None
    detail = f"applied: {_shown(before)}\nnow: {_shown(after)}"
    return Finding("drift", Status.FAIL, f"{name} is not as applied ({when}).", detail, _REMEDY)


def _value(data: bytes, change: Change) -> Optional[str]:
    """The value of a change's key in a file's content. Raises ConfigTextError."""
    if change.kind is ChangeKind.LINES:
        return tagged_lines.get(data, change.key)
    if change.kind is ChangeKind.PARAMETER:
        return MainCf.parse(data).get(change.key)
    master = MasterCf.parse(data)
    if change.kind is ChangeKind.SERVICE_BLOCK:
        return master.block(change.key)
    name, kind, option = change.key.rsplit("/", 2)
    service = master.service(name, kind)
    return None if service is None else service.option(option)


def _shown(value: Optional[str]) -> str:
    if value is None:
        return "(not there)"
    text = " ".join(value.split())
    return text if len(text) <= 200 else text[:200] + "…"
