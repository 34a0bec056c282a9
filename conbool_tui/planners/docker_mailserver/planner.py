"""Plan a docker-mailserver installation: only files of its configuration volume change.

The Postfix design is made for the Postfix that the container has without us, and written down in the folder ``conbool`` of the volume in
docker-mailserver's own formats; ``user-patches.sh`` gets one marked block that puts it in force (``docker_mailserver.script`` says why).
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.answers import Answers, SmartHost
from conbool_tui.answers_file import AnswerError
from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.script import HOOK, SCRIPT
from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.planners.docker_mailserver import advice, relay, user_patches
from conbool_tui.planners.docker_mailserver.values import relative, service_options
from conbool_tui.planners.filters.rspamd_rule import rspamd_rule
from conbool_tui.planners.mailbox_script import mailbox_script
from conbool_tui.planners.postfix import desired_postfix
from conbool_tui.planners.postfix import names as postfix_names
from conbool_tui.planners.postfix.desired import Desired, Setting
from conbool_tui.postfix_config import MainCf, MasterCf

_HEADING = "# Written by conbool-tui; run conbool-tui to change it.\n"
_STEPS = {Step.A: 0, Step.B: 1, Step.C: 2, Step.D: 3, Step.SCOPE: 4}
_NEW_PATCHES = b"#!/bin/bash\n"


def plan_docker_mailserver(facts: DockerMailserverFacts, answers: Answers) -> Plan:
    """The plan that makes a docker-mailserver follow the guide's steps A to D and scope. Planning again after it was applied gives an empty plan.

    Raises:
        AnswerError: an answer names a file that the container cannot see.
        UsageError, CheckFailedError: as the Postfix planner; user-patches.sh has markers that do not pair up.
    """
    off = relay.switched_off(facts, answers)
    wanted, closes = desired_postfix(relay.without(facts.postfix, off), _inside(facts, answers))
    for name, value in relay.overrides(off).items():
        wanted.settings[name] = Setting(
            value,
            Step.A,
            f"The old relay to {answers.smart_host.host} has no effect any more",
            "A container that was made with it would send bounces and marked mail there, and check no certificate.",
        )
    pages = _Pages(facts)
    options, more = service_options(wanted)
    parameters = {**_parameters(facts, wanted), **more}
    pages.parameters(parameters, wanted)
    pages.file(
        names.ASSUMED,
        _HEADING
        + _assumed(
            facts, {key: parameters[key] for key in sorted(set(parameters) - set(relay.overrides(off)))}
        ),
        Step.B,
        "What the plan was made for",
        "When the container is made anew and sets up something else, it says so.",
    )
    pages.services({name: block.text for name, block in wanted.blocks.items()}, wanted)
    first = min(
        (setting.step for setting in wanted.options.values()), key=lambda step: _STEPS[step], default=Step.C
    )
    pages.file(
        names.OPTIONS,
        _HEADING + "".join(f"{key}={value}\n" for key, value in sorted(options.items())),
        first,
        "Options of docker-mailserver's own services",
        "Where mail comes in, markers are looked for and checked: " + ", ".join(sorted(options)) + ".",
    )
    for name, table in sorted(wanted.tables.items()):
        pages.file(posixpath.join(names.TABLES, name), table.text, table.step, table.title, table.reason)
    pages.drop_other_tables(wanted)
    script = mailbox_script(answers, facts.postfix.expanded.get("myhostname", "")) if facts.sieve else None
    pages.file(
        names.SIEVE,
        script,
        Step.C,
        "Sieve script that runs before all others" if script else "The Sieve script is taken out",
        "Released mail goes to the inbox and flagged mail to its folder, whatever scripts users have."
        if script
        else "The container keeps no mailboxes.",
    )
    pages.file(
        names.SCRIPT,
        SCRIPT,
        Step.A,
        "The script that puts all of this in force",
        "It keeps docker-mailserver's own configuration, so that the same script takes everything back.",
        mode=0o755,
    )
    pages.block(
        facts.user_patches,
        HOOK,
        "user-patches.sh runs it whenever a container starts",
        "docker-mailserver runs user-patches.sh as the last step of its own set-up.",
        new=_NEW_PATCHES,
        mode=0o755,
        script=True,
    )
    spared = facts.environment.get("ENABLE_RSPAMD") == "1" and bool(answers.conbool_networks)
    pages.block(
        posixpath.join(facts.config, names.RSPAMD),
        rspamd_rule(answers) if spared else None,
        "rspamd does not score released mail away" if spared else "The rule for rspamd is taken out",
        "Both must hold: the header, and that one of Conbool's addresses handed the message over.",
        step=Step.D,
    )
    notices = list(wanted.notices)
    notices += advice.notices(facts, spared=spared)
    relay.plan_relay(facts, answers, pages.block, notices)
    restricts = answers.inbound.restrict_port_25 and pages.touches(
        names.OPTIONS, posixpath.join(names.TABLES, postfix_names.PORT_25_CLIENTS)
    )
    pages.changes.sort(key=lambda change: (_STEPS[change.step], change.kind is ChangeKind.FILE))
    commands = advice.commands(facts) if pages.targets or facts.in_force is False else ()
    return Plan(
        system=names.SYSTEM,
        instance=facts.container or facts.service,
        config_directory=facts.config,
        changes=tuple(pages.changes),
        files=tuple(pages.targets),
        notices=tuple(dict.fromkeys(notices)),
        reload=commands if pages.targets else (),
        health_ports=wanted.ports,
        confirm_within=answers.inbound.confirm_within if closes and restricts and facts.running else 0,
    )


def _parameters(facts: DockerMailserverFacts, wanted: Desired) -> dict[str, str]:
    """The values as they are written down: with the container's own value where it only gets something added."""
    postfix = facts.postfix
    return {
        name: relative(
            name, setting.value, postfix.parameters.get(name) if name in postfix.explicit else None
        )
        for name, setting in sorted(wanted.settings.items())
        if setting.value is not None
    }


