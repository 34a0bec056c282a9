"""The README's picture: the real screens over the real planner, on a server like Debian's."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Optional

from textual.pilot import Pilot

from conbool_tui.answers import Answers
from conbool_tui.app import WizardApp
from conbool_tui.facts import HostFacts
from conbool_tui.plan import Plan
from conbool_tui.planners.postfix import plan_postfix
from tests.tui.conftest import Driver
from tests.tui.fake import FakeSession, host_facts, present
from tests.tui.test_snapshots import Compare
from tests.unit.planners.facts_builder import facts_for

PICTURE = Path(__file__).parents[2] / "docs/wizard.svg"
STORED = Path(__file__).parent / "__snapshots__/test_readme_picture/test_picture.svg"


class PlanningSession(FakeSession):
    """Plans with the product's own planner."""

    def plan(self, answers: Answers, facts: Optional[HostFacts] = None) -> Plan:
        postfix = self.target(self.facts).postfix
        assert postfix is not None
        return plan_postfix(postfix, self.complete(answers, self.facts))


def test_picture(snap_compare: Compare) -> None:
    facts = dataclasses.replace(facts_for(), system_ca_file="/etc/ssl/certs/ca-certificates.crt")
    session = PlanningSession(host_facts(present(facts)))
    app = WizardApp(lambda: session)

    async def run(pilot: Pilot[int]) -> None:
        driver = Driver(app, pilot, session)
        await driver.settle()
        await driver.to("Smart host")
        await driver.settle()
        await asyncio.sleep(0.02)
        await driver.settle()

    assert snap_compare(app, terminal_size=(120, 24), run_before=run)


def test_readme_shows_it() -> None:
    """``make snapshots`` copies it."""
    assert PICTURE.read_bytes() == STORED.read_bytes()
