"""Several mail systems that one change concerns, as one: an MTA and what stands beside it, such as the Dovecot that keeps its mail."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.mail_system import MailSystem, MailTarget, Problem, counts_by_presence, generate, rebuild
from conbool_tui.plan import FileTarget, Plan

_APART = 1000
"""More than any system's own ranks: what stands beside the MTA is written first, since the MTA begins to hand over what it must know."""


class CompositeSystem:
    """Asks all of them, the MTA last when something becomes effective.

    Args:
        targets: which they are, the MTA first.
        systems: one for each.
    """

    def __init__(self, targets: Sequence[MailTarget], systems: Sequence[MailSystem]) -> None:
        self._parts = list(zip(targets, systems))
        self._main = systems[0]
        self._beside = systems[1:]
        self.name = "+".join(system.name for system in systems)
        self._ran: Optional[list[bool]] = None

    def running(self) -> bool:
        """Whether the MTA runs."""
        self._remember()
        return self._main.running()

    def write_rank(self, path: str) -> int:
        """As MailSystem: those beside the MTA first."""
        for number, (target, system) in enumerate(self._parts):
            if _below(path, target):
                return system.write_rank(path) + (_APART if number == 0 else 0)
        return self._main.write_rank(path)

    def counts_by_presence(self, path: str) -> bool:
        """As the one says to whom the file belongs."""
        return any(counts_by_presence(system, path) for target, system in self._parts if _below(path, target))

    def rebuild(self) -> list[Problem]:
        """All of them."""
        return [problem for _, system in self._parts for problem in rebuild(system)]

    def ready(self, plan: Plan) -> list[Problem]:
        """What forbids a change now in any of them."""
        self._remember()
        return [problem for target, system in self._parts for problem in system.ready(_part(plan, target))]

    def generate(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
        """Each from its own files."""
        found: list[FileTarget] = []
        for target, system in self._parts:
            own = {path: data for path, data in files.items() if _below(path, target)}
            # Nothing given asks for what is not as its live sources say, which is no part of a change of the others.
            if own or not files:
                found += generate(system, own)
        return tuple(found)

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Each judges its own files."""
        found: list[Problem] = []
        for target, system in self._parts:
            own = {path: data for path, data in files.items() if _below(path, target)}
            if own:
                found += system.judge(_part(plan, target), own)
        return found

    def reload(self) -> list[Problem]:
        """Those beside the MTA first; one that ran before and is gone is started."""
        return [*self._beside_up(), *self._main.reload()]

    def start(self) -> list[Problem]:
        """The MTA, and what ran beside it."""
        found = self._beside_up()
        return [*found, *(self._main.reload() if self._main.running() else self._main.start())]

    def health(self, plan: Plan) -> list[Problem]:
        """Each is asked, those that did not run before left out."""
        ran = self._remember()
        found = list(self._main.health(_part(plan, self._parts[0][0])))
        for was, (target, system) in zip(ran, self._parts[1:]):
            if was:
                found += system.health(_part(plan, target))
        return found

    def moment(self) -> str:
        """The MTA's."""
        return self._main.moment()

    def served(self, moment: str) -> list[str]:
        """The MTA's."""
        return self._main.served(moment)

    def _remember(self) -> list[bool]:
        """Which of those beside the MTA ran when they were looked at first."""
        if self._ran is None:
            self._ran = [_runs(system) for system in self._beside]
        return self._ran

    def _beside_up(self) -> list[Problem]:
        found: list[Problem] = []
        for was, system in zip(self._remember(), self._beside):
            if _runs(system):
                found += system.reload()
            elif was:
                found += system.start()
        return found


def _runs(system: MailSystem) -> bool:
    try:
        return system.running()
    except ConboolError:
        return False


def _below(path: str, target: MailTarget) -> bool:
    return posixpath.normpath(path).startswith(posixpath.normpath(target.config_directory) + "/")


def _part(plan: Plan, target: MailTarget) -> Plan:
    """What of a plan concerns one of them. Ports are the MTA's."""
    main = (plan.system, plan.instance) == (target.system, target.instance)
    return dataclasses.replace(
        plan,
        system=target.system,
        instance=target.instance,
        config_directory=target.config_directory,
        changes=tuple(change for change in plan.changes if _below(change.path, target)),
        files=tuple(file for file in plan.files if _below(file.path, target)),
        health_ports=plan.health_ports if main else (),
        also=(),
    )
