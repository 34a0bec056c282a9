"""Judge a Postfix configuration before it is live, with Postfix's own tools on a staged copy.

``postfix check`` is left out on purpose: it works on the live queue (``post-install create-missing``
makes directories there, see postfix-script), writes to the live mail log, and says nothing about
parameters and tables that postconf(1) and postmap(1) do not say.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Optional

from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.plan import ChangeKind, Plan
from conbool_tui.postfix_config import MasterCf
from conbool_tui.staging import StagedCopy

_TABLE = re.compile(r"(?<![\w.-])([a-z][a-z0-9]*):((?:/|\$\{?config_directory\}?/)[^\s,{}()]+)")
_READINGS = (("-n",), ("-M",), ("-P",), ("-xn",), ("-xP",))
_NO_FILE = frozenset(("static", "inline", "unix", "inet", "local", "tcp", "socketmap", "fail", "environ"))


class _Reading:
    """How postconf(1) reads one staged copy."""

    def __init__(self, host: Host, copy: StagedCopy) -> None:
        self.fatal = ""
        self.warnings: list[str] = []
        self.texts: dict[str, str] = {}
        for options in _READINGS:
            result = host.run(["postconf", "-c", copy.path, *options])
            for line in result.error_text().split("\n"):
                text = copy.live_text(re.sub(r"^\S*postconf: ", "", line.strip()))
                if text and text not in self.warnings:
                    self.warnings.append(text)
            if not result.ok:
                self.fatal = (
                    self.warnings[-1] if self.warnings else f"postconf ended with {result.returncode}"
                )
                return
            self.texts[options[0]] = copy.live_text(result.text())

    def parameters(self) -> dict[str, str]:
        return _assignments(self.texts["-n"])

    def services(self) -> dict[str, list[str]]:
        """Every service's lines by ``name/type``, blanks folded."""
        found: dict[str, list[str]] = {}
        for entry in MasterCf.parse(self.texts["-M"].encode("utf-8", "surrogateescape")).services():
            columns = (entry.private, entry.unpriv, entry.chroot, entry.wakeup, entry.maxproc, entry.command)
            found.setdefault(f"{entry.name}/{entry.type}", []).append(repr((columns, entry.args)))
        return found

    def overrides(self) -> dict[str, str]:
        return _assignments(self.texts["-P"])


def judge(
    host: Host, config_directory: str, plan: Plan, files: Mapping[str, Optional[bytes]]
) -> list[Problem]:
    """Compare a copy with the candidate laid over it to an unchanged copy.

    Raises:
        HostError: a tool is missing or hangs, or there is no room for the copies.
    """
    with host.private_folder() as top:
        old = StagedCopy(host, config_directory, posixpath.join(top, "old"))
        new = StagedCopy(host, config_directory, posixpath.join(top, "new"))
        new.lay_over(files)
        before, after = _Reading(host, old), _Reading(host, new)
        if after.fatal:
            return [Problem("postconf cannot read the new configuration", after.fatal)]
        if before.fatal:
            return [Problem("postconf cannot read the present configuration", before.fatal)]
        problems = _new_warnings(before, after)
        problems += _parameters(plan, before, after)
        problems += _services(plan, before, after)
        problems += _tables(host, new, plan, before, after, files)
        return problems


def _assignments(text: str) -> dict[str, str]:
    found = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            found[name.strip()] = " ".join(value.split())
    return found


def _new_warnings(before: _Reading, after: _Reading) -> list[Problem]:
    def shape(text: str) -> str:
        return re.sub(r", line \d+|line \d+", "", text)

    known = {shape(text) for text in before.warnings}
    return [
        Problem("Postfix warns about the new configuration", text)
        for text in after.warnings
        if shape(text) not in known
    ]


def _parameters(plan: Plan, before: _Reading, after: _Reading) -> list[Problem]:
    old, new = before.parameters(), after.parameters()
    problems = [
        Problem(f"The parameter {name} would change although the plan does not name it")
        for name in sorted(set(old) | set(new))
        if old.get(name) != new.get(name) and name not in plan.changed_parameters
    ]
    for change in plan.changes:
        if change.kind is not ChangeKind.PARAMETER:
            continue
        wanted = None if change.after is None else " ".join(change.after.split())
        if new.get(change.key) != wanted:
            problems.append(
                Problem(
                    f"Postfix reads another value of {change.key} than planned",
                    new.get(change.key, "(not set)"),
                )
            )
    return problems


def changed_services(plan: Plan) -> frozenset[str]:
    """The services (``name/type``) a plan adds, removes or overrides options of."""
    found: set[str] = set()
    for change in plan.changes:
        if change.kind is ChangeKind.SERVICE_OPTION:
            found.add(change.key.rsplit("/", 1)[0])
        elif change.kind is ChangeKind.SERVICE_BLOCK:
            for text in (change.before, change.after):
                entries = MasterCf.parse((text or "").encode("utf-8", "surrogateescape")).services()
                found.update(f"{entry.name}/{entry.type}" for entry in entries)
    return frozenset(found)


def _services(plan: Plan, before: _Reading, after: _Reading) -> list[Problem]:
    allowed = changed_services(plan)
    old, new = before.services(), after.services()
    changed = {name for name in set(old) | set(new) if old.get(name) != new.get(name)}
    old_overrides, new_overrides = before.overrides(), after.overrides()
    for name in set(old_overrides) | set(new_overrides):
        if old_overrides.get(name) != new_overrides.get(name):
            changed.add(name.rsplit("/", 1)[0])
    return [
        Problem(f"The service {name} would change although the plan does not name it")
        for name in sorted(changed - allowed)
    ]


def _tables(
    host: Host,
    copy: StagedCopy,
    plan: Plan,
    before: _Reading,
    after: _Reading,
    files: Mapping[str, Optional[bytes]],
) -> list[Problem]:
    """Open every table that a new value names or whose file is new, and look something up in it."""
    old = _table_names(before)
    ours = {copy.place_of(posixpath.normpath(path)) for path in files}
    problems = []
    for kind, path in sorted(_table_names(after)):
        place = copy.place_of(path) or path
        if kind in _NO_FILE or ((kind, path) in old and place not in ours):
            continue
        probe = "192.0.2.1" if kind == "cidr" else "conbool-probe.invalid"
        result = host.run(["postmap", "-c", copy.path, "-q", probe, f"{kind}:{place}"])
        said = [
            copy.live_text(re.sub(r"^\S*postmap: ", "", line.strip()))
            for line in result.error_text().split("\n")
            if line.strip() and f"{copy.path}/main.cf" not in line
        ]
        if said or result.returncode not in (0, 1):
            problems.append(
                Problem(f"The table {kind}:{copy.live_text(path)} cannot be used", "; ".join(said[:3]))
            )
    return problems


def _table_names(reading: _Reading) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for text in (reading.texts["-xn"], reading.texts["-xP"]):
        found.update((kind, posixpath.normpath(path)) for kind, path in _TABLE.findall(text))
    return found
