"""DEFAULT_RELAY_HOST and RELAY_HOST: the two look-alike settings of docker-mailserver's own relaying."""

from __future__ import annotations

from typing import Optional, Protocol

from conbool_tui.answers import Answers
from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
from conbool_tui.plan import Notice, Step

_SETTINGS = ("DEFAULT_RELAY_HOST", "RELAY_HOST")


class PutBlock(Protocol):
    """Puts our marked block into a file."""

    def __call__(self, path: str, text: Optional[str], title: str, reason: str) -> None: ...


def plan_relay(
    facts: DockerMailserverFacts, answers: Answers, put_block: PutBlock, notices: list[Notice]
) -> None:
    """Take out a hand-made relay to the smart host, which would carry bounces and marked mail there over unverified TLS; keep any other.

    The environment file gets a block whose empty values count (the last line of a name does), so every line of the admin's stays. A file
    with credentials in it is left to the admin.
    """
    host = answers.smart_host.host.lower()
    ours = [name for name in _SETTINGS if _host(facts.environment.get(name, "")) == host]
    others = [name for name in _SETTINGS if facts.environment.get(name) and name not in ours]
    editable = facts.env_file is not None and facts.env_file in facts.files
    # Our own block makes the value empty, so that it is not seen any more: while it is there, it stays.
    keeps = editable and _has_block(facts)
    for name in ours:
        place = facts.set_in.get(name, "the environment")
        if editable and place == facts.env_file:
            continue
        notices.append(
            Notice(
                "warn",
                f"{name} names {host} in {place}: docker-mailserver would send bounces and marked mail there, too. Take it out "
                f"there (a line {name}= is enough) and create the container anew; it is not changed here"
                + (", because the file holds credentials." if facts.credentials else "."),
                Step.A,
            )
        )
    lines = [f"{name}=\n" for name in ours if editable and facts.set_in.get(name) == facts.env_file]
    if lines and facts.env_file is not None:
        put_block(
            facts.env_file,
            "# Conbool's own delivery service takes the place of this relay host. Written by conbool-tui.\n"
            + "".join(lines),
            "The old relay host is taken out",
            f"{' and '.join(ours)} would send bounces and marked mail to {host}, too, and check no certificate. In force once the "
            "container is created anew.",
        )
    elif keeps:
        notices.append(Notice("note", f"{facts.env_file} keeps the old relay host switched off.", Step.A))
    if len(others) == 2:
        notices.append(
            Notice(
                "warn",
                "DEFAULT_RELAY_HOST and RELAY_HOST are both set: docker-mailserver expects one of them.",
                Step.A,
            )
        )
    if others:
        shown = ", ".join(f"{name}={facts.environment[name]}" for name in others)
        notices.append(
            Notice(
                "note",
                f"{shown} stays and keeps carrying what does not go to Conbool; its login is never used towards {host}.",
                Step.A,
            )
        )


def _host(value: str) -> str:
    """The host of ``[name]:port``, ``name:port`` or ``name``."""
    text = value.strip().lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def _has_block(facts: DockerMailserverFacts) -> bool:
    there = facts.files.get(facts.env_file or "")
    return there is not None and b" BEGIN conbool-tui " in there.data
