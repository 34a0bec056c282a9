"""Where our block goes in a user-patches.sh of the admin's."""

from __future__ import annotations

import re
from typing import Optional

_LEAVES = re.compile(r"(?:exit|exec|return)\b")


def place(data: bytes) -> Optional[bytes]:
    """The line our block goes before: the first one at the margin that leaves the script; None for the end.

    At the end our settings come on top of the admin's own changes to Postfix.
    """
    for line in data.split(b"\n"):
        if _LEAVES.match(line.decode("utf-8", "surrogateescape")):
            return line
    return None
