"""The questions of yes and no: what is asked, what the answer means, and what both answers are called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens.texts import actions
from screens.texts.conflicts import chosen_lines, name_of
from screens.texts.drift import AGAIN_QUESTION, DRAFT_LOST, accept_question
from screens.texts.history import prune_lines, undo_question

if TYPE_CHECKING:
    from conbool_tui.checks.drift import Drift
    from conbool_tui.errors import ConboolError
    from conbool_tui.plan import Plan
    from conbool_tui.receipt import Receipt
    from conbool_tui.transaction import Conflict
    from conbool_tui.wizard_state import WizardState


@dataclass(frozen=True)
class Asked:
    """One question. No is the harmless answer. ``word``: what must be typed for yes."""

    question: str
    lines: tuple[str, ...]
    yes: str
    no: str
    word: str = ""


def leave(state: WizardState) -> Asked:
    """Before leaving with something pending."""
    lines = (
        state.pending,
        "The countdown goes on without this program."
        if state.unconfirmed is not None
        else "Leaving changes nothing on this server.",
    )
    return Asked("Leave now?", lines, actions.LEAVE, actions.STAY)


def close_change(unfinished: Receipt, stuck: ConboolError) -> Asked:
    """Before a change that was cut off is closed with what was edited meanwhile as it is."""
    lines = (
        f"Take back what was not edited meanwhile, leave the rest as it is now, and close change {unfinished.id}?",
        "Nothing is put back after that. Look at your mail system's configuration yourself then.",
        "",
        *f"{stuck.what}\n{stuck.why}".split("\n"),
    )
    return Asked("Leave these as they are?", lines, actions.CLOSE_CHANGE, actions.NOT_YET)


def apply_now() -> Asked:
    """Before a change is written; what it is stands above."""
    return Asked("Apply", (), actions.APPLY_NOW, actions.NOT_YET)


def close_port(plan: Plan) -> Asked:
    """The second question before port 25 is closed while mail still comes here."""
    lines = (plan.ask_again, "", "Type the word to go on. Without it nothing is changed.")
    return Asked("Close port 25 all the same?", lines, actions.APPLY_NOW, actions.NOT_YET, "close")


def replace_file(path: str) -> Asked:
    """Before a file is replaced."""
    lines = (f"{path} is there already.", "What is in it now is lost.")
    return Asked("Replace the file?", lines, actions.REPLACE, actions.KEEP_IT)


def undo(
    receipt: Receipt,
    again: str,
    conflicts: Collection[Conflict] = (),
    choices: Mapping[tuple[str, str], str] | None = None,
) -> Asked:
    """Before an undo. ``again``: the change that it puts in force again; empty when none."""
    question, lines = undo_question(receipt, again, edited=bool(conflicts))
    # What would be lost must be read without scrolling.
    lost = chosen_lines(tuple(conflicts), choices or {}, name_of(receipt))
    yes, no = (actions.PUT_IN_FORCE, actions.LEAVE_IT) if again else (actions.UNDO, actions.KEEP_IT)
    return Asked(question, (*lost, *lines), yes, no)


def prune(found: Sequence[Receipt], total: int) -> Asked:
    """Before old records are removed."""
    return Asked("Remove old records?", tuple(prune_lines(found, total)), actions.REMOVE, actions.KEEP_THEM)


def accept(items: Sequence[Drift]) -> Asked:
    """Before what differs is accepted."""
    return Asked("Accept as it is now?", tuple(accept_question(items)), actions.ACCEPT, actions.NOT_YET)


def apply_again(*, draft_lost: bool) -> Asked:
    """Before the recorded answers replace those being edited."""
    lines = (*AGAIN_QUESTION, *(("", DRAFT_LOST) if draft_lost else ()))
    return Asked("Apply again as it was applied?", lines, actions.TO_REVIEW, actions.NOT_YET)
