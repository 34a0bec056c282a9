"""Recognising OX App Suite and the mail servers it uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from conbool_tui import answers_file
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.facts_open_xchange import OpenXchangeFacts
from conbool_tui.host import Host
from conbool_tui.planners import plan_mail_system
from conbool_tui.session import Session
from detectors.open_xchange import OpenXchangeDetector, together
from tests.unit.planners.facts_builder import facts_for

GLOBAL = (
    "com.openexchange.mail.mailServerSource=global\ncom.openexchange.mail.mailServer={0}\n"
    "com.openexchange.mail.transportServerSource=global\ncom.openexchange.mail.transportServer={1}\n"
)
STATUS = "Package: open-xchange-mailfilter\nStatus: install ok installed\nVersion: 7.10.6-50\n\nPackage: open-xchange-core\nVersion: 7.10.6-51\n"


def ox(
    root: Path, mail: str = "", rules: str | None = "", hosts: str = "127.0.0.1 localhost\n", **more: str
) -> Host:
    """A host with OX's files."""
    etc = root / "opt/open-xchange/etc"
    etc.mkdir(parents=True)
    (etc / "mail.properties").write_text(mail)
    if rules is not None:
        (etc / "mailfilter.properties").write_text(rules)
    for name, text in {"etc/hosts": hosts, "var/lib/dpkg/status": STATUS, **more}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(str(root))


def facts_of(host: Host) -> OpenXchangeFacts:
    """The facts of an OX that must be found."""
    found = OpenXchangeDetector().detect(host, None).open_xchange
    assert found is not None
    return found


def test_everything_on_one_host(tmp_path: Path) -> None:
    """Version, servers and the mail filter in its present names."""
    rules = (
        "com.openexchange.mail.filter.loginType=global\ncom.openexchange.mail.filter.server=localhost\n"
        "com.openexchange.mail.filter.port=2000\ncom.openexchange.mail.filter.tls=false\n"
        "com.openexchange.mail.filter.scriptName=ox\ncom.openexchange.mail.filter.masterPassword=topsecret\n"
    )
    facts = facts_of(
        ox(
            tmp_path,
            GLOBAL.format("imap://mail.example.com:993", "mail.example.com"),
            rules,
            "127.0.1.1 mail.example.com\n",
        )
    )
    assert facts.version == "7.10.6-51"
    assert (facts.imap.here, facts.imap.port, facts.smtp.here, facts.smtp.port) == (True, 993, True, 25)
    assert facts.mail_filter is not None
    assert (str(facts.mail_filter.server), facts.mail_filter.script_name, facts.mail_filter.tls) == (
        "localhost:2000",
        "ox",
        False,
    )
    assert "topsecret" not in repr(facts)


def test_elsewhere_and_old_names(tmp_path: Path) -> None:
    """Servers on other hosts, an IPv6 address, the names before 7.10, the tools without a password."""
    rules = "SIEVE_LOGIN_TYPE=global\nSIEVE_SERVER=sieve.example.net\nSIEVE_PORT=4190\nSCRIPT_NAME=Open-Xchange\nTLS=true\n"
    facts = facts_of(
        ox(
            tmp_path,
            GLOBAL.format("[2001:db8::1]:143", "mx.example.net:587"),
            rules,
            **{"opt/open-xchange/etc/AdminDaemon.properties": "MASTER_AUTHENTICATION_DISABLED=true\n"},
        )
    )
    assert (facts.imap.host, facts.imap.here, facts.smtp.host, facts.smtp.port, facts.smtp.here) == (
        "2001:db8::1",
        False,
        "mx.example.net",
        587,
        False,
    )
    assert facts.mail_filter is not None
    assert (facts.mail_filter.server.host, facts.mail_filter.server.here) == ("sieve.example.net", False)
    assert facts.open_tools


def test_per_user_and_without_the_module(tmp_path: Path) -> None:
    """Each user's own servers, and no mail filter: said, not guessed."""
    facts = facts_of(ox(tmp_path, "com.openexchange.mail.mailServerSource=user\n", None))
    assert (facts.imap.here, facts.smtp.here, facts.mail_filter) == (None, None, None)
    assert facts.warnings


def test_absent(tmp_path: Path) -> None:
    """No /opt/open-xchange/etc."""
    assert OpenXchangeDetector().detect(Host(str(tmp_path)), None).outcome is Outcome.ABSENT


def postfix_here() -> Detection:
    """A Postfix on the same host."""
    return Detection("postfix", Outcome.PRESENT, "Postfix 3.7.11.", postfix=facts_for())


def test_one_mail_system_with_the_postfix_here(tmp_path: Path) -> None:
    """Only Open-Xchange is offered, and its plan is Postfix's, with the help about Sieve and loops."""
    found = OpenXchangeDetector().detect(ox(tmp_path, GLOBAL.format("imap.example.net", "localhost")), None)
    facts = HostFacts(together((postfix_here(), found)))
    (choice,) = facts.choices
    assert (choice.system, choice.covers) == ("open-xchange", ("postfix",))
    answers = answers_file.load(b"domains: [example.com]\nconbool_networks: [198.51.100.0/24]\n", "x")
    plan = plan_mail_system(choice, answers)
    assert plan.files == plan_mail_system(postfix_here(), answers).files
    assert plan.system == "postfix"
    said = " ".join(notice.text for notice in plan.notices)
    assert "cannot decide where outgoing mail goes" in said
    assert "The mailboxes are on imap.example.net" in said


@pytest.mark.parametrize("with_postfix", [False, True])
def test_a_mail_system_elsewhere(tmp_path: Path, with_postfix: bool) -> None:
    """Nothing can be set up on a host whose Open-Xchange uses another one's Postfix; where it is is said."""
    found = OpenXchangeDetector().detect(
        ox(tmp_path, GLOBAL.format("imap.example.net", "mx.example.net")), None
    )
    facts = HostFacts(together((postfix_here(), found) if with_postfix else (found,)))
    if with_postfix:
        assert [one.system for one in facts.choices] == ["postfix"]
    session = Session(Host(str(tmp_path)), mail_system="open-xchange" if with_postfix else None)
    with pytest.raises(CheckFailedError) as error:
        session.target(facts)
    assert "mx.example.net:" not in error.value.todo
    assert "mx.example.net" in error.value.todo
    assert "imap.example.net" in error.value.todo


def test_a_broken_postfix_is_broken_here_too(tmp_path: Path) -> None:
    """What keeps Postfix from being set up keeps Open-Xchange from it."""
    broken = dataclasses.replace(
        postfix_here(), outcome=Outcome.BROKEN, reason="main.cf is missing.", remedy="Restore it."
    )
    found = OpenXchangeDetector().detect(ox(tmp_path, GLOBAL.format("localhost", "localhost")), None)
    joined = together((broken, found))[1]
    assert (joined.outcome, joined.reason, joined.remedy) == (
        Outcome.BROKEN,
        "main.cf is missing.",
        "Restore it.",
    )


def test_a_mailbox_server_alone(tmp_path: Path) -> None:
    """Without a mail transfer agent the way to set up Dovecot's part is told."""
    session = Session(Host(str(tmp_path)))
    facts = HostFacts((Detection("dovecot", Outcome.PRESENT, "Dovecot 2.3.", role="mailbox"),))
    with pytest.raises(CheckFailedError) as error:
        session.target(facts)
    assert "--mail-system dovecot" in error.value.todo
