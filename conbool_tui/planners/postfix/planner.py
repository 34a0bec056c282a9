"""Turn the difference between the configuration that is and the one that should be into a plan."""

from __future__ import annotations

import posixpath
from typing import Optional

from conbool_tui.answers import Answers
from conbool_tui.errors import CheckFailedError, UsageError
from conbool_tui.facts import PostfixFacts
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.arrivals import arrivals
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Desired
from conbool_tui.planners.postfix.header_checks import header_checks
from conbool_tui.planners.postfix.inbound import inbound
from conbool_tui.planners.postfix.inherited_checks import explicit_inherited
from conbool_tui.planners.postfix.lane import lane, released_lane
from conbool_tui.planners.postfix.previous import format_record, parse_record
from conbool_tui.planners.postfix.scope import scope
from conbool_tui.planners.postfix.smart_host import smart_host
from conbool_tui.planners.postfix.sources import option_base
from conbool_tui.planners.postfix.tightening import tightens_port_25
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.postfix_config.layout import stages_of

_OLDEST = (3, 4)
_BLOCKS = ("smart-host", "lane", "released", "untrusted", "cleanup")
_PARAMETERS = (
    "default_transport",
    "header_checks",
    "mime_header_checks",
    "nested_header_checks",
    "postscreen_access_list",
    "relayhost",
    "sender_dependent_default_transport_maps",
    "smtpd_client_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_restriction_classes",
    "smtpd_sender_restrictions",
    f"{names.REINJECT_TRANSPORT}_destination_recipient_limit",
    *names.CLASSES,
)
_KIND_ORDER = {
    ChangeKind.SERVICE_BLOCK: 0,
    ChangeKind.PARAMETER: 1,
    ChangeKind.SERVICE_OPTION: 2,
    ChangeKind.FILE: 3,
}
_STEP_ORDER = {Step.A: 0, Step.B: 1, Step.C: 2, Step.D: 3, Step.SCOPE: 4}


def plan_postfix(facts: PostfixFacts, answers: Answers) -> Plan:
    """The plan that makes a Postfix instance follow the guide's steps A to D and scope.

    Planning again after the plan was applied gives an empty plan.

    Args:
        facts: the instance as detected.
        answers: complete answers; ``domains`` must not be empty.

    Raises:
        UsageError: the answers leave nothing to do (no domains, no senders).
        CheckFailedError: this Postfix cannot do what is needed.
    """
    folder = posixpath.join(facts.config_directory, names.FOLDER)
    design = _designed(facts, answers, folder)
    wanted = design.wanted
    changes: list[Change] = []
    files: list[FileTarget] = []
    _plan_tables(facts, folder, wanted, changes, files)
    _plan_master(facts, design, changes, files)
    _plan_main(facts, design, changes, files)
    changes.sort(key=_reading_order)
    return Plan(
        system="postfix",
        instance=facts.instance,
        config_directory=facts.config_directory,
        changes=tuple(changes),
        files=tuple(files),
        notices=tuple(_merge(wanted.notices)),
        reload=("postfix reload",) if files else (),
        health_ports=wanted.ports,
        confirm_within=answers.inbound.confirm_within if tightens_port_25(design) else 0,
    )


def desired_postfix(facts: PostfixFacts, answers: Answers) -> tuple[Desired, bool]:
    """Everything that must hold in the end, for systems that write it down in files of their own; and whether it closes port 25 to
    somebody. Raises as ``plan_postfix``.
    """
    design = _designed(facts, answers, posixpath.join(facts.config_directory, names.FOLDER))
    return design.wanted, tightens_port_25(design)


def _designed(facts: PostfixFacts, answers: Answers, folder: str) -> Design:
    _check(facts, answers)
    record_file = facts.files.get(posixpath.join(folder, names.PREVIOUS))
    record = parse_record(record_file.data.decode("utf-8", "surrogateescape")) if record_file else {}
    design = Design(facts, answers, record)
    for part in (smart_host, inbound, lane, arrivals, header_checks, released_lane, scope):
        part(design)
    return design


