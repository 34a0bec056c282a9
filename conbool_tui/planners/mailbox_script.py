"""The Sieve script for a mailbox server that cannot be asked: in a container, or on another host."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.planners.dovecot import sieve_script


def mailbox_script(answers: Answers, mta_name: str) -> str:
    """The script's text; ``mta_name`` is the name of the mail server that hands over the mail."""
    return sieve_script(answers, answers.spam.folder or "Junk", mta_name)
