"""Each page by itself: what Welcome finds, lists long and pasted, closing port 25, saving, and the checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from conbool_tui.answers import Answers
from conbool_tui.errors import ByHandError, CheckFailedError, RollbackIncompleteError
from conbool_tui.facts import Detection, HostedDomains, Outcome, PostfixInstance
from conbool_tui.findings import Finding, Status
from conbool_tui.receipt import ChangeState
from tests.plain.conversation import (
    AFTER_INBOUND,
    APPLY,
    INBOUND,
    TO_INBOUND,
    TO_REVIEW,
    TO_SMART_HOST,
    WELCOME,
    Conversation,
    keep,
)
from tests.tui.fake import (
    ABSENT,
    BROKEN,
    CONTAINER,
    MANAGED,
    FakeSession,
    host_facts,
    make_receipt,
    postfix_facts,
    present,
    report_of,
)

# --- Welcome


@pytest.mark.parametrize(
    ("detection", "words"),
    [
        (ABSENT, "No mail system was found"),
        (BROKEN, "Why: postconf: fatal"),
        (MANAGED, "Make the change in Plesk"),
    ],
    ids=["absent", "broken", "managed"],
)
def test_without_a_mail_system_to_set_up_there_is_no_start(detection: Detection, words: str) -> None:
    said = Conversation(FakeSession(host_facts(detection)), "Start", "Search again", "")
    assert said.flat.count(words) == 3, "Enter searches again"
    assert "! Start: there is no mail system to set up, see above" in said.text
    assert "Step 2 of 11" not in said.text


def test_of_several_mail_systems_one_is_chosen() -> None:
    session = FakeSession(host_facts(present(), Detection("exim", Outcome.PRESENT, "Exim 4.96")))
    said = Conversation(session, "", "1", "Start")
    assert "Which one is to be set up? 1 postfix: Postfix 3.7.11 2 exim: Exim 4.96" in said.flat
    assert 'x "" is no choice' in said.text, "nothing is chosen for the admin"
    assert session.mail_system == "postfix"
    assert "Step 2 of 11" in said.text


def test_of_several_instances_one_is_chosen() -> None:
    instances = (
        PostfixInstance("-", "-", True, "/etc/postfix"),
        PostfixInstance("postfix-out", "mta", False, "/etc/postfix-out"),
    )
    session = FakeSession(host_facts(present(postfix_facts(instances=instances))))
    said = Conversation(session, "<", "Start", "Search again", "2", "Start", "q")
    assert "postfix-out: /etc/postfix-out (switched off)" in said.text
    assert "! Start: choose a Postfix instance first" in said.text
    assert session.detected[-1] == "postfix-out"
    assert "Leave now?" not in said.text


def test_an_unfinished_change_is_recovered_first() -> None:
    session = FakeSession(crashed=make_receipt("20250101-0000-zz", ChangeState.UNFINISHED))
    said = Conversation(session, "q", "", "", "", "q")
    assert "20250101-0000-zz was begun on 2025-01-02" in said.text
    assert "is unfinished and has not been recovered" in said.after("Leave now?")
    assert "Start (not now: recover the unfinished change first)" in said.text
    assert session.crashed is None
    assert "the old state is in place" in said.flat
    assert "Step 2 of 11" in said.text


def test_a_change_that_cannot_be_taken_back_is_closed_after_asking() -> None:
    session = FakeSession(
        crashed=make_receipt("20250101-0000-zz", ChangeState.UNFINISHED),
        recover_error=RollbackIncompleteError("main.cf was edited meanwhile.", "It stays.", "Look at it."),
    )
    said = Conversation(session, "Recover", "Leave as is", "", "Leave as is", "Close the change", "q")
    asked = said.after("Leave these as they are?")
    assert "close change 20250101-0000-zz?" in asked
    assert "main.cf was edited meanwhile. It stays." in asked
    assert session.accepted_meanwhile
    assert session.crashed is None


def test_another_process_is_waited_for() -> None:
    session = FakeSession(crashed=make_receipt("20250101-0000-zz", ChangeState.RUNNING))

    def nothing() -> Optional[str]:
        return None

    def ends() -> Optional[str]:
        session.crashed = None
        session.receipts.append(make_receipt("20250101-0000-zz", ChangeState.APPLIED))
        return None

    said = Conversation(session, nothing, ends, "q")
    assert "is being written by another process just now" in said.text
    assert "Start (not now: another process is changing this server just now)" in said.text
    assert said.text.count("\nWhat next?") == 2, "nothing is said while nothing happens"
    assert "Change 20250101-0000-zz is in force." in said.text


def test_what_ended_while_nobody_watched_comes_first_and_is_noted() -> None:
    missed = make_receipt("20250101-0000-zz", ChangeState.ROLLED_BACK)
    session = FakeSession(missed=missed)
    said = Conversation(session, "q")
    assert said.text.index("While you were away") < said.text.index("Postfix 3.7.11")
    assert session.missed is None


def test_a_look_that_fails_is_told_and_can_be_repeated() -> None:
    class Failing(FakeSession):
        def unfinished(self) -> None:
            if not self.done:
                self.done = True
                raise CheckFailedError("The journal cannot be read.", "It says a lot.", "Run it as root.")

    said = Conversation(Failing(), "", "q")
    assert "x FAIL  The journal cannot be read." in said.text
    assert "What to do: Run it as root." in said.text
    assert "Postfix 3.7.11, running" in said.text


# --- lists


def many(count: int) -> FakeSession:
    names = tuple(f"d{number}.example" for number in range(count))
    facts = postfix_facts(domains=HostedDomains(virtual_mailbox=names))
    reports = [report_of(name, Status.WARN if name == "d777.example" else Status.OK) for name in names]
    return FakeSession(host_facts(present(facts)), reports=reports)


def test_ten_thousand_domains_are_summarised_and_can_be_found() -> None:
    said = Conversation(
        many(10_000),
        *WELCOME,
        *keep(2),
        *("Details", "/d777", "778", "", ""),
        *keep(6),
        *("m", "/d9999", "10000", "1-3", "new.example", "", "q", "2"),
    )
    assert "10,000 domains looked up" in said.text
    assert "! WARN       d777.example" in said.text
    assert "no SPF record is published" in said.text
    assert "and 9,985 more" in said.text
    assert "Now: 10,000 of 10,000 taken in" in said.text
    assert "  10000  d9999.example: taken in" in said.text
    assert "Now: 9,999 of 10,000 taken in" in said.text
    assert "Now: 9,997 of 10,001 taken in" in said.text
    assert len(said.text.splitlines()) < 400


def test_domains_are_taken_in_left_out_and_added() -> None:
    said = Conversation(
        FakeSession(), *TO_SMART_HOST, *keep(6), "1", "9", "not a domain", "2", "", "", "1, 3", "q", "2"
    )
    flat = said.flat
    assert "1 example.com: left out" in flat
    assert "x 9 is not in the list. Its numbers go from 1 to 3." in flat
    assert 'x "a"' in flat or 'x "not"' in flat, "what is no domain is named"
    assert "x No hosted domain is chosen. Choose at least one, or type one to add it." in flat
    assert "x Hosted domains: No hosted domain is chosen." in flat, "the step is not left like this"
    assert "3 mx1.example.com: taken in" in flat


def test_networks_are_pasted_edited_and_never_lost_by_a_slip() -> None:
    said = Conversation(
        FakeSession(),
        *TO_INBOUND,
        *("# our list", "198.51.100.0/24  # Frankfurt", "203.0.113.0/24", ""),
        *keep(5),
        *("Change an answer", "1", "+ 192.0.2.0/33, 2001:db8::/48", "", ""),
        *("Change an answer", "1", "- 203.0.113.0/24", "", "q", "2"),
    )
    flat = said.flat
    assert '"192.0.2.0/33" is no' in flat
    assert "The others were taken over" in flat
    assert "Now: 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/48" in flat
    assert "Conbool's addresses: 198.51.100.0/24, 2001:db8::/48" not in flat
    answers = said.state.draft.answers()
    assert answers.conbool_networks == ("198.51.100.0/24", "2001:db8::/48")


def test_a_field_is_made_empty_and_a_command_letter_is_typed() -> None:
    said = Conversation(
        FakeSession(),
        *TO_INBOUND,
        *INBOUND,
        *("", "", "-", "folder", "\\q", "Save answers", "/root/a.yaml", "q"),
    )
    saved = said.session.saved["/root/a.yaml"]
    assert saved.markers.spam == ()
    assert saved.spam.folder == "q"
    assert said.keyboard.left == 0


# --- step B


def test_closing_asks_who_would_be_cut_off_and_is_confirmed_or_given_up() -> None:
    session = FakeSession(elsewhere=("example.net",))
    said = Conversation(
        session,
        *TO_INBOUND,
        *("198.51.100.0/24", "", "yes"),
        *keep(7),
        *("", "no"),
        *("Change an answer", "Close port 25", "no", ""),
        *AFTER_INBOUND,
    )
    assert "! WARN 2 of 5 senders in 7 days of mail log would be cut off" in said.flat
    assert "x Close although mail still comes here: port 25 would be closed" in said.flat
    assert "Step 8 of 11" in said.text
    assert len(session.asked_senders) == 1


def test_an_unusable_firewall_says_why() -> None:
    session = FakeSession(replace(host_facts(), firewall=CONTAINER))
    said = Conversation(session, *TO_INBOUND, "198.51.100.0/24", "", "yes", "", "auto", "", "q", "2")
    assert "! auto cannot be used: this is a container" in said.flat
    assert "By hand: Close port 25 in the firewall of the container's host." in said.flat
    assert said.state.draft.text("inbound.firewall") == "none"


def test_a_list_file_that_is_not_there_is_told_and_asked_again() -> None:
    session = FakeSession(lists={"/root/list.txt": ("198.51.100.0/24",)})
    said = Conversation(
        session,
        *TO_INBOUND,
        *INBOUND[:-1],
        *("Load list", "list", "/none", "/root/list.txt", "2", "", "q", "2"),
    )
    assert "/none does not exist." in said.text
    assert "+ OK  1 network read." in said.text
    assert said.state.draft.text("inbound.extra_networks") == "198.51.100.0/24"


# --- saving and testing

OTHER = Answers(domains=("other.example",))


def test_saving_asks_before_it_replaces_and_again_when_it_cannot() -> None:
    session = FakeSession()
    session.saved["/root/conbool-answers.yaml"] = OTHER
    said = Conversation(
        session,
        *TO_REVIEW,
        *("Save answers", "relative", "", "", "/proc/none", "/root/mine.yaml"),
        *("Save answers", "", "q"),
    )
    flat = said.flat
    assert "Replace the file? /root/conbool-answers.yaml is there already." in flat
    assert session.saved["/root/conbool-answers.yaml"] is OTHER, "Enter keeps it"
    assert "/proc/none cannot be written." in flat
    assert flat.count("+ OK Saved to /root/mine.yaml.") == 2
    assert "Leave now?" not in said.text
    assert "Answers: /root/mine.yaml" in said.text


def test_a_failed_check_locks_nobody_in() -> None:
    bad = [Finding("tls", Status.FAIL, "another name", remedy="Ask Conbool.", detail="220 x")]
    said = Conversation(
        FakeSession(check_findings=bad), *TO_REVIEW, *APPLY, "", "Transcript", "Save", "", "", "Finish"
    )
    assert "x FAIL 1 of 1 checks failed" in said.flat
    assert "What to do: Ask Conbool." in said.flat
    assert "220 x" in said.after("Findings and transcript")
    assert "220 x" in said.session.texts["/root/conbool-test.txt"]
    assert said.code == 3


def test_nothing_to_do_goes_straight_to_the_test() -> None:
    said = Conversation(FakeSession(done=True), *TO_REVIEW, "", "", "Back", "Finish")
    assert "Nothing to do: the server is set up exactly like this already." in said.text
    assert "1  Next: test (Enter)" in said.text
    assert "Step 9 of 11" not in said.text
    assert said.text.count("Step 10 of 11") == 2


def test_what_is_to_be_set_by_hand_is_told_in_review_and_leads_to_the_test() -> None:
    by_hand = ByHandError("This mail system is set up by hand.", "It is not known.", "Set the smart host.")
    said = Conversation(FakeSession(plan_error=by_hand), *TO_REVIEW, "Next: test", "q")
    assert said.flat.count("This mail system is set up by hand.") == 1
    assert "Step 10 of 11" in said.text


def test_a_refused_answer_is_asked_again() -> None:
    said = Conversation(
        FakeSession(),
        *TO_SMART_HOST,
        *keep(4),
        *("/missing.pem", "/key.pem", "", "", "/there.pem", ""),
    )
    assert "/missing.pem does not exist." in said.text
    assert said.after("/missing.pem does not exist.").count("Client certificate") >= 1
    assert "Step 4 of 11" in said.text


def test_a_certificate_without_its_key_is_told_and_not_a_trap() -> None:
    said = Conversation(FakeSession(), *TO_SMART_HOST, *keep(4), "/c.pem", "", "", "", "-", "<")
    assert said.flat.count("x The certificate's key is missing.") == 2
    assert "x Client key: The certificate's key is missing." in said.flat
