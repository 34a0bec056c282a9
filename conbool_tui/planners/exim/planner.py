"""Turn the difference between the configuration that is and the one that should be into a plan."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.exim_config.text import labels, lines_of, outermost, section, section_starts
from conbool_tui.facts_exim import SPLIT, TEMPLATE, EximFacts
from conbool_tui.plan import Change, ChangeKind, FileTarget, Plan, Step
from conbool_tui.planners.exim import names
from conbool_tui.planners.exim.acl_part import acl_part, head_of
from conbool_tui.planners.exim.checks import check, passed_over
from conbool_tui.planners.exim.data_files import data_files
from conbool_tui.planners.exim.main_part import main_part
from conbool_tui.planners.exim.mta import present_main
from conbool_tui.planners.exim.notices import notices
from conbool_tui.planners.exim.own import Seat, data_path, label_file, maildir_router, remote_router, seat
from conbool_tui.planners.exim.router_part import junk_folder, junk_part, router_part
from conbool_tui.planners.exim.tightening import tightens_port_25
from conbool_tui.planners.exim.transport_part import transport_part

_HEAD = "head-"
_STEP_ORDER = {Step.A: 0, Step.B: 1, Step.C: 2, Step.D: 3, Step.SCOPE: 4}


@dataclass(frozen=True)
class _Piece:
    """One piece of text: what it is for, and its words for the plan."""

    text: str
    step: Step
    title: str
    reason: str


def plan_exim(facts: EximFacts, answers: Answers) -> Plan:
    """The plan that makes an Exim follow the guide's steps A to D and scope.

    Planning again after the plan was applied gives an empty plan.

    Args:
        facts: the Exim as detected.
        answers: complete answers; ``domains`` must not be empty.

    Raises:
        UsageError: the answers leave nothing to do (no domains, no senders).
        CheckFailedError: this Exim cannot do what is needed.
    """
    check(facts, answers)
    changes: list[Change] = []
    files: list[FileTarget] = []
    _plan_data(facts, answers, changes, files)
    pieces = _pieces(facts, answers)
    heads = _heads(facts, answers)
    if facts.layout == SPLIT:
        for part in names.PARTS:
            path = posixpath.join(facts.config_directory, names.SPLIT_FILES[part])
            _plan_file(facts, path, pieces.get(part), changes, files)
        _plan_blocks(facts, {}, heads, changes, files)
    else:
        _plan_blocks(facts, pieces, heads, changes, files)
    changes.sort(key=lambda change: (_STEP_ORDER[change.step], change.path.startswith(data_path(facts, ""))))
    service = "exim4" if facts.generated else "exim"
    return Plan(
        system="exim",
        instance="",
        config_directory=facts.config_directory,
        changes=tuple(changes),
        files=tuple(files),
        notices=notices(facts, answers),
        reload=(f"service {service} reload",) if files else (),
        confirm_within=answers.inbound.confirm_within
        if tightens_port_25(facts, answers, present_main(facts))
        else 0,
    )


def _pieces(facts: EximFacts, answers: Answers) -> dict[str, _Piece]:
    host = answers.smart_host.host
    found = {
        names.TRANSPORT: _Piece(
            transport_part(facts, answers),
            Step.A,
            f"Transport to {host}",
            f"Mail goes to {host}, port {answers.smart_host.port}, only over TLS with a certificate for "
            f"{answers.smart_host.expected_name}; else it waits in the queue.",
        ),
        names.ROUTER: _Piece(
            router_part(facts, answers),
            Step.A,
            "Senders in scope use the smart host",
            "No MX lookup is made for it. Bounces, invitations and mail that comes back from Conbool keep out of it.",
        ),
        names.MAIN: _Piece(
            main_part(facts, answers),
            Step.C,
            "Conbool's addresses, and our checks before your own",
            "Conbool is recognised by its addresses; every check of yours goes on after ours.",
        ),
        names.ACL: _Piece(
            acl_part(facts, answers),
            Step.B if answers.inbound.restrict_port_25 else Step.C,
            "Checks that tell Conbool, this server and strangers apart",
            "Markers are believed from Conbool"
            + (" and this server's own hosts" if answers.markers.trust == "local" else "")
            + " only; strangers' markers are removed.",
        ),
    }
    junk = junk_part(facts, answers)
    if junk:
        found[names.JUNK] = _Piece(
            junk,
            Step.C,
            f"Flagged mail goes into {junk_folder(answers)}",
            "It is filed like all other mail, in another folder.",
        )
    return found


def _heads(facts: EximFacts, answers: Answers) -> dict[str, _Piece]:
    """What goes to the head of ACLs of the admin's, by option."""
    wanted = [
        option
        for option in (*names.MACROS, "acl_not_smtp", "acl_smtp_mime", "acl_not_smtp_mime")
        if option in facts.options and seat(facts, option) is Seat.LABEL
    ]
    if answers.conbool_networks:
        wanted += passed_over(facts)
    return {
        option: _Piece(
            head_of(option, facts, answers),
            Step.C,
            f"Our checks at the head of {facts.options[option]}",
            f"It is the ACL of {option}; the rest of it stays as it is.",
        )
        for option in wanted
    }


