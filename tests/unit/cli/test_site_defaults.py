"""Which of site defaults, answers file and flags wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui import site_config
from conbool_tui.cli import main
from tests.unit.cli.test_command_line import FakeSession, session

__all__ = ["session"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    file = tmp_path / site_config.FILE.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text("smart_host: {port: 2525}\ninbound: {confirm_within: 90}\n")
    file.chmod(0o644)
    return tmp_path


def planned(session: type[FakeSession], *args: str) -> tuple[int, int, tuple[str, ...]]:
    main(["plan", *args])
    answers = session.planned_for
    assert answers is not None
    return answers.smart_host.port, answers.inbound.confirm_within, answers.domains


def test_the_nearer_one_wins(session: type[FakeSession], root: Path, tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text("domains: [a.example]\ninbound: {confirm_within: 120}\n")
    where = ("--root", str(root), "--answers", str(file))
    assert planned(session, *where) == (2525, 120, ("a.example",))
    assert planned(session, *where, "--smart-host-port", "26") == (26, 120, ("a.example",))
    assert planned(session, "--root", str(root), "--domains", "b.example") == (2525, 90, ("b.example",))


def test_alone_they_are_no_answers(
    session: type[FakeSession],
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "--root", str(root)]) == 64
    assert session.planned_for is None
    assert "--answers" in capsys.readouterr().err


def test_a_mistake_names_the_file(
    session: type[FakeSession],
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (root / site_config.FILE.lstrip("/")).write_text("smart_hots: {}\n")
    assert main(["plan", "--root", str(root), "--domains", "b.example"]) == 64
    assert session.planned_for is None
    assert "smart_hots" in capsys.readouterr().err
