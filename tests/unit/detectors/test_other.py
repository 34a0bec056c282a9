"""Mail servers that this program does not know: found by who owns port 25, described, and never planned for."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.answers import Answers, SmartHost
from conbool_tui.errors import ByHandError
from conbool_tui.facts import Detection, Listener, Outcome
from conbool_tui.host import Host
from conbool_tui.planners import plan_mail_system
from conbool_tui.session import Session
from detectors.other import find_other

POSTFIX = Detection("postfix", Outcome.PRESENT, "")
NO_POSTFIX = Detection("postfix", Outcome.ABSENT, "")


def on_port_25(process: str, port: int = 25) -> tuple[Listener, ...]:
    return (Listener("0.0.0.0", 22, 7, "sshd"), Listener("0.0.0.0", port, 8, process))


@pytest.mark.parametrize(
    ("process", "path", "title"),
    [
        ("smtpd", "etc/smtpd.conf", "OpenSMTPD"),
        ("node", "etc/haraka/smtp.ini", "Haraka"),
        ("node", "", "node"),
        ("stalwart-mail", "", "Stalwart"),
        ("mymailer", "", "mymailer"),
        ("docker-proxy", "", "a mail server in a container"),
    ],
)
def test_by_its_process(tmp_path: Path, process: str, path: str, title: str) -> None:
    if path:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = find_other(Host(str(tmp_path)), on_port_25(process), [NO_POSTFIX])
    assert found is not None
    assert found.mta is not None
    assert (found.system, found.outcome, found.mta.title) == ("other", Outcome.PRESENT, title)
    assert "cannot change" in found.mta.unavailable("changes")
    assert process in found.summary


@pytest.mark.parametrize(
    ("process", "detection"),
    [("master", POSTFIX), ("smtpd", POSTFIX), ("exim4", NO_POSTFIX), ("", NO_POSTFIX)],
)
def test_not_beside_one_that_is_known(tmp_path: Path, process: str, detection: Detection) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/smtpd.conf").touch()
    assert find_other(Host(str(tmp_path)), on_port_25(process), [detection]) is None


def test_another_port_is_not_a_mail_server(tmp_path: Path) -> None:
    assert find_other(Host(str(tmp_path)), on_port_25("mymailer", 8025), [NO_POSTFIX]) is None


def test_what_is_to_be_set_by_hand(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/smtpd.conf").touch()
    found = find_other(Host(str(tmp_path)), on_port_25("smtpd"), [NO_POSTFIX])
    assert found is not None
    answers = Answers(
        domains=("example.com",),
        conbool_networks=("198.51.100.0/24",),
        smart_host=SmartHost(host="relay.conbool.example", port=2525),
    )
    with pytest.raises(ByHandError) as caught:
        plan_mail_system(found, answers)
    told = "\n".join(caught.value.lines())
    for words in (
        "OpenSMTPD cannot be set up by this program; nothing is changed",
        "relay.conbool.example, port 2525",
        "no MX lookup",
        "X-Conbool-example-com: true",
        "198.51.100.0/24",
        "X-Conbool-Released: yes",
        "calendar",
    ):
        assert words in told


def test_the_session_takes_it(tmp_path: Path) -> None:
    """What a session does with it: it is the target, its plan is refused, and the answers are still completed."""
    from conbool_tui.facts import HostFacts

    found = find_other(Host(str(tmp_path)), on_port_25("mymailer"), [NO_POSTFIX])
    assert found is not None
    facts = HostFacts((NO_POSTFIX, found), on_port_25("mymailer"), "mymailer")
    session = Session(Host(str(tmp_path)))
    assert session.target(facts) is found
    answers = Answers(domains=("example.com",))
    assert session.complete(answers, facts).domains == ("example.com",)
    with pytest.raises(ByHandError, match="mymailer cannot be set up"):
        session.plan(answers, facts)
