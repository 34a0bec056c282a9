"""Networks pasted in several lines, with their comments, as a list file is written."""

from __future__ import annotations

from conbool_tui.errors import UsageError


def pasted_networks(text: str) -> str:
    """The networks of a pasted list, as one line; empty when it is none, so that what was pasted can be seen and corrected."""
    if len(text.splitlines()) < 2:
        return ""
    from conbool_tui.network_lists import parse_list

    try:
        return ", ".join(parse_list(text, "The pasted text")[0])
    except UsageError:
        return ""
