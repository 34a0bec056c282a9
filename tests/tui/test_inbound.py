"""Prerequisites and guide step B: what is shown while work goes on, what is asked, and what the answers become."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from conbool_tui.answers import Answers, Inbound
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import FirewallFacts, FirewallOwner, HostedDomains, HostFacts
from conbool_tui.findings import Status
from conbool_tui.plan import Plan
from conbool_tui.present_senders import PresentSender, SenderReport
from conbool_tui.wizard_state import Draft, FieldError, seconds_left
from screens.prerequisites import PrerequisitesScreen
from screens.step_b import StepBScreen
from screens.widgets.field import TextBox
from tests.tui.conftest import Driver, Start
from tests.tui.fake import (
    CONTAINER,
    SENDERS,
    FakeSession,
    host_facts,
    mixed_reports,
    postfix_facts,
    present,
    report_of,
)


async def close_port_25(driver: Driver, networks: str = "198.51.100.0/24") -> None:
    """Walk to step B, type Conbool's addresses and close the port."""
    await driver.to("Inbound")
    await driver.type(networks)
    await driver.focus("[ ] Close port 25")
    await driver.press("space")


async def test_what_is_typed_before_the_draft_knows_it_stays(wizard: Start) -> None:
    """The screen shows itself (again) while the keyboard is ahead of the draft."""
    async with wizard() as driver:
        await driver.to("Inbound")
        screen, box = driver.app.screen, driver.app.focused
        assert isinstance(screen, StepBScreen)
        assert isinstance(box, TextBox)
        with box.prevent(TextBox.Changed):
            box.value = "198.51.100.0/24"
        screen.resumed()
        await driver.settle()
        assert box.value == "198.51.100.0/24"


# --- Prerequisites


async def test_every_record_is_shown_with_its_word_trouble_first(wizard: Start) -> None:
    async with wizard(FakeSession(reports=mixed_reports())) as driver:
        await driver.to("Prerequisites")
        text = driver.text()
        order = (
            "✗ FAIL       odd",
            "! WARN       example.net",
            "? NOT TESTED silent",
            "✓ OK         example.com",
        )
        places = [text.index(words) for words in order]
        assert places == sorted(places)
        assert "1 FAIL, 1 WARN, 1 NOT TESTED, 1 OK" in text
        assert "What to do: Publish it as the Setup Assistant shows it." in driver.pane("#detail")
        await driver.press("end")
        for words in (
            "10 mx.conbool.com",
            "DNSSEC: validated",
            "v=spf1 include",
            "_dmarc.example.com",
            "p=reject",
        ):
            assert words in driver.pane("#detail")
        await driver.press("up")
        assert "no answer within 5 s" in driver.pane("#detail")


async def test_reports_come_one_by_one_and_can_be_cancelled(wizard: Start) -> None:
    session = FakeSession(reports=[report_of(name) for name in ("example.com", "example.net")])
    async with wizard(session) as driver:
        session.gate.clear()
        await driver.press("enter", settle=False)
        for _ in range(200):
            await driver.pilot.pause(0.02)
            if "OK         example.com" in driver.text():
                break
        assert "1 of 2 domains" in driver.text()
        assert "• waiting    example.net" in driver.text()
        await driver.push("Cancel", settle=False)
        await driver.pilot.pause()
        assert "Stopped after 1 of 2 domains" in driver.text()
        assert "? NOT TESTED example.net" in driver.text()
        session.gate.set()
        await driver.settle()
        assert "? NOT TESTED example.net" in driver.text(), "what comes after Cancel is dropped"
        await driver.push("Again")
        assert "2 domains looked up" in driver.text()
        assert len(session.looked_up) == 2


async def test_a_thousand_domains_cost_what_the_screen_shows(wizard: Start) -> None:
    names = tuple(f"d{number}.example" for number in range(1_000))
    reports = [report_of(name, Status.WARN if name == "d777.example" else Status.OK) for name in names]
    facts = postfix_facts(domains=HostedDomains(virtual_mailbox=names))
    async with wizard(FakeSession(host_facts(present(facts)), reports=reports)) as driver:
        await driver.to("Prerequisites")
        assert "1,000 domains looked up" in driver.text()
        assert "! WARN       d777.example" in driver.text()
        assert len(driver.app.screen.query("*")) < 40, "no widget for each domain"
        await driver.press("end")
        assert "> ✓ OK         d999.example" in driver.text()


