"""Step B on real Postfix: who may hand over what at which port, before, while port 25 is closed, and after undo."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from subprocess import CompletedProcess as Completed
from typing import Any

import pytest

from . import messages
from .lab import CONBOOL, CONBOOL6, STRANGER, STRANGER6, Lab
from .machine import Machine
from .postfix import CONTENT_FILTER, PASSWORD, SCANNER_PORT, PostfixMachine, PostfixSite
from .product import write_answers
from .snapshot import differences

OUT = "friend@outside-a.example"
ALICE, FOREIGN = "alice@example.com", "x@elsewhere.example"
NOBODY = "no-such-user@example.com"
EXTRA, EXTRA6 = "203.0.113.201", "2001:db8:e::1"
EXTRA_NETWORKS = ["203.0.113.200/29", "2001:db8:e::/48"]
LOGIN = (ALICE, PASSWORD)
BOX = "mx1:alice"
SALES = (250, ["mx1:sales@example.net"])

SUBMISSIONS = """
submissions inet n      -       n       -       -       smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
"""
SITE = PostfixSite(submission=True, master=SUBMISSIONS)
CLOSED = {"restrict_port_25": True, "extra_networks": EXTRA_NETWORKS}


@dataclass(frozen=True)
class Row:
    """Who hands over what: ``before`` and ``closed`` are the reply that decides and the places it reaches."""

    name: str
    source: str
    recipient: str
    before: tuple[int, Sequence[str]]
    closed: tuple[int, Sequence[str]]
    sender: str = FOREIGN
    tls: bool = False
    login: bool = False
    port: int = 25


ROWS = [
    Row("stranger", STRANGER, ALICE, (250, [BOX]), (554, [])),
    Row("stranger over IPv6", STRANGER6, ALICE, (250, [BOX]), (554, [])),
    Row("stranger with TLS", STRANGER, ALICE, (250, [BOX]), (554, []), tls=True),
    Row("stranger with a hosted sender", STRANGER, OUT, (554, []), (554, []), sender=ALICE),
    Row(
        "stranger logs in at 587",
        STRANGER,
        OUT,
        (250, ["outside_a"]),
        (250, ["conbool"]),
        ALICE,
        True,
        True,
        587,
    ),
    Row(
        "stranger logs in at 587, to a mailbox",
        STRANGER6,
        ALICE,
        (250, [BOX]),
        (250, [BOX]),
        ALICE,
        True,
        True,
        587,
    ),
    Row(
        "stranger logs in at 465",
        STRANGER,
        OUT,
        (250, ["outside_a"]),
        (250, ["conbool"]),
        ALICE,
        True,
        True,
        465,
    ),
    Row("stranger at 587 without a login", STRANGER, ALICE, (554, []), (554, []), tls=True, port=587),
    Row("Conbool without TLS", CONBOOL, ALICE, (250, [BOX]), (450, [])),
    Row("Conbool without TLS over IPv6", CONBOOL6, ALICE, (250, [BOX]), (450, [])),
    Row("Conbool", CONBOOL, ALICE, (250, [BOX]), (250, [BOX]), tls=True),
    Row("Conbool over IPv6", CONBOOL6, ALICE, (250, [BOX]), (250, [BOX]), tls=True),
    Row("Conbool with a bounce", CONBOOL, ALICE, (250, [BOX]), (250, [BOX]), sender="", tls=True),
    Row(
        "Conbool to a virtual mailbox",
        CONBOOL,
        "sales@example.net",
        SALES,
        SALES,
        tls=True,
    ),
    Row("Conbool to nobody", CONBOOL, NOBODY, (550, []), (550, []), tls=True),
    Row("Conbool, foreign to foreign", CONBOOL, OUT, (554, []), (554, []), tls=True),
    Row("Conbool relays a bounce", CONBOOL, OUT, (554, []), (554, []), sender="", tls=True),
    Row(
        "Conbool, a subdomain's sender",
        CONBOOL,
        OUT,
        (554, []),
        (554, []),
        sender="a@sub.example.com",
        tls=True,
    ),
    Row("Conbool hands back", CONBOOL, OUT, (554, []), (250, ["outside_a"]), sender=ALICE, tls=True),
    Row("Conbool hands back without TLS", CONBOOL, OUT, (554, []), (450, []), sender=ALICE),
    Row("extra network", EXTRA, ALICE, (250, [BOX]), (250, [BOX])),
    Row("extra network over IPv6", EXTRA6, ALICE, (250, [BOX]), (250, [BOX])),
    Row("extra network relays", EXTRA, OUT, (554, []), (554, []), sender=ALICE),
    Row("extra network to nobody", EXTRA, NOBODY, (550, []), (550, [])),
    Row("own network", "", ALICE, (250, [BOX]), (250, [BOX])),
    Row("own network to the outside", "", OUT, (250, ["outside_a"]), (250, ["conbool"]), sender=ALICE),
]


class _Wrapped(smtplib.SMTP):
    """An SMTP client over a socket that speaks TLS already (RFC 8314)."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(local_hostname="client.lab.invalid", timeout=60)
        self.sock = sock
        self.file = None


