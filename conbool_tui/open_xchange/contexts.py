"""Contexts (tenants) and their mail domains, from what OX's own tools print with ``--csv``: listcontext and listuser."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from conbool_tui.answer_forms import FormError
from conbool_tui.answer_forms import domain as domain_form
from conbool_tui.errors import UsageError

_ADDRESS = re.compile(r"[^\s,;<>\"@]+@([^\s,;<>\"@]+)")
_COLUMNS = ("email", "mail", "alias", "address")
_OUTSIDE = ("imap", "smtp", "server", "drafts", "folder", "enabled", "upload", "standard")


@dataclass(frozen=True)
class Context:
    """One context: its number, its name, and the mail domains that are known of it."""

    id: str
    name: str
    domains: tuple[str, ...]


def read_contexts(text: str) -> tuple[Context, ...]:
    """The contexts in the output of ``listcontext --csv``. Login mappings that are domains count as domains.

    Raises:
        UsageError: it is no such output.
    """
    rows = _rows(text)
    head = [name.strip().lower() for name in rows[0]] if rows else []
    number = next((head.index(name) for name in ("id", "cid") if name in head), None)
    if number is None or "lmappings" not in head:
        raise UsageError(
            "This is no list of contexts.",
            "Its first line must name the columns id and lmappings.",
            "Save what `/opt/open-xchange/sbin/listcontext -A oxadminmaster --csv` prints.",
        )
    mappings, name = head.index("lmappings"), head.index("name") if "name" in head else number
    found = []
    for row in rows[1:]:
        if len(row) == len(head) and row[number].strip():
            words = re.split(r"[\s,;]+", row[mappings])
            found.append(Context(row[number].strip(), row[name].strip(), _domains(words)))
    return tuple(found)


def read_users(text: str) -> tuple[str, ...]:
    """The mail domains in the output of ``listuser -c ID --csv``: of primary addresses and aliases.

    Raises:
        UsageError: it is no such output.
    """
    rows = _rows(text)
    head = [name.strip().lower() for name in rows[0]] if rows else []
    columns = [
        index
        for index, name in enumerate(head)
        if any(word in name for word in _COLUMNS) and not any(word in name for word in _OUTSIDE)
    ]
    if not columns:
        raise UsageError(
            "This is no list of users.",
            "Its first line names no column with mail addresses.",
            "Save what `/opt/open-xchange/sbin/listuser -c ID -A oxadmin --csv` prints.",
        )
    words = []
    for row in rows[1:]:
        for index in columns:
            words += _ADDRESS.findall(row[index] if index < len(row) else "")
    return _domains(words)


def _rows(text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text.lstrip("\ufeff"), newline="")) if row]
    except csv.Error:
        return []


def _domains(words: Sequence[str]) -> tuple[str, ...]:
    found = []
    for word in words:
        try:
            name = domain_form(word.strip().lower())
        except FormError:
            continue
        if "." in name:
            found.append(name)
    return tuple(dict.fromkeys(found))
