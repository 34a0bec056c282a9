"""The one exception tree. Every error says what happened, why it matters and what to do next."""

from __future__ import annotations


class ExitCode:
    """Exit codes of the command line; a fixed contract for scripts."""

    DONE = 0
    UNEXPECTED = 1
    PENDING = 2
    CHECK_FAILED = 3
    ROLLED_BACK = 4
    ROLLBACK_INCOMPLETE = 5
    USAGE = 64
    LOCKED = 75
    NEEDS_ROOT = 77


class ConboolError(Exception):
    """An expected failure, told to the admin in three parts.

    Args:
        what: what happened, one sentence.
        why: why it matters (may be empty).
        todo: what to do next (may be empty).
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.todo = todo

    def lines(self) -> list[str]:
        """The parts that are not empty, one line each, in reading order."""
        return [part for part in (self.what, self.why, self.todo) if part]


class UsageError(ConboolError):
    """The command line or the answers cannot be used as given."""

    exit_code = ExitCode.USAGE


class CheckFailedError(ConboolError):
    """A condition that must hold before (or after) a change does not hold; nothing was changed."""

    exit_code = ExitCode.CHECK_FAILED


class ByHandError(CheckFailedError):
    """This program cannot change the mail system that is here; what to set by hand is said."""


class NeedsRootError(ConboolError):
    """The work needs rights this process does not have."""

    exit_code = ExitCode.NEEDS_ROOT


class LockedError(ConboolError):
    """Another run holds the lock."""

    exit_code = ExitCode.LOCKED


class RolledBackError(ConboolError):
    """The change failed and the old state is back."""

    exit_code = ExitCode.ROLLED_BACK


class RollbackIncompleteError(ConboolError):
    """The change failed and the old state could not be brought back completely."""

    exit_code = ExitCode.ROLLBACK_INCOMPLETE


class HostError(ConboolError):
    """A file or command of the machine could not be used."""
