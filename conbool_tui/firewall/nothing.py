"""Our rules where nothing owns the rule set: the same table as with nftables, brought back at boot by a systemd unit of our own."""

from __future__ import annotations

from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import FirewallOwner
from conbool_tui.firewall import nft_text
from conbool_tui.firewall.nftables import NftRules
from conbool_tui.firewall.rules import live_name
from conbool_tui.mail_system import Problem


class NothingRules(NftRules):
    """As ``NftRules``; the plan writes the unit's file, ``put`` enables it."""

    name = live_name(FirewallOwner.NOTHING)

    def put(self, rules: Optional[str]) -> list[Problem]:
        """Enable the unit, then put the rules in force; see ``LiveRules.put``."""
        if rules is not None:
            problems = self._enable()
            if problems:
                return problems
        return super().put(rules)

    def _enable(self) -> list[Problem]:
        try:
            result = self._host.run(["systemctl", "enable", nft_text.UNIT])
        except ConboolError as error:
            return [Problem(error.what, error.todo)]
        if not result.ok:
            return [
                Problem(
                    f"systemctl did not enable {nft_text.UNIT}, so the rules would be gone after a reboot.",
                    result.error_text(),
                )
            ]
        return []

    def _judge_files(self, files: object) -> list[Problem]:
        """No configuration of anybody else is involved."""
        return []
