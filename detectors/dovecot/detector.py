"""Puts the probes together: absent, present, broken (and why), or managed by something else."""

from __future__ import annotations

import posixpath
import re
from typing import Optional

from conbool_tui import doveconf, text_blocks
from conbool_tui.dovecot_process import master_pid
from conbool_tui.errors import CheckFailedError, ConboolError
from conbool_tui.facts import Detection, FileText, Outcome
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.host import Host
from conbool_tui.planners.dovecot import names
from conbool_tui.staging import StagedCopy
from detectors import managed
from detectors.dovecot import folders, places
from detectors.postfix.files import read_file

NAME = "dovecot"
_FILES = ("/etc/dovecot/dovecot.conf", "/usr/local/etc/dovecot/dovecot.conf")
_OLDEST = (2, 3)


class DovecotDetector:
    """Finds Dovecot; it keeps the mail and is never the mail system to work on by itself."""

    name = NAME
    role = "mailbox"

    def detect(self, host: Host, instance: Optional[str]) -> Detection:
        """Look for Dovecot; there is one configuration of it, so ``instance`` does not matter."""
        try:
            installed = host.which("doveconf") is not None
        except (ConboolError, OSError):
            installed = False
        if not installed:
            return Detection(
                NAME,
                Outcome.ABSENT,
                "Dovecot is not installed.",
                reason="The program doveconf was not found.",
                role=DovecotDetector.role,
            )
        try:
            facts = read_facts(host)
        except ConboolError as error:
            manager = managed.find(host, _FILES)
            if manager is not None:
                return _managed(manager, None)
            return Detection(
                NAME,
                Outcome.BROKEN,
                "Dovecot is installed, but its configuration cannot be used.",
                error.what,
                error.todo,
                role=DovecotDetector.role,
            )
        manager = managed.find(host, tuple(facts.files))
        if manager is not None:
            return _managed(manager, facts)
        state = "running" if facts.running else "not running"
        sieve = f"Sieve for {' and '.join(facts.sieve_for)}" if facts.sieve_for else "no Sieve at delivery"
        return Detection(
            NAME,
            Outcome.PRESENT,
            f"Dovecot {facts.version} in {facts.config_directory}, {state}, {sieve}.",
            role=DovecotDetector.role,
            dovecot=facts,
        )


def _managed(manager: managed.Manager, facts: Optional[DovecotFacts]) -> Detection:
    return Detection(
        NAME,
        Outcome.MANAGED,
        f"The mail configuration of this host is managed by {manager.name}.",
        reason=manager.reason,
        remedy=manager.remedy,
        managed_by=manager.name,
        evidence=manager.evidence,
        role=DovecotDetector.role,
        dovecot=facts,
    )