def _assumed(facts: DockerMailserverFacts, parameters: Mapping[str, str]) -> str:
    """The container's own values of what is set as a whole."""
    own = facts.postfix.parameters
    names_there = (name for name in parameters if name in facts.postfix.explicit)
    lines = (
        f"{name} = {' '.join(own[name].split())}".rstrip()
        for name in names_there
        if names.BASE not in parameters[name]
    )
    return "".join(line + "\n" for line in lines)


def _inside(facts: DockerMailserverFacts, answers: Answers) -> Answers:
    """The answers with paths as the container sees them. Raises AnswerError."""
    smart_host = answers.smart_host
    changed: dict[str, Optional[str]] = {}
    for key in ("ca_file", "client_certificate", "client_key"):
        path = getattr(smart_host, key)
        if path is not None:
            changed[key] = _path_inside(facts, f"smart_host.{key}", path)
    return dataclasses.replace(answers, smart_host=_with(smart_host, changed)) if changed else answers


def _with(smart_host: SmartHost, changed: Mapping[str, Optional[str]]) -> SmartHost:
    return dataclasses.replace(smart_host, **changed)  # type: ignore[arg-type]


def _path_inside(facts: DockerMailserverFacts, key: str, path: str) -> str:
    best = ""
    found = None
    for source, target in facts.mounts:
        if (
            source
            and (path == source or path.startswith(source.rstrip("/") + "/"))
            and len(source) > len(best)
        ):
            best, found = source, target + path[len(source.rstrip("/")) :]
    if found is None:
        raise AnswerError(
            key,
            f"{key}: the container {facts.container or facts.service} cannot see {path}.",
            "Only files in one of its volumes can be read there.",
            f"Copy the file into {facts.config} and name it there.",
        )
    return found


