"""Sequences of apply, edits, apply with other answers, undo and undo of undo on the real planner: the admin's edits are always
there, and after the last undo nothing of ours is left.
"""

from __future__ import annotations

import dataclasses
import random
import re
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import PostfixFacts
from conbool_tui.planners.postfix import plan_postfix
from conbool_tui.planners.postfix.lists import splitter
from conbool_tui.postfix_config import MainCf, MasterCf, ServiceEntry
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.transaction import KEEP, PUT_BACK, Conflict, UndoConflictError, list_changes
from tests.unit.planners.facts_builder import DIRECTORY, facts_for
from tests.unit.planners.strategies import Site, hosts, some_answers
from tests.unit.transaction.rig import MAIN, MASTER, STATE, Rig

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), some_answers()),
        st.tuples(
            st.just("setting"), st.sampled_from(["biff", "relayhost", "myorigin", "message_size_limit"])
        ),
        st.tuples(st.just("list"), st.sampled_from(["smtpd_client_restrictions", "header_checks"])),
        st.tuples(st.just("note"), st.integers(0, 30)),
        st.tuples(st.just("undo"), st.integers(0, 9)),
    ),
    min_size=3,
    max_size=9,
)


class World:
    """A machine, what the admin edited on it, and what is still there of that."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.site = site
        self.rig = Rig(folder)
        self.rig.system_for = lambda target: self.rig.system  # type: ignore[method-assign]
        self.rig.put("/srv/conf/main.cf", site.main.encode(), 0o640)
        self.rig.put(MASTER, site.master.encode(), 0o600)
        self.files = {path: self.rig.data(path) for path in (MAIN, MASTER)}
        self.settings: dict[str, str] = {}
        self.entries: dict[str, list[str]] = {}
        self.notes: list[bytes] = []
        self.count = 0
        self.redone = False

    def facts(self) -> PostfixFacts:
        host = self.rig.host
        more = {
            path: host.read_bytes(path)
            for path in host.walk(DIRECTORY)
            if path not in (MAIN, MASTER) and host.is_file(path)
        }
        return facts_for(
            raw=(host.read_bytes(MAIN), host.read_bytes(MASTER)),
            files=more,
            table_types=self.site.facts().table_types,
        )

    def main(self) -> MainCf:
        return MainCf.parse(self.rig.data(MAIN))

    def write(self, main: MainCf) -> None:
        self.rig.host.real(MAIN).write_bytes(main.to_bytes())

    def apply(self, answers: Answers) -> None:
        plan = dataclasses.replace(plan_postfix(self.facts(), answers), confirm_within=0)
        if plan.empty:
            return
        note(
            f"apply {self.rig.apply(plan).id} {[(c.key, c.before, c.after) for c in plan.changes if 'restrictions' in c.key]}"
        )
        # A value that we replace, told in the plan, is no edit that got lost.
        for change in plan.changes:
            if change.path == MAIN and self.settings.get(change.key, change.after) != change.after:
                del self.settings[change.key]

    def edit(self, name: str) -> None:
        self.count += 1
        main = self.main()
        self.settings[name] = str(self.count)
        main.set(name, self.settings[name])
        self.write(main)

    def append(self, name: str) -> None:
        """Add an entry to a list, at its front."""
        self.count += 1
        main = self.main()
        kind = "check_helo_access " if name.endswith("_restrictions") else ""
        entry = f"{kind}inline:{{mine={self.count}}}"
        main.set(name, ", ".join(filter(None, [entry, main.get(name) or ""])))
        self.write(main)
        self.entries.setdefault(name, []).append(entry)

    def comment(self, where: int) -> None:
        self.count += 1
        line = b"# my note %d" % self.count
        lines = self.rig.data(MAIN).split(b"\n")
        lines.insert(min(where, len(lines) - 1), line)
        self.rig.host.real(MAIN).write_bytes(b"\n".join(lines))
        self.notes.append(line)

    def standing(self) -> list[Receipt]:
        return [item for item in list_changes(self.rig.host, STATE) if item.state is ChangeState.APPLIED]

    def in_force(self) -> list[str]:
        return [item.id for item in self.standing() if not item.undo_of]

    def undo(self, change_id: str, *, brave: bool) -> None:
        """Take a change back. What is asked changes nothing, and the admin keeps what is his.

        Args:
            brave: the admin puts values back also where a later change is named that is to be taken back first.
        """
        note(f"undo {change_id}, brave: {brave}")
        asked = self.tried(change_id, {})
        if not asked or (not brave and any(conflict.later for conflict in asked)):
            return
        mine = {entry for entries in self.entries.values() for entry in entries}
        choices = {}
        for conflict in asked:
            now = conflict.now or ""
            his = bool(conflict.key) and (
                now == self.settings.get(conflict.key) or any(entry in now for entry in mine)
            )
            choices[conflict.at] = KEEP if his else PUT_BACK
            # Only what the admin or a later change touched is asked about.
            assert his or conflict.later or self.redone, conflict
        # What was put back on top of younger changes may be what these meet when they are taken back.
        self.redone = self.redone or PUT_BACK in choices.values()
        note(f"{change_id}: {choices}")
        assert self.tried(change_id, choices) == ()
        if change_id in {item.id for item in self.standing()}:
            # What would come back needs something that was taken away in the meantime: it stays as it is.
            assert self.tried(change_id, dict.fromkeys(choices, KEEP)) == ()

    def tried(self, change_id: str, choices: dict[tuple[str, str], str]) -> tuple[Conflict, ...]:
        """What an undo asks about; empty when it is done, or refused because what stays needs what goes away."""
        before = self.rig.tree(folder_times=True)
        refused = ""
        try:
            self.rig.undo(change_id, choices=choices)
        except UndoConflictError as error:
            assert self.rig.tree(folder_times=True) == before
            return error.conflicts
        except CheckFailedError as error:
            assert self.rig.tree(folder_times=True) == before
            refused = error.why
            note(f"refused: {refused}")
        assert not refused or " refers to " in refused
        self.check()
        return ()

    def check(self) -> None:
        """The admin's edits are there, and nothing refers to a table or a service of ours that is not."""
        self.whole()
        main = self.main()
        for name, value in self.settings.items():
            assert main.get(name) == value, (name, main.get(name), value)
        for name, entries in self.entries.items():
            split = splitter(name)
            assert split is not None
            found = split(main.get(name) or "")
            assert [entry for entry in found if entry in entries] == entries[::-1], (name, found, entries)
        for line in self.notes:
            assert line in self.rig.data(MAIN).split(b"\n")

    def whole(self) -> None:
        """Every table and service of ours that is named is there: Postfix would defer mail otherwise."""
        main, services = self.main(), MasterCf.parse(self.rig.data(MASTER)).services()
        names = {service.name for service in services}
        texts = [main.get(name) or "" for name in main.names()]
        for text in [*texts, *(" ".join(service.args) for service in services)]:
            for table in re.findall(r"/(conbool/[\w.-]+)", text):
                assert self.rig.host.exists(f"{DIRECTORY}/{table}"), text
            for service in re.findall(r"(?<![\w./-])(conbool-[a-z-]+)(?=[:,\s]|$)", text):
                assert service in names, text


