"""What the screens need of the program: the session, as a protocol, so that they run over a false one in
tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, Optional, Protocol

if TYPE_CHECKING:
    from conbool_tui.answers import Answers
    from conbool_tui.checks.dns_model import DomainReport
    from conbool_tui.checks.drift import Drift
    from conbool_tui.facts import Detection, HostFacts
    from conbool_tui.findings import Finding
    from conbool_tui.plan import Plan
    from conbool_tui.present_senders import SenderReport
    from conbool_tui.receipt import ProgressSink, Receipt
    from conbool_tui.transaction import Choices, Conflict


class WizardSession(Protocol):
    """The part of ``conbool_tui.session.Session`` the wizard uses. Every call may take long: only threads
    make them.
    """

    state_dir: str
    mail_system: Optional[str]

    @property
    def detached(self) -> bool:
        """Whether changes are written by a process of its own, which goes on when this one ends."""
        ...

    def detect(self, instance: Optional[str] = None) -> HostFacts:
        """Look at the host."""
        ...

    def target(self, facts: HostFacts) -> Detection:
        """The one mail system to work on, or an error that says why there is none."""
        ...

    def complete(self, answers: Answers, facts: HostFacts) -> Answers:
        """The answers with what the admin left open filled in from the facts."""
        ...

    def plan(self, answers: Answers, facts: Optional[HostFacts] = None) -> Plan:
        """Everything that would change."""
        ...

    def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
        """Apply as a transaction."""
        ...

    def undo(
        self,
        change_id: Optional[str] = None,
        progress: Optional[ProgressSink] = None,
        *,
        choices: Optional[Choices] = None,
        asked: Sequence[Conflict] = (),
    ) -> Receipt:
        """Take a change back; ``choices`` were made about the conflicts ``asked``. Raises UndoConflictError: something (else) was
        edited since."""
        ...

    def conflicts(self, change_id: Optional[str] = None) -> tuple[Conflict, ...]:
        """What was edited since a change, so that its undo must ask."""
        ...

    def journal(self, change_id: str) -> str:
        """The journal of one change as a text."""
        ...

    def prunable(self, keep: int = 0) -> list[Receipt]:
        """Records nothing can be taken back from any more."""
        ...

    def prune(self, keep: int = 0) -> list[Receipt]:
        """Remove them."""
        ...

    def unseen(self) -> Optional[Receipt]:
        """The newest change when it ended, or began to wait, while nobody watched."""
        ...

    def seen(self) -> None:
        """Note that the admin was told how the newest change stands."""
        ...

    def drift(self) -> list[Drift]:
        """What differs from what was applied, key by key."""
        ...

    def accept_drift(self, drift: Sequence[Drift]) -> None:
        """Record values that differ as the admin's."""
        ...

    def applied_answers(self) -> Answers:
        """The answers of the newest change in force. Raises CheckFailedError: there are none."""
        ...

    def history(self) -> Sequence[Receipt]:
        """All changes, newest first."""
        ...

    def unfinished(self) -> Optional[Receipt]:
        """A change cut off by a crash."""
        ...

    def recover(
        self, progress: Optional[ProgressSink] = None, *, now: bool = False, accept: bool = False
    ) -> Optional[Receipt]:
        """Finish the rollback of such a change; with ``now`` also take back a change that waits for confirmation, with ``accept`` leave
        what was edited meanwhile as it is and close the change."""
        ...

    def check(
        self,
        answers: Optional[Answers] = None,
        progress: Optional[ProgressSink] = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Finding]:
        """Verify."""
        ...

    def look_up(
        self,
        answers: Answers,
        on_report: Callable[[DomainReport], None],
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink] = None,
    ) -> list[DomainReport]:
        """What name service publishes about the domains; each report is also given to ``on_report`` as soon as it is there. What was
        cancelled is NOT TESTED."""
        ...

    def senders(
        self,
        answers: Answers,
        facts: HostFacts,
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink] = None,
    ) -> SenderReport:
        """Who hands mail to port 25 today, and who of them would be cut off by the answers."""
        ...

    def read_networks(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The networks of a list file, merged, and what was noticed (sentences). Raises UsageError."""
        ...

    def unconfirmed(self) -> Optional[Receipt]:
        """A change that is live and is taken back by itself unless somebody confirms it, None when there is none."""
        ...

    def confirm(self, change_id: Optional[str] = None) -> Receipt:
        """Keep that change. Raises UsageError when there is none, CheckFailedError when it is too late."""
        ...

    def path_exists(self, path: str) -> bool:
        """True when there is something at ``path`` that saving would replace."""
        ...

    def save_text(self, text: str, path: str) -> None:
        """Write a transcript, mode 0600."""
        ...

    def save_answers(self, answers: Answers, path: str) -> None:
        """Write an answers file, mode 0600."""
        ...
