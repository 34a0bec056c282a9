"""The Sieve script, where it is named, and which mail reaches it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Optional
from unittest.mock import Mock

import pytest

from conbool_tui import text_blocks
from conbool_tui.answers import Answers, Markers, Spam
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import Capability, Detection, FileText, HostFacts, Outcome
from conbool_tui.facts_dovecot import DovecotFacts, SpecialFolder
from conbool_tui.facts_exim import EximDriver, EximFacts
from conbool_tui.mailbox_part import MARKERS_REMOVED, plan_mailbox_server, with_mailbox
from conbool_tui.mta import mta_facts
from conbool_tui.plan import ChangeKind, Plan
from conbool_tui.planners.dovecot import plan_dovecot, sieve_script
from conbool_tui.planners.dovecot.handover import handover
from conbool_tui.planners.dovecot.script import spam_folder
from tests.unit.planners import facts_builder

SCRIPT, BINARY = "/etc/dovecot/conbool/conbool-before.sieve", "/etc/dovecot/conbool/conbool-before.svbin"
EMPTY = Plan("postfix", "-", "/etc/postfix", (), ())


def dovecot(**changes: Any) -> DovecotFacts:
    """A Dovecot 2.3 that takes mail by LMTP."""
    facts = DovecotFacts(
        version="2.3.19",
        syntax="2.3",
        config_directory="/etc/dovecot",
        config_file="/etc/dovecot/dovecot.conf",
        running=True,
        protocols=("imap", "lmtp"),
        sieve_installed=True,
        sieve_for=("lmtp",),
        before_scripts=(),
        junk=(SpecialFolder("Junk"),),
        prefix="",
        base_directory="/run/dovecot",
        lmtp_sockets=("lmtp",),
        activation="/etc/dovecot/conf.d/99-conbool.conf",
        files={
            "/etc/dovecot/dovecot.conf": FileText(
                "/etc/dovecot/dovecot.conf", b"a = b\n!include conf.d/*.conf\n"
            )
        },
    )
    return dataclasses.replace(facts, **changes)


def written(plan: Plan) -> dict[str, Optional[bytes]]:
    """The new contents by path."""
    return {target.path: target.after for target in plan.files}


def applied(facts: DovecotFacts, plan: Plan) -> DovecotFacts:
    """The facts once the plan is applied."""
    files = dict(facts.files)
    for path, data in written(plan).items():
        if data is None:
            files.pop(path)
        else:
            files[path] = FileText(path, data)
    return dataclasses.replace(facts, files=files)


# --- the script


def test_script() -> None:
    text = sieve_script(Answers(), "Junk", "mx1.example.com")
    assert text.index('"X-Conbool-Released"') < text.index('["X-Conbool-Flag", "X-Conbool-Spam"]')
    assert 'if not header :is "X-Conbool-Origin" "untrusted mx1.example.com" {' in text
    assert 'fileinto "INBOX";\n        stop;' in text
    assert 'fileinto :create "Junk";' in text


@pytest.mark.parametrize("action", ["header", "none"])
def test_script_without_a_folder_still_keeps_released_mail(action: str) -> None:
    text = sieve_script(Answers(spam=Spam(action)), "Junk", "mx1")
    assert ":create" not in text
    assert "mailbox" not in text
    assert 'fileinto "INBOX"' in text


def test_names_in_the_script_are_quoted() -> None:
    answers = Answers(markers=Markers(released="X-My-Mark", spam=("X-Bad",)))
    text = sieve_script(answers, 'a"b\\c', "mx1")
    assert 'fileinto :create "a\\"b\\\\c";' in text
    assert '"X-My-Mark"' in text
    assert '["X-Bad"]' in text


@pytest.mark.parametrize(
    ("junk", "prefix", "asked", "folder"),
    [
        ((), "", None, "Junk"),
        ((), "INBOX.", None, "INBOX.Junk"),
        ((SpecialFolder("INBOX.Spam"),), "INBOX.", None, "INBOX.Spam"),
        ((SpecialFolder("Spam"),), "", "Quarantine", "Quarantine"),
        ((), "INBOX.", "Quarantine", "INBOX.Quarantine"),
        ((), "INBOX.", "INBOX.Quarantine", "INBOX.Quarantine"),
    ],
)
def test_folder(junk: tuple[SpecialFolder, ...], prefix: str, asked: Optional[str], folder: str) -> None:
    assert spam_folder(dovecot(junk=junk, prefix=prefix), Answers(spam=Spam("folder", asked))) == folder


def test_without_a_known_mail_server_any_note_counts() -> None:
    assert 'header :matches "X-Conbool-Origin" "untrusted *"' in sieve_script(Answers(), "Junk", "")


def test_dovecot_alone() -> None:
    plan = plan_mailbox_server(dovecot(), Answers(), lambda *_: b"x")
    assert (plan.system, plan.also) == ("dovecot", ())
    assert set(written(plan)) == {SCRIPT, BINARY, "/etc/dovecot/conf.d/99-conbool.conf"}
    with pytest.raises(CheckFailedError, match="not switched on for lmtp"):
        plan_mailbox_server(dovecot(sieve_for=()), Answers(), lambda *_: b"x")


# --- the plan


def test_plan_is_empty_once_applied() -> None:
    facts = dovecot()
    plan = plan_dovecot(facts, "script", b"compiled")
    assert set(written(plan)) == {SCRIPT, BINARY, facts.activation}
    assert plan_dovecot(applied(facts, plan), "script", b"compiled").empty
    gone = plan_dovecot(applied(facts, plan), None)
    assert set(written(gone).values()) == {None}


def test_scripts_that_ran_first_run_after_ours() -> None:
    plan = plan_dovecot(dovecot(before_scripts=("/a b#c", "/d")), "script", b"")
    text = (written(plan)["/etc/dovecot/conf.d/99-conbool.conf"] or b"").decode()
    assert f"sieve_before = {SCRIPT}\n" in text
    assert 'sieve_before2 = "/a b#c"\n' in text
    assert "sieve_before3 = /d\n" in text


def test_2_4_names_a_section_of_its_own() -> None:
    facts = dovecot(syntax="2.4", before_scripts=("own",), activation="/etc/dovecot/conf.d/00-conbool.conf")
    text = (written(plan_dovecot(facts, "script", b""))[facts.activation] or b"").decode()
    assert f"sieve_script conbool {{\n  type = before\n  path = {SCRIPT}\n}}\n" in text
    assert "own" not in text


@pytest.mark.parametrize(("line", "first"), [("", False), ("a = b", True)])
def test_block_in_dovecot_conf(line: str, first: bool) -> None:
    facts = dovecot(activation="/etc/dovecot/dovecot.conf", block_before=line)
    plan = plan_dovecot(facts, "script", b"")
    (change,) = [one for one in plan.changes if one.kind is ChangeKind.BLOCK]
    data = written(plan)[facts.config_file] or b""
    assert text_blocks.get(data, change.key) == change.after
    assert data.startswith(b"# BEGIN") is first
    assert plan_dovecot(applied(facts, plan), "script", b"").empty
    back = plan_dovecot(applied(facts, plan), None)
    assert written(back)[facts.config_file] == facts.files[facts.config_file].data


# --- does Postfix hand mail over?


def postfix(main: str = "", master: str = "") -> Detection:
    """A Postfix with these settings."""
    facts = facts_builder.facts_for(facts_builder.MAIN + main, facts_builder.MASTER + master)
    return Detection("postfix", Outcome.PRESENT, "", postfix=facts)


LMTP = "lmtp unix - - y - - lmtp\n"
PIPE = "dovecot unix - n n - - pipe\n  flags=DRhu user=vmail argv=/usr/lib/dovecot/dovecot-lda -f ${sender} -d ${recipient}\n"


@pytest.mark.parametrize(
    ("main", "master", "ways"),
    [
        ("", LMTP, ()),
        ("virtual_transport = lmtp:unix:private/dovecot-lmtp\n", LMTP, ("lmtp",)),
        ("mailbox_transport = lmtp:unix:private/dovecot-lmtp\n", LMTP, ("lmtp",)),
        ("virtual_transport = lmtp:inet:127.0.0.1:24\n", LMTP, ("lmtp",)),
        ("virtual_transport = lmtp:inet:backend.example:24\n", LMTP, ()),
        ("virtual_transport = dovecot\n", PIPE, ("lda",)),
        ('mailbox_command = /usr/lib/dovecot/dovecot-lda -a "$RECIPIENT"\n', "", ("lda",)),
        ("mailbox_command = /usr/bin/procmail\n", "", ()),
    ],
)
def test_handover(main: str, master: str, ways: tuple[str, ...]) -> None:
    assert handover(postfix(main, master)) == ways


DRIVERS = {
    "lmtp": {"driver": "lmtp", "socket": "/run/dovecot/lmtp"},
    "lda": {"driver": "pipe", "command": "/usr/lib/dovecot/dovecot-lda -f $sender_address"},
    "here": {"driver": "smtp", "protocol": "lmtp", "hosts": "127.0.0.1"},
    "there": {"driver": "smtp", "protocol": "lmtp", "hosts": "backend.example"},
    "mail_spool": {"driver": "appendfile", "file": "/var/mail/$local_part"},
}


@pytest.mark.parametrize(
    ("used", "ways"),
    [
        ((), ()),
        (("mail_spool",), ()),
        (("lmtp",), ("lmtp",)),
        (("lda", "mail_spool"), ("lda",)),
        (("here",), ("lmtp",)),
        (("there",), ()),
    ],
)
def test_handover_by_exim(used: tuple[str, ...], ways: tuple[str, ...]) -> None:
    routers = tuple(EximDriver(f"r{name}", {"driver": "accept", "transport": name}) for name in used)
    transports = tuple(EximDriver(name, options) for name, options in DRIVERS.items())
    exim = Mock(spec=EximFacts, routers=routers, transports=transports)
    assert handover(Detection("exim", Outcome.PRESENT, "", exim=exim)) == ways


# --- both together


def joined(
    target: Detection, found: Detection, *, action: str = "folder", compiled: Optional[bytes] = b"x"
) -> Plan:
    """The plan of a Postfix that has nothing to do with what Dovecot adds."""
    answers = Answers(spam=Spam(action))
    return with_mailbox(EMPTY, HostFacts((target, found)), target, answers, lambda *_: compiled)


def present(**changes: Any) -> Detection:
    """A Dovecot that was found."""
    return Detection("dovecot", Outcome.PRESENT, "", role="mailbox", dovecot=dovecot(**changes))


BY_LMTP = ("virtual_transport = lmtp:unix:private/dovecot-lmtp\n", LMTP)


def test_one_plan_for_both() -> None:
    plan = joined(postfix(*BY_LMTP), present())
    assert [one.system for one in plan.target.all] == ["postfix", "dovecot"]
    assert SCRIPT in written(plan)
    assert plan.reload == ("doveadm reload",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sieve_installed": False, "sieve_for": ()}, "dovecot-sieve"),
        ({"sieve_for": ()}, "not switched on for lmtp"),
    ],
)
def test_without_sieve_it_is_said_and_nothing_is_written(changes: dict[str, Any], words: str) -> None:
    plan = joined(postfix(*BY_LMTP), present(**changes))
    assert plan.files == ()
    (notice,) = plan.notices
    assert words in notice.text
    assert "X-Spam-Flag: YES" in notice.text


def test_where_patterns_are_not_allowed() -> None:
    target, found = postfix(*BY_LMTP), present()
    plan = with_mailbox(
        EMPTY,
        HostFacts((target, found)),
        target,
        Answers(),
        lambda file, path, text: None if b"regex" in text else b"compiled",
    )
    assert b'header :is "X-Conbool-Released" "yes"' in (written(plan)[SCRIPT] or b"")
    assert written(plan)[BINARY] == b"compiled"


def test_mail_that_dovecot_does_not_get() -> None:
    plan = joined(postfix("", LMTP), present())
    assert plan.files == ()
    assert "does not hand mail to Dovecot" in plan.notices[0].text
    assert joined(postfix("", LMTP), present(), action="header").notices == ()


def test_mail_server_that_leaves_markers_of_strangers_in() -> None:
    target = postfix(*BY_LMTP)
    mta = mta_facts(target)
    assert mta is not None
    limits = (Capability(MARKERS_REMOVED, False, "They stay in the message."),)
    target = dataclasses.replace(target, mta=dataclasses.replace(mta, capabilities=limits))
    plan = joined(target, present())
    script = (written(plan)[SCRIPT] or b"").decode()
    # Whoever forges a marker must not get past anybody's scripts.
    assert "INBOX" not in script
    assert re.search(
        r'if allof \(header :regex \[.*X-Conbool-Flag.*, not header :regex "X-Conbool-Released"', script
    )
    assert any("They stay in the message" in note.text for note in plan.notices)
    plan = joined(target, present(), action="header")
    assert plan.files == ()
    assert "They stay in the message" in plan.notices[0].text


def test_broken_dovecot_that_gets_the_mail() -> None:
    broken = Detection("dovecot", Outcome.BROKEN, "", "line 3: oops", "Repair it.", role="mailbox")
    with pytest.raises(CheckFailedError, match="line 3: oops"):
        joined(postfix(*BY_LMTP), broken)
    assert joined(postfix("", LMTP), broken) == EMPTY


def test_stopped_dovecot_and_no_compiler_are_told() -> None:
    plan = joined(postfix(*BY_LMTP), present(running=False), compiled=None)
    assert {BINARY}.isdisjoint(written(plan))
    assert len(plan.notices) == 2
