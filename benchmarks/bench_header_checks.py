"""What one message's header checks cost with 10,000 hosted domains against one, with pcre: and with regexp: tables.

Twice: Postfix's own look-up tool over the tables that were applied, and real messages through real cleanup processes. The ordinary
message is what most mail looks like; the marked one carries Conbool's headers, none of which is a marker of a domain hosted here, so that all
rules have to be gone through and the message still takes the same way on both machines.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.lab import Lab
from tests.lab.postfix import PostfixMachine, PostfixSite
from tests.lab.product import apply_answers

from .figures import Figure, Report, Sample, alternate, number
from .names import many_domains
from .processes import child_cpu, daemons, memory, own_cpu, rounds

MANY = 10_000
LIMIT = 2.0
MAX_USE = 100  # Postfix's default: so many messages share one load of the tables on a busy server.
MESSAGES = 300

_WORDS = (
    "v=1; a=rsa-sha256; c=relaxed/relaxed; d=elsewhere.example; s=s1; h=from:to:subject:date; bh="
    + "Zm9v" * 11
)
ORDINARY = [
    "Received: from mail.elsewhere.example (mail.elsewhere.example [203.0.113.99])\n\tby mx1.example.com (Postfix) with ESMTPS id 4Xyz12",
    "Received: from [10.0.0.7] (unknown [10.0.0.7])\n\tby mail.elsewhere.example (Postfix) with ESMTPSA id 4Xyz11",
    "Received: by 2002:a05:7022:a94:b0:6a with SMTP id bd20-20020a05; Mon, 1 Jan 2024 10:00:00 +0000",
    f"DKIM-Signature: {_WORDS};\n\tb={'YmFy' * 40}",
    f"ARC-Seal: i=1; {_WORDS}; b={'YmFy' * 40}",
    f"ARC-Message-Signature: i=1; {_WORDS}; b={'YmFy' * 40}",
    "ARC-Authentication-Results: i=1; mx.elsewhere.example; dkim=pass; spf=pass; dmarc=pass",
    "Authentication-Results: mx.elsewhere.example; dkim=pass; spf=pass; dmarc=pass",
    "Return-Path: <x@elsewhere.example>",
    "Message-ID: <0123456789abcdef@elsewhere.example>",
    "Date: Mon, 1 Jan 2024 10:00:00 +0000",
    "From: Somebody Else <x@elsewhere.example>",
    "To: Alice <alice@example.com>, Bob <bob@example.com>",
    "Subject: Re: the minutes of the last meeting, and true words",
    "In-Reply-To: <fedcba9876543210@example.com>",
    "References: <fedcba9876543210@example.com> <0123456789abcdee@elsewhere.example>",
    "User-Agent: Mozilla Thunderbird",
    "X-Mailer: elsewhere 1.0",
    "X-Spam-Status: No, score=-1.1 required=5.0",
    "X-Virus-Scanned: clean",
    "List-Unsubscribe: <https://elsewhere.example/u>",
    "Content-Language: en-GB",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 7bit",
]
MARKED = [*ORDINARY, "X-Conbool-Flag: NO", "X-Conbool-Score: 1.5", "X-Conbool-zzz-not-hosted-example: true"]
MESSAGES_BY_KIND = {"ordinary": ORDINARY, "marked": MARKED}


@dataclass(frozen=True)
class Rig:
    """Two machines, for one domain and for many, whose Postfix uses tables of one type."""

    type: str
    one: PostfixMachine
    many: PostfixMachine


@pytest.fixture(scope="module", params=["pcre", "regexp"])
def rig(lab_here: None, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with Lab() as lab:
        machines = []
        for domains in (["example.com"], ["example.com", *many_domains(MANY - 1)]):
            site = PostfixSite(main={"default_transport": "discard:"})
            machine = lab.postfix(site=site, pcre=request.param == "pcre")
            apply_answers(lab, machine, domains=domains)
            # Processes that stay let their CPU time be read; what loading the tables costs is measured by itself.
            machine.configure({"max_use": "1000000", "max_idle": "1h"})
            for kind, headers in MESSAGES_BY_KIND.items():
                machine.write(
                    f"/root/{kind}", "\n".join(headers) + "\n\n" + ("A line of text.\n" * 40), 0o644
                )
            assert all(table.startswith(f"{request.param}:") for table in tables(machine))
            machines.append(machine)
        yield Rig(request.param, *machines)


def tables(machine: PostfixMachine) -> list[str]:
    """The header check tables in force, as postmap takes them."""
    value = machine.shell("postconf -xh header_checks")
    return [item.strip() for item in value.split(",")]


def look_up(machine: PostfixMachine, table: str, headers: list[str]) -> tuple[float, str]:
    """CPU seconds of one postmap that looks headers up, and what it found."""
    machine.write("/root/keys", "\n".join(headers) + "\n\n")
    process = machine.popen(
        ["/bin/sh", "-c", f"exec postmap -hq - {table} < /root/keys"], stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stderr is not None
    found, errors = process.stdout.read().decode(), process.stderr.read().decode()
    seconds, process.returncode = child_cpu(process.pid)
    process.stdout.close()
    process.stderr.close()
    assert not errors, errors
    return seconds, found


def table_costs(machine: PostfixMachine, kind: str, copies: int = 400) -> Sample:
    """CPU milliseconds: to load all tables once, and for one message's headers."""
    load = message = 0.0
    for table in tables(machine):
        once, found = look_up(machine, table, ["X-Nothing: 1"])
        assert not found
        often, found = look_up(machine, table, MESSAGES_BY_KIND[kind] * copies)
        assert not found
        load += once
        message += max(often - once, 1e-6) / copies
    return {"load": load * 1000, "message": message * 1000}


