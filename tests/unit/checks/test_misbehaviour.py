"""Servers that misbehave in every way there is: each has its own finding, its own words and its own remedy."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import pytest
import trustme

from conbool_tui.answers import SmartHost
from conbool_tui.checks import relay_host_texts, smart_host_texts
from conbool_tui.checks.dialog import Dialog
from conbool_tui.checks.failures import Texts
from conbool_tui.checks.limits import Limits
from conbool_tui.checks.relay_host import check_relay_host
from conbool_tui.checks.relay_host_server import Server as OwnServer
from conbool_tui.checks.resolve import Published
from conbool_tui.checks.smart_host import SmartHostCheck
from conbool_tui.facts import Listener
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from tests.lab.certs import Authority, load_pair
from tests.unit.checks.server import HANG_UP, NO_REPLY, RESET, Script, Server, free_port

NAME = "mail.conbool.com"
FAIL, WARN = Status.FAIL, Status.WARN
TLS = "tls"


@dataclass(frozen=True)
class Row:
    """One way to misbehave, and the finding it must lead to."""

    what: str
    id: str
    status: Status
    words: str
    script: Script = field(default_factory=Script)
    certificate: str = ""
    connect: int = 0
    special: str = ""

    @property
    def limits(self) -> Limits:
        """Short only where the server is waited for in vain."""
        return Limits(0.5 if "silent" in self.what or self.special == "full" else 1.5)


def dialog_rows(greeting: str, starttls: str) -> list[Row]:
    """The ways of the conversation itself, the same on both sides."""
    return [
        Row("refused", "", FAIL, "refuses the connection", special="nobody"),
        Row("dropped", "", FAIL, "no answer within", special="full"),
        Row("filtered", "", FAIL, "is filtered", connect=errno.EHOSTUNREACH),
        Row("no route", "", FAIL, "cannot be reached from this", connect=errno.ENETUNREACH),
        Row("silent", greeting, FAIL, "sends no greeting", Script(banner=NO_REPLY)),
        Row("hangs up", greeting, FAIL, "without a greeting", Script(banner=HANG_UP)),
        Row("resets", greeting, FAIL, "resets the connection", Script(banner=RESET, wait=0.3)),
        Row("HTTP", greeting, FAIL, "not SMTP", Script(banner="HTTP/1.1 400 Bad Request")),
        Row(
            "endless",
            greeting,
            FAIL,
            "not SMTP",
            Script(banner="220-a\r\n" * 20000 + "220 b"),
            special="again",
        ),
        Row("banner 4xx", greeting, FAIL, "421 4.3.2 busy", Script(banner="421 4.3.2 busy")),
        Row("banner 5xx", greeting, FAIL, "554 5.7.1 not you", Script(banner="554 5.7.1 not you")),
        Row("EHLO silent", greeting, FAIL, "silent after EHLO", Script(ehlo=NO_REPLY)),
        Row("EHLO hangs up", greeting, FAIL, "closes the connection after EHLO", Script(ehlo=HANG_UP)),
        Row("EHLO resets", greeting, FAIL, "is reset after EHLO", Script(ehlo=RESET)),
        Row("EHLO garbage", greeting, FAIL, "EHLO with something", Script(ehlo="hello yourself")),
        Row("EHLO 4xx", greeting, FAIL, "451 4.3.0 later", Script(ehlo="451 4.3.0 later")),
        Row("EHLO 5xx", greeting, FAIL, "502 5.5.1 what", Script(ehlo="502 5.5.1 what")),
        Row(
            "STARTTLS silent", starttls, FAIL, "silent after STARTTLS", Script(replies={"STARTTLS": NO_REPLY})
        ),
        Row("STARTTLS closes", starttls, FAIL, "after STARTTLS", Script(replies={"STARTTLS": HANG_UP})),
        Row(
            "STARTTLS garbage", starttls, FAIL, "STARTTLS with something", Script(replies={"STARTTLS": "ok"})
        ),
        Row("no TLS", starttls, FAIL, "handshake with", Script(handshake="this is not TLS at all")),
        Row("TLS silent", starttls, FAIL, "does not come to an end", Script(handshake=NO_REPLY)),
        Row("TLS closes", starttls, FAIL, "in the middle of the TLS", Script(handshake=HANG_UP)),
        Row(
            "inside closes",
            starttls,
            FAIL,
            "after the TLS handshake",
            Script(inside={"EHLO": HANG_UP}),
            "good",
        ),
        Row("inside silent", starttls, FAIL, "nothing any more", Script(inside={"EHLO": NO_REPLY}), "good"),
        Row("inside garbage", starttls, FAIL, "inside TLS", Script(inside={"EHLO": "ok"}), "good"),
        Row("inside 4xx", starttls, FAIL, "451 later", Script(inside={"EHLO": "451 later"}), "good"),
        Row("inside 5xx", starttls, FAIL, "550 never", Script(inside={"EHLO": "550 never"}), "good"),
    ]


SMART_HOST = [
    Row("no name", "smart-host.resolve", FAIL, "has no address", special="unknown"),
    Row("no family", "smart-host.resolve", FAIL, "family", special="family"),
    *dialog_rows("smart-host.greeting", "smart-host.starttls"),
    Row("slow", "smart-host.greeting", WARN, "greets only after", Script(wait=1.0), "good"),
    Row("plain", "smart-host.starttls", FAIL, "does not offer STARTTLS", Script(ehlo="250 mail.test")),
    Row("TLS 4xx", "smart-host.starttls", FAIL, "puts it off", Script(replies={"STARTTLS": "454 4.7.0 no"})),
    Row("TLS 5xx", "smart-host.starttls", FAIL, "refuses it", Script(replies={"STARTTLS": "502 5.5.1 no"})),
    Row("expired", "smart-host.chain", FAIL, "has expired", certificate="expired"),
    Row("not yet", "smart-host.chain", FAIL, "not yet valid", certificate="not_yet_valid"),
    Row("self-signed", "smart-host.chain", FAIL, "signed by itself", certificate="self_signed"),
    Row("no middle", "smart-host.chain", FAIL, "no intermediate", certificate="missing_intermediate"),
    Row("wrong CA", "smart-host.chain", FAIL, "which is not trusted here", certificate="other_chain"),
    Row("other name", "smart-host.name", FAIL, "wrong-name.invalid, not for", certificate="wrong_name"),
    Row("CN only", "smart-host.name", WARN, "common name only", certificate="cn_only"),
]

RELAY_HOST = [
    Row("stopped", "smtp.reachable", FAIL, "Nothing listens", special="stopped"),
    *dialog_rows("smtp.reachable", "smtp.starttls"),
    Row("slow", "smtp.greeting", WARN, "greets only after", Script(wait=1.0), "good"),
    Row("plain", "smtp.starttls", WARN, "does not offer STARTTLS", Script(ehlo="250 mail.test")),
    Row("TLS 4xx", "smtp.starttls", WARN, "puts it off", Script(replies={"STARTTLS": "454 4.7.0 no"})),
    Row("TLS 5xx", "smtp.starttls", WARN, "refuses it", Script(replies={"STARTTLS": "502 5.5.1 no"})),
    Row("expired", "smtp.certificate", WARN, "has expired", certificate="expired"),
    Row("not yet", "smtp.certificate", WARN, "not valid before", certificate="not_yet_valid"),
    Row("self-signed", "smtp.certificate", WARN, "signed by itself", certificate="self_signed"),
    Row("no middle", "smtp.certificate", WARN, "no intermediate", certificate="missing_intermediate"),
    Row("wrong CA", "smtp.certificate", WARN, "does not trust", certificate="other_chain"),
    Row("other name", "smtp.certificate", WARN, "is not for", certificate="wrong_name"),
    Row("CN only", "smtp.certificate", WARN, "common name only", certificate="cn_only"),
    Row("soon", "smtp.certificate", WARN, "expires soon", certificate="soon"),
    Row("MAIL silent", "smtp.recipient", FAIL, "silent after MAIL", Script(replies={"MAIL": NO_REPLY})),
    Row("MAIL closes", "smtp.recipient", FAIL, "after MAIL", Script(replies={"MAIL": HANG_UP})),
    Row("MAIL garbage", "smtp.recipient", FAIL, "MAIL with something", Script(replies={"MAIL": "ok"})),
    Row(
        "MAIL 4xx",
        "smtp.recipient",
        WARN,
        "sender of the test is put",
        Script(replies={"MAIL": "452 4.3.1 disk"}),
    ),
    Row(
        "MAIL 5xx",
        "smtp.recipient",
        FAIL,
        "sender of the test is ref",
        Script(replies={"MAIL": "550 5.7.1 no"}),
    ),
    Row("RCPT silent", "smtp.recipient", FAIL, "silent after RCPT", Script(rcpt=NO_REPLY)),
    Row("RCPT closes", "smtp.recipient", FAIL, "after RCPT", Script(rcpt=HANG_UP)),
    Row("RCPT garbage", "smtp.recipient", FAIL, "RCPT with something", Script(rcpt="ok")),
    Row("RCPT 4xx", "smtp.recipient", WARN, "put off for now", Script(rcpt="450 4.2.0 greylisted")),
    Row("RCPT 5xx", "smtp.recipient", FAIL, "is refused", Script(rcpt="550 5.1.1 unknown")),
    Row("open relay", "smtp.relay", FAIL, "an open relay", Script()),
    Row("other reason", "smtp.relay", Status.NOT_TESTED, "another reason", Script(rcpt="451 4.3.0 later")),
    Row("other host", "smtp.relay-host", FAIL, "leads to another host:", special="198.51.100.77"),
    Row("loopback", "smtp.relay-host", FAIL, "every host to itself", special="127.0.0.1"),
]
Told = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def told() -> tuple[Told, Told]:
    """Summary and remedy of each row, for the smart host and for the relay host."""
    return {}, {}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def context(authority: Authority, kind: str, name: str) -> Optional[ssl.SSLContext]:
    if not kind:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind == "other_chain":
        leaf = trustme.CA(organization_name="Nobody").create_child_ca().issue_cert(name)
        leaf.configure_cert(made)
    else:
        load_pair(made, authority.issue(name, kind))
    return made


@contextmanager
def misbehaving(row: Row, tls: Optional[ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that does what the row says."""
    if row.connect:

        def fail(*_: object) -> None:
            raise OSError(row.connect, os.strerror(row.connect))

        monkeypatch.setattr(Dialog, "_connect", fail)
    if row.special == "nobody" or row.connect:
        yield free_port()
    elif row.special == "full":
        # A listener whose queue is full lets connections wait, as a firewall that drops packets does.
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            yield int(full.getsockname()[1])
            for one in waiting:
                one.close()
    else:
        row.script.tls = tls
        with Server(row.script) as server:
            yield server.port