def _reading_order(change: Change) -> tuple[int, bool, int]:
    """By step; in a step what decides the way of the mail first, the tables it uses after it, our own record last."""
    return _STEP_ORDER[change.step], change.path.endswith("/" + names.PREVIOUS), _KIND_ORDER[change.kind]


def _check(facts: PostfixFacts, answers: Answers) -> None:
    if facts.version_tuple and facts.version_tuple < _OLDEST:
        raise CheckFailedError(
            f"Postfix {facts.version} is too old.",
            "The design needs Postfix 3.4 or newer.",
            "Update the mail server's operating system first.",
        )
    if not answers.domains:
        raise UsageError(
            "No hosted domain is known.",
            "Markers and scope are per domain.",
            "Name them: domains: [example.com] or --domains example.com.",
        )
    if answers.inbound.restrict_port_25 and not answers.conbool_networks:
        raise UsageError(
            "conbool_networks is empty, and inbound.restrict_port_25 is true.",
            "Port 25 would be closed to Conbool as well, and no mail would come in.",
            "Name Conbool's addresses: conbool_networks: [...] or --conbool-networks.",
        )
    if answers.inbound.peer_certificate == "require":
        raise UsageError(
            "inbound.peer_certificate: Postfix cannot require a name in a client certificate.",
            "It compares fingerprints only, and those change when Conbool renews its certificate.",
            "Set it to log; Conbool is recognised by its addresses.",
        )
    if answers.scope.mode == "senders" and not answers.scope.senders:
        raise UsageError(
            "No sender is listed.", "scope.mode is senders.", "Name them: scope.senders or --scope-senders."
        )
    missing = {"texthash", "cidr", "regexp", "static", "pipemap"} - facts.table_types
    if missing:
        raise CheckFailedError(
            f"This Postfix lacks the table types {', '.join(sorted(missing))}.",
            "The routing tables need them; every Postfix since 3.0 is built with them.",
            "Install your distribution's own Postfix package.",
        )


def _merge(notices: list[Notice]) -> list[Notice]:
    return list(dict.fromkeys(notices))


