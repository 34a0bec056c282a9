"""What the screens need of the program: the session, as a protocol, so that they run over a false one in
tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Protocol

from conbool_tui.answers import Answers
from conbool_tui.facts import Detection, HostFacts
from conbool_tui.findings import Finding
from conbool_tui.plan import Plan
from conbool_tui.receipt import ProgressSink, Receipt


class WizardSession(Protocol):
    """The part of ``conbool_tui.session.Session`` the wizard uses. Every call may take long: only threads
    make them.
    """

    state_dir: str
    mail_system: Optional[str]

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

    def undo(self, change_id: Optional[str] = None, progress: Optional[ProgressSink] = None) -> Receipt:
        """Take a change back."""
        ...

    def history(self) -> Sequence[Receipt]:
        """All changes, newest first."""
        ...

    def unfinished(self) -> Optional[Receipt]:
        """A change cut off by a crash."""
        ...

    def recover(self, progress: Optional[ProgressSink] = None) -> Optional[Receipt]:
        """Finish the rollback of such a change."""
        ...

    def check(
        self, answers: Optional[Answers] = None, progress: Optional[ProgressSink] = None
    ) -> list[Finding]:
        """Verify."""
        ...

    def save_answers(self, answers: Answers, path: str) -> None:
        """Write an answers file, mode 0600."""
        ...
