"""Plans as lines: what one step adds, and whole files as differences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Notice, Plan, Step
from screens import glyphs
from screens.texts.inbound import live_name
from screens.texts.lines import Line

MAX_CHANGE_LINES = 200
PREVIEW = "What this step changes"
NOT_IN_PREVIEW = Line("! The marked field is not in this preview yet.", "warn")


def step_lines(plan: Plan, step: Step) -> list[Line]:
    """What one guide step adds: every change with its difference, and the notices that belong to it."""
    lines = notice_lines(notice for notice in plan.notices if notice.step is step)
    changes = [change for change in plan.changes if change.step is step]
    if not changes:
        lines.append(Line("Nothing: this is as it must be already.", "dim"))
    for change in changes:
        lines.append(Line(change.title, "head"))
        lines.extend(change_lines(change))
    return lines


def change_lines(change: Change) -> list[Line]:
    """One change: where it is, and what is taken out and put in."""
    where = live_name(change.path) if change.kind is ChangeKind.FIREWALL else change.path
    if change.kind is ChangeKind.SERVICE_OPTION:
        service, _, option = change.key.rpartition("/")
        return [
            Line(f"  {where}: {service}", "dim"),
            *_replaced(f"-o {option}=", change.before, change.after),
        ]
    if change.kind is ChangeKind.PARAMETER:
        return [Line(f"  {where}", "dim"), *_replaced(f"{change.key} = ", change.before, change.after)]
    before = (change.before or "").splitlines()
    after = (change.after or "").splitlines()
    lines = [
        Line(
            f"  {where}"
            + (" (new file)" if change.kind is ChangeKind.FILE and change.before is None else ""),
            "dim",
        )
    ]
    body = [line for line in difflib.ndiff(before, after) if line[0] in "+-"] if before and after else None
    if body is None:
        body = [f"- {line}" for line in before] + [f"+ {line}" for line in after]
    lines.extend(Line(line, "add" if line[0] == "+" else "del") for line in body[:MAX_CHANGE_LINES])
    if len(body) > MAX_CHANGE_LINES:
        lines.append(
            Line(f"  ({len(body) - MAX_CHANGE_LINES} more lines like these; Review has them all)", "dim")
        )
    return lines


def _replaced(lead: str, before: str | None, after: str | None) -> list[Line]:
    lines = []
    if before is not None:
        lines.append(Line(f"- {lead}{_one_line(before)}", "del"))
    if after is not None:
        lines.append(Line(f"+ {lead}{_one_line(after)}", "add"))
    return lines


def _one_line(value: str) -> str:
    return " ".join(value.split())


def notice_lines(notices: Iterable[Notice]) -> list[Line]:
    """Notes and warnings, with their word."""
    return [
        Line(f"! WARN  {notice.text}", "warn", 8)
        if notice.level == "warn"
        else Line(f"{glyphs.current().note} Note  {notice.text}", "note", 8)
        for notice in notices
    ]


def live_lines(targets: Sequence[LiveTarget]) -> list[Line]:
    """Our rules in the running packet filter, before and after."""
    lines: list[Line] = []
    for target in targets:
        before, after = (target.before or "").splitlines(), (target.after or "").splitlines()
        lines.append(Line(f"{live_name(target.name)}: connections to port 25", "head"))
        rows = [row for row in difflib.ndiff(before, after) if row[0] in "+- "]
        kinds = {"+": "add", "-": "del"}
        lines.extend(Line(row, kinds.get(row[0], "plain")) for row in rows)
        lines.append(Line(""))
    return lines


def file_lines(files: Sequence[FileTarget]) -> list[Line]:
    """Whole files as unified differences, new and removed ones said so."""
    lines: list[Line] = []
    for target in files:
        if lines:
            lines.append(Line(""))
        lines.append(Line(f"{target.path} ({file_state(target)})", "head"))
        before, after = _text(target.before), _text(target.after)
        if not before or not after:
            sign, kind, whole = ("+", "add", after) if after else ("-", "del", before)
            lines.extend(Line(f"{sign}{row}", kind) for row in whole)
            continue
        kinds = {"+": "add", "-": "del", "@": "dim"}
        rows = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
        lines.extend(Line(row, kinds.get(row[:1], "plain")) for row in rows)
    return lines


def file_state(target: FileTarget) -> str:
    """``new``, ``removed`` or ``changed``."""
    if target.before is None:
        return f"new, mode {target.mode:04o}"
    return "removed" if target.after is None else "changed"


def _text(data: bytes | None) -> list[str]:
    # Only LF ends a line for Postfix; a lone CR is shown, not obeyed.
    text = (data or b"").decode("utf-8", "backslashreplace")
    return text.removesuffix("\n").replace("\r\n", "^M\n").split("\n") if text else []
