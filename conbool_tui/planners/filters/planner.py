"""Exempt released mail in every filter that is asked: only with the header, and only from Conbool's addresses."""

from __future__ import annotations

import dataclasses
import re
from typing import Optional

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.facts import Detection, HostFacts
from conbool_tui.facts_filters import FilterFacts
from conbool_tui.plan import Change, ChangeKind, FileTarget, Notice, Plan, Step, combine
from conbool_tui.planners.filters import names
from conbool_tui.planners.filters.address_patterns import pattern
from conbool_tui.planners.filters.in_path import in_path
from conbool_tui.planners.filters.rspamd_rule import rspamd_rule

_RELOADS = {names.RSPAMD: "systemctl reload rspamd", names.SPAMASSASSIN: "systemctl reload spamd"}
_SCORE = -2000
"""Below what SpamAssassin's own test message (GTUBE, 1000) adds."""


def plan_filters(plan: Plan, facts: HostFacts, target: Detection, answers: Answers) -> Plan:
    """The plan with the exemptions; a filter that is not asked any more loses ours."""
    asked = in_path(facts, target)
    for one in facts.filters:
        wanted: Optional[str] = None
        if one.name in asked and answers.conbool_networks:
            wanted, left_out = _settings(one.name, answers)
            if left_out:
                text = f"{names.TITLES[one.name]} cannot recognise {', '.join(left_out)}: mail released from there is still scored."
                plan = dataclasses.replace(plan, notices=(*plan.notices, Notice("warn", text, Step.D)))
        plan = combine(plan, _plan(one, wanted))
    return plan


def _plan(facts: FilterFacts, wanted: Optional[str]) -> Plan:
    source = None if facts.text is None else facts.text.data
    before = None if source is None else text_blocks.get(source, names.BLOCK)
    title = names.TITLES[facts.name]
    files: tuple[FileTarget, ...] = ()
    changes: tuple[Change, ...] = ()
    if before != wanted:
        data = text_blocks.put(source or b"", names.BLOCK, wanted)
        # A file that held nothing but our block goes with it.
        files = (FileTarget(facts.path, source, data or None),)
        changes = (
            Change(
                kind=ChangeKind.BLOCK,
                step=Step.D,
                title=f"{title} does not score released mail away",
                reason="Both must hold: the header, and that one of Conbool's addresses handed the message over.",
                path=facts.path,
                key=names.BLOCK,
                before=before,
                after=wanted,
                undo="The block is removed." if before is None else "The old block comes back.",
            ),
        )
    return Plan(
        system=facts.name,
        instance="",
        config_directory=facts.config_directory,
        changes=changes,
        files=files,
        reload=(_RELOADS[facts.name],) if files and facts.running else (),
    )


def _settings(name: str, answers: Answers) -> tuple[str, tuple[str, ...]]:
    """The block's lines, and the networks that could not be written down."""
    return (rspamd_rule(answers), ()) if name == names.RSPAMD else _spamassassin(answers)


def _spamassassin(answers: Answers) -> tuple[str, tuple[str, ...]]:
    """A meta rule of SpamAssassin (Mail::SpamAssassin::Conf): the header, and the relay that connected to this server.

    X-Spam-Relays-Trusted and X-Spam-Relays-Untrusted list the relays of the Received headers, the newest first; only when the first
    list is empty is the first one of the second the one that connected.
    """
    known = [(network, pattern(network)) for network in answers.conbool_networks]
    left_out = tuple(network for network, text in known if text is None)
    addresses = "|".join(text for _, text in known if text is not None)
    if not addresses:
        return "", left_out
    here = r"(?:\[ ip=(?:127\.\d+\.\d+\.\d+|::1) [^\]]*\] )*"
    released = re.escape(answers.markers.released).replace("\\-", "-")
    lines = (
        f"header   __CONBOOL_HEADER    {released} =~ /^\\s*yes\\s*$/i",
        rf"header   __CONBOOL_TRUSTED   X-Spam-Relays-Trusted =~ /^{here}\[ ip=(?:{addresses}) /i",
        r"header   __CONBOOL_RELAYED   X-Spam-Relays-Trusted =~ /^(?:\[ ip=(?!127\.|::1 )|.*\] \[ ip=(?!127\.|::1 ))/",
        rf"header   __CONBOOL_UNKNOWN   X-Spam-Relays-Untrusted =~ /^\[ ip=(?:{addresses}) /i",
        "meta     CONBOOL_RELEASED    __CONBOOL_HEADER && (__CONBOOL_TRUSTED || (__CONBOOL_UNKNOWN && !__CONBOOL_RELAYED))",
        "describe CONBOOL_RELEASED    Released from Conbool's quarantine",
        f"score    CONBOOL_RELEASED    {_SCORE}",
        "tflags   CONBOOL_RELEASED    nice noautolearn",
    )
    return "".join(f"{line}\n" for line in lines), left_out
