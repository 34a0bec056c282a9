"""Later edits: undo that asks, what differs from what was applied, the journal, and old records."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from conbool_tui.answers import Answers
from conbool_tui.checks.drift import Drift
from conbool_tui.errors import CheckFailedError, LockedError, RollbackIncompleteError
from conbool_tui.findings import Finding, Status
from conbool_tui.receipt import ChangeState
from conbool_tui.transaction import KEEP, PUT_BACK, Conflict
from conbool_tui.wizard_state import WizardState
from screens import glyphs
from screens.texts import conflicts as words
from screens.texts.history import again_id
from screens.texts.versions import version_lines
from tests.tui.conftest import Driver, Start
from tests.tui.fake import MAIN, FakeSession, make_receipt

CHANGE = "20250101-0000-zz"
LONG = " ".join(f"permit_number_{number}" for number in range(200))
ODD = (
    Conflict(MAIN, "relayhost", "", "[mail.conbool.com]:25", "[other.example]"),
    Conflict(MAIN, "smtpd_banner", None, "$myhostname [b]ESMTP[/b]", "[red]mine[/red] \x1b[31m\x07"),
    Conflict(MAIN, "header_checks", "", "pcre:/etc/postfix/conbool/headers", LONG),
    Conflict("/etc/postfix/conbool/[b]headers", "", None, "one\ntwo\n", None),
    Conflict("firewall:ufw", "", None, "allow 198.51.100.0/24\n", ""),
)


def applied() -> FakeSession:
    return FakeSession(receipts=[make_receipt(CHANGE, ChangeState.APPLIED)], done=True)


def edited(*conflicts: Conflict) -> FakeSession:
    return replace(applied(), edited=conflicts or ODD)


async def to_conflicts(driver: Driver) -> None:
    await driver.push("History")
    await driver.press("enter")
    assert driver.title == "Edited since: keep or put back?"


def on_screen(driver: Driver) -> str:
    return " ".join(driver.text().split())


# --- undo that asks


def test_the_words_are_those_of_the_transaction() -> None:
    assert (words.KEEP, words.PUT_BACK) == (KEEP, PUT_BACK)


async def test_keep_and_put_back_are_chosen_one_by_one(wizard: Start) -> None:
    session = edited()
    async with wizard(session) as driver:
        await to_conflicts(driver)
        text = driver.text()
        assert text.count("KEEP MINE") == len(ODD) + 1, "nothing that loses an edit is chosen for the admin"
        for word in ("Before the change", "(empty)", "[mail.conbool.com]:25", "[other.example]"):
            assert word in text
        await driver.press("down", "p")
        assert "PUT BACK   smtpd_banner" in driver.text()
        versions = driver.pane("#versions")
        assert "(not there)" in versions
        assert "[b]ESMTP[/b]" in versions
        assert r"[red]mine[/red] \x1b[31m\x07" in versions
        await driver.press("down", "enter", "enter", "down", "enter", "k")
        await driver.push("Undo")
        question = on_screen(driver)
        assert driver.focused_text().startswith("> [ Keep it ]")
        assert "Your edits that are lost" in question
        assert question.index("smtpd_banner") < question.index("Your edits that stay")
        await driver.push("Undo")
        assert "was taken back" in driver.pane("#detail")
    assert session.undone == [
        (CHANGE, {item.at: PUT_BACK if item is ODD[1] else KEEP for item in ODD}, ODD),
    ]
    assert not session.threads


async def test_all_at_once(wizard: Start) -> None:
    many = tuple(Conflict(MAIN, f"key_{number}", "a", "b", "c") for number in range(60))
    session = edited(*many)
    async with wizard(session) as driver:
        await to_conflicts(driver)
        assert "60 places were edited" in driver.text()
        assert "more below" in driver.text()
        await driver.press("end")
        assert "60 of 60" in driver.text()
        await driver.push("Put back all")
        assert "KEEP MINE" not in driver.text()
        await driver.push("Keep all")
        assert "PUT BACK" not in driver.text()
        await driver.push("Put back all")
        await driver.push("Undo")
        await driver.push("Undo")
    assert session.undone[0][1] == dict.fromkeys((item.at for item in many), PUT_BACK)


@pytest.mark.parametrize("way", ["escape", "cancel", "no"])
async def test_every_way_back_undoes_nothing(wizard: Start, way: str) -> None:
    session = edited()
    async with wizard(session) as driver:
        await to_conflicts(driver)
        if way == "escape":
            await driver.press("p", "escape")
        elif way == "cancel":
            await driver.push("Cancel")
        else:
            await driver.push("Undo")
            await driver.press("enter")
        assert driver.title == "History"
        assert session.undone == []
        assert session.receipts[0].state is ChangeState.APPLIED


async def test_what_is_edited_while_one_chooses_is_asked_again(wizard: Start) -> None:
    session = edited(*ODD[:3])
    newer = replace(ODD[0], now="[third.example]")
    session.edited_again.append((newer,))
    async with wizard(session) as driver:
        await to_conflicts(driver)
        await driver.push("Put back all")
        await driver.push("Undo")
        await driver.push("Undo")
        assert driver.title == "Edited since: keep or put back?"
        assert "! Edited again just now: 1. Nothing was changed." in driver.text()
        assert "KEEP MINE  relayhost  (/etc/postfix/main.cf)  edited again" in driver.text()
        assert "[third.example]" in driver.text()
        assert driver.text().count("PUT BACK  ") == 2, "the other choices stand"
        assert driver.app.state.failure is None
        await driver.push("Undo")
        await driver.push("Undo")
        assert "was taken back" in driver.pane("#detail")
    first, second = session.undone
    assert first[1][newer.at] == PUT_BACK
    assert second[1] == {newer.at: KEEP, ODD[1].at: PUT_BACK, ODD[2].at: PUT_BACK}
    assert second[2] == (newer, *ODD[1:3]), "what was shown the second time counts"


async def test_an_edit_that_nobody_had_seen_opens_the_dialog(wizard: Start) -> None:
    session = applied()
    session.edited_again.append(ODD[:1])
    async with wizard(session) as driver:
        await driver.push("History")
        await driver.press("enter")
        await driver.push("Undo")
        assert driver.title == "Edited since: keep or put back?"
        await driver.press("escape")
        assert session.receipts[0].state is ChangeState.APPLIED


async def test_a_later_change_is_to_be_taken_back_first(wizard: Start) -> None:
    async with wizard(edited(replace(ODD[0], later="20250303-0000-cc"))) as driver:
        await to_conflicts(driver)
        assert "! Better take back 20250303-0000-cc first" in on_screen(driver)
        assert "set by change 20250303-0000-cc" in driver.pane("#versions")


async def test_long_values_scroll_from_their_top(wizard: Start) -> None:
    async with wizard(edited(ODD[2], ODD[0])) as driver:
        await to_conflicts(driver)
        assert len(LONG) > 3000
        await driver.press("tab", "end")
        assert "permit_number_199" in driver.text()
        await driver.press("shift+tab", "down", "up")
        assert "permit_number_199" not in driver.text()
        assert "Before the change" in driver.text()


async def test_a_small_window_asks_for_room_and_keeps_the_choices(wizard: Start) -> None:
    session = edited()
    async with wizard(session) as driver:
        await to_conflicts(driver)
        await driver.press("p")
        await driver.pilot.resize_terminal(40, 20)
        await driver.settle()
        assert "Please enlarge" in driver.text()
        await driver.pilot.resize_terminal(60, 18)
        await driver.settle()
        assert "PUT BACK   relayhost" in driver.text()
        for label in ("Cancel", "Keep all", "Put back all", "Undo"):
            assert f"[ {label} ]" in driver.text()


async def test_plain_terminals_show_every_choice_in_ascii(wizard: Start) -> None:
    glyphs.use(glyphs.ASCII)
    async with wizard(edited()) as driver:
        await to_conflicts(driver)
        await driver.press("p")
        assert driver.text().isascii()
        assert "PUT BACK " in driver.text()
        assert "KEEP MINE" in driver.text()


async def test_conflicts_that_cannot_be_read_are_told(wizard: Start) -> None:
    class Failing(FakeSession):
        def conflicts(self, change_id: str | None = None) -> tuple[Conflict, ...]:
            raise CheckFailedError("main.cf cannot be read.", "One.\nTwo.", "Look at it.")

    async with wizard(Failing(receipts=applied().receipts)) as driver:
        await driver.push("History")
        await driver.press("enter")
        assert driver.title == "History"
        for line in ("FAIL  main.cf cannot be read.", "\n  One.\n  Two.\n  What to do: Look at it."):
            assert line in driver.pane("#detail")


async def test_an_undo_that_fails_is_told(wizard: Start) -> None:
    session = replace(applied(), undo_error=LockedError("Another run holds the lock.", "", "Wait."))
    async with wizard(session) as driver:
        await driver.push("History")
        await driver.press("enter")
        await driver.push("Undo")
        assert "Another run holds the lock." in driver.pane("#detail")
        assert driver.app.state.failure is session.undo_error
        assert not driver.button("back").reason


# --- undo of an undo


async def test_an_undo_is_taken_back_by_putting_the_change_in_force_again(wizard: Start) -> None:
    session = applied()
    async with wizard(session) as driver:
        await driver.push("History")
        await driver.press("enter")
        await driver.push("Undo")
        await driver.press("home")
        assert "[ Put in force again ]" in driver.text()
        await driver.press("enter")
        assert f"Put change {CHANGE} in force again?" in driver.text()
        await driver.push("Put in force")
        assert f"Change {CHANGE} is in force again." in driver.pane("#detail")
        await driver.press("home")
        assert "[ Undo this change ]" in driver.text(), "the undo of the undo of the undo"
    assert f"In force again: change {CHANGE}, recorded as {session.receipts[0].id}." in (
        driver.app.state.farewell("/x", "/y")
    )


async def test_a_change_in_force_again_may_have_to_be_confirmed(wizard: Start) -> None:
    session = applied()
    async with wizard(session) as driver:
        await driver.push("History")
        await driver.press("enter")
        await driver.push("Undo")
        session.undo_waits = 300
        await driver.press("home", "enter")
        await driver.push("Put in force")
        assert driver.title == "Keep this change?"
        await driver.push("Keep it")
        assert driver.title == "History"
        assert "Kept: change" in driver.pane("#detail")


async def test_edits_after_an_undo_are_told_as_such(wizard: Start) -> None:
    undo = replace(make_receipt("20250102-0000-aa", ChangeState.APPLIED), undo_of=CHANGE)
    session = FakeSession(receipts=[undo, make_receipt(CHANGE, ChangeState.UNDONE)], edited=ODD[:1])
    async with wizard(session) as driver:
        await to_conflicts(driver)
        assert "1 place was edited after undo 20250102-0000-aa" in on_screen(driver)
        assert "Before the undo" in driver.text()
        await driver.press("p")
        await driver.push("Undo")
        assert f"Put change {CHANGE} in force again?" in driver.text()
        assert "the value from before the undo comes back" in on_screen(driver)


def test_which_change_comes_into_force_again() -> None:
    first = make_receipt("a", ChangeState.APPLIED)
    second, third, fourth = (
        replace(make_receipt(name, ChangeState.APPLIED), undo_of=of)
        for name, of in (("b", "a"), ("c", "b"), ("d", "c"))
    )
    every = [fourth, third, second, first]
    assert [again_id(item, every) for item in every] == ["a", "", "a", ""]
    assert again_id(second, [second]) == "a", "its record was removed"


# --- the journal and old records


async def test_the_journal_of_the_marked_change(wizard: Start) -> None:
    session = replace(
        applied(), journals={CHANGE: "/var/lib/conbool-tui/x\n   1  begin: [b]a\x1b[0m\n" + "z" * 3000}
    )
    async with wizard(session) as driver:
        await driver.push("History")
        await driver.press("f4")
        assert driver.title == f"Journal of change {CHANGE}"
        assert r"begin: [b]a\x1b[0m" in driver.text()
        await driver.press("escape")
        session.journals.clear()
        await driver.push("Journal")
        assert "There is no change" in driver.text()


async def test_old_records_are_shown_before_they_are_removed(wizard: Start) -> None:
    old = [
        replace(make_receipt("20241231-0000-yy", ChangeState.ROLLED_BACK), started="2024-12-31T00:00:00Z"),
        replace(make_receipt("20241230-0000-xx", ChangeState.ROLLED_BACK), started="2024-12-30T00:00:00Z"),
    ]
    session = FakeSession(receipts=[make_receipt(CHANGE, ChangeState.APPLIED), *old], old=old)
    async with wizard(session) as driver:
        await driver.push("History")
        await driver.push("Remove old ones")
        text = on_screen(driver)
        for word in ("2 records of 3 can go", "from 2024-12-30 00:00", "1 record stays", old[1].id):
            assert word in text
        await driver.press("enter")
        assert session.old == old, "the harmless answer has the focus"
        await driver.push("Remove old ones")
        session.prune_error = LockedError("Another run holds the lock.")
        await driver.push("Remove")
        assert "Another run holds the lock." in driver.pane("#detail")
        session.prune_error = None
        await driver.push("Remove old ones")
        await driver.push("Remove")
        assert "Removed: 2 old records." in driver.pane("#detail")
        assert [item.id for item in session.receipts] == [CHANGE]
        await driver.push("Remove old ones")
        assert "All records are still needed" in driver.text()
    assert not session.threads


# --- what differs from what was applied


DRIFT = [
    Drift(CHANGE, MAIN, "relayhost", "[mail.conbool.com]:25", "", "2025-01-02T03:04:05Z"),
    Drift(CHANGE, MAIN, "[b]key", LONG, "\x1b[31m", "2025-01-02T03:04:05Z"),
    Drift(CHANGE, "/etc/postfix/conbool/headers", "", "one\n", None, "2025-01-02T03:04:05Z"),
]
FOUND = [Finding("drift", Status.FAIL, f"{MAIN}: relayhost is not as applied.", remedy="Accept it.")]


def drifted() -> FakeSession:
    return FakeSession(
        differing=list(DRIFT), check_findings=FOUND, recorded=Answers(domains=("example.net",))
    )


async def test_welcome_says_what_differs_and_leads_there(wizard: Start) -> None:
    session = drifted()
    async with wizard(session) as driver:
        assert "! WARN  3 places are not as applied." in driver.text()
        await driver.push("Edited since")
        text = driver.text()
        for word in ("Applied", "[mail.conbool.com]:25", "Now", "(empty)", "[b]key", "(the whole file)"):
            assert word in text
        await driver.press("down")
        assert r"\x1b[31m" in driver.pane("#versions")
        await driver.push("Accept all")
        await driver.push("Accept")
        assert "Nothing differs" in driver.text()
        await driver.press("escape")
        assert "not as applied" not in driver.text()
        assert "( Recover )" in driver.text()
        assert driver.focused_text().startswith("> [ Start ]")
    assert session.accepted == DRIFT
    assert not session.threads


async def test_one_is_accepted_after_a_question(wizard: Start) -> None:
    session = drifted()
    async with wizard(session) as driver:
        await driver.push("Edited since")
        await driver.press("down", "a")
        assert "Accept as it is now?" in driver.text()
        await driver.press("enter")
        assert session.accepted == []
        await driver.focus("[b]key")
        await driver.press("a")
        await driver.push("Accept")
        assert session.accepted == [DRIFT[1]]
        assert "Accepted: 1." in driver.text()
        assert "2 places are not as applied" in driver.text()


async def test_what_cannot_be_accepted_gives_its_reason(wizard: Start) -> None:
    session = replace(
        drifted(), accept_error=CheckFailedError("It cannot be recorded.", "The disk is full.", "Make room.")
    )
    async with wizard(session) as driver:
        await driver.push("Edited since")
        await driver.push("Accept this")
        await driver.push("Accept")
        for word in ("It cannot be recorded.", "The disk is full.", "What to do: Make room."):
            assert word in driver.text()
        assert "3 places are not as applied" in driver.text()


async def test_applying_again_goes_through_review_with_the_recorded_answers(wizard: Start) -> None:
    session = drifted()
    async with wizard(session) as driver:
        await driver.push("Edited since")
        await driver.push("Apply again")
        await driver.press("enter")
        assert driver.title == "Edited since it was applied"
        await driver.push("Apply again")
        await driver.push("To Review")
        assert driver.title == "Step 8 of 11 - Review"
        assert session.planned[-1].domains == ("example.net",)
        assert not driver.app.state.pending


async def test_applying_again_needs_recorded_answers(wizard: Start) -> None:
    async with wizard(replace(drifted(), recorded=None)) as driver:
        await driver.push("Edited since")
        await driver.push("Apply again")
        await driver.push("To Review")
        assert "There are no recorded answers" in driver.text()
        assert driver.title == "Edited since it was applied"


async def test_the_test_leads_to_what_differs_and_tests_again_afterwards(wizard: Start) -> None:
    session = drifted()
    async with wizard(session) as driver:
        await driver.to("Test")
        assert "( Stop )" not in driver.text()
        await driver.push("Edited since")
        await driver.push("Accept all")
        await driver.push("Accept")
        session.check_findings = None
        await driver.press("escape")
        assert "SMTP reachable" in driver.text()
        assert "[ Edited since ]" not in driver.text()
        assert "[ Transcript ]" in driver.text()


async def test_a_comparison_that_fails_is_told(wizard: Start) -> None:
    class Failing(FakeSession):
        def drift(self) -> list[Drift]:
            raise CheckFailedError("The journal cannot be read.", "", "")

    async with wizard(Failing(check_findings=FOUND)) as driver:
        assert "Postfix 3.7.11, running" in driver.text(), "that is for the screen that compares"
        await driver.to("Test")
        await driver.push("Edited since")
        assert "The journal cannot be read." in driver.text()
        assert driver.button("all").reason


def test_a_huge_file_is_cut_and_says_so() -> None:
    lines = version_lines([("Now", "x\n" * 5000)])
    assert len(lines) < 1100
    assert lines[-1].text == "  (4000 more lines)"


def test_other_answers_are_no_edit() -> None:
    state = WizardState()
    state.take_answers(Answers(domains=("example.net",)))
    assert not state.pending
    assert state.draft.answers().domains == ("example.net",)
    assert state.stale


# --- what ended, or goes on, elsewhere


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ChangeState.APPLIED, "was applied on 2025-01-02 03:04 UTC and is in force."),
        (ChangeState.ROLLED_BACK, "was taken back on 2025-01-02 03:04 UTC: the old state is in place."),
        (ChangeState.INCOMPLETE, "could not be taken back completely."),
    ],
)
async def test_what_ended_while_nobody_watched_comes_first(
    wizard: Start, state: ChangeState, words: str
) -> None:
    missed = replace(make_receipt(CHANGE, state), message="The machine was [b]restarted[/b].")
    session = FakeSession(missed=missed)
    async with wizard(session) as driver:
        rows = [line.text for line in driver.app.screen.query_one("#found").lines]  # type: ignore[attr-defined]
        assert f"While you were away: change {CHANGE} {words}" in rows[0]
        assert "[b]restarted[/b]" in rows[1]
        assert session.missed is None
        assert driver.app.state.told
    assert not session.threads


async def test_it_is_not_seen_before_it_was_on_the_screen(wizard: Start) -> None:
    session = FakeSession(missed=make_receipt(CHANGE, ChangeState.APPLIED))
    session.gate.clear()
    async with wizard(session, settle=False) as driver:
        await driver.pilot.pause(0.2)
        assert session.unseen() is not None
        assert not driver.app.state.told
        session.gate.set()
        await driver.settle()
        assert "While you were away" in driver.text()
        assert session.missed is None


async def test_what_another_screen_covers_is_not_seen(wizard: Start) -> None:
    session = FakeSession(missed=make_receipt(CHANGE, ChangeState.APPLIED))
    session.gate.clear()
    async with wizard(session, settle=False) as driver:
        await driver.press("f1", settle=False)
        session.gate.set()
        await driver.settle()
        assert driver.title == "Help"
        assert session.unseen() is not None
        await driver.press("escape")
        assert "While you were away" in driver.text()
        assert session.missed is None


async def test_what_changes_meanwhile_is_not_seen(wizard: Start) -> None:
    class Moving(FakeSession):
        def unseen(self):  # type: ignore[no-untyped-def]
            shown, self.missed = self.missed, make_receipt("20250404-0000-dd", ChangeState.APPLIED)
            return shown

    session = Moving(missed=make_receipt(CHANGE, ChangeState.APPLIED))
    async with wizard(session):
        assert session.missed is not None


async def test_a_change_that_waits_says_so_where_it_is_decided(wizard: Start) -> None:
    waits = replace(make_receipt(CHANGE, ChangeState.UNCONFIRMED), confirm_by="2099-01-01T00:00:00Z")
    session = FakeSession(receipts=[waits], missed=waits)
    async with wizard(session) as driver:
        assert driver.title == "Keep this change?"
        assert f"While you were away: change {CHANGE} went live" in on_screen(driver)
        assert session.missed is None


async def test_a_change_under_way_elsewhere_is_watched_to_its_end(
    wizard: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.welcome.WATCH_EVERY", 0.05)
    session = FakeSession(crashed=make_receipt(CHANGE, ChangeState.RUNNING))
    async with wizard(session) as driver:
        assert "is being written by another process" in driver.text()
        assert "another process" in driver.button("recover").reason
        session.receipts = [make_receipt(CHANGE, ChangeState.APPLIED)]
        session.crashed = None
        patience = time.monotonic() + 60
        while f"Change {CHANGE} is in force." not in driver.text():
            assert time.monotonic() < patience, driver.text()
            await driver.pilot.pause(0.01)
        await driver.settle()
        assert not driver.button("start").reason


async def test_a_recovery_that_finds_edits_can_leave_them(wizard: Start) -> None:
    error = RollbackIncompleteError(
        "Not everything was put back.", "/etc/postfix/main.cf was edited.\n/etc/x is gone.", "Look at them."
    )
    session = FakeSession(crashed=make_receipt(CHANGE, ChangeState.INCOMPLETE), recover_error=error)
    async with wizard(session) as driver:
        assert "Leave as is" not in driver.text()
        await driver.push("Recover")
        assert "  /etc/x is gone." in driver.pane("#found").splitlines()
        await driver.push("Leave as is")
        assert "/etc/postfix/main.cf was edited." in driver.text()
        await driver.press("enter")
        assert session.unfinished() is not None, "the harmless answer has the focus"
        await driver.push("Leave as is")
        await driver.push("Close the change")
        assert session.accepted_meanwhile
        assert session.crashed is None
        assert driver.focused_text().startswith("> [ Start ]")
