"""The table of steps: the wizard's order in one place. A new step is one more row and one more module."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Optional

from conbool_tui.plan import Step

if TYPE_CHECKING:
    from screens.base import WizardScreen


@dataclass(frozen=True)
class FlowStep:
    """One screen of the wizard's way; its module is loaded when it is first shown, so that the start stays
    quick.
    """

    id: str
    title: str
    module: str
    screen: str
    guide_step: Optional[Step] = None

    def build(self) -> WizardScreen:
        """Make the screen."""
        made: WizardScreen = getattr(import_module(self.module), self.screen)(self)
        return made


FLOW: tuple[FlowStep, ...] = (
    FlowStep("welcome", "Welcome", "screens.welcome", "WelcomeScreen"),
    FlowStep("prerequisites", "Prerequisites", "screens.prerequisites", "PrerequisitesScreen"),
    FlowStep("smart-host", "Smart host (guide step A)", "screens.step_a", "StepAScreen", Step.A),
    FlowStep("inbound", "Inbound mail (guide step B)", "screens.step_b", "StepBScreen", Step.B),
    FlowStep("loop", "Loop and spam (guide step C)", "screens.step_c", "StepCScreen", Step.C),
    FlowStep("release", "Release (guide step D)", "screens.step_d", "StepDScreen", Step.D),
    FlowStep("scope", "Who uses Conbool", "screens.scope", "ScopeScreen", Step.SCOPE),
    FlowStep("review", "Review", "screens.review", "ReviewScreen"),
    FlowStep("apply", "Apply", "screens.apply", "ApplyScreen"),
    FlowStep("test", "Test", "screens.test", "TestScreen"),
    FlowStep("done", "Done", "screens.done", "DoneScreen"),
)


def number(step: FlowStep) -> int:
    """Place of the step, from 1."""
    return FLOW.index(step) + 1


def counter(step: FlowStep) -> str:
    """``Step 3 of 11 - name``."""
    return f"Step {number(step)} of {len(FLOW)} - {step.title}"


def after(step: FlowStep) -> Optional[FlowStep]:
    """The step that follows, None after the last."""
    place = FLOW.index(step) + 1
    return FLOW[place] if place < len(FLOW) else None
