"""The Sieve script that runs before all others (RFC 5228, RFC 5490 for ``:create``)."""

from __future__ import annotations

from conbool_tui.answers import Answers


def sieve_script(answers: Answers) -> str:
    """Released mail to the INBOX and no further, flagged mail to the folder, which is made when it is missing."""
    spam = ",\n           ".join(f'header :is "{name}" "YES"' for name in answers.markers.spam)
    return (
        "# Written by conbool-tui; run conbool-tui to change it.\n"
        'require ["fileinto", "mailbox"];\n'
        f'if header :is "{answers.markers.released}" "yes" {{\n'
        '  fileinto "INBOX";\n'
        "  stop;\n"
        "}\n"
        f"if anyof ({spam}) {{\n"
        f"  fileinto :create {_quoted(answers.spam.folder or 'Junk')};\n"
        "  stop;\n"
        "}\n"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
