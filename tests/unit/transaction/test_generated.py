"""Files that the mail system's tools make from others: written with the change, and taken back with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import pytest

from conbool_tui.errors import CheckFailedError
from conbool_tui.plan import FileTarget
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import UndoConflictError, find_conflicts, load_plan

from .rig import CONFIG, MAIN, STATE, FakeSystem, Rig

BUILT = f"{CONFIG}/built.cf"
BEFORE = b"# built by hand\nbuilt from main\n"


class Building(FakeSystem):
    """Makes built.cf from main.cf, with a comment that is never the same."""

    builds = 0
    tools = True

    def generate(self, files: Mapping[str, Optional[bytes]]) -> tuple[FileTarget, ...]:
        if not self.tools:
            raise CheckFailedError("m4 is missing.")
        planned = files.get(MAIN)
        source = planned if planned is not None else self.host.read_bytes(MAIN)
        now = self.host.read_bytes(BUILT)
        self.builds += 1
        body = b"built from " + source
        if now.split(b"\n", 1)[1] == body:
            return ()
        return (FileTarget(BUILT, now, b"# build %d\n" % self.builds + body, generated=True),)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    made.system = Building(made.host)
    made.put(BUILT, b"# built by hand\nbuilt from " + made.data(MAIN), 0o640)
    return made


def test_it_is_part_of_the_change_and_comes_back_to_the_byte(rig: Rig) -> None:
    before = rig.tree()
    receipt = rig.apply()
    assert b"[mail.conbool.com]:25" in rig.data(BUILT)
    recorded = {target.path: target.generated for target in load_plan(rig.host, STATE, receipt.id).files}
    assert recorded[BUILT]
    assert not recorded[MAIN]
    rig.system.tools = False  # type: ignore[attr-defined]
    assert rig.undo().state is ChangeState.APPLIED
    assert rig.tree() == before


def test_a_failing_tool_changes_nothing(rig: Rig) -> None:
    before = rig.tree()
    rig.system.tools = False  # type: ignore[attr-defined]
    with pytest.raises(CheckFailedError):
        rig.apply()
    assert rig.tree() == before


def test_an_edited_source_is_built_anew(rig: Rig) -> None:
    rig.apply()
    with Path(rig.root, "srv/conf/main.cf").open("ab") as stream:
        stream.write(b"always_bcc = archive@example.com\n")
    rig.undo()
    assert b"always_bcc" in rig.data(MAIN)
    assert rig.data(BUILT).split(b"\n", 1)[1] == b"built from " + rig.data(MAIN)


def test_built_anew_by_somebody_is_no_conflict(rig: Rig) -> None:
    rig.apply()
    rig.put(BUILT, b"# build of theirs\nbuilt from " + rig.data(MAIN), 0o640)
    rig.undo()
    assert rig.data(BUILT).split(b"\n", 1)[1] == b"built from " + rig.data(MAIN)
    assert b"conbool" not in rig.data(BUILT)


@pytest.mark.parametrize("choice", ["", "put back", "keep"])
def test_edited_by_hand_is_a_conflict(rig: Rig, choice: str) -> None:
    base = rig.data(BUILT)
    receipt = rig.apply()
    edited = rig.data(BUILT) + b"an edit\n"
    rig.put(BUILT, edited, 0o640)
    if not choice:
        with pytest.raises(UndoConflictError) as caught:
            rig.undo()
        assert [conflict.path for conflict in caught.value.conflicts] == [BUILT]
        seen = find_conflicts(rig.host, STATE, receipt.id, system_for=rig.system_for)
        assert [conflict.path for conflict in seen] == [BUILT]
        assert rig.data(BUILT) == edited
        return
    rig.undo(choices={(BUILT, ""): choice})
    assert rig.data(BUILT) == (base if choice == "put back" else edited)


def test_an_undo_can_be_undone(rig: Rig) -> None:
    rig.apply()
    after = rig.data(BUILT)
    undone = rig.undo()
    rig.undo(undone.id)
    assert rig.data(BUILT) == after