def read_facts(host: Host) -> DovecotFacts:
    """Everything about this host's Dovecot.

    Raises:
        CheckFailedError: doveconf refuses the configuration, or it is too old.
        HostError: a file cannot be read; NeedsRootError when root could.
    """
    path = next((one for one in _FILES if host.exists(one)), "")
    if not path:
        raise CheckFailedError(
            "dovecot.conf is missing.",
            "Dovecot is installed but was never set up.",
            "Restore it from the package, then start again.",
        )
    directory = posixpath.dirname(path)
    version = _version(host)
    numbers = tuple(int(word) for word in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST:
        raise CheckFailedError(
            f"Dovecot {version} is too old: conbool-tui supports 2.3 and later.",
            "",
            "Upgrade Dovecot or the operating system, then start again.",
        )
    syntax = "2.3" if numbers < (2, 4) else "2.4"
    reading = read(host, path)
    files = {path: read_file(host, path)}
    for own in (names.script(directory), names.binary(directory), names.activation(directory, syntax)):
        if host.exists(own):
            files[own] = read_file(host, own)
    without = reading
    if len(files) > 1 or _has_block(files[path]):
        try:
            without = read_without_us(host, path, files)
        except ConboolError:
            # Another user than root cannot copy everything; then what ours names stands for what is there without it.
            if host.is_root:
                raise
    plugins = {protocol: _plugins(host, path, protocol) for protocol in ("lmtp", "lda")}
    installed = host.which("sievec") is not None and _module_there(host, path)
    place = places.find(host, path, syntax)
    warnings = list(place.warnings)
    if not host.is_root:
        warnings.append("Not everything of Dovecot's configuration can be read without root.")
    namespaces = folders.namespaces(reading)
    ours = (names.script(directory), names.SECTION)
    return DovecotFacts(
        version=version,
        syntax=syntax,
        config_directory=directory,
        config_file=path,
        running=_running(host, reading),
        protocols=reading.switched_on("protocols"),
        sieve_installed=installed,
        sieve_for=tuple(protocol for protocol, words in plugins.items() if installed and "sieve" in words),
        before_scripts=tuple(one for one in before_scripts(without, syntax) if one not in ours),
        junk=folders.junk(namespaces),
        prefix=folders.prefix(namespaces),
        base_directory=reading.get("base_dir") or "/run/dovecot",
        lmtp_sockets=_lmtp_sockets(reading),
        activation=place.path,
        block_before=place.before,
        files=files,
        warnings=tuple(warnings),
    )


def read(host: Host, path: str) -> doveconf.Section:
    """The settings that are not defaults. Raises CheckFailedError: doveconf refuses the configuration; HostError."""
    result = host.run(["doveconf", "-n", "-c", path])
    if not result.ok and "Permission denied" in result.error_text() and not host.is_root:
        raise CheckFailedError(
            f"Dovecot's configuration cannot be read without root: {_said(result.error_text())}",
            "",
            "Run the same command with sudo.",
        )
    if not result.ok:
        raise CheckFailedError(
            f"doveconf refuses the configuration: {_said(result.error_text())}",
            "",
            "Repair it until `doveconf -n` prints no error.",
        )
    return doveconf.parse(result.text())


def read_without_us(host: Host, path: str, files: dict[str, FileText]) -> doveconf.Section:
    """The same as it would be without our files. Raises as ``read``."""
    directory = posixpath.dirname(path)
    with host.private_folder() as top:
        copy = StagedCopy(host, directory, posixpath.join(top, "without"))
        gone: dict[str, Optional[bytes]] = {one: None for one in files if one != path}
        copy.lay_over({**gone, path: text_blocks.put(files[path].data, names.BLOCK, None)})
        return read(host, posixpath.join(copy.path, posixpath.basename(path)))


def before_scripts(reading: doveconf.Section, syntax: str) -> tuple[str, ...]:
    """What runs before a user's own script, in its order."""
    if syntax == "2.4":
        return tuple(one.argument for one in reading.sections("sieve_script") if one.get("type") == "before")
    settings: dict[str, str] = {}
    for plugin in reading.sections("plugin"):
        settings.update(plugin.values())
    found = []
    number = 1
    # The first number that is missing ends the sequence (Pigeonhole, sieve_before).
    while settings.get(f"sieve_before{number if number > 1 else ''}"):
        found.append(settings[f"sieve_before{number if number > 1 else ''}"])
        number += 1
    return tuple(found)


def _has_block(text: FileText) -> bool:
    return text_blocks.get(text.data, names.BLOCK) is not None


def _version(host: Host) -> str:
    result = host.run(["dovecot", "--version"])
    words = result.text().split()
    if not result.ok or not words:
        raise CheckFailedError(
            f"`dovecot --version` does not work: {_said(result.error_text())}", "", "Repair its package."
        )
    return words[0].partition("-")[0]


def _said(text: str) -> str:
    """The tool's own words, the fatal line when there is one."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    fatal = [line for line in lines if "Fatal:" in line]
    return re.sub(r"^doveconf: (Fatal: )?", "", (fatal or lines or ["no reason given"])[-1])


def _plugins(host: Host, path: str, protocol: str) -> tuple[str, ...]:
    result = host.run(["doveconf", "-c", path, "-f", f"protocol={protocol}", "mail_plugins"])
    return doveconf.parse(result.text()).switched_on("mail_plugins") if result.ok else ()


def _module_there(host: Host, path: str) -> bool:
    result = host.run(["doveconf", "-c", path, "-h", "mail_plugin_dir"])
    folder = result.text().strip() or "/usr/lib/dovecot/modules"
    return any(name.endswith("_sieve_plugin.so") for name in _names(host, folder))


def _names(host: Host, folder: str) -> list[str]:
    try:
        return host.listdir(folder)
    except ConboolError:
        return []


def _lmtp_sockets(reading: doveconf.Section) -> tuple[str, ...]:
    found = ["lmtp"] if "lmtp" in reading.switched_on("protocols") else []
    for service in reading.sections("service"):
        if service.argument == "lmtp":
            found += [one.argument for one in service.sections("unix_listener")]
    return tuple(dict.fromkeys(found))


def _running(host: Host, reading: doveconf.Section) -> bool:
    return host.live and master_pid(host, reading.get("base_dir") or "/run/dovecot") is not None
