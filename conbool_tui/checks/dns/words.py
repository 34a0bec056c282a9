"""An answer in words: every way a question can go wrong, with its remedy, and the lookup that tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from conbool_tui.checks.dns.client import Outcome, Reply
from conbool_tui.checks.dns.spelling import limited, shown_name
from conbool_tui.checks.dns_model import Lookup
from conbool_tui.findings import Status

_AGAIN = "Nothing is known about the record until then: repeat the check afterwards."

_CERTAIN_TROUBLES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.NXDOMAIN: (
        "the name does not exist in DNS (NXDOMAIN)",
        "Compare the spelling with what the Setup Assistant asks you to publish.",
    ),
    Outcome.NODATA: (
        "the name exists, but without a record of this type",
        "Publish the record that the Setup Assistant shows.",
    ),
    Outcome.LOOP: (
        "its alias (CNAME) leads in a circle",
        "Correct the CNAME records shown in the details; nobody can follow them.",
    ),
    Outcome.LONG_CHAIN: (
        "it is an alias (CNAME) of an alias, too many times over",
        "Let the CNAME point to the final name; other servers give up on such chains, too.",
    ),
    Outcome.LONG_NAME: (
        "its name would be longer than DNS allows (253 characters, 63 between dots)",
        "Such a record cannot be published: shorten the selector, or use another domain.",
    ),
}
_UNCERTAIN_TROUBLES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.SERVFAIL: (
        "the resolver got no usable answer (SERVFAIL)",
        "The domain's own name servers do not answer properly, or its DNSSEC signatures are wrong; if `dig +cd` shows the record, it is "
        f"the signatures. {_AGAIN}",
    ),
    Outcome.REFUSED: (
        "the resolver refused the question (REFUSED)",
        "The name servers in /etc/resolv.conf do not serve this host: allow it there, or enter others. "
        + _AGAIN,
    ),
    Outcome.RCODE: (
        "the resolver answered with an error",
        "See the details, and the log of the name servers in /etc/resolv.conf. " + _AGAIN,
    ),
    Outcome.TIMEOUT: (
        "no name server answered in time",
        "Check that the name servers in /etc/resolv.conf run and that no firewall drops port 53 (UDP and TCP). "
        + _AGAIN,
    ),
    Outcome.UNREACHABLE: (
        "no name server could be reached",
        "Nothing listens at the addresses in /etc/resolv.conf, or there is no route to them. " + _AGAIN,
    ),
    Outcome.TRUNCATED: (
        "the answer is too long for UDP, and the name server gives none over TCP",
        "Allow TCP port 53 to the name servers in /etc/resolv.conf; mail servers need it for long records, too. "
        + _AGAIN,
    ),
    Outcome.GARBAGE: (
        "the answer could not be understood",
        "Something between here and the name servers, or one of them, sends broken messages: try another in /etc/resolv.conf. "
        + _AGAIN,
    ),
    Outcome.BAD_NAME: (
        "this is no name that can be asked for",
        "Correct its spelling in the answers.",
    ),
    Outcome.NO_SERVERS: (
        "this host knows no name server",
        "Enter one in /etc/resolv.conf; mail servers need it, too. " + _AGAIN,
    ),
    Outcome.CANCELLED: ("cancelled before the answer came", "Repeat the check."),
}


@dataclass(frozen=True)
class Asked:
    """A question about a domain and its reply. ``label`` is what stands before the domain, as in ``_dmarc``."""

    domain: str
    reply: Reply
    label: str = ""

    @property
    def name(self) -> str:
        """The name asked for, as people write it."""
        return shown_name(f"{self.label}.{self.domain}" if self.label else self.domain)

    def lookup(
        self,
        kind: str,
        status: Status,
        headline: str,
        remedy: str = "",
        *,
        values: Optional[Sequence[str]] = None,
        lines: Sequence[str] = (),
        name: str = "",
    ) -> Lookup:
        """The finished lookup; ``headline`` never repeats the domain, so that equal results can be told as one."""
        reply = self.reply
        return Lookup(
            kind,
            name or self.name,
            status,
            limited(reply.values if values is None else values),
            f"{shown_name(self.domain)}: {headline}.",
            "\n".join([*_circumstances(self.name, reply), *lines]),
            remedy,
            reply.authenticated,
        )

    def trouble(self, kind: str, what: str) -> Lookup:
        """A reply without records: NOT TESTED when the question was not answered, otherwise WARN."""
        headline, remedy = troubles(self.reply)
        status = Status.WARN if self.reply.outcome.certain else Status.NOT_TESTED
        return self.lookup(kind, status, f"{what}: {headline}", remedy, values=())


def troubles(reply: Reply) -> tuple[str, str]:
    """What is wrong and what to do, in words, for every outcome but FOUND."""
    outcome = reply.outcome
    if outcome is Outcome.NXDOMAIN and reply.chain:
        return (
            "it is an alias (CNAME) of a name that does not exist",
            "Publish the record that the alias in the details points to, or correct the CNAME.",
        )
    if outcome in _CERTAIN_TROUBLES:
        return _CERTAIN_TROUBLES[outcome]
    return _UNCERTAIN_TROUBLES[outcome]


def _circumstances(name: str, reply: Reply) -> list[str]:
    lines = []
    if reply.chain:
        lines.append(" is an alias of ".join((name, *reply.chain)))
    if reply.server:
        validated = ", which has validated the answer with DNSSEC (AD)" if reply.authenticated else ""
        lines.append(f"answered by {reply.server}{validated}")
    if reply.note:
        lines.append(reply.note)
    return lines
