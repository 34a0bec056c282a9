"""A list of networks read from a file."""

from __future__ import annotations

from collections.abc import Sequence

from conbool_tui.findings import Status
from conbool_tui.wizard_state import FieldSpec
from screens.texts.inbound import networks_text
from screens.texts.lines import Line, status_line

TITLE = "Load a list of networks"
LIST = "The list"
PATH = FieldSpec(
    key="load.path",
    label="List file",
    help="One network in a line; # begins a comment.",
    step="B",
    choices=(),
    example=None,
    form="file",
)
INTRO = f"{PATH.help} Duplicates and overlaps are merged."


def list_lines(networks: Sequence[str], notes: Sequence[str]) -> list[Line]:
    """What was read."""
    return [
        status_line(Status.OK, f"{networks_text(len(networks))} read."),
        *(Line(f"! {note}", "warn") for note in notes),
        *(Line(f"  {network}") for network in networks),
    ]
