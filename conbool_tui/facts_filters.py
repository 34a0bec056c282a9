"""What was found of spam filters that look at mail before it reaches a mailbox. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from conbool_tui.facts import FileText


@dataclass(frozen=True)
class FilterFacts:
    """One spam filter that is installed.

    Attributes:
        name: ``rspamd`` or ``spamassassin``.
        config_directory: where its own files are.
        path: the file that takes our part; ``text`` is what it holds now, None when it is absent.
        running: whether its daemon runs.
    """

    name: str
    config_directory: str
    path: str
    text: Optional[FileText]
    running: bool
