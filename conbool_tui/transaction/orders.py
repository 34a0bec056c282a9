"""A piece of work as data: what is to be done, and how it ended, in a form that another process can read.

Contents of files are part of an order, so it lies in the state directory (root only, 0600) and never in a command line.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from conbool_tui.errors import (
    CheckFailedError,
    ConboolError,
    HostError,
    LockedError,
    NeedsRootError,
    RollbackIncompleteError,
    RolledBackError,
    UsageError,
)
from conbool_tui.host import Host
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, Progress, ProgressSink, Receipt
from conbool_tui.transaction import record as records
from conbool_tui.transaction.apply import apply_plan
from conbool_tui.transaction.asked import Asked
from conbool_tui.transaction.guarding import StartGuard, start_process
from conbool_tui.transaction.live import LiveFor, real_live
from conbool_tui.transaction.merge import Choices, Conflict, UndoConflictError
from conbool_tui.transaction.recover import SystemFor, recover
from conbool_tui.transaction.undo import undo_change
from conbool_tui.transaction.work import Observer

FORMAT = 1
APPLY, UNDO, RECOVER = "apply", "undo", "recover"

Outcome = Union[None, Receipt, ConboolError]
"""A receipt, nothing when there was nothing to recover, or the error to raise."""

_KINDS: Mapping[str, type[ConboolError]] = {
    kind.__name__: kind
    for kind in (
        CheckFailedError,
        ConboolError,
        HostError,
        LockedError,
        NeedsRootError,
        RollbackIncompleteError,
        RolledBackError,
        UsageError,
    )
}


@dataclass(frozen=True)
class Order:
    """What is to be done.

    ``do``: apply (``plan``, ``probe_networks``), undo (``change_id``, ``choices`` about its conflicts, ``asked``: what was there when
    they were made) or recover (``now``: also what waits for confirmation; ``accept``: files edited meanwhile stay as they are).
    """

    do: str
    plan: Optional[Plan] = None
    probe_networks: tuple[str, ...] = ()
    change_id: Optional[str] = None
    now: bool = False
    accept: bool = False
    choices: Choices = dataclasses.field(default_factory=dict)
    asked: Asked = dataclasses.field(default_factory=dict)


def perform(
    host: Host,
    state_dir: str,
    order: Order,
    system_for: SystemFor,
    progress: Optional[ProgressSink] = None,
    observer: Optional[Observer] = None,
    *,
    live_for: LiveFor = real_live,
    start_guard: StartGuard = start_process,
) -> Optional[Receipt]:
    """Do it in this process. Raises as apply_plan, undo_change and recover."""
    if order.do == APPLY and order.plan is not None:
        return apply_plan(
            host,
            state_dir,
            system_for(records.target_of(order.plan)),
            order.plan,
            progress,
            observer,
            live_for=live_for,
            probe_networks=order.probe_networks,
            start_guard=start_guard,
        )
    if order.do == UNDO:
        return undo_change(
            host,
            state_dir,
            system_for,
            order.change_id,
            progress,
            observer,
            choices=order.choices,
            asked=order.asked,
            live_for=live_for,
            start_guard=start_guard,
        )
    if order.do == RECOVER:
        return recover(
            host,
            state_dir,
            system_for,
            progress,
            observer,
            live_for=live_for,
            now=order.now,
            accept=order.accept,
        )
    raise ConboolError(f"This is no order: {order.do}.")


def order_to_json(order: Order) -> dict[str, Any]:
    """The order with all contents, as JSON values."""
    plan: Optional[dict[str, Any]] = None
    if order.plan is not None:
        plan = records.plan_to_json(order.plan)
        plan["contents"] = [
            {"before": _packed(target.before), "after": _packed(target.after)} for target in order.plan.files
        ]
    return {
        "format": FORMAT,
        "do": order.do,
        "plan": plan,
        "probe_networks": list(order.probe_networks),
        "change_id": order.change_id,
        "now": order.now,
        "accept": order.accept,
        "choices": [[path, key, choice] for (path, key), choice in order.choices.items()],
        "asked": [[path, key, value] for (path, key), value in order.asked.items()],
    }


def order_from_json(document: Mapping[str, Any]) -> Order:
    """The order as it was given. Raises ValueError, KeyError or TypeError: it is none."""
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']}")
    plan = document["plan"]
    return Order(
        document["do"],
        None if plan is None else records.plan_from_json(plan, _unpacked(plan["contents"])),
        tuple(document["probe_networks"]),
        document["change_id"],
        document["now"],
        document["accept"],
        {(path, key): choice for path, key, choice in document["choices"]},
        {(path, key): value for path, key, value in document["asked"]},
    )


def _packed(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _unpacked(contents: Sequence[Mapping[str, Optional[str]]]) -> records.Contents:
    def content(number: int, side: str) -> Optional[bytes]:
        text = contents[number][side]
        return None if text is None else base64.b64decode(text)

    return content


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON values."""
    if isinstance(outcome, ConboolError):
        kind = next(item.__name__ for item in type(outcome).__mro__ if item.__name__ in _KINDS)
        document: dict[str, Any] = {"error": kind}
        document.update(what=outcome.what, why=outcome.why, todo=outcome.todo)
        if isinstance(outcome, UndoConflictError):
            document["conflicts"] = [dataclasses.asdict(conflict) for conflict in outcome.conflicts]
        return document
    return {"receipt": None if outcome is None else dataclasses.asdict(outcome)}


def outcome_from_json(document: Mapping[str, Any]) -> Outcome:
    """The outcome as it was. Raises ValueError, KeyError or TypeError: it is none."""
    if "error" in document:
        told = (document["what"], document["why"], document["todo"])
        if "conflicts" not in document:
            return _KINDS[document["error"]](*told)
        error = UndoConflictError("", [Conflict(**item) for item in document["conflicts"]])
        error.what, error.why, error.todo = told
        error.args = told[:1]
        return error
    fields = document["receipt"]
    if fields is None:
        return None
    lists = {name: tuple(fields[name]) for name in ("titles", "files")}
    return Receipt(**{**fields, **lists, "state": ChangeState(fields["state"])})


def progress_to_json(progress: Progress) -> dict[str, Any]:
    """One step as JSON values."""
    return dataclasses.asdict(progress)


def progress_from_json(document: Mapping[str, Any]) -> Progress:
    """The step as it was. Raises TypeError: it is none."""
    return Progress(**document)
