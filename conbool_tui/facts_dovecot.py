"""What was found of Dovecot. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conbool_tui.facts import FileText


@dataclass(frozen=True)
class SpecialFolder:
    r"""A mailbox with the special use \\Junk (RFC 6154), named as Sieve's fileinto names it.

    ``automatic``: Dovecot makes it for every user (``auto = create`` or ``subscribe``).
    """

    name: str
    automatic: bool = False


@dataclass(frozen=True)
class DovecotFacts:
    r"""One Dovecot as it is configured and running.

    Attributes:
        syntax: ``2.3`` or ``2.4``: which of the two languages its configuration is written in.
        config_directory: where dovecot.conf is.
        config_file: dovecot.conf itself.
        protocols: imap, lmtp, pop3, sieve, ...
        sieve_installed: whether the Sieve plugin and its compiler are there.
        sieve_for: the delivery protocols (lmtp, lda) for which the plugin is on.
        before_scripts: what runs before a user's own script without us, in order: locations (2.3) or names of ``sieve_script`` sections (2.4).
        junk: the folders with special use \\Junk of the personal namespace.
        prefix: the prefix of the namespace that holds the INBOX; empty when another namespace takes names without it.
        lmtp_sockets: UNIX sockets where LMTP listens; relative ones stand below ``base_directory``.
        activation: the file in conf.d, or dovecot.conf when the settings must stand there as a block.
        block_before: the line of dovecot.conf that such a block goes before; empty for its end.
        files: dovecot.conf, and ours below the configuration directory, by absolute path.
    """

    version: str
    syntax: str
    config_directory: str
    config_file: str
    running: bool
    protocols: tuple[str, ...]
    sieve_installed: bool
    sieve_for: tuple[str, ...]
    before_scripts: tuple[str, ...]
    junk: tuple[SpecialFolder, ...]
    prefix: str
    base_directory: str
    lmtp_sockets: tuple[str, ...]
    activation: str
    block_before: str = ""
    files: Mapping[str, FileText] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
