"""A mail system that reads what is built from its files: what counts by being there goes before the files are read again."""

from __future__ import annotations

import pytest

from conbool_tui.errors import ConboolError, RolledBackError
from conbool_tui.mail_system import Problem
from tests.unit.transaction.rig import OLD_TABLE, FakeSystem, Rig


class Built(FakeSystem):
    """Joins what is there, as Debian does with Exim's conf.d; ``joined`` is whether the old table was there then."""

    joined: bool | None = None
    problems: tuple[Problem, ...] = ()

    def counts_by_presence(self, path: str) -> bool:
        return path == OLD_TABLE

    def rebuild(self) -> list[Problem]:
        self.calls.append("rebuild")
        self.joined = self.host.exists(OLD_TABLE)
        return list(self.problems)

    def reload(self) -> list[Problem]:
        return self.rebuild() or super().reload()


@pytest.fixture
def built(rig: Rig) -> Built:
    """The rig with such a system."""
    rig.system = Built(rig.host)
    return rig.system


def test_it_is_gone_before_the_reload_and_back_before_the_next(rig: Rig, built: Built) -> None:
    steps: list[str] = []
    rig.apply(observer=steps.append)
    assert steps.index(f"done remove {OLD_TABLE}") < steps.index("before reload")
    assert built.joined is False
    rig.undo()
    assert built.joined is True


@pytest.mark.parametrize("step", ["done reload", f"done remove {OLD_TABLE}", "done health"])
def test_a_failure_builds_the_old_state(rig: Rig, built: Built, step: str) -> None:
    waiting = [step]

    def fail(one: str) -> None:
        if one in waiting:
            waiting.remove(one)
            raise OSError("injected")

    with pytest.raises(RolledBackError):
        rig.apply(observer=fail)
    assert built.joined is True


def test_it_is_built_where_nothing_runs(rig: Rig, built: Built) -> None:
    rig.apply()
    built.runs = False
    built.calls.clear()
    rig.undo()
    assert (built.joined, built.calls.count("rebuild")) == (True, 1)
    assert "start" not in built.calls


def test_what_cannot_be_built_is_taken_back(rig: Rig, built: Built) -> None:
    built.problems = (Problem("it cannot be built"),)
    with pytest.raises(ConboolError, match="it cannot be built"):
        rig.apply()
    assert rig.host.exists(OLD_TABLE)
