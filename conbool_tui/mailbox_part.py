"""Join what stands behind the mail transfer agent to its plan (guide steps C and D): one plan, one change, one undo."""

from __future__ import annotations

import dataclasses
from typing import Callable, Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.plan import Notice, Plan, Step, combine
from conbool_tui.planners.dovecot import names, plan_dovecot, sieve_script, spam_folder, unchecked_script
from conbool_tui.planners.dovecot.handover import handover
from conbool_tui.planners.sendmail.mta import files_by_procmail

MARKERS_REMOVED = "removing markers of strangers"
"""The capability without which no script may go by markers."""
Compile = Callable[[str, str, bytes], Optional[bytes]]
"""The compiled form of a Sieve script: configuration file, the script's path, its text (``systems.sievec.compile_script``)."""
_FALLBACK = "flagged mail gets X-Spam-Flag: YES, which mailbox servers and mail programs file by."


def with_mailbox(plan: Plan, facts: HostFacts, target: Detection, answers: Answers, compile: Compile) -> Plan:
    """The plan with what Dovecot must do. Unchanged but for a notice where there is none, or where it does not get the mail.

    Raises:
        CheckFailedError: the Dovecot that gets the mail cannot be used.
    """
    found = facts.get("dovecot")
    if found is None or found.outcome is Outcome.ABSENT or found.system in target.covers:
        if target.covers or answers.spam.action != "folder" or _files_itself(target):
            return plan
        return _told(
            plan, "note", f"No Dovecot was found here that could file mail into a folder: {_FALLBACK}"
        )
    ways = handover(target)
    if ways == () and _files_itself(target):
        return plan
    if found.outcome is Outcome.BROKEN:
        if not ways:
            return plan
        raise CheckFailedError(
            f"Dovecot gets the mail of this server, and its configuration cannot be used: {found.reason or found.summary}",
            "Released mail must reach the inbox and flagged mail its folder, which could be neither set up nor checked.",
            found.remedy or "Repair it first; conbool-tui detect shows details.",
        )
    dovecot = found.dovecot
    if found.outcome is Outcome.MANAGED or dovecot is None:
        return _told(plan, "note", f"Dovecot is managed by {found.managed_by} and is left alone: {_FALLBACK}")
    kept = target.mta.unavailable(MARKERS_REMOVED) if target.mta is not None else ""
    why_not = _why_not(dovecot, ways)
    if why_not:
        told: tuple[Notice, ...] = ()
        if ways != ():
            told = (Notice("warn", f"{why_not} Until then {_FALLBACK}", Step.C),)
        elif answers.spam.action == "folder":
            told = (Notice("note", f"{why_not} So {_FALLBACK}", Step.C),)
        return combine(plan, plan_dovecot(dovecot, None, None, told))
    if kept:
        return combine(plan, _unchecked(dovecot, answers, ways, kept, compile))
    name = target.mta.host_name if target.mta is not None else ""

    def script(folder: str, patterns: bool) -> str:
        return sieve_script(answers, folder, name, patterns=patterns)

    return combine(plan, _planned(dovecot, answers, ways, script, compile))


def _unchecked(
    facts: DovecotFacts, answers: Answers, ways: Optional[tuple[str, ...]], kept: str, compile: Compile
) -> Plan:
    """The plan behind an MTA that leaves strangers' markers in: flagged mail is filed, released mail is left to the other scripts."""
    text = f"Released mail still passes the other Sieve scripts, so that no stranger's header gets past them: {kept.rstrip('.')}."
    told = Notice("warn", text, Step.D)
    if not unchecked_script(answers, "-"):
        return plan_dovecot(facts, None, None, (told,))

    def script(folder: str, patterns: bool) -> str:
        return unchecked_script(answers, folder, patterns=patterns)

    plan = _planned(facts, answers, ways, script, compile)
    return dataclasses.replace(plan, notices=(*plan.notices, told))


def plan_mailbox_server(facts: DovecotFacts, answers: Answers, compile: Compile) -> Plan:
    """The plan for a Dovecot whose mail transfer agent is another machine: its markers must have been checked there.

    Raises:
        CheckFailedError: it cannot run Sieve scripts at delivery.
    """
    why_not = _why_not(facts, None)
    if why_not:
        raise CheckFailedError(why_not, "Filing is all that Dovecot does for Conbool.", "")

    def script(folder: str, patterns: bool) -> str:
        return sieve_script(answers, folder, "", patterns=patterns)

    return _planned(facts, answers, None, script, compile)


def _planned(
    facts: DovecotFacts,
    answers: Answers,
    ways: Optional[tuple[str, ...]],
    script: Callable[[str, bool], str],
    compile: Compile,
) -> Plan:
    """The plan for a script, given as what makes it of the folder and whether patterns may be used."""
    path, folder = names.script(facts.config_directory), spam_folder(facts, answers)
    text = script(folder, True)
    compiled = compile(facts.config_file, path, text.encode())
    if compiled is None:
        plain = script(folder, False)
        compiled = compile(facts.config_file, path, plain.encode())
        text = text if compiled is None else plain
    return plan_dovecot(facts, text, compiled, _notices(facts, ways, compiled))


def _files_itself(target: Detection) -> bool:
    """Whether the MTA's own plan files flagged mail, or says why not: Exim's does, and Sendmail's where procmail is its local mailer."""
    return target.exim is not None or (target.sendmail is not None and files_by_procmail(target.sendmail))


def _why_not(facts: DovecotFacts, ways: Optional[tuple[str, ...]]) -> str:
    """Why Dovecot cannot file mail here, a sentence or two; empty when it can."""
    if ways == ():
        return "The mail server does not hand mail to Dovecot but keeps it itself, so no Sieve script would see it."
    if not facts.sieve_installed:
        return (
            "This Dovecot has no Sieve plugin, so it cannot file flagged mail and cannot keep other filters from released mail: install "
            "it (package dovecot-sieve on Debian, dovecot-pigeonhole on Fedora and RHEL), switch it on for delivery, and run again."
        )
    missing = [way for way in ways or ("lmtp",) if way not in facts.sieve_for]
    if missing and not facts.sieve_for:
        setting = (
            "mail_plugins = $mail_plugins sieve" if facts.syntax == "2.3" else "mail_plugins { sieve = yes }"
        )
        return (
            f"Dovecot's Sieve plugin is not switched on for {' and '.join(missing)}: set {setting} in protocol {missing[0]}, which also "
            "makes the users' own scripts run, and run again."
        )
    return ""


def _notices(
    facts: DovecotFacts, ways: Optional[tuple[str, ...]], compiled: Optional[bytes]
) -> tuple[Notice, ...]:
    found = [Notice("warn", text, Step.C) for text in facts.warnings]
    found += [
        Notice("warn", f"Mail that is delivered by {way} passes no Sieve: the plugin is off there.", Step.C)
        for way in ways or ()
        if way not in facts.sieve_for
    ]
    if ways is None:
        found.append(
            Notice(
                "note",
                "Dovecot files mail only when this mail server hands it over by LMTP or dovecot-lda.",
                Step.C,
            )
        )
    if not facts.running:
        found.append(
            Notice("note", "Dovecot is not running: it reads the new files when it is started.", Step.C)
        )
    if compiled is None:
        found.append(
            Notice(
                "note",
                "The Sieve script could not be compiled beforehand: Dovecot compiles it for every message and logs that it cannot keep the "
                "result. `sievec` on the script ends that.",
                Step.C,
            )
        )
    return tuple(found)


def _told(plan: Plan, level: str, text: str) -> Plan:
    return dataclasses.replace(plan, notices=(*plan.notices, Notice(level, text, Step.C)))
