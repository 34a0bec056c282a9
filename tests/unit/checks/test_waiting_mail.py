"""Mail that waits for a service of ours that is gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from conbool_tui.checks.waiting_mail import ID, waiting_mail
from conbool_tui.facts import PostfixFacts, Service
from conbool_tui.findings import Status
from conbool_tui.host import Host
from tests.unit.cli import samples
from tests.unit.test_queue_files import envelope, record

FILED = envelope(record("L", "conbool-direct:"))


def postfix(*services: str) -> PostfixFacts:
    found = samples.facts().detections[0].postfix
    assert found is not None
    named = tuple(Service(name, "unix", "smtp", True) for name in services)
    return dataclasses.replace(found, services=named, expanded={"queue_directory": "/queue"})


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    for name in ("incoming", "active", "deferred/4"):
        (tmp_path / "queue" / name).mkdir(parents=True)
    (tmp_path / "queue/deferred/4/4Fother").write_bytes(envelope())
    return tmp_path / "queue"


def test_nothing_waits(tmp_path: Path, queue: Path) -> None:
    assert waiting_mail(Host(str(tmp_path)), postfix()) == []


def test_it_waits_and_nobody_serves_it(tmp_path: Path, queue: Path) -> None:
    (queue / "deferred/4/4Ffiled").write_bytes(FILED)
    (queue / "incoming/4Gfiled").write_bytes(FILED)
    (finding,) = waiting_mail(Host(str(tmp_path)), postfix("smtp"))
    assert (finding.id, finding.status) == (ID, Status.WARN)
    assert "2 messages wait" in finding.summary
    assert finding.detail.split() == ["4Gfiled", "4Ffiled"]
    assert "postsuper -c" in finding.remedy


def test_its_service_is_there(tmp_path: Path, queue: Path) -> None:
    (queue / "deferred/4/4Ffiled").write_bytes(FILED)
    here = postfix("conbool-direct", "conbool-reinject", "conbool-smarthost")
    assert waiting_mail(Host(str(tmp_path)), here) == []


def test_a_queue_that_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue/incoming").write_bytes(b"not a folder, which root could read in any case")
    (finding,) = waiting_mail(Host(str(tmp_path)), postfix())
    assert finding.status is Status.NOT_TESTED
