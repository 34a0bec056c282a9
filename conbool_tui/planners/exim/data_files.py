"""The data files below ``conbool/``: Exim reads them when mail comes, by one keyed look-up each, however many domains there are."""

from __future__ import annotations

from collections.abc import Iterable

from conbool_tui.answers import Answers
from conbool_tui.planners.exim import names


def data_files(answers: Answers) -> dict[str, str]:
    """The text of each file by its name (lsearch, specification 9.3)."""
    domains = tuple(dict.fromkeys(domain.lower() for domain in answers.domains))
    found = {
        names.DOMAINS: _file(f"{domain}:" for domain in domains),
        names.LOOP_KEYS: _file(
            f"{header.lower()}: {header}"
            for header in dict.fromkeys(answers.loop_header(domain) for domain in domains)
        ),
    }
    if answers.scope.mode == "senders":
        senders = dict.fromkeys(sender.lower() for sender in answers.scope.senders)
        found[names.SENDERS] = _file(
            f"*{sender}:" if sender.startswith("@") else f"{sender}:" for sender in senders
        )
    return found


def _file(lines: Iterable[str]) -> str:
    return names.HEADING + "".join(f"{line}\n" for line in lines)