@settings(
    max_examples=50,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(site=hosts(), steps=STEPS, chance=st.randoms(use_true_random=False))
def test_sequences(site: Site, steps: list[tuple[str, object]], chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder, "root"), site)
        for what, how in steps:
            if what == "apply":
                assert isinstance(how, Answers)
                world.apply(how)
            elif what == "undo":
                # Also an undo, which is then undone.
                changes = world.standing()
                if changes:
                    chosen = changes[int(str(how)) % len(changes)]
                    # In force again on top of younger changes: what it meets there may be theirs.
                    world.redone = world.redone or bool(chosen.undo_of)
                    world.undo(chosen.id, brave=chance.random() < 0.5)
            elif what == "note":
                world.comment(int(str(how)))
            elif what == "setting":
                world.edit(str(how))
            else:
                world.append(str(how))
            world.check()
        while world.in_force():
            order = world.in_force()
            chance.shuffle(order)
            for change_id in order:
                world.undo(change_id, brave=True)
            # Where one needs another to go first, the other can go.
            assert len(world.in_force()) < len(order)
        nothing_of_ours(world)


def nothing_of_ours(world: World) -> None:
    """What is left is what was there at first, with the admin's edits."""
    main, master = world.main(), MasterCf.parse(world.rig.data(MASTER))
    first = MainCf.parse(world.files[MAIN])
    assert list(master.block_ids()) == []
    before, after = MasterCf.parse(world.files[MASTER]).services(), master.services()
    assert [meaning(item) for item in after] == [meaning(item) for item in before]
    for name in {*main.names(), *first.names()} - set(world.settings):
        split = splitter(name) or (lambda value: (value,))
        found = [entry for entry in split(main.get(name) or "") if entry not in world.entries.get(name, ())]
        assert [entry for entry in found if entry] == [
            entry for entry in split(first.get(name) or "") if entry
        ], name
    assert not world.rig.host.exists(f"{DIRECTORY}/conbool")


def meaning(service: ServiceEntry) -> tuple[object, ...]:
    """What Postfix reads: ``{ name = value }`` is the same as ``name=value``."""
    words = [tuple(part.strip() for part in word.split("=", 1)) for word in service.args]
    return service.name, service.type, service.command, words