class _Pages:
    """Collects files of the configuration volume with their changes."""

    def __init__(self, facts: DockerMailserverFacts) -> None:
        self._facts = facts
        self._folder = posixpath.join(facts.config, names.FOLDER)
        self.changes: list[Change] = []
        self.targets: list[FileTarget] = []

    def touches(self, *pages: str) -> bool:
        """Whether one of these files of our folder changes."""
        paths = {posixpath.join(self._folder, name) for name in pages}
        return any(target.path in paths for target in self.targets)

    def file(
        self, name: str, text: Optional[str], step: Step, title: str, reason: str, *, mode: int = 0o644
    ) -> None:
        """A whole file of our folder (None: it goes)."""
        path = posixpath.join(self._folder, name)
        after = None if text is None else text.encode("utf-8", "surrogateescape")
        before = self._before(path)
        if before == after:
            return
        self.targets.append(FileTarget(path, before, after, mode))
        undo = "The file is removed." if before is None else "The old content comes back."
        self.changes.append(
            Change(ChangeKind.FILE, step, title, reason, path, "", _text(before), _text(after), undo)
        )

    def parameters(self, values: Mapping[str, str], wanted: Desired) -> None:
        """The parameters, one change each."""
        path = posixpath.join(self._folder, names.PARAMETERS)
        before = self._before(path)
        old = MainCf.parse(before or b"")
        after = (_HEADING + "".join(f"{name} = {value}\n" for name, value in values.items())).encode()
        if before == after:
            return
        self.targets.append(FileTarget(path, before, after))
        for name in sorted({*values, *old.names()}):
            was, now = old.get(name), values.get(name)
            if was == now:
                continue
            setting = wanted.settings.get(name)
            self.changes.append(
                Change(
                    ChangeKind.PARAMETER,
                    setting.step if setting else Step.SCOPE,
                    setting.title if setting else f"docker-mailserver's own {name} comes back",
                    setting.reason if setting else "The answers changed.",
                    path,
                    name,
                    was,
                    now,
                    f"{name} is "
                    + ("docker-mailserver's own again." if was is None else f"set back to {was or 'empty'}."),
                )
            )

    def services(self, blocks: Mapping[str, str], wanted: Desired) -> None:
        """The services that are added to master.cf, one change a block."""
        path = posixpath.join(self._folder, names.SERVICES)
        before = self._before(path)
        old = MasterCf.parse(before or b"")
        new = MasterCf.parse(_HEADING.encode())
        for block_id, text in blocks.items():
            new.add_block(block_id, text)
        after = new.to_bytes()
        if before == after:
            return
        self.targets.append(FileTarget(path, before, after))
        for block_id in dict.fromkeys((*blocks, *old.block_ids())):
            was, now = old.block(block_id), new.block(block_id)
            if was == now:
                continue
            block = wanted.blocks.get(block_id)
            self.changes.append(
                Change(
                    ChangeKind.SERVICE_BLOCK,
                    block.step if block else Step.C,
                    block.title if block else f"The services of the block {block_id} are taken out",
                    block.reason if block else "The answers changed.",
                    path,
                    block_id,
                    was,
                    now,
                    "The services are removed." if was is None else "The old services come back.",
                )
            )

    def drop_other_tables(self, wanted: Desired) -> None:
        """Tables of an earlier plan that nobody names any more."""
        folder = posixpath.join(self._folder, names.TABLES)
        for path in sorted(self._facts.files):
            if posixpath.dirname(path) == folder and posixpath.basename(path) not in wanted.tables:
                name = posixpath.join(names.TABLES, posixpath.basename(path))
                self.file(
                    name,
                    None,
                    Step.C,
                    f"The table {posixpath.basename(path)} is taken out",
                    "The answers changed.",
                )

    def block(
        self,
        path: str,
        text: Optional[str],
        title: str,
        reason: str,
        *,
        new: bytes = b"",
        mode: int = 0o644,
        script: bool = False,
        step: Step = Step.A,
    ) -> None:
        """Our marked block in a file of the admin's (None: it goes); a file that held nothing else goes with it."""
        before = self._before(path)
        data = new if before is None else before
        was = text_blocks.get(data, names.BLOCK)
        if was == text:
            return
        after = text_blocks.put(data, names.BLOCK, text, before=user_patches.place(data) if script else None)
        self.targets.append(FileTarget(path, before, after or None, mode))
        undo = "The block is removed." if was is None else "The old block comes back."
        self.changes.append(Change(ChangeKind.BLOCK, step, title, reason, path, names.BLOCK, was, text, undo))

    def _before(self, path: str) -> Optional[bytes]:
        there = self._facts.files.get(path)
        return there.data if there is not None else None


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")
