"""Merge into the smtpd restriction lists of port 25 (postconf(5), RESTRICTION_CLASS_README)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from conbool_tui.facts import Service
from conbool_tui.plan import Step
from conbool_tui.planners.postfix import names
from conbool_tui.planners.postfix.design import Design
from conbool_tui.planners.postfix.desired import Setting
from conbool_tui.planners.postfix.lists import join_list, split_list, split_restrictions
from conbool_tui.planners.postfix.sources import option_base


@dataclass(frozen=True)
class Place:
    """Where a service reads a list: main.cf (``service`` None) or its own -o option.

    ``text``: the admin's explicit value, None when there is none; ``own``: its entries, or those of the default.
    """

    service: Optional[Service]
    name: str
    text: Optional[str]
    own: tuple[str, ...]


Merge = Callable[[Place], Sequence[str]]


def define_class(design: Design, name: str, value: str, title: str, reason: str, step: Step = Step.C) -> None:
    """Define a restriction class (RESTRICTION_CLASS_README) and make it known."""
    design.set(name, value, step, title, reason)
    own = design.own_list("smtpd_restriction_classes")
    classes = [one for one in names.CLASSES if one in design.wanted.settings]
    design.set(
        "smtpd_restriction_classes",
        join_list([*split_list(own or ""), *classes]),
        Step.C,
        "Restriction classes for Conbool",
        "Postfix must know their names.",
    )
    design.remember("smtpd_restriction_classes", own)


def places(design: Design, name: str, services: Optional[Iterable[Service]] = None) -> list[Place]:
    """Where the services of port 25 (or those given) read the list ``name``; main.cf first, and once."""
    found: list[Place] = []
    in_main = False
    for service in services if services is not None else [one.service for one in design.port_25]:
        text = option_base(service, name, design.record)
        if text is None:
            in_main = True
        else:
            found.append(Place(service, name, text, split_restrictions(text)))
    return [main_place(design, name), *found] if in_main else found


def main_place(design: Design, name: str) -> Place:
    """The list as main.cf has it, or as its default is."""
    text = design.own_list(name)
    in_force = text if text is not None else design.default_of(name)
    if "${" in in_force and text is None:
        in_force = design.facts.expanded.get(name, "")
    return Place(None, name, text, split_restrictions(in_force))


def put(design: Design, place: Place, entries: Sequence[str], step: Step, title: str, reason: str) -> bool:
    """Ask for these entries at a place; False when they are what the admin has there."""
    if tuple(entries) == place.own:
        return False
    if place.service is None:
        design.set(place.name, join_list(entries), step, title, reason)
        design.remember(place.name, place.text, default=join_list(place.own))
        return True
    service = place.service
    design.wanted.options[(service.name, service.type, place.name)] = Setting(
        join_list(entries), step, f"{title} ({service.id})", reason
    )
    design.remember(f"{service.id}/{place.name}", place.text, default=join_list(place.own))
    return True


def restriction(design: Design, name: str, merge: Merge, step: Step, title: str, reason: str) -> None:
    """Merge into a list wherever port 25 reads it."""
    for place in places(design, name):
        put(design, place, merge(place), step, title, reason)


def seen(design: Design, entries: Iterable[str]) -> tuple[str, ...]:
    """The entries with every ``$name`` and every restriction class replaced by what it holds."""
    found: list[str] = []
    for entry in entries:
        inner = _inside(design, entry)
        found += (entry,) if inner is None else seen(design, inner)
    return tuple(found)


def _inside(design: Design, entry: str) -> Optional[tuple[str, ...]]:
    """What an entry stands for; None for an entry that stands for itself."""
    classes = split_list(design.own_list("smtpd_restriction_classes") or "")
    if not entry.startswith("$") and entry not in classes:
        return None
    inner = split_restrictions(design.facts.expanded.get(entry.strip("${}()"), ""))
    return None if entry in inner else inner
