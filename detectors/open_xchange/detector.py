"""OX App Suite: its version, and which mail servers its property files name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import Detection, Outcome
from conbool_tui.facts_open_xchange import MailFilter, MailService, OpenXchangeFacts
from conbool_tui.host import Host
from conbool_tui.open_xchange.properties import read_properties

NAME = "open-xchange"
DIRECTORY = "/opt/open-xchange"
_STATUS = "/var/lib/dpkg/status"
_PACKAGES = ("open-xchange-core", "open-xchange", "open-xchange-appsuite-backend")
_FILTER = "com.openexchange.mail.filter."
# The names before 7.10, beside those since.
_OLD = {
    "server": "SIEVE_SERVER",
    "port": "SIEVE_PORT",
    "loginType": "SIEVE_LOGIN_TYPE",
    "scriptName": "SCRIPT_NAME",
    "tls": "TLS",
}
_HOST = re.compile(r"(?:[a-z]+://)?(\[[^\]]+\]|[^:/\s]+)(?::(\d+))?/?")


class OpenXchangeDetector:
    """Finds OX App Suite. By itself it is no mail system: mail goes through a Postfix and a Dovecot, here or elsewhere."""

    name = NAME

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """Look for OX; ``instance`` is a Postfix's."""
        if not host.is_dir(f"{DIRECTORY}/etc"):
            return Detection(
                NAME, Outcome.ABSENT, "Open-Xchange is not installed.", reason=f"There is no {DIRECTORY}/etc."
            )
        try:
            facts = read_facts(host)
        except ConboolError as error:
            return Detection(
                NAME,
                Outcome.BROKEN,
                "Open-Xchange is installed, but its configuration cannot be read.",
                " ".join(part for part in (error.what, error.why) if part),
                error.todo,
                role="groupware",
            )
        return Detection(
            NAME,
            Outcome.PRESENT,
            f"OX App Suite{' ' + facts.version if facts.version else ''}: mailboxes on {facts.imap}, outgoing mail by {facts.smtp}.",
            role="groupware",
            open_xchange=facts,
        )


def read_facts(host: Host) -> OpenXchangeFacts:
    """Everything about this host's OX. Raises HostError, NeedsRootError: a file cannot be read."""
    mail = _properties(host, "mail.properties")
    rules = (
        _properties(host, "mailfilter.properties")
        if host.is_file(f"{DIRECTORY}/etc/mailfilter.properties")
        else None
    )
    admin = {**_properties(host, "AdminDaemon.properties"), **_properties(host, "AdminUser.properties")}
    imap = _service(host, mail, "mailServer", 143)
    return OpenXchangeFacts(
        version=_version(host),
        directory=DIRECTORY,
        imap=imap,
        smtp=_service(host, mail, "transportServer", 25),
        mail_filter=None if rules is None else _mail_filter(host, rules, imap),
        open_tools=admin.get("MASTER_AUTHENTICATION_DISABLED", "").lower() == "true",
        warnings=()
        if rules is not None
        else (
            "The mail filter module (open-xchange-mailfilter) is not installed: users have no rules of their own.",
        ),
    )


def _properties(host: Host, name: str) -> dict[str, str]:
    path = f"{DIRECTORY}/etc/{name}"
    return read_properties(host.read_text(path)) if host.is_file(path) else {}


def _service(host: Host, mail: Mapping[str, str], name: str, port: int) -> MailService:
    """A server of mail.properties; per user when its source says so."""
    if mail.get(f"com.openexchange.mail.{name}Source", "user").lower() == "user":
        return MailService("", port, None)
    return _named(host, mail.get(f"com.openexchange.mail.{name}", "") or "localhost", port)


def _named(host: Host, text: str, port: int) -> MailService:
    match = _HOST.fullmatch(text.strip())
    name = match.group(1).strip("[]") if match else text.strip()
    number = int(match.group(2)) if match and match.group(2) else port
    return MailService(name, number, _is_here(host, name))


def _mail_filter(host: Host, rules: Mapping[str, str], imap: MailService) -> MailFilter:
    def setting(name: str, default: str) -> str:
        return rules.get(_FILTER + name) or rules.get(_OLD[name]) or default

    port = setting("port", "4190")
    number = int(port) if port.isdigit() else 4190
    if setting("loginType", "user").lower() == "global":
        server = _named(host, setting("server", "localhost"), number)
    else:
        server = MailService(imap.host, number, imap.here)
    return MailFilter(server, setting("scriptName", "Open-Xchange"), setting("tls", "true").lower() == "true")


def _is_here(host: Host, name: str) -> bool:
    """Whether a server is this host, by its name or address and what /etc/hosts says of it."""
    own = set(host.addresses())
    names = {name.lower()}
    for line in _lines(host, "/etc/hosts"):
        words = line.partition("#")[0].lower().split()
        if name.lower() in words[1:]:
            names.add(words[0])
    own_names = {"localhost", *(word.lower() for word in _lines(host, "/etc/hostname")[:1])}
    for one in names:
        if one in own_names or one in own:
            return True
        try:
            if ipaddress.ip_address(one).is_loopback:
                return True
        except ValueError:
            continue
    return False


def _lines(host: Host, path: str) -> list[str]:
    try:
        return [line.strip() for line in host.read_text(path).split("\n")] if host.is_file(path) else []
    except ConboolError:
        return []


def _version(host: Host) -> str:
    """The package's version, from dpkg's own record or from rpm; empty when neither knows it."""
    if host.is_file(_STATUS):
        name = ""
        for line in _lines(host, _STATUS):
            if line.startswith("Package: "):
                name = line[9:]
            elif line.startswith("Version: ") and name in _PACKAGES:
                return line[9:]
    try:
        if host.which("rpm") is not None:
            told = host.run(["rpm", "-q", "--qf", "%{VERSION}\n", *_PACKAGES], timeout=20)
            return next((line for line in told.text().split("\n") if line[:1].isdigit()), "")
    except ConboolError:
        pass
    return ""
