"""Facts, plans, receipts and findings as text for people and as JSON for scripts. No I/O: everything is
returned.

Text is made for 80 columns. Whatever comes from the machine is shown with its control characters escaped, so
that no file can send commands to the terminal.
"""

from __future__ import annotations

import base64
import dataclasses
import difflib
import enum
import hashlib
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, cast

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FileText, FirewallFacts, HostFacts, MtaFacts, Outcome, PostfixFacts
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.findings import Finding, Status
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.support.credentials import hide_assignments, is_password

WIDTH = 80
_SYMBOLS = {Status.OK: "+", Status.WARN: "!", Status.FAIL: "x", Status.NOT_TESTED: "?"}
_STEP_TITLES = {
    Step.A: "Step A - the smart host",
    Step.B: "Step B - inbound mail",
    Step.C: "Step C - loop protection and spam",
    Step.D: "Step D - released mail",
    Step.SCOPE: "Scope - who uses the smart host",
}
_SHOWN_VALUE = 320
_LISTED = 8
_NO_FINAL_NEWLINE = b"\n\\ No newline at end of file\n"


# --- pieces ---------------------------------------------------------------------------------------


def printable(text: str, *, keep: str = "") -> str:
    """The text with everything escaped that a terminal would act on; characters in ``keep`` stay."""
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def paragraph(text: str, indent: int = 0, hang: Optional[int] = None) -> str:
    """A paragraph wrapped to the width, the first line indented by ``indent``, the others by ``hang``."""
    return textwrap.fill(
        printable(text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hang is None else hang),
        break_on_hyphens=False,
        break_long_words=False,
    )


def labelled(label: str, value: str, indent: int = 2, column: int = 20) -> str:
    """``label   value``, the value wrapped in its own column."""
    head = " " * indent + label
    head = head.ljust(column - 1) + " "
    body = textwrap.wrap(
        printable(value), WIDTH - column, break_on_hyphens=False, break_long_words=False
    ) or [""]
    return "\n".join([(head + body[0]).rstrip()] + [" " * column + line for line in body[1:]])


def some(items: Sequence[str], limit: int = _LISTED) -> str:
    """The first items and how many more there are."""
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"


def error_lines(error: ConboolError) -> str:
    """An error in its three parts for the terminal; a part of several lines keeps them."""
    lines: list[str] = []
    for number, part in enumerate(error.lines()):
        for line in part.split("\n"):
            depth = len(line) - len(line.lstrip(" "))
            lead = "" if lines else "conbool-tui: "
            lines.append(paragraph(lead + line.strip(" "), (2 if number else 0) + depth, 2 + depth))
    return "\n".join(lines)


