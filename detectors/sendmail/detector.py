"""Find Sendmail and read how it is set up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.facts import Detection, FileText, HostedDomains, Outcome
from conbool_tui.facts_sendmail import BLOCK_ID, Daemon, SendmailFacts
from conbool_tui.host import Host
from conbool_tui.sendmail_config import CfFile, access_lines, differences, parse_cf
from detectors import managed
from detectors.listening import owner_of_port, safe_listeners
from detectors.postfix.files import read_file, system_ca_file
from detectors.sendmail.build import m4_output
from detectors.sendmail.networks import domains_of, own_networks
from detectors.sendmail.program import Program, asked_classes, find_program

NAME = "sendmail"
PROCMAILRC = "/etc/procmailrc"
_DIRECTORY = "/etc/mail"
_DRIFT_SHOWN = 12
_RELEVANT_RULESETS = {
    "greet_pause": "greet_pause",
    "RateControl": "rate",
    "ConnControl": "connections",
}


class SendmailDetector:
    """Looks for Sendmail 8 (Debian's and Red Hat's layout)."""

    name = NAME

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """As Detector. Sendmail has no instances."""
        program = find_program(host)
        if program is None:
            return Detection(
                NAME, Outcome.ABSENT, "Sendmail is not installed.", reason="No program of Sendmail was found."
            )
        try:
            facts = read_facts(host, program)
        except ConboolError as error:
            return Detection(
                NAME,
                Outcome.BROKEN,
                f"Sendmail {program.version} is installed, but its configuration cannot be used.",
                error.what,
                error.todo,
            )
        return _judged(host, facts)


def _judged(host: Host, facts: SendmailFacts) -> Detection:
    manager = managed.find(host, tuple(facts.files))
    if manager is not None:
        return Detection(
            NAME,
            Outcome.MANAGED,
            f"The mail configuration of this host is managed by {manager.name}.",
            reason=manager.reason,
            remedy=manager.remedy,
            managed_by=manager.name,
            evidence=manager.evidence,
            sendmail=facts,
        )
    if facts.version_tuple < (8, 15):
        return Detection(
            NAME,
            Outcome.BROKEN,
            f"Sendmail {facts.version} is too old.",
            reason=f"Sendmail {facts.version} is too old: conbool-tui supports 8.15 and later.",
            remedy="Upgrade Sendmail or the operating system, then start again.",
            sendmail=facts,
        )
    if facts.build_error:
        return Detection(
            NAME,
            Outcome.BROKEN,
            f"Sendmail {facts.version} in {facts.config_directory} is broken.",
            facts.build_error,
            facts.build_remedy,
            sendmail=facts,
        )
    state = "running" if facts.running else "not running"
    return Detection(
        NAME,
        Outcome.PRESENT,
        f"Sendmail {facts.version} in {facts.config_directory}, {state}, {facts.domains.counted}.",
        sendmail=facts,
    )


@dataclass(frozen=True)
class _Built:
    """What the configuration says without us."""

    cf: CfFile
    error: str
    remedy: str
    drift: tuple[str, ...]


def read_facts(host: Host, program: Program) -> SendmailFacts:
    """Everything about this Sendmail.

    Raises:
        CheckFailedError: there is no sendmail.cf, or its macro files are missing.
        HostError, NeedsRootError: something cannot be read.
    """
    cf_path = program.cf
    if not host.is_file(cf_path):
        raise CheckFailedError(
            f"{cf_path} is missing.",
            "Sendmail cannot start without it.",
            "Build it (make -C /etc/mail, or sendmailconfig on Debian), then start again.",
        )
    directory = cf_path.rpartition("/")[0] or _DIRECTORY
    source = cf_path[: -len(".cf")] + ".mc"
    files: dict[str, FileText] = {}
    for path in (source, PROCMAILRC):
        if host.is_file(path):
            files[path] = read_file(host, path)
    live = host.read_text(cf_path)
    built = _built(host, source, files, live)
    cf = built.cf
    access_type, access = cf.map_file("access") or ("", "")
    if access and host.is_file(access):
        files[access] = read_file(host, access)
    access_text = files[access].data.decode("utf-8", "replace") if access in files else ""
    classes = _classes(host, program)
    networks, named = own_networks(classes["$=R"], classes["$=w"], _without_block(access_text))
    features = {word for ruleset, word in _RELEVANT_RULESETS.items() if ruleset in cf.rulesets}
    features |= {name for name in ("access", "mailertable", "virtuser") if name in cf.maps}
    listeners = safe_listeners(host)
    pid = daemon_pid(host, cf.options.get("PidFile") or program.pid_file)
    host_name = "".join(classes["$j"][:1])
    warnings = [f"{one}: clients that may relay by name are not known by their address" for one in named]
    warnings[:0] = _warnings(cf, source in files)
    return SendmailFacts(
        version=program.version,
        flags=program.flags,
        config_directory=directory,
        source=source if source in files else None,
        cf=cf_path,
        pid_file=cf.options.get("PidFile") or program.pid_file,
        files=files,
        build_error=built.error,
        build_remedy=built.remedy,
        drift=built.drift,
        options=cf.options,
        rulesets=cf.rulesets,
        headers=cf.headers,
        mailers=cf.mailers,
        features=frozenset(features),
        access=access if access in files else "",
        access_type=access_type,
        smart_host=cf.macros.get("S", ""),
        catch_all=_catch_all(host, cf),
        daemons=tuple(_daemon(text) for text in cf.daemons),
        domains=HostedDomains(
            mydestination=domains_of(classes["$=w"]),
            virtual_alias=domains_of(classes["$={VirtHost}"]),
            relay=domains_of(classes["$=R"]),
            host_names=(host_name.lower(),),
        ),
        host_name=host_name,
        own_networks=tuple(str(one) for one in networks),
        unlisted_networks=(),
        local_mailer=cf.mailer_path("local"),
        running=pid is not None,
        listeners=listeners,
        port_25_owner=_owner(owner_of_port(listeners, 25)),
        system_ca_file=system_ca_file(host),
        milters=tuple(
            name.strip() for name in cf.options.get("InputMailFilters", "").split(",") if name.strip()
        ),
        warnings=tuple(warnings),
    )


def _built(host: Host, source: str, files: Mapping[str, FileText], live: str) -> _Built:
    """The configuration without our block, and how the live sendmail.cf differs from what its source gives."""
    if source not in files:
        return _Built(parse_cf(live), "", "", ())
    data = files[source].data
    try:
        whole = m4_output(host, source, data).decode("utf-8", "surrogateescape")
        own = data if text_blocks.get(data, BLOCK_ID) is None else text_blocks.put(data, BLOCK_ID, None)
        base = whole if own == data else m4_output(host, source, own).decode("utf-8", "surrogateescape")
    except ConboolError as error:
        return _Built(parse_cf(live), f"{error.what} {error.why}".strip(), error.todo, ())
    found = differences(live, whole)
    return _Built(parse_cf(base), "", "", tuple(found[:_DRIFT_SHOWN]))


def _classes(host: Host, program: Program) -> Mapping[str, tuple[str, ...]]:
    return asked_classes(host, program.path, ("$=w", "$=R", "$={VirtHost}", "$j"))


def _without_block(text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if text_blocks.get(data, BLOCK_ID) is None:
        return text
    return text_blocks.put(data, BLOCK_ID, None).decode("utf-8", "surrogateescape")


def _daemon(text: str) -> Daemon:
    """One value of DaemonPortOptions: ``Family=inet, Name=MTA, Port=smtp, M=Ea`` (names may be cut to their first letter)."""
    parts: dict[str, str] = {}
    for item in text.split(","):
        name, _, value = item.partition("=")
        parts[name.strip().lower()[:1]] = value.strip()
    return Daemon(
        parts.get("n", ""), parts.get("f", "inet"), parts.get("a", ""), parts.get("p", ""), parts.get("m", "")
    )


def _catch_all(host: Host, cf: CfFile) -> str:
    """The entry ``.`` of the mailertable, which is where everything else goes."""
    found = cf.map_file("mailertable")
    if found is None or not host.is_file(found[1]):
        return ""
    for line in access_lines(host.read_text(found[1])):
        if line.key == ".":
            return f"{found[1]} line {line.number}: {line.key} {line.value}"
    return ""


def daemon_pid(host: Host, pid_file: str) -> Optional[int]:
    """The daemon's process, None when it does not run."""
    try:
        pid = int(host.read_text(pid_file).split()[0])
    except (ConboolError, ValueError, IndexError):
        return None
    return pid if host.process_name(pid).startswith("sendmail") else None


def _owner(name: str) -> str:
    return ", ".join(
        dict.fromkeys(NAME if one.startswith("sendmail") else one for one in re.split(r", ", name) if one)
    )


def _warnings(cf: CfFile, has_source: bool) -> list[str]:
    found = []
    if not has_source:
        found.append("There is only a sendmail.cf and no sendmail.mc: conbool-tui cannot change it.")
    if "Relay_ok" not in cf.rulesets:
        found.append("FEATURE(`promiscuous_relay') is on: this server relays for the whole world.")
    return found
