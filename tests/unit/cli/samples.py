"""Facts and plans for tests that render them."""

from __future__ import annotations

from conbool_tui.facts import (
    Detection,
    HostedDomains,
    HostFacts,
    Listener,
    Outcome,
    PostfixFacts,
    PostfixInstance,
)
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step

BEFORE = b"# caf\xe9\nmyhostname = mx1.example.com\nrelayhost =\nlast = x"
AFTER = b"# caf\xe9\nmyhostname = mx1.example.com\nrelayhost = [mail.conbool.com]:25\nlast = y"


def postfix(**changes: object) -> PostfixFacts:
    values: dict[str, object] = {
        "version": "3.7.11",
        "config_directory": "/etc/postfix",
        "instance": "-",
        "instances": (PostfixInstance("-", "", True, "/etc/postfix"),),
        "parameters": {"relayhost": "", "smtp_sasl_password_maps": "static:user:geheim"},
        "expanded": {"myhostname": "mx1.example.com", "inet_protocols": "all", "relayhost": ""},
        "explicit": frozenset(("relayhost",)),
        "services": (),
        "table_types": frozenset(("pcre",)),
        "default_database_type": "hash",
        "domains": HostedDomains(
            ("example.com", "mx1.example.com", "localhost.example.com", "localhost", "mx1"),
            ("example.org",),
            (),
            ("example.net",),
        ),
        "files": {},
        "running": True,
        "listeners": (Listener("0.0.0.0", 25, 7, "master"),),
        "port_25_owner": "postfix",
        "port_25_services": ("smtp/inet",),
        "submission_services": (),
        "content_filters": (),
        "postscreen": False,
        "milters": (),
        "tls_files": {"smtpd_tls_cert_file": "/etc/ssl/mail.pem"},
        "system_ca_file": None,
        "transport_catch_all": None,
    }
    values.update(changes)
    return PostfixFacts(**values)  # type: ignore[arg-type]


def facts(*detections: Detection, **changes: object) -> HostFacts:
    found = detections or (
        Detection("postfix", Outcome.PRESENT, "Postfix 3.7.11", postfix=postfix(**changes)),
    )
    return HostFacts(found, (Listener("0.0.0.0", 25, 7, "master"),), "postfix", ())


def plan() -> Plan:
    change = Change(
        ChangeKind.PARAMETER,
        Step.A,
        "All mail to the smart host",
        "The guide says so.",
        "/etc/postfix/main.cf",
        "relayhost",
        "",
        "[mail.conbool.com]:25",
        "relayhost becomes empty again.",
    )
    table = Change(
        ChangeKind.FILE,
        Step.C,
        "Markers",
        "Loops.",
        "/etc/postfix/conbool/markers",
        "",
        None,
        "/^X-A/ OK\n",
        "The file is removed.",
    )
    return Plan(
        "postfix",
        "-",
        "/etc/postfix",
        (change, table),
        (
            FileTarget("/etc/postfix/conbool/markers", None, b"/^X-A/ OK\n"),
            FileTarget("/etc/postfix/main.cf", BEFORE, AFTER),
            FileTarget("/etc/postfix/conbool/old", b"gone\n", None),
        ),
        (Notice("warn", "Look here.", Step.A),),
        ("postfix reload",),
    )


EMPTY = Plan("postfix", "-", "/etc/postfix", (), ())
