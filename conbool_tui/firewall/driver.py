"""What the transaction needs of a firewall's owner: read our live rules, judge a candidate, put rules in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional, Protocol

from conbool_tui.mail_system import Problem


class LiveRules(Protocol):
    """Our rules in the running packet filter of one owner. Texts are canonical (``firewall.rules``); None means: none of ours."""

    name: str

    def read(self) -> Optional[str]:
        """Our rules as they are in force now. None when there are none, also when the owner or its tool is gone.

        A rule set of ours that was edited by hand gives a text that differs from what was put.

        Raises:
            ConboolError: it cannot be told.
        """
        ...

    def judge(self, rules: Optional[str], files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Would this owner take ``rules`` (and the plan's ``files``)? Touches nothing live. Empty when it would."""
        ...

    def put(self, rules: Optional[str]) -> list[Problem]:
        """Put exactly these rules of ours in force, at once (no moment with half of them), and make them last over a reboot as far as
        the plan's files do not do that already. Empty when it worked. Putting twice is the same as once.
        """
        ...
