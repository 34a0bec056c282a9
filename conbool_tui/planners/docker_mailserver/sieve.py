"""The Sieve script that docker-mailserver's Dovecot runs before all others (before.dovecot.sieve)."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.planners import dovecot


def sieve_script(answers: Answers) -> str:
    """Released mail to the INBOX and no further, flagged mail to the folder, which is made when it is missing."""
    return dovecot.sieve_script(answers, answers.spam.folder or "Junk", "")
