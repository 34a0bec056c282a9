"""Judge an Exim configuration before it is live, with Exim itself on a staged copy.

``exim -bV`` finds unknown options only. An unknown transport, an unbalanced brace or a list that is not there shows when mail comes, and
then a router whose condition cannot be expanded is skipped: mail would go out around the smart host. So addresses are routed (``-bt``) and
SMTP sessions are played (``-bh``), neither of which delivers anything.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.exim_config.lists import split_list
from conbool_tui.facts_exim import EximDriver
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem
from conbool_tui.staging import StagedCopy
from detectors.exim.program import Tools, said

_OURS = "conbool_"
_ROUTER, _TRANSPORT = "conbool_smarthost", "conbool_smtp"
_OWN_OPTIONS = frozenset(
    (
        "acl_smtp_mail",
        "acl_smtp_rcpt",
        "acl_smtp_data",
        "acl_not_smtp",
        "acl_smtp_mime",
        "acl_not_smtp_mime",
        "acl_smtp_quit",
    )
    + ("tls_try_verify_hosts", "message_body_visible")
)
_ERROR = re.compile(
    r"PANIC|failed to expand|[Ee]rror in ACL|unknown (?:ACL|named|list)|Temporary local problem|aint mismatch|tainted"
)
_ELSEWHERE = "conbool-probe.invalid"
_STRANGER = "192.0.2.1"


class _Reading:
    """How Exim reads one configuration: its options, routers and transports without ours."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.options = tools.options(())
        self.routers = tools.drivers("routers")
        self.transports = tools.drivers("transports")

    def others(self, drivers: tuple[EximDriver, ...]) -> list[tuple[str, dict[str, str]]]:
        """Name and options of those that are not ours."""
        return [(one.name, dict(one.options)) for one in drivers if not one.name.startswith(_OURS)]


def judge(
    host: Host, program: str, directory: str, files: Mapping[str, Optional[bytes]], *, built: bool
) -> list[Problem]:
    """Compare the candidate to the present configuration, route addresses and play sessions with it.

    Args:
        built: the configuration is built from the files (update-exim4.conf).

    Raises:
        HostError: a tool is missing or hangs, or there is no room for the copies.
    """
    with host.private_folder() as top:
        # Exim looks into our data files as a user of its own.
        host.set_mode(top, 0o711)
        live, staged = f"{directory}/conbool/", posixpath.join(top, "conbool") + "/"
        moved = {
            path: None if data is None else data.replace(live.encode(), staged.encode())
            for path, data in files.items()
        }
        try:
            candidate = _candidate(host, directory, top, moved, built=built)
            _stage_data(host, live, staged, moved)
        except ConboolError as error:
            return [Problem(error.what, error.why)]
        present, new = Tools(host, program), Tools(host, program, candidate)
        try:
            new.build()
        except ConboolError as error:
            return [Problem("Exim refuses the new configuration", error.what.replace(staged, live))]
        before, after = _Reading(present), _Reading(new)
        problems = _differences(before, after)
        problems += _unreadable(host, after)
        if not problems:
            problems += _probes(new, after, staged)
        return [Problem(one.text, one.detail.replace(staged, live)) for one in problems]


def _candidate(
    host: Host, directory: str, top: str, files: Mapping[str, Optional[bytes]], *, built: bool
) -> str:
    """The path of the staged configuration. Raises ConboolError."""
    path = posixpath.join(top, "candidate")
    if built:
        copy = StagedCopy(host, directory, posixpath.join(top, "etc"))
        copy.lay_over({copy.path + name[len(directory) :]: data for name, data in files.items()})
        done = host.run(["update-exim4.conf", "-d", copy.path, "-o", path], timeout=60)
        if not done.ok:
            raise ConboolError(
                "update-exim4.conf cannot build the new configuration", said(done.error_text() or done.text())
            )
        return path
    changed = [name for name in files if "/conbool/" not in name]
    config = _config_file(host, directory, changed)
    data = files.get(config)
    host.write_new(path, data if data is not None else host.read_bytes(config), mode=0o644)
    return path


def _config_file(host: Host, directory: str, changed: list[str]) -> str:
    for name in ("exim4.conf", "exim.conf"):
        path = f"{directory}/{name}"
        if path in changed or host.is_file(path):
            return path
    raise ConboolError(f"There is no configuration file in {directory}.")


def _stage_data(host: Host, live: str, staged: str, files: Mapping[str, Optional[bytes]]) -> None:
    """Our data files as they will be. Raises ConboolError."""
    host.make_folder(staged.rstrip("/"), 0o755)
    names = {path[len(live) :] for path in files if path.startswith(live)}
    if host.is_dir(live.rstrip("/")):
        names.update(host.listdir(live.rstrip("/")))
    for name in sorted(names):
        data = files[live + name] if live + name in files else host.read_bytes(live + name)
        if data is not None:
            host.write_new(staged + name, data, mode=0o644)


def _differences(before: _Reading, after: _Reading) -> list[Problem]:
    """Everything but what is ours must read as before."""
    problems = [
        Problem(f"The option {name} would change although the plan is not about it")
        for name in sorted(set(before.options) | set(after.options))
        if before.options.get(name) != after.options.get(name) and name not in _OWN_OPTIONS
    ]
    for kind in ("routers", "transports"):
        old = before.others(getattr(before, kind))
        new = after.others(getattr(after, kind))
        if [name for name, _ in old] != [name for name, _ in new]:
            problems.append(Problem(f"Other {kind} than ours would come, go or change their places"))
        elif old != new:
            changed = ", ".join(one[0] for one, two in zip(old, new) if one != two)
            problems.append(Problem(f"The {kind} {changed} would change although they are not ours"))
    return problems


