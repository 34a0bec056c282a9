"""What the configuration must hold in the end, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from conbool_tui.plan import Notice, Step
from conbool_tui.planners.postfix.previous import Recorded


@dataclass(frozen=True)
class Setting:
    """A parameter's wanted value (None: the host's own default) with what the admin should read about it."""

    value: Optional[str]
    step: Step
    title: str
    reason: str


@dataclass(frozen=True)
class Table:
    """One of our table files."""

    text: str
    step: Step
    title: str
    reason: str


@dataclass(frozen=True)
class Block:
    """One marked block of master.cf."""

    text: str
    step: Step
    title: str
    reason: str


@dataclass
class Desired:
    """Everything wanted, collected part by part."""

    settings: dict[str, Setting] = field(default_factory=dict)
    options: dict[tuple[str, str, str], Setting] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    record: dict[str, Recorded] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    ports: tuple[int, ...] = ()
