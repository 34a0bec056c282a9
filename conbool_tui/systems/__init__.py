"""The mail systems the transaction can drive, by name."""

from __future__ import annotations

from conbool_tui.errors import UsageError
from conbool_tui.host import Host
from conbool_tui.mail_system import MailSystem, MailTarget
from conbool_tui.systems.composite import CompositeSystem
from conbool_tui.systems.docker_mailserver import DockerMailserverSystem
from conbool_tui.systems.dovecot import DovecotSystem
from conbool_tui.systems.exim import EximSystem
from conbool_tui.systems.postfix import PostfixSystem
from conbool_tui.systems.sendmail import SendmailSystem
from conbool_tui.systems.spam_filter import RspamdSystem, SpamAssassinSystem

NAMES = ("postfix", "sendmail", "exim", "docker-mailserver", "dovecot", "rspamd", "spamassassin")


def make_system(host: Host, target: MailTarget) -> MailSystem:
    """The mail system a plan or a recorded change belongs to.

    Raises:
        UsageError: a name this version does not know.
    """
    if target.also:
        return CompositeSystem(target.all, [make_system(host, one) for one in target.all])
    if target.system == "postfix":
        return PostfixSystem(host, target.config_directory, target.instance)
    if target.system == "dovecot":
        return DovecotSystem(host, target.config_directory)
    if target.system == "rspamd":
        return RspamdSystem(host, target.config_directory)
    if target.system == "spamassassin":
        return SpamAssassinSystem(host, target.config_directory)
    if target.system == DockerMailserverSystem.name:
        return DockerMailserverSystem(host, target.config_directory, target.instance)
    if target.system == "sendmail":
        return SendmailSystem(host, target.config_directory)
    if target.system == "exim":
        return EximSystem(host, target.config_directory)
    raise UsageError(
        f"The mail system {target.system} is not known.",
        "This version of conbool-tui cannot check or reload it.",
        f"Known are: {', '.join(NAMES)}.",
    )
