"""Puts the probes together: absent, present, broken (and why), or managed by something else."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Optional

from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.facts import Detection, FileText, Outcome, PostfixFacts
from conbool_tui.host import Host
from conbool_tui.postfix_config import MasterCf
from detectors import managed
from detectors.listening import owner_of_port, safe_listeners
from detectors.postfix import files, services, tables
from detectors.postfix.domains import read_domains
from detectors.postfix.instances import PRIMARY, choose, name_of, read_instances
from detectors.postfix.parameters import Tools, fatal_text, read_parameters, refusal
from detectors.postfix.running import master_pid

NAME = "postfix"
OLDEST = (3, 4)
_DEFAULT_DIRECTORIES = (
    "/etc/postfix",
    "/usr/local/etc/postfix",
    "/opt/postfix/conf",
    "/opt/zimbra/common/conf",
)


class PostfixDetector:
    """Finds Postfix."""

    name = NAME

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """Look for Postfix; ``instance`` is a name or configuration directory from ``postmulti -l``, by
        default the primary one."""
        try:
            installed = host.which("postconf") is not None
        except (ConboolError, OSError):
            installed = False
        if not installed:
            return _without_program(host)
        try:
            facts = read_facts(host, instance)
        except ConboolError as error:
            return _broken(host, error)
        return _judged(host, facts)


def _without_program(host: Host) -> Detection:
    """There is no Postfix to ask; a product may still run one that is not ours to touch (a container, its
    own prefix)."""
    manager = managed.find(host, ())
    if manager is not None:
        return _managed(manager, None)
    for directory in _DEFAULT_DIRECTORIES:
        path = f"{directory}/main.cf"
        if host.exists(path):
            return Detection(
                NAME,
                Outcome.ABSENT,
                "Postfix is not installed; an old configuration is left.",
                reason=f"{path} is there, but the program postconf is not.",
                remedy=(
                    "Install the postfix package, or run conbool-tui on the machine (or in the "
                    "container) that runs it."
                ),
                evidence=path,
            )
    return Detection(
        NAME, Outcome.ABSENT, "Postfix is not installed.", reason="The program postconf was not found."
    )


def _broken(host: Host, error: ConboolError) -> Detection:
    """Postfix is installed but cannot be used as it is."""
    manager = managed.find(
        host,
        tuple(
            f"{directory}/{name}" for directory in _DEFAULT_DIRECTORIES for name in ("main.cf", "master.cf")
        ),
    )
    if manager is not None:
        return _managed(manager, None)
    return Detection(
        NAME,
        Outcome.BROKEN,
        "Postfix is installed, but its configuration cannot be used.",
        error.what,
        error.todo,
    )


def _managed(manager: managed.Manager, facts: Optional[PostfixFacts]) -> Detection:
    """Somebody else writes these files."""
    return Detection(
        NAME,
        Outcome.MANAGED,
        f"The mail configuration of this host is managed by {manager.name}.",
        reason=manager.reason,
        remedy=manager.remedy,
        managed_by=manager.name,
        evidence=manager.evidence,
        postfix=facts,
    )


def _judged(host: Host, facts: PostfixFacts) -> Detection:
    """The outcome for an instance that could be read."""
    manager = managed.find(host, tuple(facts.files))
    if manager is not None:
        return _managed(manager, facts)
    if facts.version_tuple < OLDEST:
        return Detection(
            NAME,
            Outcome.BROKEN,
            f"Postfix {facts.version} is too old.",
            reason=f"Postfix {facts.version} is too old: conbool-tui supports 3.4 and later.",
            remedy="Upgrade Postfix or the operating system, then start again.",
            postfix=facts,
        )
    problem = _problem(host, facts)
    if problem is not None:
        return Detection(
            NAME,
            Outcome.BROKEN,
            f"Postfix {facts.version} in {facts.config_directory} is broken.",
            problem.what,
            problem.todo,
            postfix=facts,
        )
    state = "running" if facts.running else "not running"
    return Detection(
        NAME,
        Outcome.PRESENT,
        f"Postfix {facts.version} in {facts.config_directory}, {state}, {facts.domains.counted}.",
        postfix=facts,
    )


def _problem(host: Host, facts: PostfixFacts) -> Optional[ConboolError]:
    """What keeps this instance from handling mail, None when nothing was found."""
    tools = Tools(host, facts.config_directory)
    refused = refusal(tools)
    if refused:
        return CheckFailedError(
            f"Postfix's programs refuse the configuration: {refused}",
            "",
            "Repair main.cf until `postfix check` is silent.",
        )
    master = MasterCf.parse(facts.files[f"{facts.config_directory}/master.cf"].data)
    unreadable = [text for text in master.problems() if text.endswith("fewer than eight fields")]
    if unreadable:
        return CheckFailedError(
            f"master.cf: {unreadable[0]}.", "", "Repair that line until `postconf -M` works."
        )
    if not master.services():
        return CheckFailedError(
            "master.cf has no service.",
            "",
            "Restore master.cf, for example from the package's master.cf.proto.",
        )
    try:
        fatal = fatal_text(tools.run("postconf", "-M"))
    except ConboolError as error:
        fatal = error.what
    if fatal:
        return CheckFailedError(
            f"master.cf cannot be read: {fatal}", "", "Repair it until `postconf -M` works."
        )
    vital, _ = tables.missing_tables(host, facts.expanded, facts.explicit, facts.services, facts.table_types)
    if vital:
        return CheckFailedError(
            f"{vital[0]}.",
            "",
            "Create the table (postmap for indexed types) or take it out of the configuration.",
        )
    return None


def read_facts(host: Host, instance: Optional[str] = None) -> PostfixFacts:
    """Everything about one Postfix instance.

    Raises:
        CheckFailedError: there is no such instance, or Postfix's tools refuse its configuration.
        HostError: a file cannot be read; NeedsRootError when root could.
    """
    tools = Tools(host)
    _check_main_cf(host, tools)
    parameters = read_parameters(tools)
    known = read_instances(host, parameters.expanded)
    if instance is not None and instance not in _names_of_primary(parameters.expanded):
        tools = Tools(host, choose(known, instance).config_directory)
        _check_main_cf(host, tools)
        parameters = read_parameters(tools)
    directory = parameters.expanded.get("config_directory", "/etc/postfix").rstrip("/") or "/"
    tools = Tools(host, directory)

    texts: dict[str, FileText] = {}
    for name in ("main.cf", "master.cf"):
        if not host.exists(f"{directory}/{name}"):
            raise CheckFailedError(
                f"{directory}/{name} is missing.",
                "Postfix cannot start without it.",
                f"Restore {name} from a backup or from the package's {name}.proto, then start again.",
            )
        texts[f"{directory}/{name}"] = files.read_file(host, f"{directory}/{name}")
    texts.update(files.read_own_files(host, directory))

    expanded, types = parameters.expanded, parameters.table_types
    found = services.read_services(texts[f"{directory}/master.cf"].data, expanded)
    reader = tables.TableReader(tools)
    domains = read_domains(host, expanded, reader)
    pid = master_pid(host, tools, expanded.get("queue_directory", "/var/spool/postfix"))
    listeners = safe_listeners(host)
    certificates = files.tls_files(expanded)
    warnings = list(parameters.warnings)
    warnings += MasterCf.parse(texts[f"{directory}/master.cf"].data).problems()
    warnings += reader.warnings
    wildcard = tables.catch_all(tools, expanded.get("transport_maps", ""), types, warnings)
    vital, minor = tables.missing_tables(host, expanded, parameters.explicit, found, types)
    warnings += vital + minor + files.missing_tls_files(host, certificates)
    for path, text in texts.items():
        said = managed.header_warning(text.data.decode("utf-8", "replace"))
        if said is not None and path in (f"{directory}/main.cf", f"{directory}/master.cf"):
            warnings.append(f"{path} says about itself: {said}")
    warnings += managed.notes(host)
    return PostfixFacts(
        version=parameters.raw["mail_version"],
        config_directory=directory,
        instance=name_of(known, directory) or PRIMARY,
        instances=known,
        parameters=parameters.raw,
        expanded=expanded,
        explicit=parameters.explicit,
        services=found,
        table_types=types,
        default_database_type=expanded.get("default_database_type", "hash"),
        domains=domains,
        files=texts,
        running=pid is not None,
        listeners=listeners,
        port_25_owner=owner_of_port(listeners, 25, pid),
        port_25_services=services.port_25_services(found),
        submission_services=services.submission_services(found, expanded),
        content_filters=services.content_filters(found, expanded),
        postscreen=services.has_postscreen(found),
        milters=services.milters(found, expanded),
        tls_files=certificates,
        system_ca_file=files.system_ca_file(host),
        transport_catch_all=wildcard,
        warnings=tuple(dict.fromkeys(warnings)),
        proxy_filters=services.proxy_filters(found, expanded),
    )


def _names_of_primary(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """What the primary instance may be called."""
    return (PRIMARY, parameters.get("multi_instance_name", ""), parameters.get("config_directory", ""))


def _check_main_cf(host: Host, tools: Tools) -> None:
    """Tell a missing or unreadable main.cf before the tools do, with the right advice.

    Raises:
        CheckFailedError, HostError, NeedsRootError.
    """
    directories = (tools.config_directory,) if tools.config_directory else _DEFAULT_DIRECTORIES
    there = [folder for folder in directories if folder and host.is_dir(folder)]
    for folder in there:
        path = posixpath.join(folder, "main.cf")
        if host.exists(path):
            host.read_bytes(path)
            return
    if there:
        raise CheckFailedError(
            f"{there[0]}/main.cf is missing.",
            "Postfix is installed but was never set up, or its configuration was removed.",
            "Set Postfix up first (dpkg-reconfigure postfix, or restore main.cf), then start again.",
        )
