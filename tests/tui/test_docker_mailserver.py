"""The wizard over docker-mailserver: what was found, its limits, and every step to the review."""

from __future__ import annotations

from pathlib import Path

from conbool_tui.facts import HostFacts
from tests.tui.conftest import Start
from tests.tui.fake import FakeSession
from tests.unit.docker_mailserver.test_detect import COMPOSE, detect, write


async def test_from_welcome_to_review(wizard: Start, tmp_path: Path) -> None:
    """The container's Postfix is no Postfix of this host, and nothing in the wizard asks for one."""
    accounts = {"config_S_postfix-accounts__cf": "alice@example.com|x\n"}
    found = detect(write(tmp_path, compose__yaml=COMPOSE, mailserver__env="", **accounts))
    async with wizard(FakeSession(HostFacts((found,)))) as driver:
        words = " ".join(driver.text().split())
        assert "docker-mailserver 15.1.0, not running, /srv/mail/config" in words
        assert "docker leads published ports past it" in words
        await driver.to("Review")
        assert driver.title.endswith("Review")
        assert driver.app.state.draft.answers().domains == ("example.com",)
