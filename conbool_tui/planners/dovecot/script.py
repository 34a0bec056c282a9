"""The Sieve script (RFC 5228) for guide steps C and D."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.planners.postfix.header_tables import UNTRUSTED
from conbool_tui.planners.postfix.names import ORIGIN_HEADER

_USUAL = "Junk"


def spam_folder(facts: DovecotFacts, answers: Answers) -> str:
    r"""The folder for flagged mail as Sieve names it: the one that was asked for, else the one with special use \\Junk, else Junk."""
    wanted = answers.spam.folder
    known = [folder.name for folder in facts.junk]
    if not wanted:
        return known[0] if known else facts.prefix + _USUAL
    # Without its namespace's prefix a name belongs to no namespace, and Sieve could not file there.
    return wanted if wanted.startswith(facts.prefix) else facts.prefix + wanted


def sieve_script(answers: Answers, folder: str, mta_name: str, *, patterns: bool = True) -> str:
    """The script's text.

    Markers are compared as the MTA's tables compare them: whatever the case, with blanks and folds around the value. ``header :is`` would
    not do: Pigeonhole keeps the line end of a value that begins on the second line.

    Args:
        answers: the markers, and what becomes of flagged mail.
        folder: where flagged mail goes (``spam_folder``).
        mta_name: the MTA's own name; it stands in the note about clients that are not believed. Empty when it is not known: then the
            note of any server counts.
        patterns: False where Dovecot's settings (sieve_extensions) do not allow the regex extension; then a marker whose value begins on a
            second line is not seen.
    """
    released = (
        f"    if {_yes(_quoted(answers.markers.released), patterns)} {{\n"
        '        fileinto "INBOX";\n        stop;\n    }\n'
    )
    flagged = _flagged(answers, folder, patterns)
    extensions = ", ".join(
        f'"{name}"'
        for name in ("fileinto", *(["mailbox"] if flagged else []), *(["regex"] if patterns else []))
    )
    note = f":is {_quoted(ORIGIN_HEADER)} {_quoted(f'{UNTRUSTED} {mta_name}')}"
    if not mta_name:
        note = f":matches {_quoted(ORIGIN_HEADER)} {_quoted(f'{UNTRUSTED} *')}"
    return (
        "# Written by conbool-tui; run conbool-tui to change it.\n"
        f"require [{extensions}];\n\n"
        "# This header is the mail server's note that a client's markers are not to be believed.\n"
        f"if not header {note} {{\n"
        "    # Released from quarantine: to the inbox, and no other script is asked.\n"
        f"{released}{flagged}}}\n"
    )


def unchecked_script(answers: Answers, folder: str, *, patterns: bool = True) -> str:
    """The script behind an MTA that leaves strangers' markers in the message: it only files what is flagged and was not released.

    A forged flag puts the forger's own mail into the folder, and a forged release keeps it out of this script; neither brings mail past
    anybody's filters. Empty where nothing is to be filed. Arguments as ``sieve_script``.
    """
    if answers.spam.action != "folder" or not answers.markers.spam:
        return ""
    flagged = _yes(f"[{', '.join(map(_quoted, answers.markers.spam))}]", patterns)
    released = _yes(_quoted(answers.markers.released), patterns)
    regex = ', "regex"' if patterns else ""
    return (
        "# Written by conbool-tui; run conbool-tui to change it.\n"
        f'require ["fileinto", "mailbox"{regex}];\n\n'
        "# Conbool says that it is spam, and it was not released. The mail server cannot take markers out of strangers' mail: so nothing that\n"
        "# is released passes the other scripts.\n"
        f"if allof ({flagged}, not {released}) {{\n"
        f"    fileinto :create {_quoted(folder)};\n    stop;\n}}\n"
    )


def _flagged(answers: Answers, folder: str, patterns: bool) -> str:
    if answers.spam.action != "folder" or not answers.markers.spam:
        return ""
    headers = ", ".join(map(_quoted, answers.markers.spam))
    return (
        "    # Conbool says that it is spam.\n"
        f"    if {_yes(f'[{headers}]', patterns)} {{\n"
        f"        fileinto :create {_quoted(folder)};\n        stop;\n    }}\n"
    )


def _yes(headers: str, patterns: bool) -> str:
    """The test for a header with the value yes."""
    if not patterns:
        return f'header :is {headers} "yes"'
    return f'header :regex {headers} "^[[:space:]]*yes[[:space:]]*$"'


def _quoted(text: str) -> str:
    """A quoted string (RFC 5228, section 2.4.2)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
