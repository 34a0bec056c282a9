"""A session over no machine: realistic facts, a small honest planner, and ends of every kind on demand."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError, ConboolError, UsageError
from conbool_tui.facts import (
    ContentFilter,
    Detection,
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
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt

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
    return HostFacts(detections or (present(),), port_25_owner="master (Postfix)")


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
    receipts: list[Receipt] = field(default_factory=list)
    crashed: Optional[Receipt] = None
    saved: dict[str, Answers] = field(default_factory=dict)
    planned: list[Answers] = field(default_factory=list)
    detected: list[Optional[str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    done: bool = False

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
        postfix = self.target(facts).postfix
        assert postfix is not None
        own = postfix.expanded["myhostname"]
        return replace(answers, domains=tuple(name for name in postfix.domains.all() if name != own))

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
        return Plan("postfix", "-", "/etc/postfix", (), ()) if self.done else small_plan(answers)

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
        self.receipts.insert(0, receipt)
        self.done = True
        return receipt

    def undo(self, change_id: Optional[str] = None, progress: Optional[ProgressSink] = None) -> Receipt:
        index = next(place for place, item in enumerate(self.receipts) if item.id == change_id)
        old = self.receipts[index]
        self.receipts[index] = replace(old, state=ChangeState.UNDONE)
        receipt = replace(
            old, id="20250102-0405-b2", titles=("undo",), undo_of=old.id, message="3 files put back"
        )
        self.receipts.insert(0, receipt)
        self.done = False
        return receipt

    def history(self) -> Sequence[Receipt]:
        return tuple(self.receipts)

    def unfinished(self) -> Optional[Receipt]:
        return self.crashed

    def recover(self, progress: Optional[ProgressSink] = None) -> Optional[Receipt]:
        if self.crashed is None:
            return None
        receipt = replace(self.crashed, state=ChangeState.ROLLED_BACK)
        self.crashed = None
        return receipt

    def check(
        self, answers: Optional[Answers] = None, progress: Optional[ProgressSink] = None
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
    )