def send(
    lab: Lab,
    machine: Machine,
    row: Row,
    message: messages.Message,
) -> int:
    """Send as a row says; returns the reply code that decided."""
    login = LOGIN if row.login else None
    if row.port != 465:
        sent = lab.send(
            machine,
            message,
            row.recipient,
            sender=row.sender,
            source=row.source,
            tls=row.tls,
            auth=login,
            port=row.port,
        )
        assert sent.accepted == (sent.code == 250), (row.name, sent.replies)
        return sent.code
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = lab.connect(row.source, machine.place.ipv4, 465)
    with context.wrap_socket(raw) as sock:
        client = _Wrapped(sock)
        assert client.getreply()[0] == 220
        client.ehlo()
        if login:
            client.login(*login)
        client.mail(row.sender)
        code = client.rcpt(row.recipient)[0]
        return client.data(message.raw)[0] if code == 250 else code


def run(lab: Lab, machine: Machine, rows: Sequence[Row], phase: str) -> None:
    """Send every row's message and compare the replies and the places they reached, all together."""
    sent = []
    for row in rows:
        message = messages.plain()
        sent.append((row, message, send(lab, machine, row, message)))
    wrong = []
    for row, message, code in sent:
        wanted_code, wanted_places = row.closed if phase == "closed" else row.before
        if phase == "open" and wanted_places == ["outside_a"]:
            wanted_places = ["conbool"]
        short = machine.place.hostname.split(".")[0]
        places = sorted(place.replace("mx1:", short + ":") for place in wanted_places)
        try:
            found = lab.wait_delivered(message, len(places)) if places else []
            lab.settle()
            found = lab.where(message)
        except TimeoutError:
            found = lab.where(message)
        if (code, found) != (wanted_code, places):
            wrong.append(f"{phase}: {row.name}: {code} {found} instead of {wanted_code} {places}")
    assert not wrong, "\n".join(wrong) + "\n" + lab.report()


# Postfix's part alone: the firewall, the MX records and the wait for a confirmation have tests of their own.
SCRIPT = """
import dataclasses, sys
from conbool_tui import answers_file
from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.planners.postfix import plan_postfix
from conbool_tui.session import Session

session = Session(Host("/"))
facts = session.detect()
try:
    answers = session.complete(answers_file.load(open(sys.argv[1], "rb").read(), "answers"), facts)
    plan = plan_postfix(session.target(facts).postfix, answers)
    for notice in plan.notices:
        print(notice.level, notice.text)
    print("confirm within", plan.confirm_within)
    if plan.empty:
        print("nothing to do")
    elif len(sys.argv) == 2:
        session.apply(dataclasses.replace(plan, confirm_within=0))
except ConboolError as error:
    sys.exit("\\n".join(error.lines()))
"""


