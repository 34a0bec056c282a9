"""Finding Sendmail on a host of plain files: its programs answer from this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.facts import Outcome
from conbool_tui.facts_sendmail import Daemon
from conbool_tui.host import Host
from conbool_tui.runner import CommandResult
from detectors.sendmail import SendmailDetector
from detectors.sendmail.program import answered

BINARY = "/usr/libexec/sendmail/sendmail"
VERSION = """\
Version 8.17.1.9
 Compiled with: DNSMAP IPV6_FULL MAP_REGEX NETINET6
\t\tSTARTTLS
   FFR Defines: _FFR_TLS_ALTNAMES
     Conf file:\t/etc/mail/sendmail.cf (selected)
      Pid file:\t/run/sendmail/mta/sendmail.pid (selected)

============ SYSTEM IDENTITY (after readcf) ============
"""
CLASSES = {
    "$=w": ["localhost", "example.com", "mx1", "mx1.example.com", "[192.0.2.70]"],
    "$=R": ["192.168.7", "relayed.example"],
    "$={VirtHost}": ["example.org"],
    "$j": ["mx1.example.com"],
}
CF = """\
DSesmtp:[relay.example.net]
Kaccess hash -T<TMPF> /etc/mail/access
Kmailertable hash -o /etc/mail/mailertable
O DaemonPortOptions=Family=inet,  Name=MTA-v4, Port=smtp, Addr=127.0.0.1
O FallBackMXhost=fallback.example.net
Sgreet_pause
R$*\t$@ OK
SRelay_ok
R$*\t$@ OK
Mlocal,\tP=/usr/sbin/sensible-mda, A=sensible-mda
"""


class SendmailHost(Host):
    """m4 gives what is in ``cf``; everything else as Debian's."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.cf, self.m4_says, self.m4_ends = CF, "", 0
        self.asked: list[str] = []
        for path, text in {
            BINARY: "sendmail.cf",
            "/etc/mail/sendmail.mc": "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n",
            "/etc/mail/sendmail.cf": CF,
            "/etc/mail/access": "Connect:10.1\tRELAY\nConnect:desk.example.com RELAY\nConnect:192.0.2 REJECT\n",
            "/usr/share/sendmail/cf/m4/cf.m4": "",
        }.items():
            self.put(path, text)

    def put(self, path: str, text: str) -> None:
        place = Path(self.root, path.lstrip("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def drop(self, path: str) -> None:
        Path(self.root, path.lstrip("/")).unlink()

    def which(self, name: str) -> Optional[str]:
        return None if name == "m4" and self.m4_ends == 127 else f"/usr/bin/{name}"

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        self.asked.append(argv[0])
        if argv[0] == "sh":
            return CommandResult(tuple(argv), self.m4_ends, self.cf.encode(), self.m4_says.encode())
        if "-d0.13" in argv:
            return CommandResult(
                tuple(argv), 0, VERSION.encode() if argv[0] == BINARY else b"postfix: fatal", b""
            )
        text = "ADDRESS TEST MODE\nEnter <ruleset> <address>\n"
        for query in stdin.decode().split():
            text += "> " + "".join(f"{line}\n" for line in CLASSES[query])
        return CommandResult(tuple(argv), 0, (text + "> ").encode(), b"")


@pytest.fixture
def host(tmp_path: Path) -> SendmailHost:
    return SendmailHost(tmp_path)


def test_present(host: SendmailHost) -> None:
    host.put("/etc/mail/mailertable", "# routes\na.example\tesmtp:[b]\n.\tesmtp:[c]\n")
    found = SendmailDetector().detect(host, None)
    assert (found.outcome, found.reason) == (Outcome.PRESENT, "")
    facts = found.sendmail
    assert facts is not None
    assert facts.version == "8.17.1.9"
    assert {"STARTTLS", "MAP_REGEX", "_FFR_TLS_ALTNAMES"} <= facts.flags
    assert facts.daemons == (Daemon("MTA-v4", "inet", "127.0.0.1", "smtp", ""),)
    assert facts.daemons[0].loopback
    assert facts.smart_host == "esmtp:[relay.example.net]"
    assert facts.fallbacks == ("FallBackMXhost=fallback.example.net",)
    assert facts.catch_all == "/etc/mail/mailertable line 3: . esmtp:[c]"
    assert facts.domains.mydestination == ("example.com", "mx1.example.com")
    assert (facts.domains.virtual_alias, facts.domains.relay) == (("example.org",), ("relayed.example",))
    assert facts.own_networks == ("10.1.0.0/16", "127.0.0.0/8", "192.0.2.70/32", "192.168.7.0/24")
    assert "desk.example.com" in facts.warnings[0]
    assert {"greet_pause", "access", "mailertable"} <= facts.features
    assert facts.drift == ()


def test_another_systems_command_of_that_name_is_not_run(host: SendmailHost) -> None:
    host.drop(BINARY)
    host.put("/usr/sbin/sendmail", "Postfix's own, which reads main.cf")
    assert SendmailDetector().detect(host, None).outcome is Outcome.ABSENT
    assert host.asked == []


def test_only_a_cf(host: SendmailHost) -> None:
    host.drop("/etc/mail/sendmail.mc")
    found = SendmailDetector().detect(host, None)
    assert found.sendmail is not None
    assert found.sendmail.source is None
    assert found.sendmail.smart_host == "esmtp:[relay.example.net]"
    assert "no sendmail.mc" in found.sendmail.warnings[0]


def test_drift(host: SendmailHost) -> None:
    host.put("/etc/mail/sendmail.cf", "# other comment\n" + CF + "O MaxHopCount=7\n")
    found = SendmailDetector().detect(host, None)
    assert found.sendmail is not None
    assert found.sendmail.drift == ("- O MaxHopCount=7",)


def test_own_block_is_not_taken_for_the_admins(host: SendmailHost) -> None:
    """m4 is asked a second time without our block."""
    text = "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\ndnl BEGIN conbool-tui routing\nx\ndnl END conbool-tui routing\n"
    host.put("/etc/mail/sendmail.mc", text)
    SendmailDetector().detect(host, None)
    assert host.asked.count("sh") == 2


@pytest.mark.parametrize(
    ("ends", "says", "missing", "words"),
    [
        (
            1,
            "m4:stdin:7: ERROR: end of file in string",
            "",
            ("/etc/mail/sendmail.mc:7", "Repair /etc/mail/sendmail.mc"),
        ),
        (0, "*** ERROR: FEATURE() should be before MAILER()", "", ("FEATURE() should be before",)),
        (127, "", "", ("m4 is missing", "Install the package m4")),
        (1, "cannot open", "/usr/share/sendmail/cf/m4/cf.m4", ("cf.m4 was not found", "sendmail-cf")),
        (0, "", "/etc/mail/sendmail.cf", ("sendmail.cf is missing", "make -C /etc/mail")),
    ],
)
def test_broken(host: SendmailHost, ends: int, says: str, missing: str, words: Sequence[str]) -> None:
    host.m4_ends, host.m4_says = ends, says
    if missing:
        host.drop(missing)
    found = SendmailDetector().detect(host, None)
    assert found.outcome is Outcome.BROKEN
    for word in words:
        assert word in f"{found.reason} {found.remedy}"


def test_answers_of_test_mode() -> None:
    text = "ADDRESS TEST MODE (ruleset 3 NOT automatically invoked)\nEnter <ruleset> <address>\n> a\nb\n> > c\n> "
    assert answered(text) == [["a", "b"], [], ["c"], []]
    assert answered("something else") == []