async def test_selectors_are_looked_up_when_they_were_typed(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Prerequisites")
        await driver.focus("DKIM selectors")
        await driver.type("two words!")
        await driver.push("Next")
        assert "is no DKIM selector" in " ".join(driver.text().split())
        assert driver.title.startswith("Step 2")
        await driver.type("Conbool")
        await driver.press("enter")
        assert [answers.prerequisites.dkim_selectors for answers in driver.session.looked_up] == [
            (),
            ("conbool",),
        ]
        await driver.push("Next")
        await driver.press("escape")
        assert len(driver.session.looked_up) == 2, "nothing is asked twice"


async def test_other_domains_are_looked_up_on_the_way_back(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        await driver.focus("[x] example.com")
        await driver.press("space", "escape")
        assert driver.session.looked_up[-1].domains == ("example.net",)
        assert "1 domain looked up" in driver.text()


async def test_not_green_is_remembered_and_stops_nobody(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Review")
        assert "! WARN  The four DNS checks of the Setup Assistant are not green" in driver.pane("#summary")
        assert not driver.button("next").reason
    async with wizard() as driver:
        await driver.to("Prerequisites")
        await driver.focus("[ ] All four DNS checks")
        await driver.press("space")
        await driver.to("Review")
        assert "four DNS checks" not in driver.pane("#summary")
        assert driver.app.state.draft.answers().prerequisites.four_checks_green


async def test_a_look_up_that_fails_is_told(wizard: Start) -> None:
    class Deaf(FakeSession):
        def look_up(self, *arguments: object) -> list:  # type: ignore[type-arg]
            raise CheckFailedError("There is no resolver.", "Nothing can be asked.", "See /etc/resolv.conf.")

    async with wizard(Deaf()) as driver:
        await driver.to("Prerequisites")
        assert isinstance(driver.app.screen, PrerequisitesScreen)
        assert "What to do: See /etc/resolv.conf." in driver.pane("#detail")
        await driver.push("Next")
        assert driver.title.startswith("Step 3")


# --- step B


async def test_closing_needs_conbools_addresses(wizard: Start) -> None:
    async with wizard() as driver:
        await close_port_25(driver, "")
        await driver.push("Next")
        assert driver.title.startswith("Step 4")
        assert "Conbool's addresses are missing." in driver.text()
        assert driver.focused_text().startswith("> Conbool's addresses")


async def test_a_pasted_list_is_read_with_its_comments(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Inbound")
        pasted = "# Conbool, as of today\n198.51.100.0/24  # first\n\n198.51.100.7\n2001:db8:c::/48,203.0.113.0/28\n"
        from textual import events

        driver.app.post_message(events.Paste(pasted))
        await driver.settle()
        assert (
            driver.app.state.draft.text("conbool_networks")
            == "198.51.100.0/24, 2001:db8:c::/48, 203.0.113.0/28"
        )


async def test_fields_for_a_closed_port_are_asked_only_then(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Inbound")
        for words in ("Extra networks", "Firewall:", "Take back after"):
            assert words not in driver.text()
        await driver.focus("[ ] Close port 25")
        await driver.press("space")
        for words in ("Extra networks", "Firewall:", "Found: ufw is active"):
            assert words in driver.text()


async def test_a_firewall_that_cannot_be_used_is_left_alone_and_says_why(wizard: Start) -> None:
    async with wizard(FakeSession(HostFacts((present(),), firewall=CONTAINER))) as driver:
        await close_port_25(driver)
        await driver.focus("(*) none")
        await driver.press("up")
        assert driver.focused_text().startswith("> (-) auto")
        text = " ".join(driver.text().split())
        assert "auto cannot be used: this is a container without rights over the packet filter" in text
        assert "By hand: Close port 25 in the firewall of the container's host." in text
        await driver.press("space")
        assert "! auto: this is a container" in driver.text()
        assert driver.app.state.draft.answers().inbound.firewall == "none"
        assert driver.session.planned[-1].inbound.firewall == "none"


@pytest.mark.parametrize("owner", list(FirewallOwner))
async def test_every_owner_of_a_firewall_has_its_words(wizard: Start, owner: FirewallOwner) -> None:
    facts = HostFacts((present(),), firewall=FirewallFacts(owner, f"{owner.value} was seen"))
    async with wizard(FakeSession(facts)) as driver:
        await close_port_25(driver)
        assert f"Found: {owner.value} was seen" in driver.text()


async def test_requiring_the_certificate_is_shown_and_refused_with_the_reason(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Inbound")
        await driver.focus("(*) log")
        await driver.press("down", "space")
        assert driver.focused_text().startswith("> (-) require")
        assert "not its name" in " ".join(driver.text().split())
        assert driver.app.state.draft.answers().inbound.peer_certificate == "log"


async def test_closing_while_mail_comes_here_is_asked_twice(wizard: Start) -> None:
    session = FakeSession(elsewhere=("example.net",))
    async with wizard(session) as driver:
        await close_port_25(driver)
        assert "MX mx1.example.com is not Conbool's" in " ".join(driver.text().split())
        await driver.push("Next")
        assert driver.focused_text().startswith("> [ ] Close although mail still comes here")
        await driver.press("space")
        assert driver.app.state.draft.answers().inbound.close_despite_mx
        await driver.to("Apply")
        await driver.push("Apply now")
        assert driver.title == "Close port 25 all the same?"
        assert driver.button("yes").reason == "type the word close first"
        await driver.press("escape")
        assert session.receipts == []
        assert driver.title.startswith("Step 9")
        await driver.push("Apply now")
        await driver.type("clos")
        await driver.press("enter", "enter")
        assert session.receipts == []
        await driver.focus("Type close")
        await driver.type("close")
        await driver.press("enter")
        assert session.receipts == [], "Enter in the input is not the yes"
        await driver.press("enter")
        assert len(session.receipts) == 1


async def test_a_plan_that_takes_its_time_says_so(wizard: Start) -> None:
    class Slow(FakeSession):
        def plan(self, answers: Answers, facts: Optional[HostFacts] = None) -> Plan:
            self.gate.wait(30)
            return super().plan(answers, facts)

    async with wizard(Slow()) as driver:
        await driver.to("Inbound")
        driver.session.gate.clear()
        await driver.press("1", settle=False)
        for _ in range(400):
            await driver.pilot.pause(0.02)
            if "Working out the changes (1 s)" in driver.pane("#preview"):
                break
        else:
            raise AssertionError(driver.pane("#preview"))
        driver.session.gate.set()
        await driver.settle()
        assert "Working out" not in driver.pane("#preview")


async def test_a_switch_nobody_asks_for_is_not_shown(wizard: Start) -> None:
    async with wizard() as driver:
        await close_port_25(driver, "10.0.0.0/8")
        assert "[ ] These private ranges are meant" in driver.text()
        assert "Close although" not in driver.text()
        await driver.focus("Conbool's addresses")
        await driver.type("198.51.100.0/24")
        assert "private ranges" not in driver.text()
        await driver.push("Next")
        assert driver.title.startswith("Step 5")


async def test_a_list_file_fills_the_field_only_after_it_was_seen(wizard: Start) -> None:
    session = FakeSession(lists={"/root/conbool.txt": ("198.51.100.0/24", "2001:db8:c::/48")})
    async with wizard(session) as driver:
        await driver.to("Inbound")
        await driver.push("Load list")
        await driver.type("/root/nothing.txt")
        await driver.press("enter")
        assert "/root/nothing.txt does not exist." in driver.text()
        assert driver.button("use").reason
        await driver.focus("List file")
        await driver.type("/root/conbool.txt")
        await driver.press("enter")
        assert "2 networks read." in driver.text()
        assert "was merged" in driver.text()
        assert driver.app.state.draft.text("conbool_networks") == ""
        await driver.push("Use this list")
        assert driver.title.startswith("Step 4")
        assert "198.51.100.0/24, 2001:db8:c::/48" in driver.text()
        assert session.planned[-1].conbool_networks == ("198.51.100.0/24", "2001:db8:c::/48")


async def test_the_addresses_are_read_only_in_step_c(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Loop")
        assert "! Conbool's addresses are not known" in driver.text()
        await driver.press("escape")
        await driver.focus("Conbool's addresses")
        await driver.type("198.51.100.0/24")
        await driver.push("Next")
        assert "198.51.100.0/24 (edit them in step B)" in driver.text()


# --- who would be cut off


async def test_a_forgotten_scanner_is_seen_and_let_in(wizard: Start) -> None:
    async with wizard() as driver:
        await close_port_25(driver)
        assert "2 of 5 senders" in driver.text(), "seen at once, without asking for it"
        assert driver.session.asked_senders[-1].inbound.restrict_port_25
        await driver.push("Who is cut off")
        assert driver.focused_text().startswith("> ✗ CUT OFF")
        assert "scanner.example.com" in driver.focused_text()
        await driver.press("enter")
        assert driver.focused_text().startswith("> ✓ let in")
        assert "1 of 5 senders" in driver.text()
        await driver.press("end", "enter")
        assert "Let it in: it may connect already" in driver.text()
        await driver.press("escape")
        await driver.focus("Extra networks")
        assert "203.0.113.50" in driver.text()
        assert driver.app.state.draft.answers().inbound.extra_networks == ("203.0.113.50/32",)
        assert len(driver.session.asked_senders) == 1, "the log is read once"
        await driver.to("Review")
        assert "These present senders will be cut off: 203.0.113.9;" in driver.pane("#summary")


async def test_reading_the_log_can_be_cancelled_and_repeated(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Inbound")
        driver.session.gate.clear()
        await driver.push("Who is cut off", settle=False)
        await driver.pilot.pause()
        assert "Reading the mail log (" in driver.text()
        await driver.push("Cancel", settle=False)
        await driver.pilot.pause()
        assert "NOT TESTED  Stopped" in driver.text()
        driver.session.gate.set()
        await driver.push("Read again")
        assert "scanner.example.com" in driver.text()


async def test_who_was_let_in_and_taken_out_again_is_cut_off_again(wizard: Start) -> None:
    async with wizard() as driver:
        await close_port_25(driver)
        await driver.push("Who is cut off")
        await driver.press("enter", "enter")
        assert driver.focused_text().startswith("> ✗ CUT OFF")
        assert driver.app.state.draft.answers().inbound.extra_networks == ()


async def test_closing_without_looking_is_said_in_review(wizard: Start) -> None:
    class NoLog(FakeSession):
        def senders(self, *arguments: object) -> SenderReport:
            raise CheckFailedError("There is no mail log.", "", "")

    async with wizard(NoLog()) as driver:
        await close_port_25(driver)
        assert "is not known: There is no mail log." in " ".join(driver.text().split())
        await driver.to("Review")
        assert "Who hands mail to port 25 today was not looked at" in driver.pane("#summary")


# --- without a screen


def test_the_report_is_good_only_while_no_network_is_taken_out() -> None:
    from conbool_tui.wizard_state import WizardState

    state = WizardState(Answers(conbool_networks=("198.51.100.0/24",)))
    state.keep_senders(SENDERS)
    state.draft.set("inbound.extra_networks", "192.0.2.0/24")
    assert state.known_senders is SENDERS
    state.draft.set("conbool_networks", "203.0.113.0/24")
    assert state.known_senders is None


def test_more_senders_than_are_shown_are_not_counted_as_let_in() -> None:
    from screens.texts.senders import summary

    shown = tuple(PresentSender(f"203.0.113.{number}", "unknown", 2, "today", True) for number in range(20))
    report = SenderReport(shown, 5, 7, 47, 47, ("/var/log/mail.log",), 0.5)
    assert "At least 20 of 25 senders in 12 hours" in summary(report, lambda address: False).text
    let_in = summary(report, lambda address: True)
    assert "7 of 47 messages" in let_in.text, "those not shown are still cut off"


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("inbound.confirm_within", "5", "10 to 3600"),
        ("inbound.public_addresses", "127.0.0.1", "no other host can reach"),
        ("inbound.relay_host", "mx1", "no full host name"),
        ("inbound.extra_networks", "198.51.100.0/24", "there twice"),
        ("inbound.extra_networks", "198.51.100.7", "overlap"),
        ("prerequisites.dkim_selectors", "a b!", "no DKIM selector"),
    ],
)
def test_wrong_texts_of_step_b_change_no_answer(key: str, text: str, told: str) -> None:
    draft = Draft(Answers(conbool_networks=("198.51.100.0/24",), inbound=Inbound(restrict_port_25=True)))
    draft.set(key, text)
    error = draft.error(key)
    assert isinstance(error, FieldError)
    assert told in str(error)


def test_an_address_is_let_in_and_taken_out_in_every_spelling() -> None:
    draft = Draft()
    draft.let_in("2001:db8:0:0::7", True)
    assert draft.lets_in("2001:db8::7")
    draft.let_in("2001:db8:0:0::7", False)
    assert draft.text("inbound.extra_networks") == ""


def test_a_draft_gives_back_every_answer_of_step_b() -> None:
    inbound = Inbound(
        True,
        ("192.0.2.0/28",),
        "none",
        "mx1.example.com",
        "conbool_delivers",
        True,
        True,
        ("203.0.113.7",),
        90,
    )
    given = replace(Answers(domains=("example.com",), conbool_networks=("198.51.100.0/24",)), inbound=inbound)
    assert Draft(given).answers() == given


@pytest.mark.parametrize(
    ("moment", "left"), [("2023-11-14T22:13:20Z", 0), ("2023-11-14T22:13:21.5Z", 2), ("", 0)]
)
def test_seconds_left(moment: str, left: int) -> None:
    assert seconds_left(moment.replace(".5Z", ".500Z"), 1_700_000_000.0) == left
