"""The plan: everything that would be done, as data. CLI, wizard, journal and script export all render this one object."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional


class Step(str, enum.Enum):
    """Guide steps; LANE is the local detour that steps C and D share."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    SCOPE = "scope"


class ChangeKind(str, enum.Enum):
    """What a change touches; undo works per key (parameter, option) and per block or file."""

    PARAMETER = "parameter"
    SERVICE_OPTION = "service option"
    SERVICE_BLOCK = "service block"
    FILE = "file"


@dataclass(frozen=True)
class Change:
    """One change, small enough to be understood and taken back by itself.

    ``key`` is the parameter's name, ``service/type/option``, the block's id, or empty for a whole file. ``before`` and ``after`` are the
    values of exactly that key (None: not there).
    """

    kind: ChangeKind
    step: Step
    title: str
    reason: str
    path: str
    key: str
    before: Optional[str]
    after: Optional[str]
    undo: str


@dataclass(frozen=True)
class FileTarget:
    """One file as it must be before (None: absent) and after (None: removed). ``mode`` counts only for new files, owned by root."""

    path: str
    before: Optional[bytes]
    after: Optional[bytes]
    mode: int = 0o644


@dataclass(frozen=True)
class Notice:
    """Something the admin should know before applying. ``level``: note or warn."""

    level: str
    text: str
    step: Optional[Step] = None


@dataclass(frozen=True)
class Plan:
    """An ordered list of changes with the files they add up to.

    ``changed_parameters`` and ``changed_services`` are the only names that may differ in the mail system's own reading of the
    configuration afterwards; the transaction proves that on a staged copy.
    """

    system: str
    instance: str
    config_directory: str
    changes: tuple[Change, ...]
    files: tuple[FileTarget, ...]
    notices: tuple[Notice, ...] = ()
    reload: tuple[str, ...] = ()
    health_ports: tuple[int, ...] = ()

    @property
    def empty(self) -> bool:
        """True when there is nothing to do."""
        return not self.files

    @property
    def changed_parameters(self) -> frozenset[str]:
        """Names of the main.cf parameters this plan sets or removes."""
        return frozenset(change.key for change in self.changes if change.kind is ChangeKind.PARAMETER)
