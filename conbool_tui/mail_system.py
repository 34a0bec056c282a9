"""What the transaction needs of a mail system: judge a staged configuration, make it live, say whether it is healthy.

One implementation per mail system lives beside its planner's name in ``conbool_tui/systems/``; the transaction knows only this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Protocol

from conbool_tui.plan import FileTarget, MailTarget, Plan

__all__ = ["MailSystem", "MailTarget", "Problem"]


@dataclass(frozen=True)
class Problem:
    """Why a configuration must not go live, or why the system is not healthy."""

    text: str
    detail: str = ""


class MailSystem(Protocol):
    """The running side of one mail system."""

    name: str

    def running(self) -> bool:
        """True when it runs now. False also when its programs are gone."""
        ...

    def write_rank(self, path: str) -> int:
        """The order of writing: a file that refers to others has a higher rank than those, so that no reader ever meets a reference
        to something that is not there yet. Taking back goes the other way round."""
        ...

    def ready(self, plan: Plan) -> list[Problem]:
        """What forbids a change now: not running, broken already, wrong instance. Empty when the change may begin."""
        ...

    def generate(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
        """Files that the system's own tools make from ``files`` (path to new content, None for removed) laid over the live ones.

        Nothing live is touched. Only those whose meaning differs from what is there now, as they are and as they must be; without ``files``
        those that are not what their live sources give. Empty where a system reads all its files as they are.

        Raises:
            CheckFailedError: they cannot be made.
        """
        ...

    def judge(self, plan: Plan, files: Mapping[str, Optional[bytes]]) -> list[Problem]:
        """Let the system's own tools judge a staged copy with ``files`` (path to new content, None for removed) laid over the live ones.

        Nothing live is touched. Empty when the candidate is valid and only what the plan names differs.
        """
        ...

    def reload(self) -> list[Problem]:
        """Make the files on disk effective. Empty when it worked."""
        ...

    def start(self) -> list[Problem]:
        """Start it with the files on disk: rollback needs that when a configuration killed it. Empty when it worked."""
        ...

    def health(self, plan: Plan) -> list[Problem]:
        """Is it running and answering? Empty when it is."""
        ...

    def moment(self) -> str:
        """This moment in what it logs, for ``served``, also in another process. Empty where that cannot be told."""
        ...

    def served(self, moment: str) -> list[str]:
        """Addresses whose SMTP connections to port 25 both began and ended well after ``moment``: nothing that the client said was refused.
        Empty where that cannot be told."""
        ...
