"""Does the MTA hand mail to Dovecot, and how?"""

from __future__ import annotations

import posixpath
from typing import Optional

from conbool_tui.facts import Detection, PostfixFacts
from conbool_tui.facts_exim import EximFacts
from conbool_tui.postfix_config import MasterCf

_AGENTS = ("dovecot-lda", "deliver")
_COMMANDS = ("mailbox_command", "mailbox_command_maps")
_TRANSPORTS = ("virtual_transport", "mailbox_transport", "fallback_transport", "local_transport")


def handover(detection: Detection) -> Optional[tuple[str, ...]]:
    """``lmtp``, ``lda`` or both; empty when the MTA keeps mail itself; None when that is not known of this MTA."""
    if detection.postfix is not None:
        return _postfix(detection.postfix)
    if detection.sendmail is not None:
        return of_sendmail(detection.sendmail.local_mailer)
    return None if detection.exim is None else _exim(detection.exim)


def of_sendmail(program: str) -> tuple[str, ...]:
    """Of the mailer ``local``: FEATURE(`local_lmtp') with a socket, or Dovecot's delivery agent; procmail and others keep mail themselves."""
    if program == "[IPC]":
        return ("lmtp",)
    return ("lda",) if posixpath.basename(program) in _AGENTS else ()


def _postfix(facts: PostfixFacts) -> tuple[str, ...]:
    found: list[str] = []
    piped = _piped(facts)
    for value in (facts.expanded.get(name, "") for name in _TRANSPORTS):
        name, _, rest = value.strip().partition(":")
        service = facts.service(name, "unix")
        if service is not None and service.command == "lmtp" and _here(rest):
            found.append("lmtp")
        elif name in piped:
            found.append("lda")
    commands = [facts.expanded.get(name, "") for name in _COMMANDS]
    if any(posixpath.basename(word.strip("\"'")) in _AGENTS for text in commands for word in text.split()):
        found.append("lda")
    return tuple(dict.fromkeys(found))


def _here(next_hop: str) -> bool:
    """Whether an LMTP next hop is this machine."""
    host = next_hop.partition("inet:")[2] or next_hop
    return next_hop.startswith("unix:") or host.lstrip("[").startswith(("127.", "::1", "localhost"))


def _piped(facts: PostfixFacts) -> frozenset[str]:
    """The pipe services of master.cf that run Dovecot's delivery agent."""
    text = facts.files[f"{facts.config_directory}/master.cf"].data
    return frozenset(
        entry.name
        for entry in MasterCf.parse(text).services()
        if entry.command == "pipe"
        and any(
            posixpath.basename(word) in _AGENTS
            for word in " ".join(map(str, entry.args)).replace("=", " ").split()
        )
    )


def _exim(facts: EximFacts) -> tuple[str, ...]:
    """By the transports that routers name: lmtp with a socket or to this machine, or a pipe into the delivery agent."""
    used = {router.get("transport") for router in facts.routers}
    found: list[str] = []
    for one in facts.transports:
        if one.name not in used:
            continue
        driver = one.get("driver")
        if (driver == "lmtp" and one.get("socket")) or (
            driver == "smtp" and one.get("protocol") == "lmtp" and _here(one.get("hosts"))
        ):
            found.append("lmtp")
        elif driver == "pipe" and any(
            posixpath.basename(word.strip("\"'")) in _AGENTS for word in one.get("command").split()
        ):
            found.append("lda")
    return tuple(dict.fromkeys(found))