def _unreadable(host: Host, reading: _Reading) -> list[Problem]:
    """Files of the client certificate must be readable for Exim's user, who makes the connection."""
    transport = next((one for one in reading.transports if one.name == _TRANSPORT), None)
    user = reading.options.get("exim_user", "")
    if transport is None or not user or host.which("runuser") is None:
        return []
    found = []
    for option in ("tls_certificate", "tls_privatekey"):
        path = transport.get(option)
        if path.startswith("/") and not host.run(["runuser", "-u", user, "--", "test", "-r", path]).ok:
            group = reading.options.get("exim_group", user)
            found.append(
                Problem(
                    f"{path} cannot be read by Exim's user {user}",
                    f"mail would stay queued; for example: chgrp {group} {path} && chmod 640 {path}",
                )
            )
    return found


# --- addresses and sessions


def _probes(tools: Tools, reading: _Reading, staged: str) -> list[Problem]:
    """Route addresses and play sessions."""
    router = next((one for one in reading.routers if one.name == _ROUTER), None)
    if router is None:
        return [Problem(f"Exim does not read the router {_ROUTER}")]
    domain = _first_key(tools.host, f"{staged}domains")
    sender = _sender(tools.host, router, staged, domain)
    remote = f"someone@{_ELSEWHERE}"
    problems = _routed(tools, sender, remote, ours=True, what="mail of a sender in scope")
    problems += _routed(tools, "", remote, ours=False, what="a bounce")
    problems += _routed(tools, sender, f"postmaster@{domain}", ours=False, what="mail for a hosted domain")
    if router.get("senders"):
        problems += _routed(
            tools, f"x@{_ELSEWHERE}", remote, ours=False, what="mail of a sender out of scope"
        )
    conbool = split_list(tools.named_list("conbool_hosts") or "")
    closed = tools.named_list("conbool_extra_hosts") is not None
    problems += _session(tools, _STRANGER, domain, refused=closed)
    problems += _session(tools, "127.0.0.1", domain, refused=False)
    for network in conbool[:1]:
        problems += _session(tools, str(ipaddress.ip_network(network)[0]), domain, refused=closed)
    return problems


def _first_key(host: Host, path: str) -> str:
    """The first key of a data file of ours."""
    for line in host.read_text(path).split("\n"):
        if line and not line.startswith("#"):
            return line.partition(":")[0]
    return ""


def _sender(host: Host, router: EximDriver, staged: str, domain: str) -> str:
    """An address in scope."""
    if host.is_file(f"{staged}senders") and router.get("senders"):
        key = _first_key(host, f"{staged}senders")
        return f"postmaster{key[1:]}" if key.startswith("*") else key
    return f"postmaster@{domain}"


def _routed(tools: Tools, sender: str, recipient: str, *, ours: bool, what: str) -> list[Problem]:
    """Whether an address is taken by our router, as Exim says (``-bt``). With debugging it names each router whose conditions hold, so no
    name service is needed."""
    _, out, error = tools.run("-d-all+route", "-bt", "-f", sender or "<>", recipient)
    text = f"{out}\n{error}"
    mistake = _mistake(text)
    if mistake:
        return [Problem(f"Exim cannot route {what}", mistake)]
    called = re.findall(r"^\W*(?:\d+ )?calling (\S+) router", text, re.MULTILINE)
    if (_ROUTER in called) is ours:
        return []
    if not ours:
        return [Problem(f"{what} would go to the smart host", f"{sender or '<>'} to {recipient}")]
    by = f": the router {called[-1]} takes it first" if called else ""
    return [Problem(f"{what} would not go to the smart host{by}", f"{sender} to {recipient}")]


def _session(tools: Tools, client: str, domain: str, *, refused: bool) -> list[Problem]:
    """Play an SMTP session from an address (``-bh``): a message with every kind of marker. Nothing is delivered."""
    own = "::1" if ":" in client else "127.0.0.1"
    script = (
        "EHLO probe.conbool-probe.invalid\r\nMAIL FROM:<>\r\n"
        f"RCPT TO:<postmaster@{domain}>\r\nDATA\r\n"
        f"X-Conbool-{domain.replace('.', '-')}: true\r\nX-Conbool-Released: no\r\nX-Conbool-Flag: no\r\n"
        "Subject: probe\r\nFrom: <postmaster@" + domain + ">\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n.\r\nQUIT\r\n"
    )
    _, out, error = tools.run("-bh", client, "-oMi", f"{own}.25", stdin=script.encode(), timeout=120)
    mistake = _mistake(f"{out}\n{error}")
    if mistake:
        return [Problem(f"Exim cannot judge a message from {client}", mistake)]
    answers = re.findall(r"^(\d\d\d) ", out, re.MULTILINE)
    # Greeting, EHLO, MAIL.
    said_no = len(answers) > 2 and answers[2][0] in "45"
    if refused and not said_no:
        return [Problem(f"{client} could still send at port 25", "the plan closes it")]
    return []


def _mistake(text: str) -> str:
    """What Exim says about a mistake in the configuration, empty when there is none."""
    lines = [line.strip() for line in text.split("\n")]
    for number, line in enumerate(lines):
        if _ERROR.search(line):
            head = re.sub(r"^LOG: (?:[A-Z]+ )*(?:DIE)?", "", line).strip()
            return head or " ".join(lines[number + 1 : number + 2])
    return ""
