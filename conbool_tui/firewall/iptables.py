"""Our rules where iptables-persistent (or iptables-services) owns the rule set: a chain of our own, in both families.

Whatever ``iptables`` is on this host, the nf_tables or the legacy back end, is asked: it is also what loads the rules at boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallOwner
from conbool_tui.firewall import iptables_text
from conbool_tui.firewall.rules import live_name, wanted
from conbool_tui.mail_system import Problem

if TYPE_CHECKING:
    from conbool_tui.host import Host

TOOLS = {4: "iptables", 6: "ip6tables"}
# Another program may hold the lock of the rules (xtables) for a moment.
_WAIT = ("-w", "10")


def family_of(path: str) -> Optional[int]:
    """4 or 6, by the name of a file of rules (rules.v4, rules.v6, iptables, ip6tables); None for any other file."""
    if path.endswith(("/rules.v6", "/ip6tables")):
        return 6
    return 4 if path.endswith(("/rules.v4", "/iptables")) else None


class IptablesRules:
    """The chain CONBOOL-SMTP and the jump to it. Each family is replaced at once by iptables-restore(8)."""

    name = live_name(FirewallOwner.IPTABLES)

    def __init__(self, host: Host) -> None:
        self._host = host

    def read(self) -> Optional[str]:
        """Our rules in force; see ``LiveRules.read``."""
        saved = {family: self._saved(family) for family in self._families()}
        return iptables_text.live_text(saved) if saved else None

    def judge(self, rules: Optional[str], files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Let ``iptables-restore --test`` judge the rules and the files as they would be; nothing live is touched."""
        try:
            target = wanted(rules)
            if target is None:
                return []
            problems = self._missing_tools()
            for family in self._families() if not problems else ():
                text = iptables_text.put_text(target, family, self._saved(family))
                refused = self._restore(family, ["--test", "--noflush"], text.encode())
                if refused:
                    problems.append(Problem(f"{TOOLS[family]}-restore refuses our rules.", refused))
            for path, data in files.items() if not problems else ():
                place = family_of(path)
                if data is None or place is None or place not in self._families():
                    continue
                refused = self._restore(place, ["--test"], data)
                if refused:
                    problems.append(
                        Problem(
                            f"{TOOLS[place]}-restore refuses {path} as it would be; at the next boot no rule of it would be loaded.",
                            f"{refused}\nRepair the file, then run again.",
                        )
                    )
            return problems
        except ConboolError as error:
            return [Problem(error.what, "\n".join(error.lines()[1:]))]

    def put(self, rules: Optional[str]) -> list[Problem]:
        """Put exactly these rules in force; see ``LiveRules.put``."""
        try:
            target = wanted(rules)
            problems = self._missing_tools() if target is not None else []
            if problems:
                return problems
            for family in self._families():
                saved = self._saved(family)
                text = (
                    iptables_text.take_text(saved)
                    if target is None
                    else iptables_text.put_text(target, family, saved)
                )
                refused = "" if text is None else self._restore(family, ["--noflush"], text.encode())
                if refused:
                    problems.append(
                        Problem(
                            f"{TOOLS[family]}-restore did not load our rules; those before are in force.",
                            refused,
                        )
                    )
            if not problems and self.read() != (None if target is None else target.text()):
                problems.append(
                    Problem(
                        "The rules in force are not those that were just loaded.",
                        "Another program changes them at the same time: look at `iptables-save` and `ip6tables-save`.",
                    )
                )
            return problems
        except ConboolError as error:
            return [Problem(error.what, "\n".join(error.lines()[1:]))]

    def _families(self) -> list[int]:
        """The families this host has, with tools to set their rules."""
        if not self._host.live:
            return []
        return [
            family
            for family, tool in TOOLS.items()
            if self._host.which(f"{tool}-restore")
            and (family == 4 or self._host.exists("/proc/sys/net/ipv6"))
        ]

    def _missing_tools(self) -> list[Problem]:
        missing = [
            f"{tool}-restore"
            for family, tool in TOOLS.items()
            if not self._host.which(f"{tool}-restore")
            and (family == 4 or self._host.exists("/proc/sys/net/ipv6"))
        ]
        return [
            Problem(f"The program {name} was not found.", "Install the package iptables, then run again.")
            for name in missing
        ]

    def _saved(self, family: int) -> str:
        """What iptables-save(8) prints of the table filter. Raises ConboolError."""
        tool = TOOLS[family]
        result = self._host.run([f"{tool}-save", "-t", "filter"])
        if not result.ok:
            raise ConboolError(
                f"{tool}-save cannot list the rules: {result.error_text() or f'status {result.returncode}'}",
                "So it cannot be told whether port 25 is closed in the firewall.",
                f"Run `{tool}-save` by hand, as root.",
            )
        return result.text()

    def _restore(self, family: int, options: list[str], data: bytes) -> str:
        """Run iptables-restore(8); what it said against it, or an empty string."""
        result = self._host.run([f"{TOOLS[family]}-restore", *_WAIT, *options], stdin=data)
        return "" if result.ok else result.error_text() or f"it ended with status {result.returncode}"
