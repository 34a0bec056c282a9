"""A picture of every screen at the design size and at a wide one. Nothing in them depends on the time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import pytest
from textual.pilot import Pilot

from conbool_tui.app import WizardApp
from conbool_tui.errors import RollbackIncompleteError, RolledBackError
from conbool_tui.facts import HostFacts
from conbool_tui.receipt import ChangeState
from tests.tui.conftest import Driver
from tests.tui.fake import (
    ABSENT,
    BAD,
    BROKEN,
    CONTAINER,
    MANAGED,
    FakeSession,
    host_facts,
    make_receipt,
    mixed_reports,
    moment,
    present,
    with_filter,
)
from tests.tui.test_edits import drifted, edited
from tests.tui.test_inbound import close_port_25

JOURNAL = """\
/var/lib/conbool-tui/changes/20250101-0000-zz/journal
   1  2025-01-02T03:04:05Z  begin: Change 20250101-0000-zz begins.
        files: /etc/postfix/main.cf, /etc/postfix/master.cf
   2  2025-01-02T03:04:06Z  write: /etc/postfix/main.cf gets its new content.
   3  2025-01-02T03:04:09Z  commit: The change is complete.
"""
NOW = 1_700_000_000.0
Walk = Callable[[Driver], Awaitable[None]]


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self,
        app: WizardApp,
        *,
        terminal_size: tuple[int, int],
        run_before: Callable[[Pilot[int]], Awaitable[None]],
    ) -> bool: ...


def to(step: str, *then: str) -> Walk:
    """Walk to a step and press keys there."""

    async def walk(driver: Driver) -> None:
        await driver.to(step)
        if then:
            await driver.press(*then)

    return walk


async def _errors(driver: Driver) -> None:
    await driver.to("Smart host")
    await driver.type("[mail.conbool.com]:25")
    await driver.press("tab")
    await driver.type("70000")
    await driver.push("Next")


async def _senders(driver: Driver) -> None:
    await driver.to("Who uses")
    await driver.press("down", "down", "space", "tab")
    await driver.type("alice@example.com, @example.net")


async def _closing(driver: Driver) -> None:
    await close_port_25(driver)


async def _container(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.focus("(*) none")


async def _cut_off(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.push("Who is cut off")
    await driver.press("enter", "down")


async def _loaded(driver: Driver) -> None:
    await driver.to("Inbound")
    await driver.push("Load list")
    await driver.type("/root/conbool.txt")
    await driver.press("enter")


async def _despite(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.push("Next")


async def _typed(driver: Driver) -> None:
    await _despite(driver)
    await driver.press("space")
    await driver.to("Apply")
    await driver.push("Apply now")


async def _review_closed(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.to("Review")
    await driver.press("pagedown")


async def _files_closed(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.to("Review")
    await driver.press("f4")


async def _live(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.to("Apply")
    await driver.push("Apply now")


async def _tested(driver: Driver) -> None:
    await _live(driver)
    await driver.press("enter")


async def _taken_back(driver: Driver) -> None:
    await _live(driver)
    await driver.push("Take back now")


async def _save_transcript(driver: Driver) -> None:
    await driver.to("Test")
    await driver.push("Save")


async def _history(driver: Driver) -> None:
    await driver.push("History")


async def _undo(driver: Driver) -> None:
    await driver.push("History")
    await driver.press("enter")


async def _conflicts(driver: Driver) -> None:
    await driver.push("History")
    await driver.press("enter")
    await driver.press("down", "p")


async def _asked(driver: Driver) -> None:
    await _conflicts(driver)
    await driver.push("Undo")


async def _again(driver: Driver) -> None:
    await driver.push("History")
    await driver.press("enter")


async def _journal(driver: Driver) -> None:
    await driver.push("History")
    await driver.press("f4")


async def _prune(driver: Driver) -> None:
    await driver.push("History")
    await driver.push("Remove old ones")


async def _drift(driver: Driver) -> None:
    await driver.push("Edited since")


async def _stuck(driver: Driver) -> None:
    await driver.push("Recover")


async def _save(driver: Driver) -> None:
    await driver.to("Review")
    await driver.push("Save answers")
    await driver.push("Save")


async def _leave(driver: Driver) -> None:
    await driver.to("Smart host")
    await driver.press("x", "f10")


async def settled(driver: Driver) -> None:
    """Whatever comes first."""
    await driver.settle()


async def _closed_question(driver: Driver) -> None:
    await close_port_25(driver)
    await driver.to("Apply")


def stopped() -> FakeSession:
    """A session in which no time passes."""
    return FakeSession(now=lambda: NOW)


async def _applied(driver: Driver) -> None:
    await driver.to("Apply")
    await driver.push("Apply now")


SCREENS: dict[str, tuple[Callable[[], FakeSession], Walk]] = {
    "welcome": (FakeSession, to("Welcome")),
    "welcome-filter": (lambda: FakeSession(host_facts(present(with_filter()))), to("Welcome")),
    "welcome-absent": (lambda: FakeSession(host_facts(ABSENT)), to("Welcome")),
    "welcome-broken": (lambda: FakeSession(host_facts(BROKEN)), to("Welcome")),
    "welcome-managed": (lambda: FakeSession(host_facts(MANAGED)), to("Welcome")),
    "welcome-unfinished": (
        lambda: FakeSession(crashed=make_receipt("20250101-0000-zz", ChangeState.UNFINISHED)),
        to("Welcome"),
    ),
    "prerequisites": (lambda: FakeSession(reports=mixed_reports()), to("Prerequisites")),
    "prerequisites-good": (FakeSession, to("Prerequisites")),
    "step-b": (FakeSession, to("Inbound")),
    "step-b-closing": (FakeSession, _closing),
    "step-b-container": (lambda: FakeSession(HostFacts((present(),), firewall=CONTAINER)), _container),
    "step-b-refused": (lambda: FakeSession(elsewhere=("example.net",)), _despite),
    "step-b-senders": (FakeSession, _cut_off),
    "step-b-list": (lambda: FakeSession(lists={"/root/conbool.txt": ("198.51.100.0/24",)}), _loaded),
    "review-closed": (FakeSession, _review_closed),
    "review-closed-files": (FakeSession, _files_closed),
    "apply-closed": (FakeSession, _closed_question),
    "apply-typed": (lambda: FakeSession(elsewhere=("example.net",)), _typed),
    "confirm": (stopped, _live),
    "confirm-tested": (stopped, _tested),
    "taken-back": (stopped, _taken_back),
    "welcome-waiting": (
        lambda: FakeSession(
            now=lambda: NOW,
            receipts=[
                replace(
                    make_receipt("20250101-0000-zz", ChangeState.UNCONFIRMED), confirm_by=moment(NOW + 42)
                )
            ],
        ),
        settled,
    ),
    "save-transcript": (FakeSession, _save_transcript),
    "step-a": (FakeSession, to("Smart host")),
    "step-a-errors": (FakeSession, _errors),
    "step-a-preview": (FakeSession, to("Smart host", "f4")),
    "step-c": (FakeSession, to("Loop")),
    "step-d": (FakeSession, to("Release")),
    "scope": (FakeSession, to("Who uses")),
    "scope-senders": (FakeSession, _senders),
    "review": (FakeSession, to("Review")),
    "review-files": (FakeSession, to("Review", "f4")),
    "apply": (FakeSession, to("Apply")),
    "applied": (FakeSession, _applied),
    "rolled-back": (
        lambda: FakeSession(
            apply_error=RolledBackError(
                "postfix check refused the new files.",
                "Mail would have stopped.",
                "Read the details in History.",
            )
        ),
        _applied,
    ),
    "test": (FakeSession, to("Test")),
    "test-failed": (lambda: FakeSession(check_findings=BAD), to("Test")),
    "test-transcript": (FakeSession, to("Test", "f4")),
    "done": (FakeSession, to("Done")),
    "history": (
        lambda: FakeSession(receipts=[make_receipt("20250101-0000-zz", ChangeState.APPLIED)]),
        _history,
    ),
    "undo": (lambda: FakeSession(receipts=[make_receipt("20250101-0000-zz", ChangeState.APPLIED)]), _undo),
    "conflicts": (edited, _conflicts),
    "conflicts-asked": (edited, _asked),
    "undo-again": (
        lambda: FakeSession(
            receipts=[
                replace(make_receipt("20250102-0000-aa", ChangeState.APPLIED), undo_of="20250101-0000-zz"),
                make_receipt("20250101-0000-zz", ChangeState.UNDONE),
            ]
        ),
        _again,
    ),
    "journal": (
        lambda: FakeSession(receipts=edited().receipts, journals={"20250101-0000-zz": JOURNAL}),
        _journal,
    ),
    "prune": (
        lambda: FakeSession(
            receipts=[
                make_receipt("20250101-0000-zz", ChangeState.APPLIED),
                make_receipt("20241231-0000-yy", ChangeState.ROLLED_BACK),
            ],
            old=[make_receipt("20241231-0000-yy", ChangeState.ROLLED_BACK)],
        ),
        _prune,
    ),
    "welcome-drift": (drifted, to("Welcome")),
    "drift": (drifted, _drift),
    "test-drift": (drifted, to("Test")),
    "welcome-missed": (
        lambda: FakeSession(missed=make_receipt("20250101-0000-zz", ChangeState.APPLIED)),
        to("Welcome"),
    ),
    "welcome-stuck": (
        lambda: FakeSession(
            crashed=make_receipt("20250101-0000-zz", ChangeState.INCOMPLETE),
            recover_error=RollbackIncompleteError(
                "Change 20250101-0000-zz could not be taken back completely.",
                "/etc/postfix/main.cf was edited meanwhile.",
                "Compare it with the backup.",
            ),
        ),
        _stuck,
    ),
    "help": (FakeSession, to("Loop", "f1")),
    "save": (FakeSession, _save),
    "leave": (FakeSession, _leave),
}


@pytest.mark.parametrize("size", [(80, 24), (132, 43)], ids=["80x24", "132x43"])
@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screen(
    snap_compare: Compare, name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.confirm.clock", lambda: NOW)
    make, walk = SCREENS[name]
    session = make()
    app = WizardApp(lambda: session)

    async def run(pilot: Pilot[int]) -> None:
        driver = Driver(app, pilot, session)
        await driver.settle()
        await walk(driver)
        await driver.settle()
        await asyncio.sleep(0.02)
        await driver.settle()

    assert snap_compare(app, terminal_size=size, run_before=run)


def test_too_small(snap_compare: Compare) -> None:
    session = FakeSession()
    app = WizardApp(lambda: session)

    async def run(pilot: Pilot[int]) -> None:
        await Driver(app, pilot, session).settle()

    assert snap_compare(app, terminal_size=(50, 12), run_before=run)