def judged(findings: list[Finding], row: Row, connect: str, table: Told) -> None:
    """The row's finding is there, with words and remedy that no other row has."""
    wanted = row.id or connect
    found = next(one for one in findings if one.id == wanted)
    assert found.status is row.status, found
    assert row.words in found.summary, found
    assert found.remedy
    if row.special != "again":
        summaries = {summary: what for what, (summary, _) in table.items()}
        remedies = {remedy: what for what, (_, remedy) in table.items()}
        assert found.summary not in summaries, summaries[found.summary]
        assert found.remedy not in remedies, remedies[found.remedy]
        table[row.what] = (found.summary, found.remedy)
    assert not [one for one in findings if one.id == "drift"]


@pytest.mark.parametrize("row", SMART_HOST, ids=lambda row: row.what)
def test_smart_host(
    row: Row,
    authority: Authority,
    told: tuple[Told, Told],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.root_pem)
    real = socket.getaddrinfo

    def lookup(host: str, *args: object, **more: object) -> object:
        if row.special == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        address = "::1" if row.special == "family" else "127.0.0.1"
        return real(address, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    settings_families = (socket.AF_INET,)
    with misbehaving(row, context(authority, row.certificate, NAME), monkeypatch) as port:
        wanted = SmartHost(host=NAME, port=port, ca_file="/ca.pem")
        check = SmartHostCheck(Host(str(tmp_path)), wanted, "mx1.example.com", limits=row.limits)
        check.settings = type(check.settings)(ca_file="/ca.pem", families=settings_families)
        findings = check.run()
    judged(findings, row, "smart-host.connect", told[0])
    # Mail is never sent: not even an envelope is named.
    assert not any(
        word in line for one in findings for line in one.detail.split("\n") for word in ("> MAIL", "> RCPT")
    )


@pytest.mark.parametrize("row", RELAY_HOST, ids=lambda row: row.what)
def test_relay_host(
    row: Row,
    authority: Authority,
    told: tuple[Told, Told],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.root_pem)
    name = "mx1.example.com"
    published = row.special if row.special[:1].isdigit() else "127.0.0.9"
    with misbehaving(row, context(authority, row.certificate, name), monkeypatch) as port:
        listeners = () if row.special == "stopped" else (Listener("127.0.0.1", port),)
        server = OwnServer(
            listeners,
            ("example.com",),
            name,
            ("10.0.0.0/8",),
            name,
            port,
            addresses=("192.0.2.7",),
            public_addresses=("127.0.0.9",) if published == "127.0.0.9" else (),
            ca_file=str(tmp_path / "ca.pem"),
        )
        findings = check_relay_host(
            server, row.limits, resolve=lambda wanted, _: Published((wanted,), (published,))
        )
    judged(findings, row, "smtp.reachable", told[1])
    assert not any("> DATA" in line for one in findings for line in one.detail.split("\n"))


@pytest.mark.parametrize(
    "texts", [smart_host_texts.TEXTS, relay_host_texts.TEXTS], ids=["smart host", "relay host"]
)
def test_no_two_texts_are_alike(texts: Texts) -> None:
    for column in (0, 1):
        words = [pair[column] for pair in texts.values()]
        assert len(set(words)) == len(words), [word for word in words if words.count(word) > 1]
    for stage in {stage for stage, _ in texts}:
        assert (stage, "closed") in texts, "every stage has words for a connection that ends"
