"""The questions of one run: every domain's, in parallel, each question once."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, Optional

from conbool_tui import answer_forms
from conbool_tui.answers import Answers, DnsExpectation
from conbool_tui.checks.dns.client import Client, NameServers, Outcome, Reply
from conbool_tui.checks.dns.exchangers import MOST_EXCHANGERS, Addresses, ConboolHosts, exchanges, judge_mx
from conbool_tui.checks.dns.expected import judge_expected
from conbool_tui.checks.dns.policies import judge_dkim, judge_dmarc, judge_texts
from conbool_tui.checks.dns.spelling import harmless, shown_name
from conbool_tui.checks.dns_model import DomainReport, Lookup
from conbool_tui.receipt import Progress, ProgressSink

# Seconds between two looks at the cancel button, and between two lines of progress.
_LOOK = 0.05
_TELL = 0.3

# Stands for a domain's name; cannot be part of one.
_HOLE = "\0"

ReportSink = Callable[[DomainReport], None]


def look_up(
    domains: Iterable[str],
    answers: Answers,
    *,
    on_report: Optional[ReportSink] = None,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Optional[ProgressSink] = None,
    resolver: Optional[NameServers] = None,
    own_addresses: Sequence[str] = (),
) -> list[DomainReport]:
    """Look up MX, SPF, DMARC, the DKIM keys, other TXT records and the expected records.

    It blocks until all is answered or given up, and runs an event loop of its own: call it in a thread that has none.

    Args:
        domains: the hosted domains; each is reported once, under the spelling given.
        answers: DKIM selectors, expectations, Conbool's networks, and what is planned for port 25.
        on_report: gets each report as soon as it is there, in the calling thread, until the run is cancelled; must return quickly.
        cancelled: asked twenty times a second; after True all that is open is NOT TESTED and the reports are returned.
        progress: told a few times a second how many domains are done.
        resolver: whom to ask; those of /etc/resolv.conf when not given.
        own_addresses: this server's addresses, to be pointed out among those of the exchangers.

    Returns:
        A report for each domain in the order given, then one for each expectation outside of all domains (``conbool_only`` None).
    """
    survey = _Survey(answers, resolver, own_addresses, mx_only=False)
    return survey.run(domains, on_report, cancelled, progress)


def mx_reports(
    domains: Iterable[str],
    answers: Answers,
    *,
    on_report: Optional[ReportSink] = None,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Optional[ProgressSink] = None,
    resolver: Optional[NameServers] = None,
    own_addresses: Sequence[str] = (),
) -> list[DomainReport]:
    """As ``look_up``, only the MX records and their addresses: what closing port 25 depends on."""
    survey = _Survey(answers, resolver, own_addresses, mx_only=True)
    return survey.run(domains, on_report, cancelled, progress)


class _Survey:
    """One run. Unless ``mx_only``, everything is looked up."""

    def __init__(
        self,
        answers: Answers,
        resolver: Optional[NameServers],
        own_addresses: Sequence[str],
        *,
        mx_only: bool,
    ) -> None:
        self._answers = answers
        self._servers = resolver if resolver is not None else NameServers.from_system()
        self._mx_only = mx_only
        self._conbool = ConboolHosts(answers)
        self._own = frozenset(_addresses((*own_addresses, *answers.inbound.public_addresses)))
        self._selectors = tuple(dict.fromkeys(answers.prerequisites.dkim_selectors))
        # The ASCII name of each domain to its spelling in the answers.
        self._domains: dict[str, str] = {}
        self._expected: dict[str, list[DnsExpectation]] = {}
        self._elsewhere: dict[str, list[DnsExpectation]] = {}
        self._reports: dict[str, DomainReport] = {}
        self._template: tuple[Lookup, ...] = ()

    def run(
        self,
        domains: Iterable[str],
        on_report: Optional[ReportSink],
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink],
    ) -> list[DomainReport]:
        for domain in domains:
            self._domains.setdefault(_ascii(domain), domain)
        if not self._mx_only:
            for wanted in dict.fromkeys(self._answers.dns_expectations):
                owner = self._owner(_plain(wanted.name))
                (self._elsewhere if owner is None else self._expected).setdefault(
                    owner or _plain(wanted.name), []
                ).append(wanted)
        everything = [*self._domains, *self._elsewhere]
        if not everything:
            return []
        if not cancelled():
            asyncio.run(self._run(everything, on_report, cancelled, progress))
        return [self._reports.get(name) or self._not_begun(name) for name in everything]

    def _owner(self, name: str) -> Optional[str]:
        """The hosted domain a name belongs to: the longest that it is or lies below."""
        while name and name not in self._domains:
            name = name.partition(".")[2]
        return name or None

    async def _run(
        self,
        everything: Sequence[str],
        on_report: Optional[ReportSink],
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink],
    ) -> None:
        wanted = (
            one for part in (self._expected, self._elsewhere) for every in part.values() for one in every
        )
        client = Client(self._servers, ((_plain(one.name), one.type.upper()) for one in wanted))
        todo = iter(everything)
        pending: set[asyncio.Task[None]] = {
            asyncio.get_running_loop().create_task(self._work(client, todo, on_report))
            for _ in range(min(self._servers.in_flight, len(everything)))
        }
        told = 0.0
        try:
            while pending:
                if not client.stopped and cancelled():
                    client.stop()
                now = time.monotonic()
                if progress is not None and now - told >= _TELL:
                    told = now
                    self._tell(progress, len(everything))
                done, pending = await asyncio.wait(
                    pending, timeout=_LOOK, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
        finally:
            for task in pending:
                task.cancel()
        if progress is not None:
            self._tell(progress, len(everything))

    def _tell(self, progress: ProgressSink, total: int) -> None:
        progress(Progress("dns", "Asking name service about the domains", len(self._reports), total))

    async def _work(self, client: Client, todo: Iterator[str], on_report: Optional[ReportSink]) -> None:
        for name in todo:
            report = await self._report(client, name)
            self._reports[name] = report
            if client.stopped:
                return
            if on_report is not None:
                on_report(report)

    async def _report(self, client: Client, name: str) -> DomainReport:
        if name in self._elsewhere:
            return DomainReport(shown_name(name), await self._expectations(client, self._elsewhere[name]))
        if not _is_domain(name):
            return self._whole(name, {}, Reply(Outcome.BAD_NAME), {})
        questions = [] if self._mx_only else _questions(name, self._selectors)
        mx = client.start(name, "MX")
        others = [(question, client.start(*question)) for question in questions]
        reply = await client.result(mx)
        addresses = await self._addresses(client, name, reply)
        replies = {question: await client.result(task) for question, task in others}
        lookups = await self._expectations(client, self._expected.get(name, ()))
        return self._whole(name, addresses, reply, replies, lookups)

    async def _addresses(self, client: Client, name: str, reply: Reply) -> dict[str, Addresses]:
        """Those of the exchangers, of the domain itself when it has none."""
        hosts = [one.host for one in exchanges(reply) if not one.is_null] if reply.values else []
        if reply.outcome is Outcome.NODATA:
            hosts = [name]
        tasks = {
            host: (client.start(host, "A"), client.start(host, "AAAA"))
            for host in dict.fromkeys(hosts[:MOST_EXCHANGERS])
        }
        return {
            host: Addresses(await client.result(ipv4), await client.result(ipv6))
            for host, (ipv4, ipv6) in tasks.items()
        }

    async def _expectations(self, client: Client, every: Iterable[DnsExpectation]) -> tuple[Lookup, ...]:
        tasks = [(wanted, client.start(_plain(wanted.name), wanted.type.upper())) for wanted in every]
        return tuple([judge_expected(wanted, await client.result(task)) for wanted, task in tasks])

    def _whole(
        self,
        name: str,
        addresses: dict[str, Addresses],
        mx: Reply,
        replies: dict[tuple[str, str], Reply],
        expected: tuple[Lookup, ...] = (),
    ) -> DomainReport:
        """The report from all replies; a question without one has the fate of the MX question."""
        verdict = judge_mx(name, mx, addresses, self._answers.inbound, self._conbool, self._own)
        lookups = [verdict.lookup]
        if not self._mx_only:
            texts, dmarc, *keys = (
                replies.get(question, Reply(mx.outcome)) for question in _questions(name, self._selectors)
            )
            spf, others = judge_texts(name, texts)
            lookups += [spf, judge_dmarc(name, dmarc)]
            lookups += [judge_dkim(name, selector, key) for selector, key in zip(self._selectors, keys)]
            lookups.append(others)
        lookups += expected
        return DomainReport(
            self._domains.get(name, name),
            tuple(lookups),
            verdict.exchangers,
            verdict.conbool_only,
            verdict.receives,
        )

    def _not_begun(self, name: str) -> DomainReport:
        """The report of a name whose turn did not come any more."""
        reply = Reply(Outcome.CANCELLED)
        if name in self._elsewhere:
            expected = tuple(judge_expected(wanted, reply) for wanted in self._elsewhere[name])
            return DomainReport(shown_name(name), expected)
        # After a cancel there may be ten thousand of them, and somebody waits.
        if not self._template:
            self._template = self._whole(_HOLE, {}, reply, {}).lookups
        shown = shown_name(name)
        lookups = [
            Lookup(
                one.kind,
                one.name.replace(_HOLE, shown),
                one.status,
                (),
                one.summary.replace(_HOLE, shown),
                remedy=one.remedy,
            )
            for one in self._template
        ]
        lookups += [judge_expected(wanted, reply) for wanted in self._expected.get(name, ())]
        return DomainReport(self._domains[name], tuple(lookups))


def _questions(name: str, selectors: Iterable[str]) -> list[tuple[str, str]]:
    """All but MX: the domain's texts, DMARC, and each DKIM key."""
    return [
        (name, "TXT"),
        (f"_dmarc.{name}", "TXT"),
        *((f"{selector}._domainkey.{name}", "TXT") for selector in selectors),
    ]


def _addresses(texts: Iterable[str]) -> Iterator[str]:
    """The addresses among the texts, in the spelling of DNS answers and without their interface."""
    for text in texts:
        with contextlib.suppress(ValueError):
            yield str(ipaddress.ip_address(text.partition("%")[0]))


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _ascii(domain: str) -> str:
    """The domain as it is asked for; what cannot be asked for stays, made harmless."""
    try:
        return answer_forms.domain(_plain(domain))
    except answer_forms.FormError:
        return harmless(domain)[:300]


def _is_domain(name: str) -> bool:
    try:
        return answer_forms.domain(name) == name
    except answer_forms.FormError:
        return False
