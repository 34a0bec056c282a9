"""What the transaction needs of a mail system: judge a staged configuration, make it live, say whether it is healthy.

One implementation per mail system lives beside its planner's name in ``conbool_tui/systems/``; the transaction knows only this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Protocol, runtime_checkable

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


@runtime_checkable
class GeneratingSystem(Protocol):
    """A mail system that reads files which its own tools make from others: Sendmail's sendmail.cf and maps."""

    def generate(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
        """Files that the system's own tools make from ``files`` (path to new content, None for removed) laid over the live ones.

        Nothing live is touched. Only those whose meaning differs from what is there now, as they are and as they must be; without ``files``
        those that are not what their live sources give.

        Raises:
            CheckFailedError: they cannot be made.
        """
        ...


def generate(system: MailSystem, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
    """As ``GeneratingSystem``; nothing for every other system. Raises CheckFailedError."""
    return system.generate(files) if isinstance(system, GeneratingSystem) else ()


@runtime_checkable
class BuiltSystem(Protocol):
    """A mail system that builds what it reads from its files whenever it starts: Debian joins Exim's conf.d folders."""

    def counts_by_presence(self, path: str) -> bool:
        """Whether a file has an effect because it is there, and not because another file names it: then it has to be gone before the
        files are read again."""
        ...

    def rebuild(self) -> list[Problem]:
        """Make what is built follow the files. Asked instead of ``reload`` where the system does not run; ``reload`` does it by itself.
        Empty when it worked."""
        ...


def counts_by_presence(system: MailSystem, path: str) -> bool:
    """As ``BuiltSystem``; false for every other system."""
    return isinstance(system, BuiltSystem) and system.counts_by_presence(path)


def rebuild(system: MailSystem) -> list[Problem]:
    """As ``BuiltSystem``; nothing for every other system."""
    return system.rebuild() if isinstance(system, BuiltSystem) else []
