"""DEFAULT_RELAY_HOST and RELAY_HOST, the two look-alike settings of docker-mailserver's own relaying, and postfix-relaymap.cf.

None of them can say what Conbool needs: they check no certificate, and bounces and marked mail go the same way. So Conbool has a delivery
service of its own; a relay host that already is the smart host is switched off, any other one stays for what does not go to Conbool.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Optional, Protocol

from conbool_tui import text_blocks
from conbool_tui.answers import Answers
from conbool_tui.docker_mailserver import names
from conbool_tui.docker_mailserver.environment import read_env_file
from conbool_tui.facts import PostfixFacts
from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
from conbool_tui.plan import Notice, Step

SETTINGS = ("DEFAULT_RELAY_HOST", "RELAY_HOST")
_EFFECTS: Mapping[str, Mapping[str, str]] = {
    "DEFAULT_RELAY_HOST": {"relayhost": ""},
    # The level is set for the one relay host, and most of the world's servers would fail it.
    "RELAY_HOST": {"sender_dependent_relayhost_maps": "", "smtp_tls_security_level": "may"},
}
_COMMENT = "# Conbool's own delivery service takes the place of this relay host. Written by conbool-tui.\n"


class PutBlock(Protocol):
    """Puts our marked block into a file."""

    def __call__(self, path: str, text: Optional[str], title: str, reason: str) -> None:
        """As ``_Pages.block``."""
        ...


def to_smart_host(facts: DockerMailserverFacts, answers: Answers) -> tuple[str, ...]:
    """Which of the two settings lead to the smart host."""
    host = answers.smart_host.host.lower()
    return tuple(name for name in SETTINGS if _host(facts.environment.get(name, "")) == host)


def switched_off(facts: DockerMailserverFacts, answers: Answers) -> tuple[str, ...]:
    """Those, and the ones that our block in the environment file switched off before."""
    there = facts.files.get(facts.env_file or "")
    block = text_blocks.get(there.data, names.BLOCK) if there is not None else None
    before = read_env_file(block or "", {})
    ours = to_smart_host(facts, answers)
    return tuple(name for name in SETTINGS if name in ours or name in before)


def overrides(off: tuple[str, ...]) -> dict[str, str]:
    """Parameters that take these settings out of a container that was made with them."""
    found: dict[str, str] = {}
    for name in off:
        found.update(_EFFECTS[name])
    return found


def without(postfix: PostfixFacts, off: tuple[str, ...]) -> PostfixFacts:
    """The container's Postfix as it is without these settings."""
    values = overrides(off)
    return dataclasses.replace(
        postfix, parameters={**postfix.parameters, **values}, expanded={**postfix.expanded, **values}
    )


def plan_relay(
    facts: DockerMailserverFacts, answers: Answers, put_block: PutBlock, notices: list[Notice]
) -> None:
    """Switch off what leads to the smart host; tell about the others.

    The environment file gets a block whose empty values count (the last line of a name does), so every line of the admin's stays. A file
    with credentials in it is not shown or changed, and a compose file never is: there the admin is asked.
    """
    host = answers.smart_host.host
    ours = to_smart_host(facts, answers)
    editable = facts.env_file if facts.env_file in facts.files else None
    mine = tuple(name for name in ours if editable is not None and facts.set_in.get(name) == editable)
    for name in ours:
        if name not in mine:
            place = facts.set_in.get(name, "the environment")
            why = " (the file holds credentials)" if place == facts.env_file else ""
            notices.append(
                Notice(
                    "warn",
                    f"{name} names {host} in {place}, which is not changed here{why}. Its effects are taken out in Postfix; put {name}= "
                    "there, so that docker-mailserver stops setting them.",
                    Step.A,
                )
            )
    if mine and editable is not None:
        put_block(
            editable,
            _COMMENT + "".join(f"{name}=\n" for name in mine),
            "The old relay host is switched off",
            f"{' and '.join(mine)} would send bounces and marked mail to {host}, too, and check no certificate.",
        )
    others = [name for name in SETTINGS if facts.environment.get(name) and name not in ours]
    if len(others) == 2:
        notices.append(
            Notice(
                "warn",
                "DEFAULT_RELAY_HOST and RELAY_HOST are both set; docker-mailserver expects one.",
                Step.A,
            )
        )
    notices.extend(
        Notice(
            "note",
            f"{name}={facts.environment[name]} stays and keeps carrying what does not go to Conbool; its login is never used towards "
            f"{host}.",
            Step.A,
        )
        for name in others
    )
    if facts.sender_relays:
        shown = ", ".join(facts.sender_relays[:5]) + (" …" if len(facts.sender_relays) > 5 else "")
        notices.append(
            Notice(
                "note",
                f"postfix-relaymap.cf names relay hosts for {shown}: those that are in scope use Conbool instead.",
                Step.SCOPE,
            )
        )


def _host(value: str) -> str:
    """The host of ``[name]:port``, ``name:port`` or ``name``."""
    text = value.strip().lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
