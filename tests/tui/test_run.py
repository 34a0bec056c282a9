"""The whole way, by keyboard alone, and the answers it leaves."""

from __future__ import annotations

from conbool_tui.answers import Answers, Inbound, Markers, Prerequisites, Scope, SmartHost, Spam
from conbool_tui.errors import RollbackIncompleteError, RolledBackError
from conbool_tui.receipt import ChangeState
from tests.tui.conftest import Start
from tests.tui.fake import BAD, FakeSession, host_facts, make_receipt, present, with_filter

DETECTED = ("example.com", "example.net")


async def test_enter_alone_gives_the_detected_domains_and_the_defaults(wizard: Start) -> None:
    async with wizard() as driver:
        assert driver.title == "Step 1 of 11 - Welcome"
        await driver.to("Review")
        assert driver.app.state.draft.answers() == Answers(
            domains=DETECTED, smart_host=SmartHost(), scope=Scope(), markers=Markers(), spam=Spam()
        )


async def test_every_field_by_keyboard(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Prerequisites")
        await driver.focus("[ ] All four")
        await driver.press("space", "tab")
        await driver.type("Conbool s2.example")
        await driver.push("Next")
        await driver.type("relay.conbool.example")
        for text in (
            "2525",
            "Mail.Conbool.Example",
            "/etc/ssl/ca.pem",
            "/etc/ssl/mx1.pem",
            "/etc/ssl/mx1.key",
        ):
            await driver.press("enter")
            await driver.type(text)
        await driver.press("enter")
        await driver.type("example.org, bücher.example")
        await driver.press("enter", "down", "down", "down", "space", "down", "space")
        await driver.push("Next")
        await driver.type("198.51.100.0/24, 2001:db8::7")
        await driver.focus("[ ] Close port 25")
        await driver.press("space")
        await driver.focus("Extra networks")
        await driver.type("192.0.2.128/25")
        await driver.focus("(*) auto")
        await driver.press("down", "space")
        await driver.focus("Take back after")
        await driver.type("120")
        await driver.focus("Relay host name")
        await driver.type("MX1.example.com")
        await driver.press("enter")
        await driver.type("203.0.113.7 2001:db8::25")
        await driver.press("tab", "down", "space")
        await driver.push("Next")
        assert "198.51.100.0/24, 2001:db8::7/128 (edit them in step B)" in driver.text()
        await driver.press("down", "space")
        await driver.focus("example.com")
        await driver.press("down", "enter")
        await driver.type("X-Conbool-Net")
        await driver.focus("Spam headers")
        await driver.type("X-Conbool-Flag")
        await driver.press("tab", "down", "space", "up", "space")
        await driver.focus("Folder")
        await driver.type("Spam")
        await driver.push("Next")
        await driver.type("X-Released")
        await driver.push("Next")
        await driver.press("down", "down", "space")
        await driver.focus("Senders")
        await driver.type("alice@Example.com @example.net")
        await driver.push("Next")
        assert driver.title == "Step 8 of 11 - Review"
        assert driver.app.state.draft.answers() == Answers(
            domains=("example.com", "example.net", "mx1.example.com", "xn--bcher-kva.example"),
            smart_host=SmartHost(
                "relay.conbool.example",
                2525,
                "mail.conbool.example",
                "/etc/ssl/ca.pem",
                "/etc/ssl/mx1.pem",
                "/etc/ssl/mx1.key",
            ),
            scope=Scope("senders", ("alice@example.com", "@example.net")),
            prerequisites=Prerequisites(True, ("conbool", "s2.example")),
            conbool_networks=("198.51.100.0/24", "2001:db8::7/128"),
            inbound=Inbound(
                restrict_port_25=True,
                extra_networks=("192.0.2.128/25",),
                firewall="none",
                relay_host="mx1.example.com",
                return_mode="conbool_delivers",
                public_addresses=("203.0.113.7", "2001:db8::25"),
                confirm_within=120,
            ),
            markers=Markers("conbool", {"example.net": "X-Conbool-Net"}, "X-Released", ("X-Conbool-Flag",)),
            spam=Spam("folder", "Spam"),
        )
        assert driver.session.planned[-1] == driver.app.state.draft.answers()


async def test_to_smtp_reachable_and_out(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Apply")
        assert driver.focused_text() == "> [ Not yet ] "
        assert "Nothing has been changed yet." in driver.text()
        assert "nothing has been applied yet" in driver.button("next").reason
        await driver.push("Apply now")
        assert "Applied as change 20250102-0304-a1" in driver.text()
        assert "8 of 8  health" in driver.text()
        await driver.press("enter")
        assert driver.title == "Step 10 of 11 - Test"
        assert "SMTP reachable" in driver.text().splitlines()[-6:][0] + driver.pane("#findings")
        await driver.press("f4")
        assert "250-STARTTLS" in driver.text()
        await driver.push("Next: done")
        assert "mx1.example.com" in driver.pane("#text")
        assert "sudo conbool-tui undo 20250102-0304-a1" in driver.pane("#text")
        await driver.push("Finish")
    assert driver.app.return_value == 0
    farewell = driver.app.state.farewell("/var/lib/conbool-tui", "/var/log/x.log")
    assert farewell[0].startswith("Change 20250102-0304-a1: applied, 6 files below /etc/postfix.")
    assert "Take it back: conbool-tui undo 20250102-0304-a1" in farewell
    assert farewell[-1] == "Journal and backups: /var/lib/conbool-tui; log: /var/log/x.log"


async def test_a_second_review_is_empty_and_leads_to_the_test(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Apply")
        await driver.push("Apply now")
        detected = len(driver.session.detected)
        await driver.press("escape")
        assert "Nothing to do" in driver.text()
        assert len(driver.session.detected) == detected + 1, "facts from before the change are not used again"
        await driver.push("Next: test")
        assert driver.title == "Step 10 of 11 - Test"


async def test_rolled_back_is_said_with_its_reason_and_can_be_tried_again(wizard: Start) -> None:
    session = FakeSession(
        apply_error=RolledBackError(
            "postfix check refused the new files.", "Mail would stop.", "See the log."
        )
    )
    async with wizard(session) as driver:
        await driver.to("Apply")
        await driver.push("Apply now")
        for part in (
            "ROLLED BACK",
            "postfix check refused the new files.",
            "Mail would stop.",
            "See the log.",
        ):
            assert part in driver.text()
        assert driver.button("next").reason
        assert driver.app.state.exit_code == 4
        session.apply_error = None
        await driver.push("Apply now")
        assert "Applied as change" in driver.text()
        assert driver.app.state.exit_code == 0


async def test_incomplete_rollback_is_not_called_rolled_back(wizard: Start) -> None:
    error = RollbackIncompleteError(
        "main.cf could not be put back.", "", "Copy it from /var/lib/conbool-tui."
    )
    async with wizard(FakeSession(apply_error=error)) as driver:
        await driver.to("Apply")
        await driver.push("Apply now")
        assert "not everything could be put back" in driver.text()
        assert "ROLLED BACK" not in driver.text()
        assert driver.app.state.exit_code == 5


async def test_a_failed_check_says_so_and_sets_the_exit_code(wizard: Start) -> None:
    async with wizard(FakeSession(check_findings=BAD)) as driver:
        await driver.to("Test")
        text = driver.text()
        assert "✗ FAIL" in text
        assert "! WARN" in text
        assert "What to do: Correct the certificate name" in text
        assert "1 of 2 checks failed" in text
        assert "SMTP reachable" not in text
        assert driver.app.state.exit_code == 3


async def test_a_test_can_be_stopped_and_repeated(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Apply")
        await driver.push("Apply now")
        driver.session.gate.clear()
        await driver.press("enter", settle=False)
        await driver.pilot.pause(0.2)
        assert "the test is still running" in driver.button("next").reason
        await driver.push("Stop")
        assert "NOT TESTED" in driver.text()
        driver.session.gate.set()
        await driver.settle()
        assert "NOT TESTED  Stopped" in driver.text(), "a result that comes after Stop is dropped"
        await driver.push("Again")
        assert "SMTP reachable" in driver.text()


async def test_nothing_cuts_off_a_change_being_written(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Apply")
        driver.session.gate.clear()
        await driver.push("Apply now", settle=False)
        await driver.pilot.pause(0.2)
        for key in ("escape", "q", "f10", "ctrl+c"):
            await driver.press(key, settle=False)
            await driver.pilot.pause()
            assert driver.title == "Step 9 of 11 - Apply"
            assert "is not cut off" in driver.text()
        assert driver.button("back").reason
        assert "6 of 8  write" in driver.text()
        driver.session.gate.set()
        await driver.settle()
        assert "Applied as change" in driver.text()


async def test_history_shows_details_and_undoes_after_a_question(wizard: Start) -> None:
    session = FakeSession(
        receipts=[
            make_receipt("20250101-0000-zz", ChangeState.APPLIED),
            make_receipt("20241231-0000-yy", ChangeState.ROLLED_BACK),
        ],
        done=True,
    )
    async with wizard(session) as driver:
        await driver.push("History")
        assert driver.title == "History"
        assert "20250101-0000-zz" in driver.focused_text()
        assert "Verify the smart host's certificate" in driver.pane("#detail")
        await driver.press("down")
        assert "rolled back already" in driver.button("undo").reason
        await driver.press("up", "enter")
        assert "Take back change 20250101-0000-zz?" in driver.text()
        assert driver.focused_text().startswith("> [ Keep it ]")
        await driver.press("escape")
        assert session.receipts[0].state is ChangeState.APPLIED
        await driver.press("enter")
        await driver.push("Undo")
        assert "was taken back" in driver.pane("#detail")
        assert session.receipts[1].state is ChangeState.UNDONE
        await driver.press("escape")
        assert driver.title == "Step 1 of 11 - Welcome"
    assert driver.app.state.farewell("/x", "/y")[0] == (
        "Undone: change 20250101-0000-zz, recorded as 20250102-0405-b2."
    )


async def test_apply_says_so_when_its_change_was_taken_back_from_the_history(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Apply")
        await driver.push("Apply now")
        assert "Applied as change" in driver.text()
        await driver.push("History")
        await driver.push("Undo this change")
        await driver.push("Undo")
        assert "was taken back" in driver.pane("#detail")
        await driver.press("escape")
        assert driver.title.startswith("Step 9 of 11 - Apply")
        assert "was taken back since" in driver.pane("#progress")
        assert driver.button("next").reason == "nothing is applied any more"
        assert driver.app.state.last_applied is None


async def test_review_with_a_content_filter_shows_where_mail_goes(wizard: Start) -> None:
    async with wizard(FakeSession(host_facts(present(with_filter())))) as driver:
        assert "smtp-amavis" in driver.text()
        await driver.to("Review")
        summary = driver.pane("#summary")
        assert "Postfix + filter" in summary
        assert "[smtp.provider.example]:587" in summary
        assert "mail.conbool.com:25" in summary
        await driver.press("f4")
        assert "+smtp_tls_policy_maps = texthash:/etc/postfix/conbool/tls_policy" in driver.text()
        await driver.press("escape")
        assert driver.title == "Step 8 of 11 - Review"
        assert "In short" in driver.text()


async def test_answers_are_saved_and_then_nothing_is_pending(wizard: Start) -> None:
    async with wizard() as driver:
        await driver.to("Smart host")
        await driver.type("relay.conbool.example")
        await driver.to("Review")
        assert driver.app.state.pending
        await driver.push("Save answers")
        await driver.type("relative.yaml")
        await driver.push("Save")
        assert "is no absolute file name" in driver.text()
        await driver.type("/proc/x.yaml")
        await driver.push("Save")
        assert "The folder is read-only." in driver.text()
        assert driver.app.state.pending
        await driver.focus("Save to")
        await driver.type("/root/a.yaml")
        await driver.push("Save")
        assert driver.session.saved == {"/root/a.yaml": driver.app.state.draft.answers()}
        assert not driver.app.state.pending
        await driver.press("escape", "q")
    assert driver.app.return_value == 0
