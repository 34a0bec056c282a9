"""Flagged mail goes to a folder, by a block at the end of /etc/procmailrc (procmailrc(5))."""

from __future__ import annotations

import re

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.facts_sendmail import SendmailFacts

PROCMAILRC = "/etc/procmailrc"
SPAM_BLOCK = "spam"
FOLDER = "Junk"
_DEFAULT = re.compile(r"^\s*DEFAULT\s*=\s*[\"']?(\S+?)[\"']?\s*$", re.M)


def folder_of(facts: SendmailFacts, folder: str) -> str:
    """Where procmail puts a folder: beside the inbox of a Maildir, else as a mailbox file below ~/mail."""
    found = facts.files.get(PROCMAILRC)
    data = b"" if found is None else found.data
    if text_blocks.get(data, SPAM_BLOCK) is not None:
        data = text_blocks.put(data, SPAM_BLOCK, None)
    places = _DEFAULT.findall(data.decode("utf-8", "replace"))
    if places and places[-1].endswith("/"):
        return f"{places[-1]}.{folder.replace('/', '.')}/"
    return f"$HOME/mail/{folder}"


def spam_block(facts: SendmailFacts, answers: Answers) -> str:
    """The rule: flagged mail that was not released goes to the folder. procmail compares header names and values without case."""
    flags = "|".join(answers.markers.spam)
    folder = folder_of(facts, answers.spam.folder or FOLDER)
    # A mailbox file is locked; a Maildir needs none. Procmail makes the last folder of a path only.
    parent, lock = folder.rstrip("/").rpartition("/")[0], "" if folder.endswith("/") else ":"
    return (
        "DROPPRIVS=yes\n"
        ":0\n"
        f"* ^({flags}):[ \t]*YES[ \t]*$\n"
        f"* ! ^{answers.markers.released}:[ \t]*yes[ \t]*$\n"
        "{\n"
        f'MADE=`mkdir -p "{parent}"`\n'
        f":0{lock}\n"
        f'"{folder}"\n'
        "}\n"
    )
