"""Turn the script and its activation into a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.facts_dovecot import DovecotFacts
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step
from conbool_tui.planners.dovecot import names

_TITLE = "Dovecot runs the script before all others"
_HEADING = "# Written by conbool-tui; run conbool-tui to change it.\n"


def plan_dovecot(
    facts: DovecotFacts,
    script: Optional[str],
    compiled: Optional[bytes] = None,
    notices: Sequence[Notice] = (),
) -> Plan:
    """The plan that makes Dovecot run ``script`` before every other one; with None, what is ours goes away.

    Args:
        facts: the Dovecot as detected.
        script: the script's text (``sieve_script``).
        compiled: what the host's own sievec(1) made of it; None when that cannot be made here.
        notices: what the admin should know beside.
    """
    directory = facts.config_directory
    wanted: dict[str, tuple[Optional[bytes], Step, str, str]] = {
        names.script(directory): (
            None if script is None else script.encode(),
            Step.C,
            "Sieve script that runs before all others",
            "Released mail goes to the inbox and flagged mail to its folder, whatever scripts users have.",
        ),
        names.binary(directory): (
            None if script is None else compiled,
            Step.C,
            "The script in compiled form",
            "The users that Dovecot delivers as cannot write it there themselves.",
        ),
        names.activation(directory, facts.syntax): (
            _activation(facts).encode()
            if script is not None and facts.activation != facts.config_file
            else None,
            Step.D,
            _TITLE,
            "Released mail meets no other filter on its way to the inbox; what ran before users' scripts until now runs after ours.",
        ),
    }
    changes: list[Change] = []
    files: list[FileTarget] = []
    for path, (after, step, title, reason) in wanted.items():
        old = facts.files.get(path)
        before = None if old is None else old.data
        if before == after:
            continue
        files.append(FileTarget(path, before, after))
        changes.append(
            Change(
                kind=ChangeKind.FILE,
                step=step,
                title=title,
                reason=reason,
                path=path,
                key="",
                before=_shown(path, before),
                after=_shown(path, after),
                undo="The file is removed." if before is None else "The old content comes back.",
            )
        )
    _plan_block(facts, script, changes, files)
    return Plan(
        system="dovecot",
        instance="",
        config_directory=directory,
        changes=tuple(changes),
        files=tuple(files),
        notices=tuple(notices),
        reload=("doveadm reload",) if files else (),
    )


def _plan_block(
    facts: DovecotFacts, script: Optional[str], changes: list[Change], files: list[FileTarget]
) -> None:
    source = facts.files[facts.config_file].data
    old = text_blocks.get(source, names.BLOCK)
    wanted = script is not None and facts.activation == facts.config_file
    new = _settings(facts) if wanted else None
    if old == new:
        return
    line = facts.block_before.encode("utf-8", "surrogateescape") or None
    files.append(
        FileTarget(facts.config_file, source, text_blocks.put(source, names.BLOCK, new, before=line))
    )
    changes.append(
        Change(
            kind=ChangeKind.BLOCK,
            step=Step.D,
            title=_TITLE,
            reason="It stands in dovecot.conf itself because nothing in conf.d could come first here.",
            path=facts.config_file,
            key=names.BLOCK,
            before=old,
            after=new,
            undo="The block is removed." if old is None else "The old block comes back.",
        )
    )


def _activation(facts: DovecotFacts) -> str:
    return _HEADING + _settings(facts)


def _settings(facts: DovecotFacts) -> str:
    """The settings in Dovecot's own language."""
    path = names.script(facts.config_directory)
    if facts.syntax == "2.4":
        return f"sieve_script {names.SECTION} {{\n  type = before\n  path = {path}\n}}\n"
    lines = [f"  sieve_before = {path}\n"]
    if facts.before_scripts:
        lines.append("  # What ran first until now.\n")
    lines += [
        f"  sieve_before{number} = {_value(text)}\n" for number, text in enumerate(facts.before_scripts, 2)
    ]
    return f"plugin {{\n{''.join(lines)}}}\n"


def _value(text: str) -> str:
    """A setting's value; quoted where Dovecot would take a part of it for something else."""
    if "#" in text or text != text.strip() or text[:1] in ('"', "'", "<"):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def _shown(path: str, data: Optional[bytes]) -> Optional[str]:
    if data is None:
        return None
    if path.endswith(".svbin"):
        return f"(compiled by sievec, {len(data)} bytes)\n"
    return data.decode("utf-8", "surrogateescape")