def json_value(value: Any) -> Any:
    """Any of our data as JSON values; bytes as text where they are UTF-8, else base64."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, FileText):
        return {
            "sha256": hashlib.sha256(value.data).hexdigest(),
            "size": len(value.data),
            "mode": f"{value.mode:04o}",
            "uid": value.uid,
            "gid": value.gid,
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: json_value(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return _json_bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(json_value(key)): json_value(entry) for key, entry in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(json_value(entry) for entry in value)
    if isinstance(value, (list, tuple)):
        return [json_value(entry) for entry in value]
    return value


def _json_bytes(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        document["text"] = data.decode("utf-8")
    except UnicodeDecodeError:
        document["base64"] = base64.b64encode(data).decode("ascii")
    return document


# --- detect ---------------------------------------------------------------------------------------

_OUTCOMES = {
    Outcome.ABSENT: "not found",
    Outcome.PRESENT: "found",
    Outcome.BROKEN: "found, but broken",
    Outcome.MANAGED: "managed by something else",
}


def detect_text(facts: HostFacts) -> str:
    """What was found, for people."""
    lines: list[str] = []
    for detection in facts.detections:
        lines.append(paragraph(f"{detection.system}: {_OUTCOMES[detection.outcome]}", 0))
        if detection.outcome is not Outcome.ABSENT:
            lines.append(labelled("summary", detection.summary))
        for label, value in (
            ("managed by", detection.managed_by),
            ("seen in", detection.evidence),
            ("reason", detection.reason),
            ("what to do", detection.remedy),
        ):
            if value and detection.outcome is not Outcome.ABSENT:
                lines.append(labelled(label, value))
        if detection.postfix is not None:
            lines.extend(_postfix_lines(detection.postfix))
        elif detection.dovecot is not None:
            lines.extend(_dovecot_lines(detection.dovecot))
        elif detection.mta is not None:
            lines.extend(_mta_lines(detection.mta))
        lines.append("")
    owner = facts.port_25_owner or (
        "nobody" if facts.listeners else "unknown (no listening socket can be seen)"
    )
    lines.append(labelled("port 25", owner, 0))
    for one in facts.filters:
        state = "running" if one.running else "not running"
        lines.append(labelled("spam filter", f"{one.name} in {one.config_directory}, {state}", 0))
    if facts.firewall is not None:
        lines.extend(_firewall_lines(facts.firewall))
    lines.extend(labelled("note", note, 0) for note in facts.notes)
    return "\n".join(lines).rstrip() + "\n"


def _mta_lines(facts: MtaFacts) -> list[str]:
    rows: list[tuple[str, str]] = [
        ("version", facts.version),
        ("configuration", facts.config_directory),
        ("running", "yes" if facts.running else "no"),
        ("hosted domains", some(facts.domains.all()) if facts.domains.all() else "none found"),
        ("route until now", facts.route),
    ]
    for label, values in (
        ("cannot be listed", facts.domains.unlisted),
        ("content filters", facts.filters),
        ("submission", facts.submission),
        ("own networks", facts.own_networks),
    ):
        if values:
            rows.append((label, some(values)))
    rows.extend(("limit", f"{one.key}: {one.reason}") for one in facts.capabilities if not one.available)
    rows.extend(("warning", hide_assignments(text)) for text in facts.warnings)
    return [labelled(label, value, 2, 20) for label, value in rows]


def _dovecot_lines(facts: DovecotFacts) -> list[str]:
    off = "off" if facts.sieve_installed else "not installed"
    rows = [
        ("version", facts.version),
        ("configuration", facts.config_directory),
        ("running", "yes" if facts.running else "no"),
        ("protocols", some(facts.protocols) or "none"),
        ("Sieve at delivery", some(facts.sieve_for) or off),
        ("scripts before", some(facts.before_scripts) or "none"),
        ("junk folder", some([one.name for one in facts.junk]) or "none is marked as \\Junk"),
        *(("warning", text) for text in facts.warnings),
    ]
    return [labelled(label, value, 2, 20) for label, value in rows]


def _postfix_lines(facts: PostfixFacts) -> list[str]:
    domains = facts.domains
    rows: list[tuple[str, str]] = [
        ("version", facts.version),
        ("configuration", facts.config_directory),
        ("running", "yes" if facts.running else "no"),
    ]
    if len(facts.instances) > 1:
        rows.append(
            ("instances", some([f"{item.name} ({item.config_directory})" for item in facts.instances]))
        )
    for label, names in (
        ("mydestination", domains.mydestination),
        ("virtual aliases", domains.virtual_alias),
        ("virtual mailboxes", domains.virtual_mailbox),
        ("relay domains", domains.relay),
    ):
        if names:
            rows.append((label, some(names)))
    if domains.unlisted:
        rows.append(("cannot be listed", some(domains.unlisted)))
    if not domains.all():
        rows.append(("hosted domains", "none found"))
    rows.append(("relayhost", facts.expanded.get("relayhost") or "none: mail goes to each recipient's MX"))
    for label, name in (
        ("sender relays", "sender_dependent_relayhost_maps"),
        ("header checks", "header_checks"),
    ):
        if facts.parameters.get(name):
            rows.append((label, facts.parameters[name]))
    for item in facts.content_filters:
        back = f", comes back to {some(item.reentry)}" if item.reentry else ""
        rows.append(("content filter", f"{item.value} ({item.where}){back}"))
    if facts.milters:
        rows.append(("milters", some(facts.milters)))
    if facts.postscreen:
        rows.append(("postscreen", "on port 25"))
    if facts.submission_services:
        rows.append(("submission", some(facts.submission_services)))
    rows.extend((f"TLS {name}", path) for name, path in sorted(facts.tls_files.items()))
    rows.extend(("warning", hide_assignments(text)) for text in facts.warnings)
    return [labelled(label, value, 2, 20 if len(label) <= 17 else len(label) + 4) for label, value in rows]


def _firewall_lines(facts: FirewallFacts) -> Iterable[str]:
    yield labelled("firewall", f"{facts.owner.value}: {facts.evidence}", 0)
    yield from (labelled(label, value) for label, value in facts.details)
    if facts.rules is not None:
        yield labelled("our rules", f"{_count(facts.rules.count('allow '), 'network')} may use port 25")
    if facts.unusable:
        yield labelled("left alone", facts.unusable)
    if facts.remedy:
        yield labelled("what to do", facts.remedy)


def facts_json(facts: HostFacts) -> dict[str, Any]:
    """Everything found as JSON values: files as checksums, values that may hold a password hidden."""
    document: dict[str, Any] = json_value(facts)
    secrets: set[str] = set()

    def own(name: str, value: str) -> str:
        if not is_password(name, value):
            return value
        secrets.add(value)
        return "(hidden)"

    for detection in document["detections"]:
        inside = (detection["docker_mailserver"] or {}).get("postfix")
        for postfix in filter(None, (detection["postfix"], inside)):
            for group in ("parameters", "expanded"):
                postfix[group] = {name: own(name, value) for name, value in postfix[group].items()}
            for service in postfix["services"]:
                for entry in service["options"]:
                    entry["value"] = own(entry["name"], entry["value"])
    # A short one would be found in words that have nothing to do with it; one may be a part of another.
    return cast(
        "dict[str, Any]",
        _without(document, sorted((one for one in secrets if len(one) >= 8), key=len, reverse=True)),
    )


def _without(value: Any, secrets: Sequence[str]) -> Any:
    """A JSON value without secrets that other values refer to, or that a warning shows."""
    if isinstance(value, dict):
        return {key: _without(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "(hidden)")
        return hide_assignments(value)
    return value


# --- plan -----------------------------------------------------------------------------------------


def plan_text(plan: Plan) -> str:
    """The plan in plain language, by guide step."""
    lines: list[str] = []
    if plan.empty:
        lines.append(
            paragraph(f"Nothing to do: {plan.system} in {plan.config_directory} is as the answers want it.")
        )
    else:
        instance = f", instance {plan.instance}" if plan.instance not in ("", "-") else ""
        files = _count(len(plan.files), "file") + (" and in the firewall" if plan.live else "")
        changes = _count(len(plan.changes), "change")
        lines.append(paragraph(f"{plan.system} in {plan.config_directory}{instance}: {changes} in {files}."))
        for step in Step:
            group = [change for change in plan.changes if change.step is step]
            if group:
                lines.extend(("", _STEP_TITLES[step]))
                for change in group:
                    lines.extend(_change_lines(change))
        if plan.files:
            lines.extend(("", "Files"))
            lines.extend(paragraph(f"{_file_word(target)} {target.path}", 2, 4) for target in plan.files)
        lines.extend(("", "Commands afterwards"))
        lines.extend(paragraph(command, 2, 4) for command in plan.reload or ("none",))
        lines.extend(("", "Not touched"))
        firewall = (
            "every other firewall rule and port, SSH and submission among them"
            if plan.live
            else "the firewall"
        )
        lines.append(
            paragraph(
                f"Every other setting in these files, every other file, {firewall}, the mailboxes and the mail "
                "queue.",
                2,
            )
        )
        if plan.confirm_within:
            lines.extend(("", "Safety"))
            lines.append(
                paragraph(
                    f"This changes who may use port 25: it is taken back by itself after {plan.confirm_within} "
                    "seconds unless you confirm it then.",
                    2,
                )
            )
        lines.extend(("", "Undo"))
        lines.append(
            paragraph(
                "conbool-tui undo takes all of this back and keeps what you changed in the meantime.", 2
            )
        )
    if plan.notices:
        lines.extend(("", "Please note"))
        lines.extend(
            paragraph(f"{'! ' if notice.level == 'warn' else '- '}{notice.text}", 2, 4)
            for notice in plan.notices
        )
    return "\n".join(lines) + "\n"


def _change_lines(change: Change) -> Iterable[str]:
    yield paragraph(f"* {change.title}", 2, 4)
    if change.reason:
        yield paragraph(f"why: {change.reason}", 4, 9)
    name = f"{change.path}: {change.key}" if change.key else change.path
    whole_file = change.kind is ChangeKind.FILE
    yield paragraph(f"in {name}", 4, 7)
    yield from _value_lines("before", change.before, whole_file=whole_file)
    yield from _value_lines("after", change.after, whole_file=whole_file)
    if change.undo:
        yield paragraph(f"undo: {change.undo}", 4, 10)


def _value_lines(label: str, value: Optional[str], *, whole_file: bool) -> Iterable[str]:
    if value is None:
        text = "(not there)"
    elif whole_file:
        count = value.count("\n") + (1 if value and not value.endswith("\n") else 0)
        text = f"{_count(count, 'line')} (shown by --diff)"
    elif not value.strip():
        text = "(empty)"
    elif "\n" in value.strip():
        yield f"    {label}:"
        for line in value.strip("\n").split("\n")[:12]:
            yield paragraph(line.rstrip(), 6, 8) if line.strip() else ""
        if value.strip("\n").count("\n") >= 12:
            yield "      … (all of it: --diff)"
        return
    else:
        value = value.strip("\n")
        text = value if len(value) <= _SHOWN_VALUE else value[:_SHOWN_VALUE] + " … (all of it: --diff)"
    yield paragraph(f"{label}: {text}", 4, 6 + len(label))


def _file_word(target: FileTarget) -> str:
    if target.before is None:
        return "new    "
    return "removed" if target.after is None else "changed"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def plan_json(plan: Plan) -> dict[str, Any]:
    """The whole plan as JSON values, contents included."""
    document: dict[str, Any] = json_value(plan)
    document["empty"] = plan.empty
    for item, target in zip(document["files"], plan.files):
        item["mode"] = f"{target.mode:04o}"
    return document


def plan_diff(plan: Plan) -> bytes:
    """Unified differences of all files, byte for byte as patch(1) takes them; a new file is compared with
    /dev/null.
    """
    return b"".join(file_diff(target) for target in plan.files)


def file_diff(target: FileTarget) -> bytes:
    """The unified difference of one file."""
    path = target.path.encode("utf-8", "surrogateescape")
    before, after = _lines(target.before), _lines(target.after)
    old = b"/dev/null" if target.before is None else path
    new = b"/dev/null" if target.after is None else path
    if b"\0" in (target.before or b"") + (target.after or b""):
        return b"Binary files " + old + b" and " + new + b" differ\n"
    lines = difflib.diff_bytes(difflib.unified_diff, before, after, old, new, lineterm=b"\n")
    out = [line if line.endswith(b"\n") else line + _NO_FINAL_NEWLINE for line in lines]
    if not out:
        out = [b"--- " + old + b"\n", b"+++ " + new + b"\n"]
    return b"".join(out)


def _lines(data: Optional[bytes]) -> list[bytes]:
    """Lines with their ends; only LF ends a line, in the mail systems' files as in patch(1)."""
    if not data:
        return []
    pieces = data.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]]
    if pieces[-1]:
        lines.append(pieces[-1])
    return lines


