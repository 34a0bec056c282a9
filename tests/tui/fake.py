"""A session over no machine: realistic facts, a small honest planner, and ends of every kind on demand."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.checks.dns_model import DomainReport, Lookup, MailExchanger
from conbool_tui.checks.drift import Drift
from conbool_tui.errors import CheckFailedError, ConboolError, UsageError
from conbool_tui.facts import (
    ContentFilter,
    Detection,
    FirewallFacts,
    FirewallOwner,
    HostedDomains,
    HostFacts,
    Listener,
    Outcome,
    PostfixFacts,
    PostfixInstance,
    Service,
    ServiceOption,
)
from conbool_tui.findings import Finding, Status
from conbool_tui.mta import mta_facts
from conbool_tui.plan import Change, ChangeKind, FileTarget, LiveTarget, Notice, Plan, Step
from conbool_tui.present_senders import PresentSender, SenderReport
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from conbool_tui.transaction import Choices, Conflict, UndoConflictError

MAIN = "/etc/postfix/main.cf"
MASTER = "/etc/postfix/master.cf"
MAIN_TEXT = """\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version
myhostname = mx1.example.com
mydestination = $myhostname, localhost
virtual_alias_domains = example.com, example.net
relayhost =
smtpd_tls_cert_file = /etc/ssl/certs/mx1.pem
"""
MASTER_TEXT = """\
smtp      inet  n       -       y       -       -       smtpd
pickup    unix  n       -       y       60      1       pickup
smtp      unix  -       -       y       -       -       smtp
"""
LANE = """\
conbool-direct unix - - y - - smtp
    -o syslog_name=postfix/conbool-direct
    -o smtp_tls_security_level=may
127.0.0.1:10026 inet n - y - - smtpd
    -o syslog_name=postfix/conbool-split
    -o content_filter=
    -o smtpd_relay_restrictions=permit_mynetworks,reject
