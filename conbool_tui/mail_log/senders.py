"""From the mail log to the report about present senders."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import PostfixFacts
from conbool_tui.host import Host
from conbool_tui.mail_log import stamps, tags
from conbool_tui.mail_log.files import LogFile, UnreadableError, blocks, candidates, log_files, read_pieces
from conbool_tui.mail_log.journal import JournalError, journal_blocks
from conbool_tui.mail_log.lines import accepted, first_stamp, last_stamp, line_pattern
from conbool_tui.mail_log.networks import Networks
from conbool_tui.mail_log.tally import LARGEST, Tally, printable
from conbool_tui.present_senders import SenderReport
from conbool_tui.receipt import Progress, ProgressSink

_DAY = 86400.0
_PROGRESS_PAUSE = 0.25
_SILENT_DAYS = 2
_JOURNAL = "systemd journal"
_LOOPBACK = ("127.", "[::1]", "::1", "localhost")


def read_senders(
    host: Host,
    facts: PostfixFacts,
    allowed: Sequence[str],
    *,
    days: float = 7,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Optional[ProgressSink] = None,
    now: Optional[float] = None,
    largest: int = LARGEST,
) -> SenderReport:
    """Which clients handed mail to port 25 in the last days, and which of them could not any more.

    What counts is smtpd's line about a message whose first recipient was accepted. Authenticated clients, submission services, our
    own lanes, loopback and mail that comes back from a content filter do not count. Never raises for a log that is missing or
    damaged: that is in the report's note.

    Args:
        host: the machine.
        facts: its Postfix instance.
        allowed: every network that could still connect: mynetworks, extra networks, Conbool's.
        days: how far back.
        cancelled: asked several times a second; when it says yes the report holds what was read until then.
        progress: told at most four times a second, in bytes (of a journal: seconds).
        now: seconds since 1970, the present when not given.
        largest: how many addresses are kept apart.
    """
    reader = _Reader(
        host, facts, allowed, days, cancelled, progress, time.time() if now is None else now, largest
    )
    return reader.report()


class _Reader:
    """One reading of the log."""

    def __init__(
        self,
        host: Host,
        facts: PostfixFacts,
        allowed: Sequence[str],
        days: float,
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink],
        now: float,
        largest: int,
    ) -> None:
        self.host = host
        self.facts = facts
        self.cancelled = cancelled
        self.progress = progress
        self.now = now
        self.oldest = now - days * _DAY
        self.days = days
        self.largest = largest
        self.allowed = Networks(allowed)
        self.pattern = line_pattern(tags.tag_pattern(facts), _forwarded_is_reentry(facts))
        self.tally = Tally(self.allowed, largest)
        self.sources: list[str] = []
        self.notes: list[str] = []
        self.begin: Optional[float] = None
        self.end: Optional[float] = None
        self.told = float("-inf")
        self.stopped = False

    def report(self) -> SenderReport:
        """Read what there is and say what was found."""
        self._read()
        sums = self.tally.result()
        span = 0.0 if self.begin is None or self.end is None else max(0.0, self.end - self.begin) / _DAY
        return SenderReport(
            sums.senders,
            sums.others,
            sums.other_messages,
            sums.messages,
            sums.cut_off_messages,
            tuple(self.sources),
            min(span, float(self.days)),
            " ".join([*self.notes, *self._remarks()]),
        )

    # --- finding the log --------------------------------------------------------------------------

    def _read(self) -> None:
        """The first log in which anybody handed over mail; the first readable one when there is none."""
        maillog_file = self.facts.expanded.get("maillog_file", "")
        silent: list[str] = []
        notes: list[str] = []
        span: tuple[Optional[float], Optional[float]] = (None, None)
        for base in candidates(self.host, maillog_file):
            self._forget()
            self._read_files(base)
            if self.tally.lines or self.stopped:
                return
            notes += self.notes
            if self.sources and not silent:
                silent, span = self.sources, (self.begin, self.end)
        self._forget()
        self._read_journal()
        if self.tally.lines or self.stopped:
            return
        self.notes = [*notes, *self.notes]
        if silent:
            self.sources, (self.begin, self.end) = silent, span
            self.notes.append("The log names nobody who handed mail to port 25 without authentication.")
        elif not self.sources:
            where = f" Postfix writes its log to {maillog_file}." if maillog_file else ""
            self.notes.append(
                f"No mail log of the last {self.days:g} days was found, so present senders are unknown.{where}"
            )

    def _forget(self) -> None:
        self.tally = Tally(self.allowed, self.largest)
        self.sources, self.notes = [], []
        self.begin = self.end = None

    # --- files ------------------------------------------------------------------------------------

    def _read_files(self, base: str) -> None:
        try:
            files = log_files(self.host, base, self.oldest)
        except ConboolError as error:
            self.notes.append(error.what)
            return
        total = sum(one.size for one in files)
        before = 0
        for one in files:
            if self._cancelled():
                return
            self._read_file(one, before, total)
            before += one.size

    def _read_file(self, one: LogFile, before: int, total: int) -> None:
        read = False
        try:
            for block in blocks(
                read_pieces(self.host, one, lambda done: self._tell(one.path, before + done, total))
            ):
                if not read:
                    self.sources.append(one.path)
                    read = True
                self._count(block, min(one.written, self.now))
                if self._cancelled():
                    return
        except UnreadableError as error:
            part = "was read only in part" if read else "was not read"
            self.notes.append(f"{one.path} {part}: {error}.")

    def _count(self, block: bytes, written: float) -> None:
        """Count the accepted messages of whole lines, without those that are too old."""
        first, last = self._time(first_stamp(block), written), self._time(last_stamp(block), written)
        if last is not None and last < self.oldest:
            return
        if first is not None:
            self._saw(max(first, self.oldest))
        if last is not None:
            self._saw(last)
        found = accepted(block, self.pattern)
        whole = first is not None and first >= self.oldest
        self.tally.add(found if whole else (one for one in found if self._is_recent(one[0], written)))

    def _is_recent(self, stamp: bytes, written: float) -> bool:
        moment = self._time(stamp, written)
        return moment is not None and moment >= self.oldest

    def _time(self, stamp: bytes, written: float) -> Optional[float]:
        return stamps.seconds(stamp, written) if stamp else None

    def _saw(self, moment: float) -> None:
        self.begin = moment if self.begin is None else min(self.begin, moment)
        self.end = moment if self.end is None else max(self.end, moment)

    # --- the journal ------------------------------------------------------------------------------

    def _read_journal(self) -> None:
        if not self.host.live or self.host.which("journalctl") is None:
            return
        names = tags.port_25_tags(self.facts)
        total = int(self.now - self.oldest)

        def moved(moment: float) -> None:
            self._tell(_JOURNAL, int(moment - self.oldest), total)

        try:
            for block in journal_blocks(self.host, names, self.oldest, self.now, moved, self._cancelled):
                if not self.sources:
                    self.sources.append(_JOURNAL)
                self._count(block, self.now)
        except JournalError as error:
            self.notes.append(str(error))

    # --- telling ----------------------------------------------------------------------------------

    def _cancelled(self) -> bool:
        if not self.stopped and self.cancelled():
            self.stopped = True
        return self.stopped

    def _tell(self, source: str, done: int, total: int) -> None:
        if self.progress is None:
            return
        moment = time.monotonic()
        if moment - self.told >= _PROGRESS_PAUSE:
            self.told = moment
            self.progress(Progress("senders", f"Reading {source}", min(done, total), total))

    def _remarks(self) -> Iterator[str]:
        """What tells less than it seems."""
        if self.stopped:
            yield "Reading was stopped before the end of the log."
        if not self.tally.lines:
            return
        age = 0.0 if self.end is None else (self.now - self.end) / _DAY
        if age > _SILENT_DAYS and not self.stopped:
            yield f"The last line is {age:.0f} days old: perhaps Postfix writes its log elsewhere by now."
        if self.tally.overflowed:
            yield (
                f"There are more than {self.largest:,} addresses: the rarest are in the sums only, and how many they "
                "are is an estimate."
            )
        if len(self.tally.hosts) > 1:
            names = ", ".join(sorted(printable(name) for name in self.tally.hosts))
            yield f"The log holds lines of several hosts, and all were counted: {names}."
        shared = tags.shared_submission(self.facts)
        if shared:
            yield (
                f"{', '.join(shared)} logs under the same name as port 25: its clients without authentication were "
                "counted too."
            )
        if _real_client_hidden(self.facts):
            yield (
                "A proxy tells Postfix the addresses of clients (XCLIENT or the haproxy protocol): those are counted "
                "here, while a firewall sees the proxy's own."
            )
        for text in self.allowed.unknown:
            yield f"{text} is no network and was not taken into account."


def _forwarded_is_reentry(facts: PostfixFacts) -> bool:
    """True when a line that names a forwarded client (XFORWARD) is mail that comes back from a filter on
    another host; from a filter on this host it comes from loopback.
    """
    return any(
        not name.startswith(_LOOPBACK) and name.endswith("/inet")
        for one in (*facts.content_filters, *facts.proxy_filters)
        for name in one.reentry
    )


def _real_client_hidden(facts: PostfixFacts) -> bool:
    """True when the address in the log need not be the one that connected (postconf(5))."""
    names = (
        "smtpd_upstream_proxy_protocol",
        "postscreen_upstream_proxy_protocol",
        "smtpd_authorized_xclient_hosts",
    )
    port_25 = [one for one in facts.services if one.id in facts.port_25_services]
    return any(facts.expanded.get(name) for name in names) or any(
        one.option(name) for one in port_25 for name in names
    )
