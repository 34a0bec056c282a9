"""What name service publishes about the hosted domains, as data for ``check`` and the Prerequisites screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from conbool_tui.findings import Status


@dataclass(frozen=True)
class Lookup:
    """The answer to one question.

    Attributes:
        kind: what it is for: MX, SPF, DMARC, DKIM, TXT (ownership and other texts) or EXPECTED (a dns_expectations entry).
        name: the name asked for, in the spelling people know.
        status: OK: published; WARN: published and doubtful, or not published where it should be; FAIL: only for expectations that do
            not match; NOT TESTED: the question was not answered (timeout, SERVFAIL, cancelled), which says nothing about the record.
        values: what is published, one record each, as people write it.
        summary: one sentence.
        detail: CNAME chain, resolver, lines.
        remedy: what to do.
        authenticated: the resolver set AD: the answer was validated with DNSSEC there.
    """

    kind: str
    name: str
    status: Status
    values: tuple[str, ...]
    summary: str
    detail: str = ""
    remedy: str = ""
    authenticated: bool = False


@dataclass(frozen=True)
class MailExchanger:
    """One MX of a domain: its name, preference and addresses; ``conbool``: it is known to be Conbool's."""

    preference: int
    host: str
    addresses: tuple[str, ...]
    conbool: bool


@dataclass(frozen=True)
class DomainReport:
    """Everything looked up for one domain. ``exchangers`` are those of the MX lookup, the lowest preference first.

    ``conbool_only``: True when every MX is Conbool's, False when one is not (or there is none), None when it could not be told.
    ``receives``: False when it is certain that nobody can send mail to it (it does not exist, has a null MX, or neither MX nor address).
    """

    domain: str
    lookups: tuple[Lookup, ...]
    exchangers: tuple[MailExchanger, ...] = ()
    conbool_only: Optional[bool] = None
    receives: bool = True

    @property
    def status(self) -> Status:
        """The worst status of its lookups: FAIL, WARN, NOT TESTED, OK."""
        order = (Status.FAIL, Status.WARN, Status.NOT_TESTED)
        found = {lookup.status for lookup in self.lookups}
        return next((status for status in order if status in found), Status.OK)