def command_text(argv: Sequence[str]) -> str:
    """A command as it would be typed."""
    return " ".join(shlex.quote(word) for word in argv)


# --- receipts -------------------------------------------------------------------------------------


def receipt_text(receipt: Receipt) -> str:
    """The outcome of apply or undo: what, its id, and how to take it back."""
    if receipt.undo_of and receipt.state is ChangeState.APPLIED:
        done = f"Change {receipt.undo_of} was taken back."
    elif receipt.state is ChangeState.APPLIED:
        done = "The change was applied."
    elif receipt.state is ChangeState.UNCONFIRMED:
        done = f"The change is live and taken back by itself at {receipt.confirm_by} unless it is confirmed."
    else:
        done = f"The change is {receipt.state.value}."
    lines = [paragraph(done)]
    lines.append(labelled("id", receipt.id, 0, 10))
    if receipt.files:
        lines.append(labelled("files", some(receipt.files), 0, 10))
    if receipt.message:
        lines.append(labelled("message", receipt.message, 0, 10))
    if receipt.state is ChangeState.UNCONFIRMED:
        lines.append(labelled("keep it", f"conbool-tui confirm {receipt.id}", 0, 10))
    if not receipt.undo_of:
        lines.append(labelled("undo", f"conbool-tui undo {receipt.id}", 0, 10))
    return "\n".join(lines) + "\n"