"""


def postfix_facts(**changes: object) -> PostfixFacts:
    """A small Debian server with two hosted domains."""
    parameters = {"myhostname": "mx1.example.com", "relayhost": "", "mydestination": "$myhostname, localhost"}
    facts = PostfixFacts(
        version="3.7.11",
        config_directory="/etc/postfix",
        instance="-",
        instances=(PostfixInstance("-", "-", True, "/etc/postfix"),),
        parameters=parameters,
        expanded=parameters,
        explicit=frozenset(parameters),
        services=(Service("smtp", "inet", "smtpd", True, (ServiceOption("content_filter", ""),)),),
        table_types=frozenset({"hash", "pcre", "texthash", "cidr"}),
        default_database_type="hash",
        domains=HostedDomains(
            mydestination=("mx1.example.com",), virtual_alias=("example.com", "example.net")
        ),
        files={},
        running=True,
        listeners=(Listener("0.0.0.0", 25, 812, "master"),),
        port_25_owner="master (Postfix)",
        port_25_services=("smtp/inet",),
        submission_services=("submission/inet",),
        content_filters=(),
        postscreen=False,
        milters=(),
        tls_files={},
        system_ca_file="/etc/ssl/certs/ca-certificates.crt",
        transport_catch_all=None,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def with_filter() -> PostfixFacts:
    """The same server behind Amavis, with an old provider."""
    parameters = {"myhostname": "mx1.example.com", "relayhost": "[smtp.provider.example]:587"}
    return postfix_facts(
        content_filters=(
            ContentFilter("main.cf", "smtp-amavis:[127.0.0.1]:10024", ("127.0.0.1:10025/inet",)),
        ),
        parameters=parameters,
        expanded=parameters,
        warnings=("mail goes through [smtp.provider.example]:587 until now; the scope says who leaves it",),
    )


def host_facts(*detections: Detection) -> HostFacts:
    """A host with these detections."""
    return HostFacts(
        detections or (present(),), port_25_owner="master (Postfix)", firewall=UFW, addresses=("192.0.2.70",)
    )


UFW = FirewallFacts(FirewallOwner.UFW, "ufw is active (/etc/ufw/ufw.conf)")
CONTAINER = FirewallFacts(
    FirewallOwner.CONTAINER,
    "/run/systemd/container says lxc",
    unusable="this is a container without rights over the packet filter",
    remedy="Close port 25 in the firewall of the container's host.",
)


def present(facts: Optional[PostfixFacts] = None) -> Detection:
    """Postfix as it should be."""
    return Detection("postfix", Outcome.PRESENT, "Postfix 3.7.11", postfix=facts or postfix_facts())


ABSENT = Detection(
    "postfix", Outcome.ABSENT, "no Postfix: neither /usr/sbin/postfix nor /etc/postfix/main.cf"
)
BROKEN = Detection(
    "postfix",
    Outcome.BROKEN,
    "Postfix is broken",
    reason="postconf: fatal: main.cf, line 12: missing '=' after attribute name",
    remedy="Correct line 12 of /etc/postfix/main.cf, then choose Search again.",
)
MANAGED = Detection(
    "postfix", Outcome.MANAGED, "Postfix under a panel", managed_by="Plesk", evidence="/usr/local/psa/version"
)


@dataclass
class FakeSession:
    """Does what it is told; ``gate`` holds every slow call until it is set."""

    facts: HostFacts = field(default_factory=host_facts)
    state_dir: str = "/var/lib/conbool-tui"
    mail_system: Optional[str] = None
    apply_error: Optional[ConboolError] = None
    plan_error: Optional[ConboolError] = None
    check_findings: Optional[list[Finding]] = None
    reports: Optional[list[DomainReport]] = None
    looked_up: list[Answers] = field(default_factory=list)
    sender_report: Optional[SenderReport] = None
    asked_senders: list[Answers] = field(default_factory=list)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    receipts: list[Receipt] = field(default_factory=list)
    crashed: Optional[Receipt] = None
    saved: dict[str, Answers] = field(default_factory=dict)
    planned: list[Answers] = field(default_factory=list)
    detected: list[Optional[str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    detached: bool = False
    missed: Optional[Receipt] = None
    edited: tuple[Conflict, ...] = ()
    edited_again: list[tuple[Conflict, ...]] = field(default_factory=list)
    undone: list[tuple[str, dict[tuple[str, str], str], tuple[Conflict, ...]]] = field(default_factory=list)
    undo_waits: int = 0
    undo_error: Optional[ConboolError] = None
    recover_error: Optional[ConboolError] = None
    accepted_meanwhile: bool = False
    differing: list[Drift] = field(default_factory=list)
    accepted: list[Drift] = field(default_factory=list)
    accept_error: Optional[ConboolError] = None
    recorded: Optional[Answers] = None
    journals: dict[str, str] = field(default_factory=dict)
    old: list[Receipt] = field(default_factory=list)
    prune_error: Optional[ConboolError] = None
    threads: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gate.set()

    def detect(self, instance: Optional[str] = None) -> HostFacts:
        self.gate.wait(30)
        self.detected.append(instance)
        return self.facts

    def target(self, facts: HostFacts) -> Detection:
        found = [item for item in facts.detections if item.outcome is Outcome.PRESENT]
        if self.mail_system:
            found = [item for item in found if item.system == self.mail_system]
        if not found:
            raise CheckFailedError("No mail system to set up.", "", "")
        if len(found) > 1:
            raise CheckFailedError(
                "Several mail systems are present.",
                "Only one can be set up at a time.",
                "Choose one of them.",
            )
        return found[0]

    def complete(self, answers: Answers, facts: HostFacts) -> Answers:
        mta = mta_facts(self.target(facts))
        assert mta is not None
        return replace(answers, domains=tuple(name for name in mta.domains.all() if name != mta.host_name))

    def plan(self, answers: Answers, facts: Optional[HostFacts] = None) -> Plan:
        self.planned.append(answers)
        if self.plan_error is not None:
            raise self.plan_error
        if answers.smart_host.client_certificate == "/missing.pem":
            raise UsageError(
                "smart_host.client_certificate: /missing.pem does not exist.",
                "Postfix would not start its TLS.",
                "Type the path of an existing PEM file.",
            )
        if answers.inbound.restrict_port_25 and self.elsewhere and not answers.inbound.close_despite_mx:
            raise CheckFailedError(
                "inbound.restrict_port_25: port 25 would be closed while mail still comes here directly. "
                f"{', '.join(self.elsewhere)}: MX mx1.example.com is not Conbool's.",
                "Senders that follow these MX records would be refused, and their mail would go back to them.",
                "Point the MX records to Conbool first. If you know better, confirm it with "
                "inbound.close_despite_mx: true (--inbound-close-despite-mx).",
            )
        private = [item for item in answers.conbool_networks if item.startswith("10.")]
        if private and not answers.inbound.private_networks:
            raise UsageError(
                f"conbool_networks: {private[0]} is a private range.",
                "Nobody on the internet sends from there.",
                "Confirm it with inbound.private_networks: true.",
            )
        if self.done:
            return Plan("postfix", "-", "/etc/postfix", (), ())
        plan = small_plan(answers)
        if answers.inbound.restrict_port_25 and self.elsewhere:
            asked = f"Mail still comes here directly and will be refused. {', '.join(self.elsewhere)}"
            plan = replace(plan, ask_again=asked, notices=(Notice("warn", asked, Step.B), *plan.notices))
        return plan

    def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
        phases = ("lock", "check", "backup", "stage", "judge", "write", "reload", "health")
        for number, phase in enumerate(phases, 1):
            if progress is not None:
                progress(Progress(phase, f"phase {phase} of the change", number, len(phases)))
            if phase == "write":
                self.gate.wait(30)
        if self.apply_error is not None:
            raise self.apply_error
        receipt = make_receipt("20250102-0304-a1", ChangeState.APPLIED, plan)
        if plan.confirm_within:
            receipt = replace(
                receipt, state=ChangeState.UNCONFIRMED, confirm_by=moment(self.now() + plan.confirm_within)
            )
        self.receipts.insert(0, receipt)
        self.done = True
        return receipt

    def undo(
        self,
        change_id: Optional[str] = None,
        progress: Optional[ProgressSink] = None,
        *,
        choices: Optional[Choices] = None,
        asked: Sequence[Conflict] = (),
    ) -> Receipt:
        assert change_id is not None
        self.undone.append((change_id, dict(choices or {}), tuple(asked)))
        self.gate.wait(30)
        if self.edited_again:
            raise UndoConflictError(change_id, self.edited_again.pop(0))
        if self.undo_error is not None:
            raise self.undo_error
        index = next(place for place, item in enumerate(self.receipts) if item.id == change_id)
        old = self.receipts[index]
        self.receipts[index] = replace(old, state=ChangeState.UNDONE)
        receipt = replace(
            old,
            id=f"20250102-0405-b{len(self.undone) + 1}",
            titles=("undo",),
            undo_of=old.id,
            message="3 files put back",
        )
        if self.undo_waits:
            receipt = replace(
                receipt, state=ChangeState.UNCONFIRMED, confirm_by=moment(self.now() + self.undo_waits)
            )
        self.receipts.insert(0, receipt)
        self.done = False
        return receipt

    def conflicts(self, change_id: Optional[str] = None) -> tuple[Conflict, ...]:
        self._note_thread("conflicts")
        return self.edited

    def journal(self, change_id: str) -> str:
        self._note_thread("journal")
        if change_id not in self.journals:
            raise UsageError(f"There is no change {change_id}.", "", "conbool-tui history lists them.")
        return self.journals[change_id]

    def prunable(self, keep: int = 0) -> list[Receipt]:
        self._note_thread("prunable")
        return self.old

    def prune(self, keep: int = 0) -> list[Receipt]:
        self._note_thread("prune")
        if self.prune_error is not None:
            raise self.prune_error
        gone, self.old = self.old, []
        self.receipts = [item for item in self.receipts if item not in gone]
        return gone

    def unseen(self) -> Optional[Receipt]:
        self._note_thread("unseen")
        return self.missed

    def seen(self) -> None:
        self._note_thread("seen")
        self.missed = None

    def drift(self) -> list[Drift]:
        self._note_thread("drift")
        return [item for item in self.differing if item not in self.accepted]

    def accept_drift(self, drift: Sequence[Drift]) -> None:
        self._note_thread("accept_drift")
        self.gate.wait(30)
        if self.accept_error is not None:
            raise self.accept_error
        self.accepted.extend(drift)

    def applied_answers(self) -> Answers:
        if self.recorded is None:
            raise CheckFailedError(
                "There are no recorded answers on this server.",
                "Only a change that this program applied keeps the answers it was made from.",
                "Use conbool-tui apply --answers FILE with the new values.",
            )
        return self.recorded

    def _note_thread(self, name: str) -> None:
        """The screens' own thread must not wait for the session."""
        if threading.current_thread() is threading.main_thread():
            self.threads.add(name)

    def history(self) -> Sequence[Receipt]:
        return tuple(self.receipts)

    def unfinished(self) -> Optional[Receipt]:
        return self.crashed

    def unconfirmed(self) -> Optional[Receipt]:
        self.gate.wait(30)
        return next((item for item in self.receipts if item.state is ChangeState.UNCONFIRMED), None)

    def settle(self, state: ChangeState, message: str = "") -> Receipt:
        """The end of the change that waits."""
        place = next(
            place for place, item in enumerate(self.receipts) if item.state is ChangeState.UNCONFIRMED
        )
        self.receipts[place] = replace(self.receipts[place], state=state, message=message)
        self.done = state is ChangeState.APPLIED
        return self.receipts[place]

    def confirm(self, change_id: Optional[str] = None) -> Receipt:
        waiting = self.unconfirmed()
        if waiting is None:
            raise CheckFailedError("It is too late.", "The change is being taken back.", "Apply it again.")
        return self.settle(ChangeState.APPLIED)

    def recover(
        self, progress: Optional[ProgressSink] = None, *, now: bool = False, accept: bool = False
    ) -> Optional[Receipt]:
        if self.recover_error is not None and not accept:
            raise self.recover_error
        self.accepted_meanwhile = accept
        if now and self.unconfirmed() is not None:
            return self.settle(ChangeState.ROLLED_BACK, "It was taken back before it was confirmed.")
        if self.crashed is None:
            return None
        receipt = replace(self.crashed, state=ChangeState.ROLLED_BACK)
        self.crashed = None
        return receipt

    def look_up(
        self,
        answers: Answers,
        on_report: Callable[[DomainReport], None],
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink] = None,
    ) -> list[DomainReport]:
        self.looked_up.append(answers)
        made = self.reports if self.reports is not None else [report_of(name) for name in answers.domains]
        for number, report in enumerate(made):
            if number:
                self.gate.wait(30)
            if cancelled():
                break
            on_report(report)
        return made

    def senders(
        self,
        answers: Answers,
        facts: HostFacts,
        cancelled: Callable[[], bool],
        progress: Optional[ProgressSink] = None,
    ) -> SenderReport:
        self.asked_senders.append(answers)
        if progress is not None:
            progress(Progress("read", "/var/log/mail.log.1", 1, 2))
        self.gate.wait(30)
        return self.sender_report or SENDERS

    def read_networks(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if path not in self.lists:
            raise UsageError(f"{path} does not exist.", "", "Type the path of a list.")
        return self.lists[path], ("line 3: 198.51.100.7 lies in 198.51.100.0/24 and was merged",)

    def path_exists(self, path: str) -> bool:
        return path in self.saved or path in self.texts

    def save_text(self, text: str, path: str) -> None:
        self.texts[path] = text

    def check(
        self,
        answers: Optional[Answers] = None,
        progress: Optional[ProgressSink] = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Finding]:
        if progress is not None:
            progress(Progress("check", "connecting to mail.conbool.com", 1, 3))
        self.gate.wait(30)
        return list(self.check_findings if self.check_findings is not None else GOOD)

    def save_answers(self, answers: Answers, path: str) -> None:
        if path.startswith("/proc/"):
            raise UsageError(
                f"{path} cannot be written.", "The folder is read-only.", "Choose another folder."
            )
        self.saved[path] = answers


GOOD = [
    Finding(
        "tls",
        Status.OK,
        "mail.conbool.com:25 offers TLS and its certificate is for mail.conbool.com",
        detail="220 mail.conbool.com ESMTP\n> EHLO mx1.example.com\n250-STARTTLS\n> STARTTLS\n220 go ahead",
    ),
    Finding("client-certificate", Status.NOT_TESTED, "no client certificate is set"),
    Finding("smtp", Status.OK, "SMTP reachable: mx1.example.com answers on port 25"),
]
BAD = [
    Finding(
        "tls",
        Status.FAIL,
        "the certificate of mail.conbool.com is for another name (mail.other.example)",
        remedy="Correct the certificate name in step A, or ask Conbool.",
    ),
    Finding("drift", Status.WARN, "main.cf was edited after the change", remedy="Compare it in Review."),
]


def moment(seconds: float) -> str:
    """A time as receipts write it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def report_of(domain: str, spf: Status = Status.OK) -> DomainReport:
    """What name service says about a domain with Conbool's MX; ``spf`` may be in trouble."""
    published = spf is Status.OK
    lookups = (
        Lookup(
            "MX", domain, Status.OK, ("10 mx.conbool.com",), "mail goes to Conbool only", authenticated=True
        ),
        Lookup(
            "SPF",
            domain,
            spf,
            ("v=spf1 include:spf.conbool.com -all",) if published else (),
            "published" if published else "no SPF record is published",
            remedy="" if published else "Publish the SPF record that the Setup Assistant shows.",
        ),
        Lookup("DMARC", f"_dmarc.{domain}", Status.OK, ("v=DMARC1; p=reject",), "published"),
        Lookup("TXT", domain, Status.OK, ("conbool-verification=0123456789abcdef",), "1 other text"),
    )
    return DomainReport(
        domain, lookups, (MailExchanger(10, "mx.conbool.com", ("198.51.100.7",), True),), True
    )


def mixed_reports() -> list[DomainReport]:
    """One domain of each kind."""
    lost = Lookup("MX", "silent.example", Status.NOT_TESTED, (), "no answer within 5 s")
    wanted = Lookup(
        "EXPECTED",
        "odd.example",
        Status.FAIL,
        ("v=spf1 mx -all",),
        "no TXT record matches include:spf.conbool.com",
        remedy="Publish it as the Setup Assistant shows it.",
    )
    return [
        report_of("example.com"),
        report_of("example.net", Status.WARN),
        DomainReport("silent.example", (lost,)),
        DomainReport("odd.example", (wanted,)),
    ]


SENDERS = SenderReport(
    (
        PresentSender("203.0.113.50", "scanner.example.com", 41, "Nov 20 03:04", True),
        PresentSender("203.0.113.9", "unknown", 4, "Nov 19 22:10", True),
        PresentSender("198.51.100.7", "mx7.conbool.com", 4321, "Nov 20 11:59", False),
    ),
    2,
    7,
    4373,
    45,
    ("/var/log/mail.log.1", "/var/log/mail.log"),
    7.0,
)


def make_receipt(change_id: str, state: ChangeState, plan: Optional[Plan] = None) -> Receipt:
    """A receipt with fixed times."""
    plan = plan or small_plan(Answers())
    return Receipt(
        change_id,
        "postfix",
        state,
        "2025-01-02T03:04:05Z",
        "" if state is ChangeState.UNFINISHED else "2025-01-02T03:04:09Z",
        tuple(change.title for change in plan.changes),
        tuple(target.path for target in plan.files),
    )


def _change(
    kind: ChangeKind, step: Step, title: str, path: str, key: str, before: Optional[str], after: Optional[str]
) -> Change:
    return Change(kind, step, title, "guide", path, key, before, after, "put the old value back")


def small_plan(answers: Answers) -> Plan:
    """Not the real planner: just enough of each kind of change for the screens to show."""
    hop = answers.smart_host.next_hop
    policy = f"{hop} secure match={answers.smart_host.expected_name}\n"
    domains = answers.domains or ("example.com", "example.net")
    headers = "if /^X-Conbool-/\n"
    headers += "".join(
        f"/^{answers.loop_header(domain)}:\\s*true\\s*$/ FILTER conbool-reinject:[127.0.0.1]:10026\n"
        for domain in domains
    )
    headers += (
        f"/^{answers.markers.released}:\\s*yes\\s*$/ FILTER conbool-reinject:[127.0.0.1]:10026\nendif\n"
    )
    networks = "".join(
        f"{network} FILTER conbool-reinject:[127.0.0.1]:10026\n" for network in answers.conbool_networks
    )
    relay = hop if answers.scope.mode == "everything" else ""
    senders = (
        answers.scope.senders
        if answers.scope.mode == "senders"
        else tuple(f"@{domain}" for domain in domains)
    )
    changes = [
        _change(
            ChangeKind.PARAMETER,
            Step.A,
            "Verify the smart host's certificate",
            MAIN,
            "smtp_tls_policy_maps",
            None,
            "texthash:/etc/postfix/conbool/tls_policy",
        ),
        _change(
            ChangeKind.FILE,
            Step.A,
            "TLS policy for the one next hop",
            "/etc/postfix/conbool/tls_policy",
            "",
            None,
            policy,
        ),
        _change(
            ChangeKind.SERVICE_BLOCK,
            Step.C,
            "Side lane for mail that must not go to Conbool",
            MASTER,
            "conbool-lane",
            None,
            LANE,
        ),
        _change(
            ChangeKind.SERVICE_OPTION,
            Step.C,
            "Recognise mail from Conbool by its address",
            MASTER,
            "smtp/inet/smtpd_client_restrictions",
            None,
            "check_client_access cidr:/etc/postfix/conbool/networks",
        ),
        _change(
            ChangeKind.PARAMETER,
            Step.C,
            "Look at the marker headers",
            MAIN,
            "header_checks",
            "",
            "pcre:/etc/postfix/conbool/headers",
        ),
        _change(
            ChangeKind.FILE,
            Step.D,
            "Released mail takes the same lane",
            "/etc/postfix/conbool/headers",
            "",
            None,
            headers,
        ),
        _change(
            ChangeKind.PARAMETER,
            Step.SCOPE,
            "Send the chosen senders to the smart host",
            MAIN,
            "relayhost" if relay else "sender_dependent_relayhost_maps",
            "" if relay else None,
            relay or "texthash:/etc/postfix/conbool/senders",
        ),
    ]
    live: tuple[LiveTarget, ...] = ()
    if answers.inbound.restrict_port_25:
        changes.append(
            _change(
                ChangeKind.SERVICE_OPTION,
                Step.B,
                "Port 25 takes mail only from Conbool and your own networks",
                MASTER,
                "smtp/inet/smtpd_client_restrictions",
                None,
                "permit_mynetworks, permit_sasl_authenticated, check_client_access "
                "cidr:/etc/postfix/conbool/networks, reject",
            )
        )
    if answers.inbound.restrict_port_25 and answers.inbound.firewall == "auto":
        allowed = sorted({*answers.conbool_networks, *answers.inbound.extra_networks, "192.0.2.0/24"})
        rules = "".join(f"allow {network}\n" for network in allowed) + "refuse others\n"
        live = (LiveTarget("firewall:ufw", None, rules),)
        changes.append(
            _change(
                ChangeKind.LINES,
                Step.B,
                "Load our rules at every start of ufw",
                "/etc/ufw/before.rules",
                "conbool-tui",
                None,
                "-A ufw-before-input -p tcp --dport 25 -j conbool-tui\n",
            )
        )
        changes.append(
            _change(
                ChangeKind.FIREWALL,
                Step.B,
                "Close port 25 in the firewall",
                "firewall:ufw",
                "",
                None,
                rules,
            )
        )
    files = [
        FileTarget(
            MAIN,
            MAIN_TEXT.encode(),
            (
                MAIN_TEXT + "smtp_tls_policy_maps = texthash:/etc/postfix/conbool/tls_policy\n"
                "header_checks = pcre:/etc/postfix/conbool/headers\n"
            ).encode(),
        ),
        FileTarget(MASTER, MASTER_TEXT.encode(), (MASTER_TEXT + LANE).encode()),
        FileTarget("/etc/postfix/conbool/tls_policy", None, policy.encode(), 0o644),
        FileTarget("/etc/postfix/conbool/headers", None, headers.encode(), 0o644),
        FileTarget("/etc/postfix/conbool/networks", None, networks.encode(), 0o644),
        FileTarget(
            "/etc/postfix/conbool/senders",
            None,
            "".join(f"{item} {hop}\n" for item in senders).encode(),
            0o644,
        ),
    ]
    notices = []
    if not answers.conbool_networks:
        notices.append(
            Notice(
                "warn",
                "Conbool's addresses are not given; mail from Conbool is recognised by headers only.",
                Step.C,
            )
        )
    notices.append(Notice("note", "Mail already in the queue keeps the route it has.", Step.A))
    return Plan(
        "postfix",
        "-",
        "/etc/postfix",
        tuple(changes),
        tuple(files),
        tuple(notices),
        ("postfix reload",),
        (25,),
        live,
        answers.inbound.confirm_within if answers.inbound.restrict_port_25 else 0,
    )
