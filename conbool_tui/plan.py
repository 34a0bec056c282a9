"""The plan: everything that would be done, as data. CLI, wizard, journal and script export all render this one object."""

from __future__ import annotations

import dataclasses
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
    """What a change touches; undo works per key (parameter, option), per block, per set of tagged lines, per file or rule set.

    LINES: the lines of a text file that carry our tag (``key``); everything else in the file is somebody else's.
    BLOCK: the lines between our markers in a text file of somebody else (``text_blocks``); ``key`` is the block's id.
    FIREWALL: our own rules in the running packet filter; ``path`` is the name of the ``LiveTarget``.
    """

    PARAMETER = "parameter"
    SERVICE_OPTION = "service option"
    SERVICE_BLOCK = "service block"
    FILE = "file"
    LINES = "tagged lines"
    BLOCK = "marked block"
    FIREWALL = "firewall rules"


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
    """One file as it must be before (None: absent) and after (None: removed). ``mode`` counts only for new files, owned by root.

    ``generated``: the mail system's own tools make it from the other files; a plan that is only looked at does not have it yet.
    """

    path: str
    before: Optional[bytes]
    after: Optional[bytes]
    mode: int = 0o644
    generated: bool = False


@dataclass(frozen=True)
class LiveTarget:
    """Something of ours that lives in the running system and not in a file: our firewall rules.

    ``name`` is ``firewall:`` and the owner's word; ``before`` and ``after`` are the canonical text of the rules (None: not there).
    """

    name: str
    before: Optional[str]
    after: Optional[str]


@dataclass(frozen=True)
class MailTarget:
    """Which mail system a change belongs to, as the journal records it. ``also``: further systems that the same change concerns, such as
    the Dovecot beside a Postfix."""

    system: str
    instance: str
    config_directory: str
    also: tuple[MailTarget, ...] = ()

    @property
    def all(self) -> tuple[MailTarget, ...]:
        """Each system by itself, the first one first."""
        return (dataclasses.replace(self, also=()), *self.also)


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
    configuration afterwards; the transaction proves that on a staged copy. ``live`` comes into force after the reload and goes first
    when the change is taken back. ``confirm_within``: seconds after which the change is taken back unless somebody confirmed it, 0 when
    nobody needs to. ``answers`` is the answers file this plan was made from (YAML), kept with the change.
    ``ask_again``: what an admin must say yes to a second time before this is applied, a sentence; empty when once is enough.
    ``also``: further systems whose files it changes; they are judged, reloaded and looked after like the first one.
    """

    system: str
    instance: str
    config_directory: str
    changes: tuple[Change, ...]
    files: tuple[FileTarget, ...]
    notices: tuple[Notice, ...] = ()
    reload: tuple[str, ...] = ()
    health_ports: tuple[int, ...] = ()
    live: tuple[LiveTarget, ...] = ()
    confirm_within: int = 0
    answers: str = ""
    ask_again: str = ""
    also: tuple[MailTarget, ...] = ()

    @property
    def target(self) -> MailTarget:
        """The mail system it is for, with the further ones."""
        return MailTarget(self.system, self.instance, self.config_directory, self.also)

    @property
    def empty(self) -> bool:
        """True when there is nothing to do."""
        return not self.files and not self.live

    @property
    def changed_parameters(self) -> frozenset[str]:
        """Names of the main.cf parameters this plan sets or removes."""
        return frozenset(change.key for change in self.changes if change.kind is ChangeKind.PARAMETER)


def combine(plan: Plan, other: Plan) -> Plan:
    """Both plans as one change of the first one's mail system: one review, one transaction, one undo. The same notice is told once."""
    if other.empty and not other.notices:
        return plan
    concerned = other.target.all if not other.empty else ()
    return dataclasses.replace(
        plan,
        changes=plan.changes + other.changes,
        files=plan.files + other.files,
        notices=tuple(dict.fromkeys(plan.notices + other.notices)),
        reload=tuple(dict.fromkeys(plan.reload + other.reload)),
        health_ports=tuple(dict.fromkeys(plan.health_ports + other.health_ports)),
        live=plan.live + other.live,
        confirm_within=max(plan.confirm_within, other.confirm_within),
        ask_again=" ".join(filter(None, (plan.ask_again, other.ask_again))),
        also=tuple(dict.fromkeys(plan.also + concerned)),
    )
