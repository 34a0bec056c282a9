"""Our block in the access map: limits for clients do not hold for Conbool, and it is asked for its certificate."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui import text_blocks
from conbool_tui.errors import CheckFailedError
from conbool_tui.facts_sendmail import BLOCK_ID, SendmailFacts
from conbool_tui.planners.sendmail.mta import asks_everybody
from conbool_tui.sendmail_config import access_lines

_LIMITS = (("greet_pause", "GreetPause"), ("rate", "ClientRate"), ("connections", "ClientConn"))


def access_block(facts: SendmailFacts, networks: Sequence[str]) -> str:
    """The block's lines; empty when nothing is needed.

    Raises:
        CheckFailedError: an entry of the admin's has the same key and another value; makemap(8) takes a key once only.
    """
    if not facts.access:
        return ""
    tags = [(tag, "0") for feature, tag in _LIMITS if feature in facts.features]
    if facts.offers_tls and not asks_everybody(facts):
        tags.append(("SRV_Features", "v"))
    own = _own_entries(facts)
    lines = []
    for network in networks:
        for tag, value in tags:
            key = f"{tag}:{network}"
            if key.lower() not in own:
                lines.append(f"{key}\t{value}\n")
            elif own[key.lower()][1] != value:
                raise CheckFailedError(
                    f"{facts.access} has an entry for Conbool's addresses already.",
                    f"{own[key.lower()][0]}; needed is {key} {value}, and a map holds each key once.",
                    f"Take that line out of {facts.access}, then start again.",
                )
    return "".join(lines)


def _own_entries(facts: SendmailFacts) -> dict[str, tuple[str, str]]:
    """The admin's entries: where they stand and what they say, by key in lower case."""
    data = facts.files[facts.access].data
    if text_blocks.get(data, BLOCK_ID) is not None:
        data = text_blocks.put(data, BLOCK_ID, None)
    return {
        line.key.lower(): (str(line), line.value) for line in access_lines(data.decode("utf-8", "replace"))
    }
