"""Facts of a Sendmail from few words, so that planning is tested without one."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from conbool_tui.answers import Answers, Inbound
from conbool_tui.facts import FileText, HostedDomains
from conbool_tui.facts_sendmail import Daemon, SendmailFacts
from conbool_tui.plan import Plan
from conbool_tui.planners.sendmail import plan_sendmail
from conbool_tui.sendmail_config import Named

SOURCE, ACCESS, CF = "/etc/mail/sendmail.mc", "/etc/mail/access", "/etc/mail/sendmail.cf"
MC = b"include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nMAILER(`local')dnl\nMAILER(`smtp')dnl\n"
STOCK = ("EnvFromSMTP", "HdrFromSMTP", "EnvToSMTP", "CanonAddr", "ParseRecipient", "Relay_ok")
FLAGS = ("STARTTLS", "MAP_REGEX", "IPV6_FULL", "NETINET6", "_FFR_TLS_ALTNAMES")
NETWORKS = ("198.51.100.0/24", "2001:db8:c::/48")


def facts(**changes: Any) -> SendmailFacts:
    """A Debian host; ``files`` are laid over its own."""
    files = {SOURCE: MC, ACCESS: b"Connect:127\tRELAY\n", **changes.pop("files", {})}
    known: dict[str, Any] = {
        "version": "8.18.1",
        "flags": frozenset(FLAGS),
        "config_directory": "/etc/mail",
        "source": SOURCE,
        "cf": CF,
        "pid_file": "/run/sendmail/mta/sendmail.pid",
        "files": {path: FileText(path, data) for path, data in files.items()},
        "build_error": "",
        "build_remedy": "",
        "drift": (),
        "options": {"ServerCertFile": "/c", "ServerKeyFile": "/k", "CACertFile": "/a", "TLSSrvOptions": "V"},
        "rulesets": {name: Named(name, 1, "R$*") for name in STOCK},
        "headers": {},
        "mailers": {"local": Named("local", 1, "Mlocal, P=/usr/sbin/sensible-mda")},
        "features": frozenset(("access", "greet_pause", "rate", "connections")),
        "access": ACCESS,
        "access_type": "hash",
        "smart_host": "",
        "catch_all": "",
        "daemons": (
            Daemon("MTA-v4", "inet", "", "smtp", ""),
            Daemon("MSP-v4", "inet", "", "submission", "Ea"),
        ),
        "domains": HostedDomains(mydestination=("example.com",)),
        "host_name": "mx1.example.com",
        "own_networks": ("127.0.0.0/8",),
        "unlisted_networks": (),
        "local_mailer": "/usr/sbin/sensible-mda",
        "running": True,
        "listeners": (),
        "port_25_owner": "sendmail",
        "system_ca_file": "/etc/ssl/certs/ca-certificates.crt",
    }
    return SendmailFacts(**{**known, **changes})


def answers(**changes: Any) -> Answers:
    """Answers for example.com."""
    known = Answers(domains=("example.com",), conbool_networks=NETWORKS)
    return dataclasses.replace(known, **changes)


def closed(**changes: Any) -> Inbound:
    """Step B."""
    return dataclasses.replace(Inbound(restrict_port_25=True), **changes)


def plan(given: Optional[SendmailFacts] = None, **changes: Any) -> Plan:
    """The plan for answers."""
    return plan_sendmail(given or facts(), answers(**changes))


def applied(given: SendmailFacts, made: Plan) -> SendmailFacts:
    """The facts after a plan was applied."""
    files = dict(given.files)
    for target in made.files:
        if target.after is None:
            files.pop(target.path, None)
        else:
            files[target.path] = FileText(target.path, target.after)
    return dataclasses.replace(given, files=files)


def after(made: Plan, path: str = SOURCE) -> str:
    """A file's text once the plan was applied."""
    return next((target.after or b"").decode() for target in made.files if target.path == path)
