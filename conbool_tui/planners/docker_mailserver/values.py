"""How a value that only adds to docker-mailserver's own is written down, so that it follows what the image or the environment changes later."""

from __future__ import annotations

from typing import Optional

from conbool_tui.docker_mailserver.names import BASE
from conbool_tui.planners.postfix.lists import join_list, split_list


def relative(name: str, value: str, base: Optional[str]) -> str:
    """``value`` with ``@BASE@`` in the place of all of the container's own value; as it is when that is not in it as one piece."""
    if not base or not name.endswith(("_checks", "_restrictions", "_maps", "_classes")):
        return value
    wanted, own = split_list(value), split_list(base)
    if wanted == own:
        return BASE
    for start in range(len(wanted) - len(own) + 1):
        if wanted[start : start + len(own)] == own:
            return join_list([*wanted[:start], BASE, *wanted[start + len(own) :]])
    return value
