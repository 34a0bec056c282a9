"""The Sieve script for a mailbox server that cannot be asked: in a container, or on another host. Pure."""

from __future__ import annotations

from conbool_tui.answers import Answers
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.planners.dovecot import sieve_script

_ANY = DovecotFacts(
    version="",
    syntax="",
    config_directory="",
    config_file="",
    running=False,
    protocols=(),
    sieve_installed=True,
    sieve_for=("lmtp",),
    before_scripts=(),
    junk=(),
    prefix="",
    base_directory="",
    lmtp_sockets=(),
    activation="",
)
"""A Dovecot as most are: mailbox names without a prefix."""


def mailbox_script(answers: Answers, mta_name: str) -> str:
    """The script's text; ``mta_name`` is the name of the mail server that hands over the mail."""
    return sieve_script(_ANY, answers, mta_name)
