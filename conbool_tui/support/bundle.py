"""Collect the bundle's parts, redacted, and write them as one archive."""

from __future__ import annotations

import gzip
import io
import json
import platform
import posixpath
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Callable, Optional

from conbool_tui import __version__, log, render
from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.facts import HostFacts
from conbool_tui.host import Host
from conbool_tui.mta import mta_facts
from conbool_tui.session import Session
from conbool_tui.support.redact import Redactor

_LOG_KEPT = 512 * 1024
_LIBRARIES = ("textual", "rich", "dnspython", "psutil", "PyYAML", "sh")
_ABOUT = """\
What conbool-tui {version} found and did on this server, for support.

Mail addresses, domains, host names, IP addresses, logins and keys were replaced (user-1@domain-2.invalid); the same name has the same
replacement in every part. Conbool's own names, loopback addresses, file names and settings are as they were.

"""


@dataclass(frozen=True)
class Part:
    """One file of the bundle."""

    name: str
    about: str
    text: str


def collect(session: Session, answers: Optional[Answers]) -> list[Part]:
    """Everything that would be in the bundle, redacted. What cannot be read is told in its place; nothing is written.

    Args:
        answers: those to plan with; the applied ones when None.
    """
    facts = session.detect(None if answers is None else answers.instance)
    parts = [
        Part(
            "versions.txt",
            "versions of the program, Python, the system and the mail system",
            _versions(session.host, facts),
        ),
        Part("detection.json", "what was found", json.dumps(render.facts_json(facts), indent=1)),
        Part("detection.txt", "the same for people", render.detect_text(facts)),
        *_plan(session, answers, facts),
        Part("history.txt", "what was done", _told(lambda: render.history_text(session.history()))),
        *_journals(session),
        Part("log.txt", f"the end of {log.FILE}", _log(session.host)),
    ]
    redactor = Redactor(_names(facts, answers), ())
    redacted = [Part(part.name, part.about, redactor.text(part.text)) for part in parts]
    about = _ABOUT.format(version=__version__) + "".join(
        f"{part.name:<40} {part.about}\n" for part in redacted
    )
    return [Part("README.txt", "this list", about), *redacted]


def archive(parts: Sequence[Part]) -> bytes:
    """The bundle as a tar.gz; the same parts give the same bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w") as out,
    ):
        for part in parts:
            data = part.text.encode("utf-8", "backslashreplace")
            entry = tarfile.TarInfo(f"conbool-tui-support/{part.name}")
            entry.size = len(data)
            entry.mode = 0o600
            out.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _told(make: Callable[[], str]) -> str:
    """What a function returns, or the error it ends with, as text."""
    try:
        return make()
    except ConboolError as error:
        return "\n".join(error.lines()) + "\n"


def _versions(host: Host, facts: HostFacts) -> str:
    lines = [f"conbool-tui {__version__}", f"Python {platform.python_version()} ({sys.implementation.name})"]
    for name in _LIBRARIES:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name}: not installed")
    lines.append(f"{platform.system()} {platform.release()} {platform.machine()}")
    if host.is_file("/etc/os-release"):
        lines.append(_told(lambda: host.read_text("/etc/os-release")).strip())
    lines += [f"{found.system}: {found.outcome.value}, {found.summary}" for found in facts.detections]
    return "\n".join(lines) + "\n"


def _plan(session: Session, answers: Optional[Answers], facts: HostFacts) -> list[Part]:
    """What would be done with the answers now."""
    try:
        used = session.applied_answers() if answers is None else answers
        plan = session.plan(used, facts)
    except ConboolError as error:
        return [Part("plan.txt", "why there is no plan", "\n".join(error.lines()) + "\n")]
    difference = render.plan_diff(plan).decode("utf-8", "backslashreplace")
    return [
        Part("plan.txt", "what would be done now with the answers", render.plan_text(plan)),
        Part("plan.diff", "the differences of the files", render.printable(difference, keep="\n\t")),
    ]


def _journals(session: Session) -> list[Part]:
    try:
        changes = list(session.history())
    except ConboolError:
        return []
    return [
        Part(
            f"changes/{receipt.id}.txt",
            "the journal of this change",
            _told(partial(session.journal, receipt.id)),
        )
        for receipt in changes[:20]
    ]


def _log(host: Host) -> str:
    if not host.is_file(log.FILE):
        return f"There is no {log.FILE}.\n"

    def tail() -> str:
        size = host.stat(log.FILE).st_size
        return host.read_from(log.FILE, max(0, size - _LOG_KEPT), _LOG_KEPT).decode("utf-8", "replace")

    return _told(tail)


def _names(facts: HostFacts, answers: Optional[Answers]) -> Iterable[str]:
    """Names of this host that must go even where they do not look like names."""
    found = [platform.node(), platform.node().partition(".")[0]]
    for detection in facts.detections:
        postfix = detection.postfix
        if postfix is not None:
            own = [postfix.expanded.get(name, "") for name in ("myhostname", "mydomain", "myorigin")]
            found += [*own, *(name.partition(".")[0] for name in own[:1])]
        mta = mta_facts(detection)
        if mta is not None:
            found += [*mta.domains.all(), mta.host_name, mta.host_name.partition(".")[0]]
    if answers is not None:
        found += answers.domains
    common = {"mail", "smtp", "localhost", "postfix", "mx", "server", "host", "root"}
    return [
        name for name in found if name and name.lower() not in common and not name.startswith(posixpath.sep)
    ]