def plan(lab: Lab, machine: PostfixMachine, *flags: str, **answers: Any) -> Completed[str]:
    """Plan, and apply unless there are flags; prints the notices and the seconds to confirm in."""
    machine.write("/usr/local/lib/lab/apply.py", SCRIPT)
    path = write_answers(lab, machine, **answers)
    folder = "/usr/lib/conbool-tui"
    env = {"PYTHONPATH": f"{folder}/app:{folder}/vendor", "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
    argv = ["python3", "-X", "utf8", "/usr/local/lib/lab/apply.py", path, *flags]
    return machine.run(argv, env=env, timeout=120)


def apply(lab: Lab, machine: PostfixMachine, seconds: int, **answers: Any) -> str:
    """Apply and insist that it worked, on the seconds to confirm in, and that a second plan is empty."""
    done = plan(lab, machine, **answers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"confirm within {seconds}\n" in done.stdout
    again = plan(lab, machine, "--dry", **answers)
    assert "confirm within 0\nnothing to do" in again.stdout, again.stdout + again.stderr
    return done.stdout


def close(lab: Lab, machine: PostfixMachine, *, seconds: int = 60, **answers: Any) -> str:
    """Apply with port 25 closed; ``answers["inbound"]`` adds to what that takes."""
    answers["inbound"] = {**CLOSED, "relay_host": machine.place.hostname, **answers.get("inbound", {})}
    return apply(lab, machine, seconds, **answers)


def undo_all(machine: PostfixMachine) -> None:
    """Take every change back."""
    done = machine.conbool("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_may_hand_over_what(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, SITE)
    tree = machine.snapshot("/etc/postfix")
    run(lab, machine, ROWS, "before")
    close(lab, machine)
    run(lab, machine, ROWS, "closed")
    undo_all(machine)
    left = differences(tree, machine.snapshot("/etc/postfix"), ignore_mtime=(".", "main.cf", "master.cf"))
    assert not left
    run(lab, machine, ROWS, "before")


def test_answers_taken_back_give_the_own_values_back(lab: Lab, suite: str) -> None:
    """Opening needs no confirmation, closing and taking a network away do, and no edit stays behind."""
    machine = lab.postfix(suite, SITE)
    relay_host = machine.place.hostname
    apply(lab, machine, 0, inbound={"relay_host": relay_host})
    opened = {
        name: machine.read(f"/etc/postfix/{name}") for name in ("main.cf", "master.cf", "conbool/previous")
    }
    run(lab, machine, [row for row in ROWS if row.source == STRANGER], "open")
    close(lab, machine)
    more = {"extra_networks": [*EXTRA_NETWORKS, "203.0.113.96/29"]}
    close(lab, machine, seconds=0, inbound=more)
    run(lab, machine, [replace(ROWS[0], closed=(250, [BOX]))], "closed")
    close(lab, machine, seconds=0, inbound=more, spam={"action": "none"})
    close(lab, machine)
    run(lab, machine, ROWS, "closed")
    apply(lab, machine, 0, inbound={"relay_host": relay_host})
    assert opened == {name: machine.read(f"/etc/postfix/{name}") for name in opened}
    assert not machine.exists("/etc/postfix/conbool/port_25_clients.cidr")
    run(lab, machine, [row for row in ROWS if row.source == STRANGER], "open")


def test_conbool_delivers_itself(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, SITE)
    close(lab, machine, inbound={"return_mode": "conbool_delivers"})
    refused: dict[str, tuple[int, Sequence[str]]] = {"Conbool hands back": (554, [])}
    run(lab, machine, [replace(row, closed=refused.get(row.name, row.closed)) for row in ROWS], "closed")


POLICY = """
import os, sys
while True:
    request = {}
    for line in sys.stdin:
        if line == "\\n":
            break
        name, _, value = line.strip().partition("=")
        request[name] = value
    else:
        sys.exit()
    with open("/tmp/policy.log", "a") as log:
        log.write(request.get("client_address", "") + "\\n")
    print("action=REJECT the policy refuses everybody\\n", flush=True)
"""
POLICY_SITE = PostfixSite(
    submission=True,
    files={
        "/usr/local/lib/lab/policy.py": POLICY,
        "/etc/postfix/closed_lists": "bob@example.com REJECT closed\n",
    },
    master="policy unix - n n - 0 spawn user=nobody argv=/usr/bin/python3 /usr/local/lib/lab/policy.py\n",
    main={
        "smtpd_helo_required": "yes",
        "smtpd_client_restrictions": "permit_mynetworks, reject_unknown_client_hostname",
        "smtpd_helo_restrictions": "permit_mynetworks, reject_unknown_helo_hostname",
        "smtpd_sender_restrictions": "permit_mynetworks, reject_unknown_sender_domain",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination,"
        " check_policy_service unix:private/policy, check_recipient_access texthash:/etc/postfix/closed_lists",
        "smtpd_data_restrictions": "reject_unauth_pipelining, check_policy_service unix:private/policy",
    },
)


@pytest.mark.parametrize("closed", [False, True])
def test_rules_about_the_sender_spare_conbool(lab: Lab, suite: str, closed: bool) -> None:
    """Its addresses have no name, its greeting and the senders do not exist, and a policy service refuses everybody."""
    machine = lab.postfix(suite, POLICY_SITE)
    extra = Row("extra network", EXTRA, ALICE, (450, []), (450, []))
    rows = [
        Row("stranger", STRANGER, ALICE, (450, []), (554, []) if closed else (450, [])),
        Row("Conbool", CONBOOL, ALICE, (450, []), (250, [BOX]), tls=True),
        Row("Conbool over IPv6", CONBOOL6, ALICE, (450, []), (250, [BOX]), tls=True),
        Row("Conbool to nobody", CONBOOL, NOBODY, (450, []), (550, []), tls=True),
        Row("Conbool to a closed list", CONBOOL, "bob@example.com", (450, []), (554, []), tls=True),
        Row("Conbool relays", CONBOOL, OUT, (450, []), (554, []), tls=True),
        Row("Conbool hands back", CONBOOL, OUT, (450, []), (250, ["outside_a"]), sender=ALICE, tls=True),
        extra,
    ]
    run(lab, machine, rows, "before")
    said = close(lab, machine) if closed else apply(lab, machine, 0)
    assert "passed over" in said
    assert "check_policy_service unix:private/policy" in said
    run(lab, machine, rows, "closed")
    undo_all(machine)
    run(lab, machine, rows, "before")


def test_a_policy_service_alone_judges_all_but_conbool(lab: Lab, suite: str) -> None:
    machine = lab.postfix(
        suite,
        replace(
            POLICY_SITE,
            main={
                "smtpd_relay_restrictions": "permit_mynetworks, check_policy_service unix:private/policy,"
                " reject_unauth_destination",
                "smtpd_recipient_restrictions": "permit_mynetworks, check_policy_service unix:private/policy",
            },
        ),
    )
    rows = [
        Row("stranger", STRANGER, ALICE, (554, []), (554, [])),
        Row("Conbool", CONBOOL, ALICE, (554, []), (250, [BOX]), tls=True),
        Row("Conbool relays", CONBOOL, OUT, (554, []), (554, []), tls=True),
        Row("Conbool hands back", CONBOOL, OUT, (554, []), (250, ["outside_a"]), sender=ALICE, tls=True),
        Row("extra network", EXTRA, ALICE, (554, []), (554, [])),
    ]
    run(lab, machine, rows, "before")
    close(lab, machine)
    run(lab, machine, rows, "closed")
    judged = set(machine.shell("cat /tmp/policy.log").split())
    assert EXTRA in judged


def test_own_client_rules_of_the_service_stay_in_force(lab: Lab, suite: str) -> None:
    """They end with a reject, come with a block list, a login at port 25 and early refusals."""
    machine = lab.postfix(
        suite,
        replace(
            SITE,
            main={"smtpd_delay_reject": "no"},
            files={
                "/etc/postfix/blocked": "192.0.2.85 REJECT blocked here\n203.0.113.204 REJECT blocked there\n"
                "203.0.113.98 REJECT blocked everywhere\n203.0.113.97 OK\n"
            },
        ),
    )
    machine.shell(
        "postconf -F smtp/inet/chroot=n; postconf -P smtp/inet/smtpd_sasl_auth_enable=yes"
        " 'smtp/inet/smtpd_client_restrictions=check_client_access,texthash:/etc/postfix/blocked,"
        "permit_mynetworks,permit_sasl_authenticated,reject'"
        "; touch -d '1 hour ago' /etc/postfix/*.cf; postfix reload"
    )
    before = machine.read("/etc/postfix/master.cf")
    inside: dict[str, Any] = {"tls": True, "login": True, "sender": ALICE}
    rows = [
        Row("stranger", STRANGER, ALICE, (554, []), (554, [])),
        Row("stranger that the own list lets in", "203.0.113.97", ALICE, (250, [BOX]), (554, [])),
        Row("stranger logs in", STRANGER, OUT, (554, []), (250, ["conbool"]), **inside),
        Row("blocked stranger logs in", "203.0.113.98", OUT, (554, []), (554, []), **inside),
        Row("own network", "", ALICE, (250, [BOX]), (250, [BOX])),
        Row("own network, blocked", "192.0.2.85", ALICE, (554, []), (554, [])),
        Row("extra network", EXTRA, ALICE, (554, []), (250, [BOX])),
        Row("extra network, blocked", "203.0.113.204", ALICE, (554, []), (554, [])),
        Row("Conbool", CONBOOL, ALICE, (554, []), (250, [BOX]), tls=True),
        Row("Conbool without TLS", CONBOOL, ALICE, (554, []), (450, [])),
        Row("Conbool relays", CONBOOL, OUT, (554, []), (554, []), tls=True),
    ]
    run(lab, machine, rows, "before")
    close(lab, machine)
    run(lab, machine, rows, "closed")
    apply(lab, machine, 0)
    undo_all(machine)
    undo_all(machine)
    assert machine.read("/etc/postfix/master.cf") == before
    run(lab, machine, rows, "before")


def test_several_services_on_port_25(lab: Lab, suite: str) -> None:
    """One for each address, one of them with lists of its own; a third on another port is named, not closed."""
    machine = lab.postfix(suite, SITE)
    place = machine.place
    machine.shell(
        f"postconf -MX smtp/inet; postconf -M '{place.ipv4}:25/inet={place.ipv4}:25 inet n - y - - smtpd'"
        f" '[{place.ipv6}]:smtp/inet=[{place.ipv6}]:smtp inet n - y - - smtpd -o smtpd_client_restrictions="
        " -o smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination'"
        " '2525/inet=2525 inet n - y - - smtpd'"
        "; touch -d '1 hour ago' /etc/postfix/*.cf; postfix stop"
    )
    machine.postfix_start()
    rows = [row for row in ROWS if row.port == 25] + [
        Row("stranger at another port", STRANGER, ALICE, (250, [BOX]), (250, [BOX]), port=2525)
    ]
    run(lab, machine, rows, "before")
    said = close(lab, machine)
    assert "warn 2525/inet takes mail for hosted recipients from anybody" in said
    assert "warn submission" not in said
    run(lab, machine, rows, "closed")
    undo_all(machine)
    run(lab, machine, rows, "before")


def test_postscreen(lab: Lab, suite: str) -> None:
    """Its tests put every new client off; Conbool passes at once, and a stranger that passed them is refused."""
    machine = lab.postfix(
        suite,
        replace(
            SITE,
            main={
                "postscreen_greet_action": "enforce",
                "postscreen_greet_wait": "1s",
                "postscreen_non_smtp_command_enable": "yes",
                "postscreen_non_smtp_command_action": "enforce",
                "postscreen_pipelining_enable": "yes",
                "postscreen_pipelining_action": "enforce",
                "postscreen_dnsbl_sites": "",
            },
        ),
    )
    machine.shell(
        "postconf -MX smtp/inet; postconf -M 'smtp/inet=smtp inet n - y - 1 postscreen'"
        " 'smtpd/pass=smtpd pass - - y - - smtpd' 'dnsblog/unix=dnsblog unix - - y - 0 dnsblog'"
        " 'tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy'; touch -d '1 hour ago' /etc/postfix/*.cf; postfix stop"
    )
    machine.postfix_start()
    first = [
        Row("stranger", STRANGER, ALICE, (450, []), (450, [])),
        Row("extra network", EXTRA, ALICE, (450, []), (450, [])),
        Row("Conbool", CONBOOL, ALICE, (450, []), (250, [BOX]), tls=True),
        Row("Conbool over IPv6", CONBOOL6, ALICE, (450, []), (250, [BOX]), tls=True),
        Row("Conbool without TLS", CONBOOL, ALICE, (250, [BOX]), (450, [])),
        Row("own network", "", ALICE, (250, [BOX]), (250, [BOX])),
    ]
    run(lab, machine, first, "before")
    machine.shell("postfix stop; rm -f /var/lib/postfix/postscreen_cache*")
    machine.postfix_start()
    close(lab, machine)
    run(lab, machine, first, "closed")
    again = [
        Row("stranger who passed the tests", STRANGER, ALICE, (250, [BOX]), (554, [])),
        Row("extra network that passed the tests", EXTRA, ALICE, (250, [BOX]), (250, [BOX])),
        Row("stranger logs in at 587", STRANGER, OUT, (250, []), (250, ["conbool"]), ALICE, True, True, 587),
    ]
    run(lab, machine, again, "closed")


def test_filters_before_and_behind_the_queue(lab: Lab, suite: str) -> None:
    """The way back from an Amavis-like filter is no entrance of port 25, and a proxy filter sees nobody refused."""
    behind = lab.postfix(suite, replace(SITE, content_filter=True))
    close(lab, behind)
    run(lab, behind, ROWS, "closed")
    reentry = "\n".join(line for line in CONTENT_FILTER.splitlines() if "content_filter" not in line)
    reentry = reentry.replace("no_header_body_checks,", "") + "\n  -o smtpd_proxy_filter=\n"
    before = lab.postfix(suite, replace(SITE, master=reentry + SUBMISSIONS))
    before.start_scanner()
    before.shell(
        f"postconf -P smtp/inet/smtpd_proxy_filter=127.0.0.1:{SCANNER_PORT}"
        "; touch -d '1 hour ago' /etc/postfix/*.cf; postfix reload"
    )
    close(lab, before, markers={"trust": "conbool"})
    run(lab, before, ROWS, "closed")


def test_ipv6_only(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, PostfixSite(inet_protocols="ipv6"))
    close(
        lab,
        machine,
        conbool_networks=["2001:db8:c::/48"],
        inbound={"extra_networks": ["2001:db8:e::/48"]},
    )
    run(lab, machine, [row for row in ROWS if ":" in row.source and row.port == 25], "closed")


def test_name_in_the_client_certificate_is_logged(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, SITE)
    close(lab, machine)
    message = messages.plain()
    sent = lab.send(
        machine, message, ALICE, sender=FOREIGN, source=CONBOOL, client_name="mail.conbool.com", tls=True
    )
    assert sent.accepted, sent.replies
    lab.expect(message, BOX)
    log = [line for line in machine.log().splitlines() if "/smtpd[" in line and "mail.conbool.com" in line]
    assert any("subject_CN=mail.conbool.com" in line for line in log), machine.log()[-3000:]


def test_tls_that_is_only_switched_off_is_switched_on(lab: Lab, suite: str) -> None:
    machine = lab.postfix(suite, replace(SITE, main={"smtpd_tls_security_level": ""}))
    close(lab, machine, scope={"mode": "everything"})
    run(lab, machine, [row for row in ROWS if row.port == 25], "closed")


def test_without_tls_port_25_is_not_closed(lab: Lab, suite: str) -> None:
    """Conbool would be locked out: nothing is changed, and the remedy is named."""
    machine = lab.postfix(
        suite, PostfixSite(main={"smtpd_tls_security_level": "none", "smtpd_tls_cert_file": "none"})
    )
    before = machine.snapshot("/etc/postfix")
    done = plan(lab, machine, inbound={**CLOSED, "relay_host": machine.place.hostname})
    assert done.returncode == 1
    assert "smtp/inet has no certificate" in done.stderr
    assert "smtpd_tls_cert_file" in done.stderr
    assert not differences(before, machine.snapshot("/etc/postfix"))