def loading(machine: PostfixMachine) -> float:
    """CPU milliseconds to load all header check tables, with what starting postmap takes."""
    return statistics.median(table_costs(machine, "ordinary", 1)["load"] for _ in range(5))


def send(machine: PostfixMachine, kind: str, count: int = MESSAGES) -> Sample:
    """CPU milliseconds a message of all cleanup processes, for messages handed over by SMTP."""
    before = {pid: own_cpu(pid) for pid in daemons(machine, "cleanup")}
    machine.run(
        ["smtp-source", "-d", "-s", "4", "-m", str(count), "-F", f"/root/{kind}"]
        + ["-f", "x@elsewhere.example", "-t", "y@outside-a.example", "127.0.0.1:25"],
        check=True,
        timeout=300,
    )
    while machine.busy():
        time.sleep(0.01)
    after = {pid: own_cpu(pid) for pid in daemons(machine, "cleanup")}
    assert set(before) <= set(after)
    # A new process has loaded its tables in this time; that is counted elsewhere.
    used = sum(after[pid] - seconds for pid, seconds in before.items())
    fresh = set(after) - set(before)
    return {"cleanup": used * 1000 / count, "fresh": float(len(fresh)) + 1}


def test_every_marker_is_found(rig: Rig) -> None:
    """Rules that were cheap because they match nothing would be no good."""
    domains = ["example.com", *itertools.islice(many_domains(MANY - 1), 0, None, 97)]
    headers = [f"X-CONBOOL-{domain.replace('.', '-')}:\n\ttrue " for domain in domains]
    strangers = [f"X-Conbool-{domain.replace('.', '-')}x: true" for domain in domains]
    strangers += [f"X-Conbool-{domain.replace('.', '-')}: false" for domain in domains]
    found = [look_up(rig.many, table, [*headers, *strangers])[1] for table in tables(rig.many)]
    assert sum(text.count("FILTER conbool-reinject") for text in found) == len(domains)


@pytest.mark.parametrize("kind", list(MESSAGES_BY_KIND))
def test_look_ups(rig: Rig, report: Report, kind: str) -> None:
    """postmap over the tables: loading, and one message's headers."""
    found = alternate(rounds(5), lambda: table_costs(rig.one, kind), lambda: table_costs(rig.many, kind))
    group = f"header checks with {MANY:,} domains against one: {rig.type}"
    report.pairs(
        group,
        f"look-ups for an {kind} message" if kind == "ordinary" else f"look-ups for a {kind} message",
        found["message"],
        "µs",
        scale=1000,
    )
    if kind == "ordinary":
        report.pairs(group, "loading the tables once (with postmap's start)", found["load"], "ms")


@pytest.mark.parametrize("kind", list(MESSAGES_BY_KIND))
def test_messages_through_cleanup(rig: Rig, report: Report, kind: str) -> None:
    """Real messages: CPU time of cleanup, with its share of loading the tables, and its memory."""
    for machine in (rig.one, rig.many):
        send(machine, kind, 100)
    found = alternate(rounds(9), lambda: send(rig.one, kind), lambda: send(rig.many, kind))
    group = f"header checks with {MANY:,} domains against one: {rig.type}"
    what = f"cleanup's CPU time, {kind} message"
    judged = report.pairs(group, what, found["cleanup"], "ms", at_most=LIMIT)
    extra = loading(rig.many) - loading(rig.one)
    base, ours = (statistics.median(side) for side in (found["cleanup"].base, found["cleanup"].ours))
    whole = (ours + extra / MAX_USE) / base
    # Without pcre the tables are compiled anew in every process, which Postfix ends after max_use messages.
    limit = f"<= {LIMIT:g}" if rig.type == "pcre" else ""
    text, sum_ = f"the same with 1/{MAX_USE} of loading the tables", number(ours + extra / MAX_USE, "ms")
    report.add(Figure(group, text, number(base, "ms"), sum_, whole, limit=limit, held=whole <= LIMIT))
    one, many = (max(memory(pid) for pid in daemons(machine, "cleanup")) for machine in (rig.one, rig.many))
    if kind == "marked":
        text = "private memory of one cleanup process"
        report.add(Figure(group, text, number(one, "MiB"), number(many, "MiB"), many / one))
    assert not limit or whole <= LIMIT
    assert judged.held, f"{what}: {judged.ratio:.3f}, limit {judged.limit}; single pairs {judged.spread}"
