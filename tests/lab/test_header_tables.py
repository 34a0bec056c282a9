"""Our header check tables in real Postfix: headers made to be expensive are looked up without harm."""

from __future__ import annotations

import pytest

from tests.unit.planners.test_tables import ACTION, CALENDAR, HOSTILE, MARKERS

from .lab import Lab
from .postfix import PostfixMachine


@pytest.fixture(scope="module")
def machine(module_lab: Lab, suite: str) -> PostfixMachine:
    """A Postfix of each release; it need not run."""
    return module_lab.postfix(suite, start=False)


@pytest.mark.parametrize("kind", ["pcre", "regexp"])
def test_hostile_headers(machine: PostfixMachine, kind: str) -> None:
    """A header of header_size_limit bytes must neither end cleanup(8) with a signal nor hold it up."""
    machine.write("/var/lib/table", "\n".join([*MARKERS, *CALENDAR]) + "\n", 0o644)
    marker = "X-Conbool-example-com: true"
    text = "\n".join([*HOSTILE.values(), marker]) + "\n"
    # The time limit is far above what is needed, and far below what backtracking without bound takes.
    found = machine.run(["postmap", "-q", "-", f"{kind}:/var/lib/table"], input=text, timeout=60)
    assert found.returncode == 0, found.stderr
    assert not found.stderr
    assert found.stdout == f"{marker}\t{ACTION}\n"