def _plan_data(facts: EximFacts, answers: Answers, changes: list[Change], files: list[FileTarget]) -> None:
    words = {
        names.DOMAINS: (Step.SCOPE, "List of the hosted domains", "Looked up for sender and recipient."),
        names.SENDERS: (Step.SCOPE, "List of the senders in scope", "All others keep their present route."),
        names.LOOP_KEYS: (
            Step.C,
            "Loop headers of the hosted domains",
            "Mail with one of them does not go to Conbool again.",
        ),
    }
    texts = data_files(answers)
    for name in names.DATA_FILES:
        step, title, reason = words[name]
        piece = _Piece(texts[name], step, title, reason) if name in texts else None
        _plan_file(facts, data_path(facts, name), piece, changes, files)


def _plan_file(
    facts: EximFacts, path: str, piece: Optional[_Piece], changes: list[Change], files: list[FileTarget]
) -> None:
    """A file that is all ours."""
    old = facts.files.get(path)
    before = old.data if old else None
    text = None
    if piece is not None:
        text = piece.text if piece.text.startswith(names.HEADING) else names.HEADING + piece.text
    after = text.encode("utf-8", "surrogateescape") if text is not None else None
    if before == after:
        return
    files.append(FileTarget(path, before, after))
    changes.append(
        Change(
            kind=ChangeKind.FILE,
            step=piece.step if piece else Step.A,
            title=piece.title if piece else f"{posixpath.basename(path)} is taken out",
            reason=piece.reason if piece else "The answers changed.",
            path=path,
            key="",
            before=None if before is None else before.decode("utf-8", "surrogateescape"),
            after=text,
            undo="The file is removed." if before is None else "The old content comes back.",
        )
    )


def _plan_blocks(
    facts: EximFacts,
    pieces: dict[str, _Piece],
    heads: dict[str, _Piece],
    changes: list[Change],
    files: list[FileTarget],
) -> None:
    """Marked blocks: our parts in the one file of the layout, and what goes to the head of ACLs, wherever those stand."""
    wanted: dict[str, dict[str, _Piece]] = {}
    if facts.config_file:
        wanted[facts.config_file] = dict(pieces)
    for option, piece in heads.items():
        wanted.setdefault(label_file(facts, option), {})[_HEAD + option] = piece
    for path, text in facts.files.items():
        if path.startswith(data_path(facts, "")) or path in _own_files(facts):
            continue
        blocks = wanted.get(path, {})
        present = text_blocks.ids(text.data)
        data = text.data
        for block_id in dict.fromkeys((*blocks, *present)):
            found = blocks.get(block_id)
            data = _put(facts, data, block_id, found)
            old, new = text_blocks.get(text.data, block_id), found.text if found else None
            if old != new:
                changes.append(_block_change(path, block_id, found, old, new))
        if data != text.data:
            files.append(FileTarget(path, text.data, data))


def _own_files(facts: EximFacts) -> frozenset[str]:
    return frozenset(posixpath.join(facts.config_directory, name) for name in names.SPLIT_FILES.values())


def _block_change(
    path: str, block_id: str, piece: Optional[_Piece], old: Optional[str], new: Optional[str]
) -> Change:
    return Change(
        kind=ChangeKind.BLOCK,
        step=piece.step if piece else Step.A,
        title=piece.title if piece else f"The block {block_id} is taken out",
        reason=piece.reason if piece else "The answers changed.",
        path=path,
        key=block_id,
        before=old,
        after=new,
        undo="The block is removed." if old is None else "The old block comes back.",
    )


def _put(facts: EximFacts, data: bytes, block_id: str, piece: Optional[_Piece]) -> bytes:
    """The text with a block as it should be; a new one goes to its place in the configuration."""
    if piece is None or text_blocks.get(data, block_id) is not None:
        return text_blocks.put(data, block_id, piece.text if piece else None)
    lines = lines_of(data)
    number = _place(facts, lines, block_id)
    head, tail = b"".join(lines[:number]), b"".join(lines[number:])
    return text_blocks.put(head, block_id, piece.text) + tail


def _place(facts: EximFacts, lines: list[bytes], block_id: str) -> int:
    """The number of the line that a new block goes before."""
    starts = section_starts(lines)
    if block_id.startswith(_HEAD):
        name = facts.options[block_id[len(_HEAD) :]]
        return labels(lines, section(lines, "acl") or None)[name] + 1
    if block_id == names.MAIN:
        # Debian's macros take the first definition; elsewhere our options come last in their section.
        return 0 if facts.layout == TEMPLATE else min(starts.values(), default=len(lines))
    if block_id == names.ACL:
        acls = section(lines, "acl")
        return acls.stop if acls else min(starts.values(), default=len(lines))
    if block_id == names.TRANSPORT:
        return section(lines, "transports").stop
    routers = section(lines, "routers")
    found = maildir_router(facts) if block_id == names.JUNK else None
    router = found[0] if found is not None else remote_router(facts)
    places = labels(lines, routers)
    number = places.get(router.name, routers.start) if router is not None else routers.start
    return outermost(lines, number, routers)
