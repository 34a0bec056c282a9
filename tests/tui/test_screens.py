"""Each screen by itself: outcomes, errors, reasons, back, help, leaving, size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import Detection, HostedDomains, HostFacts, Outcome, PostfixInstance
from conbool_tui.receipt import ChangeState
from screens import glyphs
from tests.tui.conftest import Start, focusable
from tests.tui.fake import (
    ABSENT,
    BROKEN,
    MANAGED,
    FakeSession,
    host_facts,
    make_receipt,
    postfix_facts,
    present,
)

# --- Welcome


@pytest.mark.parametrize(
    ("detection", "words"),
    [
        (ABSENT, ("No mail system was found", "no Postfix: neither", "Port 25 is in use by master")),
        (
            BROKEN,
            (
                "cannot be used",
                "Why: postconf: fatal",
                "What to do: Correct line 12",
                "Nothing will be changed",
            ),
        ),
        (
            MANAGED,
            (
                "managed by Plesk",
                "/usr/local/psa/version",
                "Make the change in Plesk",
                "Nothing will be changed",
            ),
        ),
    ],
    ids=["absent", "broken", "managed"],
)
async def test_each_outcome_has_its_own_words_and_start_says_why_not(
    wizard: Start, detection: Detection, words: tuple[str, ...]
) -> None:
    async with wizard(FakeSession(host_facts(detection))) as driver:
        text = " ".join(driver.text().split())
        for word in words:
            assert word in text
        assert "( Start )" in text
        await driver.press("enter")
        assert driver.title == "Step 1 of 11 - Welcome"
        assert "Start: there is no mail system to set up" in driver.text()


async def test_facts_are_told_with_their_warnings(wizard: Start) -> None:
    facts = postfix_facts(
        milters=("inet:127.0.0.1:8891",), postscreen=True, running=False, warnings=("main.cf line 3 is odd",)
    )
    async with wizard(FakeSession(host_facts(present(facts)))) as driver:
        text = driver.text()
        for word in (
            "! WARN  Postfix 3.7.11, not running, /etc/postfix",
            "inet:127.0.0.1:8891",
            "behind postscreen",
        ):
            assert word in text
        assert "! WARN  main.cf line 3 is odd" in text


async def test_of_several_mail_systems_one_must_be_chosen(wizard: Start) -> None:
    other = Detection("exim", Outcome.PRESENT, "Exim 4.96")
    async with wizard(FakeSession(host_facts(present(), other))) as driver:
        assert "Which one is to be set up?" in driver.text()
        assert driver.button("start").reason
        assert driver.focused_text().startswith("> ( ) postfix")
        await driver.press("space")
        assert driver.session.mail_system == "postfix"
        assert "(*) postfix" in driver.text()
        assert not driver.button("start").reason
        await driver.push("Start")
        assert driver.title.startswith("Step 2 of 11")


async def test_of_several_instances_one_must_be_chosen(wizard: Start) -> None:
    instances = (
        PostfixInstance("-", "-", True, "/etc/postfix"),
        PostfixInstance("postfix-out", "mta", False, "/etc/postfix-out"),
    )
    async with wizard(FakeSession(host_facts(present(postfix_facts(instances=instances))))) as driver:
        assert "choose a Postfix instance first" in driver.button("start").reason
        assert "postfix-out: /etc/postfix-out (switched off)" in driver.text()
        await driver.press("down", "space")
        assert driver.session.detected[-1] == "postfix-out"
        await driver.push("Start")
        assert driver.app.state.draft.answers().instance == "postfix-out"
        assert not driver.app.state.pending


async def test_an_unfinished_change_is_recovered_first(wizard: Start) -> None:
    session = FakeSession(crashed=make_receipt("20250101-0000-zz", ChangeState.UNFINISHED))
    async with wizard(session) as driver:
        assert "20250101-0000-zz was begun on 2025-01-02" in driver.text()
        assert driver.focused_text().startswith("> [ Recover ]")
        assert driver.button("start").reason == "recover the unfinished change first"
        await driver.press("q")
        assert "is unfinished" in driver.text()
        await driver.press("escape", "enter")
        assert session.crashed is None
        assert not driver.button("start").reason
        assert driver.button("recover").reason


async def test_a_look_that_fails_is_told_and_can_be_repeated(wizard: Start) -> None:
    class Failing(FakeSession):
        def unfinished(self) -> None:
            if not self.done:
                raise CheckFailedError(
                    "The journal cannot be read.", "It says what was changed.", "Run it as root."
                )

    session = Failing()
    async with wizard(session) as driver:
        for word in ("✗ FAIL  The journal cannot be read.", "What to do: Run it as root."):
            assert word in driver.text()
        session.done = True
        await driver.push("Search again")
        assert "Postfix 3.7.11, running" in driver.text()


async def test_an_unforeseen_error_in_a_thread_is_a_sentence(wizard: Start) -> None:
    class Faulty(FakeSession):
        def unfinished(self) -> None:
            raise ZeroDivisionError("division by zero")

    async with wizard(Faulty()) as driver:
        assert "Unexpected: ZeroDivisionError: division by zero" in driver.text()
        assert "Traceback" not in driver.text()


async def test_a_slow_look_says_how_long_and_does_not_block(wizard: Start) -> None:
    session = FakeSession()
    session.gate.clear()
    async with wizard(session, settle=False) as driver:
        await driver.pilot.pause(1.3)
        assert "Looking at this server; nothing is changed (1 s)" in driver.text()
        await driver.press("enter", settle=False)
        await driver.pilot.pause()
        assert "still looking" in driver.text()
        session.gate.set()
        await driver.settle()
        assert "Postfix 3.7.11" in driver.text()


# --- steps


async def test_an_error_is_told_beside_its_field_and_next_jumps_to_it(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        await driver.press("tab")
        await driver.type("70000")
        await driver.press("tab")
        told = " ".join(driver.text().split())
        assert '"70000" is no port. Ports are whole numbers from 1 to 65535' in told
        await driver.push("Next")
        assert driver.title.startswith("Step 3 of 11")
        assert driver.focused_text().startswith("> Port")
        assert '✗ Port: "70000" is no port.' in driver.text()
        await driver.type("26")
        assert "is no port" not in driver.text()
        await driver.push("Next")
        assert driver.title.startswith("Step 4 of 11")


async def test_an_error_only_the_host_can_see_stands_beside_its_field_too(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        await driver.focus("Client certificate")
        await driver.type("/missing.pem")
        await driver.press("tab")
        await driver.type("/key.pem")
        assert "does not exist" in driver.text()
        await driver.push("Next")
        assert driver.title.startswith("Step 3 of 11")
        assert driver.focused_text().startswith("> Client certificate")
        await driver.type("/there.pem")
        await driver.push("Next")
        assert driver.title.startswith("Step 4 of 11")


async def test_no_domain_at_all_is_asked_for(wizard: Start) -> None:
    facts = postfix_facts(domains=HostedDomains(unlisted=("ldap:/etc/postfix/domains.cf",)))
    async with wizard(FakeSession(host_facts(present(facts)))) as driver:
        assert "cannot be listed" in driver.text()
        await driver.to("Prerequisites")
        assert "No hosted domain is chosen yet" in driver.text()
        assert driver.session.looked_up == []
        await driver.to("Smart host")
        assert "ldap:/etc/postfix/domains.cf cannot be listed" in driver.text()
        await driver.push("Next")
        assert "No hosted domain is chosen." in driver.text()
        assert driver.focused_text().startswith("> Hosted domains")
        await driver.type("alice@example.com")
        await driver.press("enter")
        assert "is no domain" in driver.text()
        await driver.type("example.com")
        await driver.push("Next")
        assert driver.app.state.draft.answers().domains == ("example.com",)


async def test_ten_thousand_domains_cost_what_the_screen_shows(wizard: Start) -> None:
    names = tuple(f"d{number}.example" for number in range(10_000))
    facts = postfix_facts(domains=HostedDomains(virtual_mailbox=names))
    async with wizard(FakeSession(host_facts(present(facts)))) as driver:
        assert "d0.example, d1.example, d2.example and 9997 more" in driver.text()
        await driver.to("Smart host")
        await driver.focus("[x] d0.example")
        await driver.press("end", "space")
        assert "> [ ] d9999.example" in driver.text()
        assert len(driver.app.state.draft.answers().domains) == 9_999


async def test_back_keeps_what_was_typed_wrong_or_right(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Inbound")
        await driver.type("nonsense")
        await driver.press("escape", "escape", "escape")
        assert driver.title == "Step 1 of 11 - Welcome"
        await driver.to("Inbound")
        assert "nonsense" in driver.text()
        await driver.type("198.51.100.0/24")
        await driver.push("Next")
        await driver.push("Back")
        await driver.focus("Conbool's addresses")
        assert "198.51.100.0/24" in driver.text()


async def test_the_preview_follows_the_typing(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        assert "[mail.conbool.com]:25 secure match=mail.conbool.com" in driver.pane("#preview")
        assert "conbool-direct" not in driver.pane("#preview"), "only what this step adds"
        await driver.press("end", "x")
        assert driver.app.state.draft.text("smart_host.host") == "mail.conbool.comx"
        assert "[mail.conbool.comx]:25 secure match=mail.conbool.comx" in driver.pane("#preview")
        await driver.press("f4")
        assert "Smart host  " not in driver.text()
        await driver.press("escape")
        assert driver.focused_text().startswith("> Smart host")
        await driver.to("Loop")
        assert "conbool-direct unix" in driver.pane("#preview")
        assert "! WARN  Conbool's addresses are not given" in driver.pane("#preview")


async def test_a_plan_that_fails_shows_why_in_the_preview_and_stops_review(wizard: Start) -> None:
    session = FakeSession(
        plan_error=CheckFailedError("main.cf holds a NUL byte.", "It cuts values.", "Remove it.")
    )
    async with wizard(session) as driver:
        await driver.to("Review")
        assert "main.cf holds a NUL byte." in driver.text()
        assert "What to do: Remove it." in driver.text()
        await driver.push("Back")
        await driver.press("escape")
        await driver.to("Review")
        await driver.focus("( Next: apply )")
        await driver.press("enter")
        assert driver.title == "Step 8 of 11 - Review"
        assert "the answers cannot be used yet" in driver.text()


async def test_senders_are_asked_only_in_their_mode(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Who uses")
        assert "Senders  " not in driver.text()
        await driver.press("down", "down", "space")
        assert "Senders  " in driver.text()
        await driver.push("Next")
        assert "No sender is listed." in driver.text()
        await driver.type("alice")
        await driver.press("enter")
        assert '"alice" is no sender.' in driver.text()


async def test_answers_to_begin_with_fill_the_fields(wizard: Start) -> None:
    given = Answers(domains=("example.com",), conbool_networks=("203.0.113.0/24",))
    given = replace(given, smart_host=replace(given.smart_host, host="relay.example"))
    async with wizard(answers=given) as driver:
        await driver.to("Smart host")
        assert "relay.example" in driver.text()
        assert "[ ] example.net" in driver.text()
        await driver.push("Next")
        assert "203.0.113.0/24" in driver.text()
        assert driver.app.state.draft.answers() == given


# --- everywhere


async def test_help_is_there_on_every_screen_and_escape_leads_back(wizard: Start) -> None:
    async with wizard() as driver:
        for step in (
            "Welcome",
            "Prerequisites",
            "Smart host",
            "Inbound",
            "Loop",
            "Release",
            "Who uses",
            "Review",
            "Apply",
            "Test",
            "Done",
        ):
            await driver.to(step)
            title, focused = driver.title, driver.app.focused
            await driver.press("f1")
            assert driver.title == "Help"
            assert driver.pane("#text").splitlines()[0] != "Keys", f"{step} has no help of its own"
            await driver.press("escape")
            assert (driver.title, driver.app.focused) == (title, focused)
        for _ in range(10):
            await driver.press("escape")
        assert driver.title == "Step 1 of 11 - Welcome"


async def test_q_is_a_letter_in_an_input_and_leaves_elsewhere(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        await driver.press("end", "q", "question_mark")
        assert driver.app.state.draft.text("smart_host.host") == "mail.conbool.comq?"
        await driver.press("f10")
        assert "Leave now?" in driver.text()
        assert driver.focused_text().startswith("> [ Stay ]")
        await driver.press("enter")
        assert driver.title.startswith("Step 3")
        await driver.press("ctrl+c", "tab", "enter")
    assert driver.app.return_value == 0
    assert driver.app.state.farewell("/x", "/y") == ["Nothing was changed."]


async def test_leaving_without_edits_asks_nothing(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.press("q")
    assert driver.app.return_value == 0


async def test_escape_on_the_first_screen_leaves(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.press("escape")
    assert driver.app.return_value == 0


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (59, 24), (80, 17)])
async def test_a_small_terminal_asks_for_more_and_comes_back(wizard: Start, size: tuple[int, int]) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        await driver.type("relay.example")
        await driver.pilot.resize_terminal(*size)
        await driver.settle()
        if size[0] > 50:
            assert driver.text().strip() == "Please enlarge the terminal to 60x18 or more."
        await driver.press("enter", "tab", "escape")
        await driver.pilot.resize_terminal(60, 18)
        await driver.settle()
        assert driver.title.startswith("Step 3 of 11")
        assert "relay.example" in driver.text()
        assert driver.focused_text().startswith("> Smart host")


async def test_wide_terminals_have_form_and_preview_side_by_side(wizard: Start) -> None:
    async with wizard(size=(132, 43)) as driver:
        await driver.to("Smart host")
        assert any(
            "Smart host" in row and "What this step changes" in row for row in driver.text().splitlines()
        )
        await driver.pilot.resize_terminal(80, 24)
        await driver.settle()
        assert not any(
            "> Smart host" in row and "What this step" in row for row in driver.text().splitlines()
        )


async def test_exactly_one_row_has_the_focus_mark(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Loop")
        kinds = focusable(driver)
        assert {"TextBox", "Choice", "RowList", "TextPane", "Button"} == set(kinds)
        for _ in range(len(kinds) + 2):
            rows = driver.text().splitlines()[1:-1]
            marks = [row for row in rows if row.lstrip().startswith(">") or " > [" in row]
            assert len(marks) == 1, marks
            await driver.press("tab")


async def test_the_terminal_cursor_follows_the_focused_row(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Loop")
        for key in ("down", "down", "down", "down", "tab", "tab", "tab"):
            await driver.press(key)
            row = ""
            for _ in range(200):
                row = driver.text().splitlines()[driver.app.cursor_position.y]
                if row.lstrip().startswith(">") or " > [" in row:
                    break
                # The form scrolls to the focus first; the cursor follows with the next drawing.
                await driver.pilot.pause(0.01)
            else:
                raise AssertionError((key, row, driver.text()))


async def test_ascii_has_no_other_character(wizard: Start) -> None:
    glyphs.use(glyphs.ASCII)
    async with wizard() as driver:
        for step in (
            "Welcome",
            "Prerequisites",
            "Smart host",
            "Inbound",
            "Loop",
            "Release",
            "Who uses",
            "Review",
            "Apply",
            "Test",
            "Done",
        ):
            await driver.to(step)
            assert driver.text().isascii(), step


async def test_the_key_line_fits_and_names_three_to_five_keys(wizard: Start) -> None:
    async with wizard() as driver:
        for step in (
            "Welcome",
            "Prerequisites",
            "Smart host",
            "Inbound",
            "Loop",
            "Release",
            "Who uses",
            "Review",
            "Apply",
            "Test",
            "Done",
        ):
            await driver.to(step)
            for _ in range(len(focusable(driver))):
                keys = [part for part in driver.text().splitlines()[-1].strip().split("   ") if part]
                assert 3 <= len(keys) <= 6, keys
                assert keys[-1].endswith("Leave"), keys
                await driver.press("tab")


async def test_facts_with_terminal_codes_do_not_reach_the_terminal(wizard: Start) -> None:
    facts = postfix_facts(warnings=("odd \x1b]0;title\x07 value [bold]x[/bold]",))
    async with wizard(FakeSession(HostFacts((present(facts),)))) as driver:
        assert "\x1b" not in driver.text()
        assert "odd ?]0;title? value [bold]x[/bold]" in driver.text()
