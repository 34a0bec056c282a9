"""What is special about a Postfix that serves Open-Xchange. The plan itself is Postfix's, and Dovecot's where the mailboxes are."""

from __future__ import annotations

import dataclasses

from conbool_tui.answers import Answers
from conbool_tui.facts_open_xchange import OpenXchangeFacts
from conbool_tui.plan import Notice, Plan, Step

LOOPS = (
    "Loop protection is Postfix's work here: a mailfilter Sieve rule runs at delivery into a mailbox and cannot decide where outgoing "
    "mail goes, whatever the guide's sketch says. Sieve only files: released mail to the INBOX, flagged mail to its folder."
)
"""Help for steps C and D."""


def with_open_xchange(plan: Plan, facts: OpenXchangeFacts, answers: Answers) -> Plan:
    """The plan with what an admin of Open-Xchange should know."""
    return dataclasses.replace(plan, notices=(*plan.notices, *_notices(facts, answers)))


def _notices(facts: OpenXchangeFacts, answers: Answers) -> list[Notice]:
    found = [Notice("note", LOOPS, Step.C)]
    if facts.imap.here is not True and answers.spam.action == "folder":
        where = facts.imap.host or "the IMAP server of each user"
        found.append(
            Notice(
                "warn",
                f"The mailboxes are on {where}: run conbool-tui there with --mail-system dovecot, or install the script that `conbool-tui "
                "open-xchange sieve --answers FILE` prints. Until then flagged mail only gets X-Spam-Flag: YES.",
                Step.C,
            )
        )
    if facts.mail_filter is not None:
        found.append(
            Notice(
                "note",
                f"Users' own rules stay as they are: Open-Xchange keeps them in each user's script {facts.mail_filter.script_name} on "
                f"{facts.mail_filter.server}, and Conbool's script runs before it.",
                Step.C,
            )
        )
    found += [Notice("note", text, Step.C) for text in facts.warnings]
    return found