def unseen_text(receipt: Receipt) -> str:
    """What happened while nobody watched, in sentences."""
    name = f"change {receipt.id}"
    if receipt.state is ChangeState.UNCONFIRMED:
        told = (
            f"{name} went live. It is taken back by itself at {receipt.confirm_by} unless it is kept with "
            "conbool-tui confirm."
        )
    elif receipt.state is ChangeState.INCOMPLETE:
        told = f"{name} could not be taken back completely. Run conbool-tui undo {receipt.id}."
    elif receipt.undo_of and receipt.state is ChangeState.APPLIED:
        told = f"change {receipt.undo_of} was taken back at {receipt.finished}."
    elif receipt.state is ChangeState.ROLLED_BACK:
        told = f"{name} was rolled back at {receipt.finished}: the old state is in place."
    else:
        told = f"{name} was {receipt.state.value} at {receipt.finished}."
    return f"While you were away: {told} {receipt.message}".rstrip()


def history_text(receipts: Sequence[Receipt]) -> str:
    """All recorded changes, newest first."""
    if not receipts:
        return "No changes recorded.\n"
    lines: list[str] = []
    for receipt in receipts:
        what = (
            f"undo of {receipt.undo_of}"
            if receipt.undo_of
            else f"{receipt.system}: {_count(len(receipt.titles), 'change')}"
        )
        lines.append(paragraph(f"{receipt.id}  {receipt.started}  {receipt.state.value}  {what}", 0, 2))
        lines.extend(paragraph(f"* {title}", 2, 4) for title in receipt.titles[:_LISTED])
        if len(receipt.titles) > _LISTED:
            lines.append(f"  * and {len(receipt.titles) - _LISTED} more")
        if receipt.message:
            lines.append(paragraph(receipt.message, 2))
    return "\n".join(lines) + "\n"


# --- findings -------------------------------------------------------------------------------------


def findings_text(findings: Sequence[Finding]) -> str:
    """All findings: symbol, word, summary; remedy and transcript for those that are not OK."""
    lines: list[str] = []
    for finding in findings:
        head = f"{_SYMBOLS[finding.status]} {finding.status.value:<10} "
        lines.append(paragraph(head + finding.summary, 0, len(head)))
        if finding.status in (Status.FAIL, Status.WARN):
            lines.extend(paragraph(line, 13, 15) for line in finding.detail.split("\n") if line.strip())
        if finding.remedy and finding.status is not Status.OK:
            lines.append(paragraph(f"-> {finding.remedy}", 13, 16))
    counts = {status: sum(1 for finding in findings if finding.status is status) for status in Status}
    lines.extend(
        (
            "",
            ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
            or "Nothing was checked.",
        )
    )
    return "\n".join(lines) + "\n"
