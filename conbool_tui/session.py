"""One run of the program over one host: what the command line and the wizard both call. No terminal, no
Textual.

The wizard and the CLI differ only in how they ask and show; everything they do is a method here.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Sequence
from functools import partial
from typing import Optional

from conbool_tui import answer_forms, answers_file
from conbool_tui.answers import Answers
from conbool_tui.answers_file import AnswerError
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.facts import Detection, HostFacts, Outcome, PostfixFacts
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.places import DEFAULT_STATE_DIR
from conbool_tui.plan import Notice, Plan, Step
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
_LOCAL_NAMES = frozenset(("localhost", "localhost.localdomain"))


class Session:
    """All operations over one host.

    Args:
        host: the machine.
        state_dir: folder of lock, journal and backups, a path inside the host's root.
        mail_system: name of the mail system to work on when several are present.
    """

    def __init__(
        self, host: Host, state_dir: str = DEFAULT_STATE_DIR, mail_system: Optional[str] = None
    ) -> None:
        self.host = host
        self.state_dir = state_dir
        self.mail_system = mail_system

    def detect(self, instance: Optional[str] = None) -> HostFacts:
        """Run every detector; read only. ``instance`` picks a Postfix instance on a host with several."""
        from detectors import detect_host

        return detect_host(self.host, instance)

    def target(self, facts: HostFacts) -> Detection:
        """The one detection to work on.

        Raises:
            CheckFailedError: none is present, it is broken, managed by something else, or several are
                present and none was named.
            UsageError: the named mail system is unknown.
        """
        return _usable(self._chosen(facts))

    def _chosen(self, facts: HostFacts) -> Detection:
        """The one detection that is meant, usable or not. Raises as ``target``."""
        if self.mail_system is not None:
            named = facts.get(self.mail_system)
            if named is None:
                known = ", ".join(detection.system for detection in facts.detections)
                raise UsageError(
                    f"{self.mail_system} is no mail system this program knows.",
                    "",
                    f"Give --mail-system one of: {known}.",
                )
            return named
        found = [detection for detection in facts.detections if detection.outcome is not Outcome.ABSENT]
        if not found:
            raise CheckFailedError(
                "No mail system found.",
                "There is nothing here that could be connected to Conbool.",
                "Run conbool-tui on the mail server, or give --root the folder where its system is mounted.",
            )
        if len(found) > 1:
            names = ", ".join(f"{detection.system} ({detection.summary.rstrip('.')})" for detection in found)
            choices = " or ".join(f"--mail-system {detection.system}" for detection in found)
            raise CheckFailedError(
                f"Several mail systems found: {names}.",
                "Only one of them can be worked on at a time.",
                f"Give {choices}.",
            )
        return found[0]

    def complete(self, answers: Answers, facts: HostFacts) -> Answers:
        """Fill what the admin left open from the facts (domains detected) and check the answers against host
        and facts.

        Raises:
            UsageError: an answer cannot be used on this host (no domains, certificate missing, expired or
                not matching its key, IPv6 networks where the mail system speaks only IPv4, several instances
                and none named, …).
        """
        target = self.target(facts)
        if not answers.domains and target.postfix is not None:
            answers = dataclasses.replace(answers, domains=default_domains(target.postfix))
        answers = answers_file.checked(answers)
        if target.postfix is not None:
            _check_instance(answers, target.postfix)
        if not answers.domains:
            raise AnswerError(
                "domains",
                "domains is missing: no hosted domain was found on this server.",
                "Everything is decided by the hosted domains: who uses the smart host, and what is delivered "
                "here.",
                "Give domains in the answers file, or --domains example.com,example.org on the command line.",
            )
        if target.postfix is not None:
            _check_protocols(answers, target.postfix)
        self._check_files(answers)
        return answers

    def _check_files(self, answers: Answers) -> None:
        """Certificates and CA file: there, readable, matching and valid. Raises AnswerError."""
        from conbool_tui.checks import certificates

        smart_host = answers.smart_host
        trouble = None
        if smart_host.ca_file is not None:
            trouble = certificates.examine_ca_file(self.host, smart_host.ca_file)
        if (
            trouble is None
            and smart_host.client_certificate is not None
            and smart_host.client_key is not None
        ):
            trouble = certificates.examine_pair(
                self.host, smart_host.client_certificate, smart_host.client_key
            )
        if trouble is not None:
            raise AnswerError(trouble.key, trouble.what, trouble.why, trouble.todo)

    def plan(self, answers: Answers, facts: Optional[HostFacts] = None) -> Plan:
        """The plan for these answers; read only. Detects when ``facts`` is not given. Raises as target and
        complete.
        """
        if facts is None:
            facts = self.detect(answers.instance)
        target = self.target(facts)
        answers = self.complete(answers, facts)
        if target.postfix is None:
            raise CheckFailedError(
                f"{target.system} was found, and this version cannot plan for it.",
                "",
                "Look for a newer version of conbool-tui.",
            )
        from conbool_tui.planners.postfix import plan_postfix

        plan = plan_postfix(target.postfix, answers)
        return dataclasses.replace(plan, notices=plan.notices + _notices(answers, target.postfix))

    def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
        """Apply as a transaction. Raises NeedsRootError, LockedError, CheckFailedError, RolledBackError,
        RollbackIncompleteError.
        """
        from conbool_tui.mail_system import MailTarget
        from conbool_tui.systems import make_system
        from conbool_tui.transaction import apply_plan

        self.require_root("Applying a plan")
        system = make_system(self.host, MailTarget(plan.system, plan.instance, plan.config_directory))
        return apply_plan(self.host, self.state_dir, system, plan, progress)

    def undo(self, change_id: Optional[str] = None, progress: Optional[ProgressSink] = None) -> Receipt:
        """Take a change back (the newest that is applied when no id is given). Raises as apply, UsageError
        for an unknown id.
        """
        from conbool_tui.systems import make_system
        from conbool_tui.transaction import undo_change

        self.require_root("Taking a change back")
        found = self.undo_target(change_id)
        return undo_change(self.host, self.state_dir, partial(make_system, self.host), found.id, progress)

    def undo_target(self, change_id: Optional[str] = None) -> Receipt:
        """The change that ``undo`` would take back. Raises UsageError: unknown id, or nothing to take
        back.
        """
        unfinished = self.unfinished()
        if unfinished is not None and change_id is None:
            return unfinished
        changes = list(self.history())
        if change_id is None:
            for receipt in changes:
                if receipt.state is ChangeState.APPLIED and not receipt.undo_of:
                    return receipt
            raise UsageError(
                "There is no change to take back.",
                "",
                "conbool-tui history lists what was done on this server.",
            )
        for receipt in changes:
            if receipt.id == change_id:
                if receipt.state in (ChangeState.UNDONE, ChangeState.ROLLED_BACK):
                    raise UsageError(
                        f"Change {change_id} is {receipt.state.value} already.",
                        "",
                        "conbool-tui history lists all changes.",
                    )
                return receipt
        raise UsageError(
            f"There is no change {change_id}.", "", "conbool-tui history lists the changes and their ids."
        )

    def history(self) -> Sequence[Receipt]:
        """All recorded changes, newest first."""
        from conbool_tui.transaction import list_changes

        return list_changes(self.host, self.state_dir)

    def unfinished(self) -> Optional[Receipt]:
        """A change that was begun and neither finished nor rolled back (a crash), None when there is none."""
        from conbool_tui.transaction import find_unfinished

        return find_unfinished(self.host, self.state_dir)

    def recover(self, progress: Optional[ProgressSink] = None) -> Optional[Receipt]:
        """Finish the rollback of an unfinished change, under the lock. None when there was nothing to do."""
        from conbool_tui.systems import make_system
        from conbool_tui.transaction import recover

        self.require_root("Finishing the rollback")
        return recover(self.host, self.state_dir, partial(make_system, self.host), progress)

    def check(
        self, answers: Optional[Answers] = None, progress: Optional[ProgressSink] = None
    ) -> list[Finding]:
        """Prerequisites and verification: TLS to the smart host, client certificate, SMTP reachability,
        drift.
        """
        from conbool_tui.checks.run import run_checks

        answers = answers_file.checked(answers or Answers())
        facts = self.detect(answers.instance)
        target = self._chosen(facts)
        findings: list[Finding] = []
        if target.outcome is Outcome.BROKEN:
            # What broke it may be what the admin wants to know: go on with what needs no working mail system.
            summary = f"{target.system}: {(target.reason or target.summary).rstrip('.')}."
            findings.append(Finding("mail-system", Status.FAIL, summary, remedy=target.remedy))
        else:
            _usable(target)
        if target.postfix is not None:
            _check_instance(answers, target.postfix)
            if not answers.domains:
                answers = dataclasses.replace(answers, domains=default_domains(target.postfix))
        findings += run_checks(self.host, self.state_dir, facts, target, answers, progress or _silent)
        return findings

    def save_answers(self, answers: Answers, path: str) -> None:
        """Write an answers file, mode 0600; a relative path counts from the current folder.

        Raises:
            AnswerError: the answers could not be read back.
            HostError, NeedsRootError: the file cannot be written.
        """
        text = answers_file.dump(answers_file.checked(answers))
        # Like --answers, this is a file of the admin at the keyboard, also when --root names another system.
        Host("/").write_atomic(os.path.abspath(path), text.encode("utf-8"), mode=0o600)

    def require_root(self, doing: str) -> None:
        """Refuse work that only root can do. Raises NeedsRootError."""
        self.host.require_root(doing)


def default_domains(facts: PostfixFacts) -> tuple[str, ...]:
    """The hosted domains an admin means when saying nothing: those found, without localhost, this machine's
    own name and bare host names.
    """
    own_name = facts.expanded.get("myhostname", facts.parameters.get("myhostname", "")).lower()
    found = []
    for name in facts.domains.all():
        lowered = name.lower().rstrip(".")
        if lowered == own_name or lowered in _LOCAL_NAMES or lowered.startswith("localhost."):
            continue
        try:
            found.append(answer_forms.domain(lowered))
        except answer_forms.FormError:
            continue
    return tuple(dict.fromkeys(found))


def _usable(detection: Detection) -> Detection:
    """The detection, when there is something to work on. Raises CheckFailedError."""
    if detection.outcome is Outcome.ABSENT:
        raise CheckFailedError(
            f"No {detection.system} found.",
            detection.reason or "It is not installed on this host.",
            "conbool-tui detect shows what was found.",
        )
    if detection.outcome is Outcome.BROKEN:
        raise CheckFailedError(
            f"{detection.system} is there, but its configuration cannot be used: "
            f"{detection.reason or detection.summary}",
            "A change on top of a broken configuration could be neither checked nor proven.",
            detection.remedy or "Repair it first; conbool-tui detect shows details.",
        )
    if detection.outcome is Outcome.MANAGED:
        raise CheckFailedError(
            f"{detection.system} is managed by {detection.managed_by or 'something else'} here (seen in "
            f"{detection.evidence or 'its files'}).",
            "It writes these files itself and would overwrite a change, or be broken by it.",
            detection.remedy or f"Set the smart host in {detection.managed_by or 'that program'}.",
        )
    return detection


def _check_instance(answers: Answers, facts: PostfixFacts) -> None:
    """Several instances: one must be named, and it must exist. Raises AnswerError."""
    names = [instance.name for instance in facts.instances]
    listed = ", ".join(f"{instance.name} ({instance.config_directory})" for instance in facts.instances)
    if answers.instance is None:
        if len(names) > 1:
            raise AnswerError(
                "instance",
                f"This host has {len(names)} Postfix instances: {listed}.",
                "Each has its own configuration, and only one can be changed at a time.",
                "Give instance in the answers file, or --instance NAME on the command line.",
            )
        return
    if names and answers.instance not in names:
        raise AnswerError(
            "instance",
            f"There is no Postfix instance {answers.instance}.",
            f"This host has: {listed}.",
            "Give --instance one of these names.",
        )
    if names and facts.instance != answers.instance:
        raise AnswerError(
            "instance",
            f"Postfix instance {facts.instance} was looked at, and the answers name {answers.instance}.",
            "A plan is made for the instance that was read.",
            f"Detect again with --instance {answers.instance}.",
        )


def _check_protocols(answers: Answers, facts: PostfixFacts) -> None:
    """Networks of an address family that Postfix does not speak (inet_protocols, postconf(5)). Raises
    AnswerError.
    """
    spoken = {
        word.strip().lower() for word in facts.expanded.get("inet_protocols", "all").replace(",", " ").split()
    }
    if "all" in spoken or not spoken:
        return
    lists = (
        ("conbool_networks", answers.conbool_networks),
        ("inbound.extra_networks", answers.inbound.extra_networks),
    )
    for key, networks in lists:
        for network in networks:
            family = f"ipv{ipaddress.ip_network(network).version}"
            if family not in spoken:
                raise AnswerError(
                    key,
                    f"{key}: {network} is {family.replace('ipv', 'IPv')}, and this Postfix speaks only "
                    f"{' and '.join(sorted(spoken))}.",
                    "No connection from there can ever arrive (inet_protocols in main.cf).",
                    f"Remove {network}, or let Postfix speak both: postconf inet_protocols shows the value.",
                )


def _notices(answers: Answers, facts: PostfixFacts) -> tuple[Notice, ...]:
    """What the admin should know about answers that are allowed and unusual."""
    found: list[Notice] = []
    private = [item for item in answers.conbool_networks if _is_private(item)]
    if private:
        names = ", ".join(private)
        text = f"{names} in conbool_networks is private address space; Conbool's own addresses are public."
        found.append(Notice("note", text, Step.C))
    hosted = {name.lower().rstrip(".") for name in facts.domains.all()}
    unknown = [name for name in answers.domains if name not in hosted]
    if unknown and not facts.domains.unlisted:
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        found.append(
            Notice(
                "warn", f"{shown}: not among the domains hosted on this server. Check the spelling.", Step.A
            )
        )
    return tuple(found)


def _is_private(network: str) -> bool:
    """True for address space of one's own (RFC 1918, 4193, 6598), without the documentation networks."""
    found = ipaddress.ip_network(network)
    return any(found.overlaps(ipaddress.ip_network(block)) for block in _PRIVATE)


def _silent(progress: Progress) -> None:
    """A progress sink that shows nothing."""
