"""One look at the host, as both front ends begin: what was found, what waits, what ended while nobody watched."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Optional, Union

from conbool_tui.answers import Answers
from conbool_tui.errors import ConboolError
from conbool_tui.facts import Detection, HostFacts, Outcome
from conbool_tui.receipt import ChangeState, Receipt
from screens.ports import WizardSession

if TYPE_CHECKING:
    from conbool_tui.checks.drift import Drift


@dataclass(frozen=True)
class Waiting:
    """A change of an earlier run waits for confirmation; nothing else matters before that is decided."""

    receipt: Receipt
    missed: Optional[Receipt] = None


@dataclass(frozen=True)
class Found:
    """What one look at the host brought. ``missed``: the newest change when it ended while nobody watched."""

    facts: HostFacts
    target: Optional[Detection]
    obstacle: Optional[ConboolError]
    unfinished: Optional[Receipt]
    domains: tuple[str, ...] = ()
    missed: Optional[Receipt] = None
    drift: tuple[Drift, ...] = ()

    @property
    def obstacle_is_news(self) -> bool:
        """The obstacle is told already where it is only that the one mail system is absent, broken or managed."""
        return self.obstacle is not None and bool(self.present)

    @property
    def present(self) -> list[Detection]:
        """The mail systems that could be set up."""
        return [item for item in self.facts.choices if item.outcome is Outcome.PRESENT]

    @property
    def running(self) -> bool:
        """Whether another process is changing this server just now."""
        return self.unfinished is not None and self.unfinished.state is ChangeState.RUNNING


def look(session: WizardSession, instance: Optional[str]) -> Union[Found, Waiting]:
    """Look at the host; read only. ``instance``: the Postfix instance that was chosen.

    Raises:
        ConboolError: it cannot be looked at.
    """
    missed = session.unseen()
    waiting = session.unconfirmed()
    if waiting is not None:
        return Waiting(waiting, missed)
    unfinished = session.unfinished()
    found = Found(session.detect(instance), None, None, unfinished, missed=missed)
    if unfinished is None:
        with contextlib.suppress(ConboolError):
            found = replace(found, drift=tuple(session.drift()))
    try:
        found = replace(found, target=session.target(found.facts))
    except ConboolError as error:
        return replace(found, obstacle=error)
    with contextlib.suppress(ConboolError):
        domains = session.complete(Answers(instance=instance), found.facts).domains
        found = replace(found, domains=domains)
    return found


def needs_instance(target: Detection) -> bool:
    """Whether one of several instances must be chosen."""
    return target.postfix is not None and len(target.postfix.instances) > 1


def how_ended(session: WizardSession, change_id: str) -> Union[str, Receipt, None]:
    """The receipt of a change that another process worked on; its id while that is still at it, None when it is not recorded."""
    now = session.unfinished()
    if now is not None and now.state is ChangeState.RUNNING:
        return now.id
    return find(session.history(), change_id)


def find(receipts: Sequence[Receipt], change_id: str) -> Optional[Receipt]:
    """The record of a change."""
    return next((item for item in receipts if item.id == change_id), None)
