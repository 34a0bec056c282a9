"""The support bundle: what is in it, what is not, and that nothing is written without a yes."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from pathlib import Path

import pytest

from conbool_tui import cli, log
from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError, ExitCode
from conbool_tui.facts import Detection, HostedDomains, HostFacts, Outcome
from conbool_tui.host import Host
from conbool_tui.plan import Plan
from conbool_tui.planners.postfix.mta import mta_of
from conbool_tui.session import Session
from conbool_tui.support.bundle import archive, collect
from tests.unit.cli import samples

DOMAIN = "kunde-nord.de"
SECRETS = (DOMAIN, "kunde-nord-de", "alice", "203.0.113.77", "2001:db8:77::1", "hunter22")


class Fixed(Session):
    """A session over a made-up customer."""

    def detect(self, instance: str | None = None) -> HostFacts:
        parameters = {
            "myhostname": f"mx.{DOMAIN}",
            "relayhost": f"[smtp.{DOMAIN}]:587",
            "smtp_sasl_password_maps": "static:alice:hunter22",
        }
        postfix = samples.postfix(
            domains=HostedDomains(mydestination=(DOMAIN,)), parameters=parameters, expanded=parameters
        )
        found = samples.facts()
        detection = dataclasses.replace(found.detections[0], postfix=postfix)
        return dataclasses.replace(found, detections=(detection,), addresses=("203.0.113.77",))

    def plan(self, answers: Answers, facts: HostFacts | None = None) -> Plan:
        change = dataclasses.replace(
            samples.plan().changes[0], title=f"Mail of alice@{DOMAIN}", after="[2001:db8:77::1]"
        )
        return dataclasses.replace(samples.plan(), changes=(change,))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    folder = tmp_path / "root"
    (folder / "var/log/conbool-tui").mkdir(parents=True)
    (folder / log.FILE.lstrip("/")).write_text(f"2026-11-20T10:00:00Z apply for {DOMAIN} by alice@{DOMAIN}\n")
    return Fixed(Host(str(folder)))


def test_what_is_in_it(session: Session) -> None:
    parts = collect(session, Answers(domains=(DOMAIN,)))
    names = [part.name for part in parts]
    assert names[0] == "README.txt"
    assert set(names) >= {"versions.txt", "detection.json", "plan.txt", "plan.diff", "history.txt", "log.txt"}
    for part in parts:
        for secret in SECRETS:
            assert secret not in part.text.lower(), (part.name, secret)
    texts = {part.name: part.text for part in parts}
    assert "3.7.11" in texts["detection.txt"]
    assert "relayhost" in texts["detection.json"]
    assert "/etc/postfix/main.cf" in texts["plan.txt"]
    assert "apply for domain-" in texts["log.txt"]
    assert all(name in texts["README.txt"] for name in names[1:])


def test_names_of_any_mail_system_go(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also names that look like none."""
    mta = dataclasses.replace(
        mta_of(samples.postfix()),
        title="Exim",
        host_name="zugspitze",
        domains=HostedDomains(relay=("intern",)),
    )
    found = Detection("exim", Outcome.PRESENT, "Exim of zugspitze for intern.", mta=mta)
    monkeypatch.setattr(session, "detect", lambda instance=None: HostFacts((found,)))
    for part in collect(session, None):
        assert "zugspitze" not in part.text, part.name
        assert "intern." not in part.text, part.name


def test_without_a_plan(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Answers:
        raise CheckFailedError("There are no recorded answers on this server.")

    monkeypatch.setattr(session, "applied_answers", none)
    parts = {part.name: part.text for part in collect(session, None)}
    assert "no recorded answers" in parts["plan.txt"]
    assert "plan.diff" not in parts


def test_the_same_parts_give_the_same_archive(session: Session) -> None:
    parts = collect(session, Answers(domains=(DOMAIN,)))
    packed = archive(parts)
    assert packed == archive(parts)
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        assert [entry.name for entry in opened] == [f"conbool-tui-support/{part.name}" for part in parts]
        assert {entry.mode for entry in opened} == {0o600}


def test_the_command(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("conbool_tui.session.Session", lambda *_: session)
    target = tmp_path / "bundle.tar.gz"
    call = ["support-bundle", "--domains", DOMAIN, "--output", str(target)]
    assert cli.main(call) == ExitCode.USAGE  # nobody to ask
    assert not target.exists()
    assert cli.main([*call, "--show"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "===== plan.txt" in shown
    assert DOMAIN not in shown
    assert not target.exists()
    assert cli.main([*call, "--yes"]) == ExitCode.DONE
    out, err = capsys.readouterr()
    assert out == f"{target}\n"
    assert "detection.json" in err
    assert os.stat(target).st_mode & 0o777 == 0o600
    before = target.read_bytes()
    assert cli.main([*call, "--yes"]) == ExitCode.USAGE
    assert target.read_bytes() == before
