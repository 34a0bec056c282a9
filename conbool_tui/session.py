"""One run of the program over one host: what the command line and the wizard both call. No terminal, no
Textual.

The wizard and the CLI differ only in how they ask and show; everything they do is a method here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Callable, Optional

from conbool_tui import answers_file, closing, host_answers, keyboard
from conbool_tui.allowed import allowed_networks
from conbool_tui.answers import Answers
from conbool_tui.answers_file import AnswerError
from conbool_tui.checks.dns_model import DomainReport
from conbool_tui.errors import CheckFailedError, ConboolError, UsageError
from conbool_tui.facts import Detection, HostFacts, MtaFacts, Outcome
from conbool_tui.findings import Finding, Status
from conbool_tui.firewall_part import with_firewall
from conbool_tui.host import Host
from conbool_tui.mta import mta_facts
from conbool_tui.mx_memory import MxMemory
from conbool_tui.places import DEFAULT_STATE_DIR
from conbool_tui.plan import Notice, Plan, Step
from conbool_tui.planners import plan_mail_system
from conbool_tui.present_senders import SenderReport
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt

if TYPE_CHECKING:
    from conbool_tui.checks.drift import Drift
    from conbool_tui.transaction import Choices, Conflict
    from conbool_tui.transaction.orders import Order
    from conbool_tui.transaction.watching import StartWorker


class Session:
    """All operations over one host.

    Args:
        host: the machine.
        state_dir: folder of lock, journal and backups, a path inside the host's root.
        mail_system: name of the mail system to work on when several are present.
        start_worker: starts the process that does what changes the running system; tests give another one.
    """

    def __init__(
        self,
        host: Host,
        state_dir: str = DEFAULT_STATE_DIR,
        mail_system: Optional[str] = None,
        start_worker: Optional[StartWorker] = None,
    ) -> None:
        self.host = host
        self.state_dir = state_dir
        self.mail_system = mail_system
        self._start_worker = start_worker
        self._mx = MxMemory(host)
        self._planned: Optional[tuple[Plan, Answers]] = None

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
        found = facts.choices
        if not found:
            for detection in facts.detections:
                _refuse_groupware(detection)
                _refuse_mailbox(detection)
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
        mta = mta_facts(target)
        if not answers.domains and mta is not None:
            answers = dataclasses.replace(answers, domains=host_answers.default_domains(mta))
        answers = answers_file.checked(answers)
        if target.postfix is not None:
            host_answers.check_instance(answers, target.postfix)
        if not answers.domains:
            raise AnswerError(
                "domains",
                "domains is missing: no hosted domain was found on this server.",
                "Everything is decided by the hosted domains: who uses the smart host, and what is delivered "
                "here.",
                "Give domains in the answers file, or --domains example.com,example.org on the command line.",
            )
        if mta is not None:
            host_answers.check_protocols(answers, mta)
            host_answers.check_capabilities(answers, mta)
        if target.role == "mta":
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
        # Planners are not loaded before they are needed: that would delay the wizard's first picture.
        from conbool_tui.mailbox_part import plan_mailbox_server, with_mailbox
        from conbool_tui.planners.filters import plan_filters
        from conbool_tui.systems.sievec import compile_script

        compiler = partial(compile_script, self.host)
        if target.role == "mailbox" and target.dovecot is not None:
            plan = plan_mailbox_server(target.dovecot, answers, compiler)
        else:
            plan = plan_mail_system(target, answers)
        mta = mta_facts(target)
        if mta is not None:
            plan = with_mailbox(plan, facts, target, answers, compiler)
            plan = plan_filters(plan, facts, target, answers)
            plan = with_firewall(plan, facts, mta, answers)
            plan = self._closing(plan, mta, answers)
            plan = dataclasses.replace(plan, notices=plan.notices + host_answers.notices(answers, mta))
        self._planned = (plan, answers)
        return plan

    def _closing(self, plan: Plan, facts: MtaFacts, answers: Answers) -> Plan:
        """Refuse to close port 25 while mail comes here directly, or let it be confirmed twice. Raises ClosingError."""
        if not plan.confirm_within or not answers.inbound.restrict_port_25:
            return plan
        hosted = dict.fromkeys((*answers.domains, *host_answers.default_domains(facts)))
        doubtful = closing.not_conbools(self._mx.reports(tuple(hosted), answers))
        if not doubtful:
            return plan
        if not answers.inbound.close_despite_mx:
            raise closing.ClosingError(doubtful)
        question = closing.question(doubtful)
        return dataclasses.replace(
            plan, ask_again=question, notices=(Notice("warn", question, Step.B), *plan.notices)
        )

    def apply(
        self, plan: Plan, progress: Optional[ProgressSink] = None, *, by_probe: bool = False
    ) -> Receipt:
        """Apply as a transaction. A plan with ``confirm_within`` leaves a change that waits for ``confirm``.

        Args:
            by_probe: an SMTP connection from one of the answers' networks confirms, too.

        Raises:
            NeedsRootError, LockedError, CheckFailedError, RolledBackError, RollbackIncompleteError.
        """
        from conbool_tui.transaction.orders import APPLY, Order

        self.require_root("Applying a plan")
        networks: tuple[str, ...] = ()
        if self._planned is not None and self._planned[0] is plan:
            answers = self._planned[1]
            plan = dataclasses.replace(plan, answers=answers_file.dump(answers))
            if by_probe:
                networks = (*answers.conbool_networks, *answers.inbound.extra_networks)
        if plan.empty:
            raise CheckFailedError(
                "There is nothing to apply.", "The mail system is already configured like this.", ""
            )
        receipt = self._perform(Order(APPLY, plan=plan, probe_networks=networks), progress)
        assert receipt is not None
        return receipt

    @property
    def detached(self) -> bool:
        """Whether apply, undo and recover are done by a process of its own, which goes on when this one ends.

        The running system is worked on like that; files below another root are written by this process.
        """
        return self._start_worker is not None or self.host.root == "/"

    def _perform(self, order: Order, progress: Optional[ProgressSink]) -> Optional[Receipt]:
        """Have it done. Raises as apply."""
        if self.detached:
            from conbool_tui.transaction import watching

            start = self._start_worker or watching.start_process
            return watching.hand_over(self.host, self.state_dir, order, progress, start)
        from conbool_tui.systems import make_system
        from conbool_tui.transaction.orders import perform

        return perform(self.host, self.state_dir, order, partial(make_system, self.host), progress)

    def undo(
        self,
        change_id: Optional[str] = None,
        progress: Optional[ProgressSink] = None,
        *,
        choices: Optional[Choices] = None,
        asked: Sequence[Conflict] = (),
    ) -> Receipt:
        """Take a change back (the newest that is applied when no id is given).

        Args:
            choices: what to do about ``conflicts``: "keep" or "put back", by path and key.
            asked: the conflicts as they were shown when choosing. A choice about a value that was edited again since
                does not count; one about a conflict that is not among these is about whatever is there.

        Raises:
            UsageError: an unknown id.
            UndoConflictError: later edits touch what is to be taken back, and nothing was chosen, or the value was
                edited again; its ``conflicts`` are those that must be asked about (again), as they are now.
            ConboolError: as apply.
        """
        from conbool_tui.transaction import asked_about
        from conbool_tui.transaction.orders import UNDO, Order

        self.require_root("Taking a change back")
        found = self.undo_target(change_id)
        order = Order(UNDO, change_id=found.id, choices=choices or {}, asked=asked_about(asked))
        receipt = self._perform(order, progress)
        assert receipt is not None
        return receipt

    def unseen(self) -> Optional[Receipt]:
        """The newest change when it ended, or began to wait for confirmation, while nobody watched; None when there is none.

        It stays unseen until ``seen``.
        """
        from conbool_tui.transaction.seen import unseen

        return unseen(self.host, self.state_dir)

    def seen(self) -> None:
        """Note that the admin was told how the newest change stands."""
        from conbool_tui.transaction.seen import mark_seen

        if self.host.is_root or not self.host.live:
            mark_seen(self.host, self.state_dir)

    def conflicts(self, change_id: Optional[str] = None) -> tuple[Conflict, ...]:
        """What was edited since a change and what its undo would have to ask about; read only. Raises as undo_target."""
        from conbool_tui.systems import make_system
        from conbool_tui.transaction import find_conflicts

        return find_conflicts(
            self.host,
            self.state_dir,
            self.undo_target(change_id).id,
            system_for=partial(make_system, self.host),
        )

    def unconfirmed(self) -> Optional[Receipt]:
        """A change that is live and is taken back by itself unless somebody confirms it, None when there is none."""
        from conbool_tui.transaction import find_unconfirmed

        return find_unconfirmed(self.host, self.state_dir)

    def confirm(self, change_id: Optional[str] = None) -> Receipt:
        """Keep a change that waits for confirmation.

        Raises:
            NeedsRootError, LockedError: it cannot begin.
            UsageError: no change waits, or not this one.
            CheckFailedError: it could not be recorded.
            RolledBackError, RollbackIncompleteError: it is too late.
        """
        from conbool_tui.systems import make_system
        from conbool_tui.transaction import confirm_change

        self.require_root("Confirming a change")
        receipt = confirm_change(
            self.host, self.state_dir, change_id, system_for=partial(make_system, self.host)
        )
        self.seen()
        return receipt

    def applied_answers(self) -> Answers:
        """The answers of the newest change that is in force. Raises CheckFailedError: there is none, or it has none."""
        from conbool_tui.transaction import load_plan

        for receipt in self.history():
            if receipt.state in (ChangeState.APPLIED, ChangeState.UNCONFIRMED) and not receipt.undo_of:
                text = load_plan(self.host, self.state_dir, receipt.id).answers
                if text:
                    return answers_file.load(text.encode("utf-8"), f"change {receipt.id}")
                break
        raise CheckFailedError(
            "There are no recorded answers on this server.",
            "Only a change that this program applied keeps the answers it was made from.",
            "Use conbool-tui apply --answers FILE with the new values.",
        )

    def _answers_in_force(self) -> Answers:
        """The recorded answers, the defaults when nothing was applied."""
        try:
            return self.applied_answers()
        except ConboolError:
            return Answers()

    def journal(self, change_id: str) -> str:
        """The journal of one change as a text. Raises UsageError for an unknown id."""
        from conbool_tui.transaction import journal_text

        return journal_text(self.host, self.state_dir, change_id)

    def undo_target(self, change_id: Optional[str] = None) -> Receipt:
        """The change that ``undo`` would take back. Raises UsageError: unknown id, or nothing to take
        back.
        """
        unfinished = self.unconfirmed() or self.unfinished()
        if unfinished is not None and change_id in (None, unfinished.id):
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

    def half_done(self) -> str:
        """What ``unfinished`` is about, in sentences: who works on it, or what it had touched and how it is taken back. Empty when
        there is nothing.
        """
        from conbool_tui.transaction.half_done import half_done_text

        found = self.unfinished()
        return "" if found is None else half_done_text(self.host, self.state_dir, found)

    def recover(
        self, progress: Optional[ProgressSink] = None, *, now: bool = False, accept: bool = False
    ) -> Optional[Receipt]:
        """Finish the rollback of an unfinished change, under the lock. None when there was nothing to do.

        Args:
            now: take a change that waits for confirmation back before its time is over.
            accept: leave files and rules edited meanwhile, and the mail system, as they are, and close the change.
        """
        from conbool_tui.transaction.orders import RECOVER, Order

        self.require_root("Finishing the rollback")
        if not (self.unfinished() or (now and self.unconfirmed())):
            return None
        return self._perform(Order(RECOVER, now=now, accept=accept), progress)

    def check(
        self,
        answers: Optional[Answers] = None,
        progress: Optional[ProgressSink] = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Finding]:
        """Prerequisites and verification: TLS to the smart host, client certificate, SMTP reachability,
        drift.
        """
        from conbool_tui.checks.run import run_checks

        answers = answers_file.checked(answers or self._answers_in_force())
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
            host_answers.check_instance(answers, target.postfix)
        mta = mta_facts(target)
        if mta is not None and not answers.domains:
            answers = dataclasses.replace(answers, domains=host_answers.default_domains(mta))
        findings += run_checks(
            self.host, self.state_dir, facts, target, answers, progress or _silent, cancelled
        )
        return findings

    def drift(self) -> list[Drift]:
        """What differs from what was applied, key by key; read only."""
        from conbool_tui.checks.drift import find_drift

        return find_drift(self.host, self.state_dir)

    def accept_drift(self, drift: Sequence[Drift]) -> None:
        """Record values that differ as the admin's: checks are content with them, and undo leaves them alone.

        Raises:
            NeedsRootError, LockedError: it cannot begin.
            CheckFailedError: it cannot be recorded.
        """
        from conbool_tui.transaction import accept

        self.require_root("Accepting what differs")
        found: dict[str, dict[tuple[str, str], Optional[str]]] = {}
        for item in drift:
            found.setdefault(item.change_id, {})[item.path, item.key] = item.now
        accept(self.host, self.state_dir, found)

    def prunable(self, keep: int = 0) -> list[Receipt]:
        """Records nothing can be taken back from any more, newest first; the ``keep`` newest records are never among them."""
        from conbool_tui.transaction.lineage import prunable

        return prunable(self.history(), keep)

    def prune(self, keep: int = 0) -> list[Receipt]:
        """Remove the ``prunable`` records. Raises NeedsRootError, LockedError, HostError."""
        from conbool_tui.transaction.pruning import prune

        self.require_root("Removing records")
        return prune(self.host, self.state_dir, keep)

    def look_up(
        self,
        answers: Answers,
        on_report: Callable[[DomainReport], None],
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink] = None,
    ) -> list[DomainReport]:
        """What name service publishes about the domains; each report is also given to ``on_report`` as soon as it is there."""
        from conbool_tui.checks import dns

        return dns.look_up(
            answers.domains,
            answers,
            on_report=on_report,
            cancelled=cancelled,
            progress=progress,
            own_addresses=self.host.addresses(),
        )

    def senders(
        self,
        answers: Answers,
        facts: HostFacts,
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink] = None,
    ) -> SenderReport:
        """Who hands mail to port 25 today (mail log), and who of them could not under the answers. Raises as target."""
        from conbool_tui.mail_log import read_senders

        target = self.target(facts)
        postfix, mta = target.postfix, mta_facts(target)
        if postfix is None or mta is None:
            raise CheckFailedError("The mail log of this mail system cannot be read yet.", "", "")
        return read_senders(
            self.host, postfix, allowed_networks(mta, answers), cancelled=cancelled, progress=progress
        )

    def read_networks(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The networks of a list file, merged, and what was noticed (sentences). Raises UsageError."""
        from conbool_tui.network_lists import read_list

        return read_list(*keyboard.place(path))

    def path_exists(self, path: str) -> bool:
        """True when saving to ``path`` would replace something; a relative path counts from the current folder."""
        return keyboard.exists(path)

    def save_text(self, text: str, path: str) -> None:
        """Write a transcript, mode 0600; a relative path counts from the current folder. Raises HostError."""
        keyboard.write(path, text.encode("utf-8", "replace"))

    def save_answers(self, answers: Answers, path: str) -> None:
        """Write an answers file, mode 0600; a relative path counts from the current folder.

        Raises:
            AnswerError: the answers could not be read back.
            HostError, NeedsRootError: the file cannot be written.
        """
        text = answers_file.dump(answers_file.checked(answers))
        keyboard.write(path, text.encode("utf-8"))

    def require_root(self, doing: str) -> None:
        """Refuse work that only root can do. Raises NeedsRootError."""
        self.host.require_root(doing)


