"""Namespaces and the folder for spam. Names are as Sieve's fileinto wants them: with the namespace's prefix."""

from __future__ import annotations

from dataclasses import dataclass, field

from conbool_tui.doveconf import Section
from conbool_tui.facts_dovecot import SpecialFolder


@dataclass
class Namespace:
    """A personal namespace; sections of one name add up."""

    prefix: str = ""
    inbox: bool = False
    folders: list[SpecialFolder] = field(default_factory=list)


def namespaces(reading: Section) -> tuple[Namespace, ...]:
    """The personal namespaces."""
    found: dict[str, Namespace] = {}
    others = set()
    for number, section in enumerate(reading.sections("namespace")):
        name = section.argument or f"#{number}"
        if section.get("type") in ("shared", "public"):
            others.add(name)
        one = found.setdefault(name, Namespace())
        one.prefix = section.get("prefix") or one.prefix
        one.inbox = one.inbox or section.get("inbox") in ("yes", "true")
        for mailbox in section.sections("mailbox"):
            if "\\junk" in (mailbox.get("special_use") or "").lower().split():
                automatic = mailbox.get("auto") in ("create", "subscribe")
                one.folders.append(SpecialFolder(mailbox.get("name") or mailbox.argument, automatic))
    return tuple(one for name, one in found.items() if name not in others)


def prefix(found: tuple[Namespace, ...]) -> str:
    """What a folder's name must begin with; empty where names without a prefix have a namespace."""
    if not found or any(not one.prefix for one in found):
        return ""
    return next((one.prefix for one in found if one.inbox), "")


def junk(found: tuple[Namespace, ...]) -> tuple[SpecialFolder, ...]:
    r"""The folders with special use \\Junk, the likeliest first: those that Dovecot makes by itself."""
    every = [
        SpecialFolder(one.prefix + folder.name, folder.automatic) for one in found for folder in one.folders
    ]
    return tuple(sorted(every, key=lambda folder: not folder.automatic))
