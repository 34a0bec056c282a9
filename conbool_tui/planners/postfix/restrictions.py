"""Merge into the smtpd restriction lists of port 25 (postconf(5), RESTRICTION_CLASS_README)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Setting
from conbool_tui.planners.postfix.lists import join_list, refuses, split_list, split_restrictions
from conbool_tui.planners.postfix.previous import base_list

Merge = Callable[[Sequence[str]], Sequence[str]]


def define_class(design: Design, name: str, value: str, title: str, reason: str) -> None:
    """Define a restriction class (RESTRICTION_CLASS_README) and make it known."""
    design.set(name, value, Step.C, title, reason)
    own = design.own_list("smtpd_restriction_classes")
    classes = [one for one in (names.ORIGIN_CLASS, names.HAND_BACK_CLASS) if one in design.wanted.settings]
    design.set(
        "smtpd_restriction_classes",
        join_list([*split_list(own or ""), *classes]),
        Step.C,
        "Restriction classes for Conbool",
        "Postfix must know their names.",
    )
    design.remember("smtpd_restriction_classes", own)


def restriction(
    design: Design,
    name: str,
    merge: Merge,
    step: Step,
    title: str,
    reason: str,
    *,
    only_refusing: bool = False,
    only_set: bool = False,
) -> bool:
    """Merge into an smtpd restriction list where the port-25 service reads it: in main.cf, or in its
    own -o option. True when it was.
    """
    in_main = merged = False
    for identity in design.facts.port_25_services:
        service_name, _, kind = identity.rpartition("/")
        service = design.facts.service(service_name, kind)
        if service is None:
            continue
        if service.option(name) is None:
            in_main = True
            continue
        own_text = base_list(service.option(name), design.record.get(f"{service.id}/{name}")) or ""
        own = split_restrictions(own_text)
        if (only_refusing and not refuses(_seen(design, own))) or (only_set and not own):
            continue
        design.wanted.options[(service_name, kind, name)] = Setting(
            join_list(merge(own)), step, f"{title} ({service.id})", reason
        )
        design.remember(f"{service.id}/{name}", own_text)
        merged = True
    if not in_main:
        return merged
    own_value = design.own_list(name)
    in_force = own_value if own_value is not None else design.default_of(name)
    if "${" in in_force and own_value is None:
        in_force = design.facts.expanded.get(name, "")
    visible = split_restrictions(in_force)
    expanded = visible if own_value is None else split_restrictions(design.facts.expanded.get(name, in_force))
    if (only_refusing and not refuses(expanded)) or (only_set and not visible):
        return merged
    design.set(name, join_list(merge(visible)), step, title, reason)
    design.remember(name, own_value, default=join_list(visible))
    return True


def _seen(design: Design, entries: Sequence[str]) -> tuple[str, ...]:
    """The entries with those that are a ``$name`` replaced by what the name holds."""
    found: list[str] = []
    for entry in entries:
        value = design.facts.expanded.get(entry.strip("${}()"), "") if entry.startswith("$") else entry
        found += split_restrictions(value)
    return tuple(found)