def _usable(detection: Detection) -> Detection:
    """The detection, when there is something to work on. Raises CheckFailedError."""
    if detection.outcome is Outcome.ABSENT:
        raise CheckFailedError(
            f"No {detection.system} found.",
            detection.reason or "It is not installed on this host.",
            "conbool-tui detect shows what was found.",
        )
    _refuse_groupware(detection)
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


def _refuse_groupware(detection: Detection) -> None:
    """Refuse what is there and only uses the mail system of another host. Raises CheckFailedError."""
    if detection.role == "groupware" and detection.outcome is Outcome.PRESENT:
        raise CheckFailedError(
            detection.reason, "There is no mail system on this host that could be set up.", detection.remedy
        )


def _refuse_mailbox(detection: Detection) -> None:
    """Say what can be done where only mailboxes are. Raises CheckFailedError."""
    if detection.role == "mailbox" and detection.outcome is Outcome.PRESENT:
        raise CheckFailedError(
            f"No mail system found but {detection.system.capitalize()}, which keeps mail that another server hands over.",
            "The smart host, loop protection and port 25 are that server's work.",
            f"Run conbool-tui there; --mail-system {detection.system} with the same answers sets up the Sieve script here.",
        )


def _silent(progress: Progress) -> None:
    """A progress sink that shows nothing."""
