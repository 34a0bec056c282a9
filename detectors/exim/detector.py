"""Puts the probes together: absent, present, broken (and why), or managed by something else."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.facts import Detection, FileText, Outcome
from conbool_tui.facts_exim import PLAIN, TEMPLATE, EximDriver, EximFacts
from conbool_tui.host import Host
from detectors import managed
from detectors.exim import sources
from detectors.exim.domains import HOST_LISTS, LOCAL_LISTS, RELAY_LISTS, read_domains, read_networks
from detectors.exim.program import Tools, find_program
from detectors.exim.running import daemon_pid
from detectors.listening import owner_of_port, safe_listeners
from detectors.postfix.files import system_ca_file

NAME = "exim"
OLDEST = (4, 94)
_CONFIGURATIONS = (
    "/etc/exim4/exim4.conf",
    "/etc/exim4/exim4.conf.template",
    "/etc/exim4/update-exim4.conf.conf",
    "/etc/exim/exim.conf",
    "/etc/exim.conf",
)


_LOOKED_AT = frozenset(
    (
        "check_local_user",
        "command",
        "condition",
        "data",
        "directory",
        "dkim_canon",
        "dkim_domain",
        "dkim_identity",
        "dkim_private_key",
        "dkim_selector",
        "dkim_sign_headers",
        "dkim_strict",
        "domains",
        "driver",
        "headers_add",
        "headers_remove",
        "headers_rewrite",
        "helo_data",
        "interface",
        "local_part_prefix",
        "local_parts",
        "maildir_format",
        "message_linelength_limit",
        "protocol",
        "return_path",
        "route_list",
        "senders",
        "transport",
        "unseen",
        "verify_only",
    )
)


class EximDetector:
    """Finds Exim."""

    name = NAME

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """Look for Exim; it has no instances, so ``instance`` is not looked at."""
        program = find_program(host)
        if program is None:
            return _absent(host)
        manager = managed.find(host, _CONFIGURATIONS)
        try:
            facts = read_facts(host, program)
        except ConboolError as error:
            if manager is not None:
                return _managed(manager, None)
            return Detection(
                NAME,
                Outcome.BROKEN,
                "Exim is installed, but its configuration cannot be used.",
                error.what,
                error.todo,
            )
        manager = managed.find(host, tuple(facts.files)) or manager
        if manager is not None:
            return _managed(manager, facts)
        return _judged(facts)


def _absent(host: Host) -> Detection:
    for path in _CONFIGURATIONS:
        try:
            left = host.exists(path)
        except (ConboolError, OSError):
            continue
        if left:
            return Detection(
                NAME,
                Outcome.ABSENT,
                "Exim is not installed; an old configuration is left.",
                reason=f"{path} is there, but the program exim is not.",
                remedy="Install the exim package, or run conbool-tui on the machine that runs it.",
                evidence=path,
            )
    return Detection(
        NAME, Outcome.ABSENT, "Exim is not installed.", reason="The programs exim4 and exim were not found."
    )


def _managed(manager: managed.Manager, facts: Optional[EximFacts]) -> Detection:
    return Detection(
        NAME,
        Outcome.MANAGED,
        f"The mail configuration of this host is managed by {manager.name}.",
        reason=manager.reason,
        remedy=manager.remedy,
        managed_by=manager.name,
        evidence=manager.evidence,
        exim=facts,
    )


def _judged(facts: EximFacts) -> Detection:
    if facts.version_tuple < OLDEST:
        return Detection(
            NAME,
            Outcome.BROKEN,
            f"Exim {facts.version} is too old.",
            reason=f"Exim {facts.version} is too old: conbool-tui supports 4.94 and later, because older ones check the "
            "smart host's certificate against a name that DNS can forge.",
            remedy="Upgrade Exim or the operating system, then start again.",
            exim=facts,
        )
    state = "running" if facts.running else "not running"
    daemon = "with content scanning" if facts.content_scanning else "without content scanning"
    layout = {PLAIN: "one file", TEMPLATE: "Debian's template"}.get(facts.layout, "Debian's conf.d")
    return Detection(
        NAME,
        Outcome.PRESENT,
        f"Exim {facts.version} ({daemon}) in {facts.config_directory} ({layout}), {state}, {facts.domains.counted}.",
        exim=facts,
    )


def read_facts(host: Host, program: str) -> EximFacts:
    """Everything about this Exim.

    Raises:
        CheckFailedError: Exim refuses its configuration, in its own words.
        HostError: a file cannot be read; NeedsRootError when root could.
    """
    tools = Tools(host, program)
    build = tools.build()
    if not build.config_file:
        raise CheckFailedError(
            "Exim does not say which configuration file it reads.",
            "",
            "Look at what `exim -bV` prints about its configuration file.",
        )
    settings = sources.read_settings(host)
    layout = sources.layout_of(build.config_file, settings)
    files = sources.read_sources(host, layout, build.config_file)
    options = tools.options()
    routers, transports = _brief(tools.drivers("routers")), _brief(tools.drivers("transports"))
    own_name = options.get("primary_hostname", "")
    lists, expanded = _lists(tools)
    networks, unlisted = read_networks(next((lists[name] for name in HOST_LISTS if name in lists), ""))
    pid = daemon_pid(host, options.get("pid_file_path", ""))
    listeners = safe_listeners(host)
    return EximFacts(
        version=build.version,
        program=program,
        layout=layout,
        config_directory=sources.directory_of(layout, build.config_file),
        config_file=sources.edited_file(layout, build.config_file),
        generated=build.config_file if layout != PLAIN else "",
        content_scanning="Content_Scanning" in build.features,
        features=build.features,
        options=options,
        routers=routers,
        transports=transports,
        lists=lists,
        labels=sources.acl_labels(layout, files),
        macro_acls=sources.macro_acls(files),
        domains=read_domains(host, expanded, own_name),
        own_networks=networks,
        unlisted_networks=unlisted,
        files=files,
        retry_rule=tools.retries("mail.conbool.com"),
        running=pid is not None,
        listeners=listeners,
        port_25_owner=_owner(owner_of_port(listeners, 25)),
        system_ca_file=system_ca_file(host),
        config_type=settings.get("dc_eximconfig_configtype", "") if layout != PLAIN else "",
        hubbed=_hubbed(host, sources.directory_of(layout, build.config_file)),
        warnings=tuple(dict.fromkeys((*_warnings(files), *managed.notes(host)))),
    )


def _brief(drivers: tuple[EximDriver, ...]) -> tuple[EximDriver, ...]:
    """Routers or transports with the options that a plan looks at, where they are set; others may hold anything."""
    return tuple(
        EximDriver(
            one.name,
            {
                name: value
                for name, value in one.options.items()
                if name in _LOOKED_AT and value not in ("", "false")
            },
        )
        for one in drivers
    )


def _lists(tools: Tools) -> tuple[dict[str, str], dict[str, str]]:
    """The named lists that decide who is who: as written, and domain lists expanded."""
    lists: dict[str, str] = {}
    expanded: dict[str, str] = {}
    for name in (*LOCAL_LISTS, *RELAY_LISTS, *HOST_LISTS):
        text = tools.named_list(name)
        if text is None:
            continue
        lists[name] = text
        if name not in HOST_LISTS:
            whole = tools.expand("${listnamed_d:" + name + "}")
            expanded[name] = text if whole is None else whole
        elif "$" in text:
            lists[name] = tools.expand(text) or text
    return lists, expanded


def _owner(name: str) -> str:
    """Who listens on port 25, in the words of the other parts."""
    return ", ".join(NAME if one in ("exim", "exim4") else one for one in name.split(", ")) if name else ""


def _hubbed(host: Host, directory: str) -> frozenset[str]:
    """The domains of Debian's hubbed_hosts."""
    path = posixpath.join(directory, "hubbed_hosts")
    try:
        text = host.read_text(path) if host.is_file(path) else ""
    except ConboolError:
        return frozenset()
    return frozenset(
        re.split(r"[:\s]", line, maxsplit=1)[0].lower() for line in text.split("\n") if line[:1].strip("# ")
    )


def _warnings(files: Mapping[str, FileText]) -> list[str]:
    found = []
    for path, text in files.items():
        said = managed.header_warning(text.data.decode("utf-8", "replace"))
        # Debian's own template says of itself that it is only used in one layout, which is no warning.
        if said is not None and "/conf.d/" not in path and not path.endswith("exim4.conf.template"):
            found.append(f"{path} says about itself: {said}")
    return found
