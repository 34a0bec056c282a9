"""What was found of an OX App Suite. Plain data, no secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class MailService:
    """A mail service that OX uses. ``here``: it is this host; None when each user has one of its own."""

    host: str
    port: int
    here: Optional[bool]

    def __str__(self) -> str:
        return "each user's own" if self.here is None else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class MailFilter:
    """OX's mail filter module: which ManageSieve server it uses, and the name of the script it writes for each user."""

    server: MailService
    script_name: str
    tls: bool


@dataclass(frozen=True)
class OpenXchangeFacts:
    """One OX App Suite middleware.

    Attributes:
        directory: where it is installed.
        imap: where users' mailboxes are (Dovecot).
        smtp: where OX hands in its users' mail (Postfix).
        mail_filter: None when the module is not installed.
        open_tools: OX's listcontext works without a password here.
    """

    version: str
    directory: str
    imap: MailService
    smtp: MailService
    mail_filter: Optional[MailFilter]
    open_tools: bool = False
    warnings: tuple[str, ...] = ()