def _plan_tables(
    facts: PostfixFacts, folder: str, wanted: Desired, changes: list[Change], files: list[FileTarget]
) -> None:
    """Our table files; files in our folder that we no longer need go, files we never made stay."""
    texts = {name: table.text for name, table in wanted.tables.items()}
    texts[names.PREVIOUS] = format_record(wanted.record)
    known = {value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)}
    present = {posixpath.basename(path) for path in facts.files if posixpath.dirname(path) == folder}
    for name in sorted(set(texts) | (present & known)):
        path = posixpath.join(folder, name)
        old = facts.files.get(path)
        before = old.data if old else None
        after = texts[name].encode("utf-8", "surrogateescape") if name in texts else None
        if before == after:
            continue
        table = wanted.tables.get(name)
        files.append(FileTarget(path, before, after))
        changes.append(
            Change(
                kind=ChangeKind.FILE,
                step=table.step if table else Step.A,
                title=table.title
                if table
                else (
                    "The settings as they were before" if name in texts else f"The table {name} is taken out"
                ),
                reason=table.reason
                if table
                else ("Kept so that they can come back." if name in texts else "The answers changed."),
                path=path,
                key="",
                before=_text(before),
                after=_text(after),
                undo="The file is removed." if before is None else "The old content comes back.",
            )
        )


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _plan_master(facts: PostfixFacts, design: Design, changes: list[Change], files: list[FileTarget]) -> None:
    """master.cf: our marked blocks, and single options of existing services."""
    path = posixpath.join(facts.config_directory, "master.cf")
    source = facts.files[path].data
    master = MasterCf.parse(source)
    wanted = design.wanted
    options = {key: setting.value for key, setting in wanted.options.items()}
    for key in design.record:
        service_id, _, option = key.rpartition("/")
        if not service_id:
            continue
        name, _, kind = service_id.rpartition("/")
        if (name, kind, option) not in options and facts.service(name, kind) is not None:
            service = facts.service(name, kind)
            assert service is not None
            options[(name, kind, option)] = option_base(service, option, design.record)
    for (name, kind, option), value in options.items():
        service = facts.service(name, kind)
        before = service.option(option) if service else None
        if before == value or service is None:
            continue
        if value is None:
            master.remove_option(name, kind, option)
        else:
            stages = stages_of(option, before, value)
            if not stages:
                continue
            for value in stages:
                master.set_option(name, kind, option, value)
        setting = wanted.options.get((name, kind, option))
        changes.append(
            Change(
                kind=ChangeKind.SERVICE_OPTION,
                step=setting.step if setting else Step.C,
                title=setting.title if setting else f"The host's own {option} of {service.id} comes back",
                reason=setting.reason if setting else "The answers changed.",
                path=path,
                key=f"{service.id}/{option}",
                before=before,
                after=value,
                undo=f"The option {option} of {service.id} is "
                + ("removed." if before is None else f"set back to {before or 'empty'}."),
            )
        )
    for block_id in _BLOCKS:
        block = wanted.blocks.get(block_id)
        old = master.block(block_id)
        new = block.text if block else None
        if old == new:
            continue
        if new is None:
            master.remove_block(block_id)
        elif old is None:
            master.add_block(block_id, new)
        else:
            master.replace_block(block_id, new)
        changes.append(
            Change(
                kind=ChangeKind.SERVICE_BLOCK,
                step=block.step if block else Step.C,
                title=block.title if block else f"The services of the block {block_id} are taken out",
                reason=block.reason if block else "The answers changed.",
                path=path,
                key=block_id,
                before=old,
                after=new,
                undo="The block is removed." if old is None else "The old block comes back.",
            )
        )
    if master.to_bytes() != source:
        files.append(FileTarget(path, source, master.to_bytes()))


def _plan_main(facts: PostfixFacts, design: Design, changes: list[Change], files: list[FileTarget]) -> None:
    """main.cf, last: only with it do the tables and services that it names come into use."""
    path = posixpath.join(facts.config_directory, "main.cf")
    source = facts.files[path].data
    main = MainCf.parse(source)
    wanted = design.wanted
    for name in sorted(set(_PARAMETERS) | set(wanted.settings)):
        setting = wanted.settings.get(name)
        before = main.get(name)
        if setting is not None:
            after = setting.value
        elif name in design.record or (
            before is not None and (name in names.CLASSES or names.is_ours(before))
        ):
            after = _restored(design, name)
        else:
            continue
        if before == after:
            continue
        if after is None:
            main.remove(name)
        else:
            stages = stages_of(name, before, after)
            if not stages:
                continue
            for after in stages:
                main.set(name, after)
        changes.append(
            Change(
                kind=ChangeKind.PARAMETER,
                step=setting.step if setting else Step.SCOPE,
                title=setting.title if setting else f"The host's own {name} comes back",
                reason=setting.reason if setting else "The answers changed.",
                path=path,
                key=name,
                before=before,
                after=after,
                undo=f"{name} is " + ("removed." if before is None else f"set back to {before or 'empty'}."),
            )
        )
    if main.to_bytes() != source:
        files.append(FileTarget(path, source, main.to_bytes()))


def _restored(design: Design, name: str) -> Optional[str]:
    if name.startswith("conbool"):
        return None
    if name in ("default_transport", "relayhost"):
        return design.own_scalar(name)
    if name in ("mime_header_checks", "nested_header_checks"):
        return explicit_inherited(design, name, design.own_list("header_checks"))
    return design.own_list(name)
