"""Hosted domains by address class (ADDRESS_CLASS_README), read in batch: one command per table, none per
domain.

Rules:

* The first pattern of a list that matches decides, as in Postfix: a name after ``!name`` stays out.
* Only names mail can be addressed to over the internet count: no ``localhost`` and its relatives, no single
  label, no address literal.
* Names of the machine itself (``$myhostname``) stay in their class, because Postfix does accept mail for
  them, but stand behind the real domains and are named in ``host_names``.
* A key with ``@`` in an alias or mailbox table is an address, not a domain.
* What cannot be listed (SQL, LDAP, patterns, ``.example.com``) is named in ``unlisted``: the admin is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from conbool_tui.errors import ConboolError
from conbool_tui.facts import HostedDomains
from conbool_tui.host import Host
from detectors.postfix.tables import TableReader
from detectors.postfix.values import is_domain, parse_table, split_list

CLASSES = ("mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains")
_MAX_DEPTH = 5


def read_domains(host: Host, parameters: Mapping[str, str], reader: TableReader) -> HostedDomains:
    """The hosted domains; ``parameters`` are the expanded ones."""
    own = parameters.get("myhostname", "").lower()
    unlisted: list[str] = []
    classes = []
    for name in CLASSES:
        collector = _Collector(name, host, reader)
        collector.add_all(split_list(parameters.get(name, "")))
        classes.append(tuple(sorted(collector.domains(), key=lambda domain: domain == own)))
        unlisted.extend(collector.unlisted)
    hosts = tuple(dict.fromkeys(domain for names in classes for domain in names if domain == own))
    return HostedDomains(
        classes[0], classes[1], classes[2], classes[3], tuple(dict.fromkeys(unlisted)), hosts
    )


class _Collector:
    """Evaluates one domain list."""

    def __init__(self, parameter: str, host: Host, reader: TableReader) -> None:
        self._parameter = parameter
        self._host = host
        self._reader = reader
        self._decided: dict[str, bool] = {}
        self.unlisted: list[str] = []

    def domains(self) -> list[str]:
        """The domains that are in, in the order of the list."""
        return [name for name, inside in self._decided.items() if inside and _is_mail_domain(name)]

    def add_all(self, patterns: Iterable[str], inside: bool = True, depth: int = 0) -> None:
        """Evaluate patterns in order; each ``!`` before one turns it round, ``#`` begins a comment."""
        for pattern in patterns:
            if pattern.startswith("#"):
                return
            text = pattern.lstrip("!")
            negated = (len(pattern) - len(text)) % 2 == 1
            if text:
                self._add(text, inside != negated, depth)

    def _add(self, pattern: str, inside: bool, depth: int) -> None:
        if pattern.startswith("/"):
            self._add_file(pattern, inside, depth)
            return
        table = parse_table(pattern)
        if table is None:
            self._add_name(pattern, inside)
            return
        keys = self._reader.keys(table)
        if keys is None:
            self._cannot_list(str(table))
            return
        # First match wins, so names that are decided already stay as they are.
        for key in keys:
            if "@" not in key:
                self._add_name(key, inside)

    def _add_name(self, name: str, inside: bool) -> None:
        name = name.lower()
        if name.startswith(".") and is_domain(name[1:]):
            self._cannot_list(f"{name} (every subdomain)")
            return
        self._decided.setdefault(name, inside)

    def _add_file(self, path: str, inside: bool, depth: int) -> None:
        """``/file``: its lines are patterns again."""
        if depth >= _MAX_DEPTH:
            self._cannot_list(f"{path} (files that name each other)")
            return
        try:
            text = self._host.read_text(path)
        except (ConboolError, OSError) as error:
            self._cannot_list(f"{path} ({getattr(error, 'what', error)})")
            return
        for line in text.split("\n"):
            self.add_all(split_list(line), inside, depth + 1)

    def _cannot_list(self, source: str) -> None:
        self.unlisted.append(f"{self._parameter}: {source}")


def _is_mail_domain(name: str) -> bool:
    """True for a domain that can be somebody's mail domain."""
    if name.startswith("localhost.") or name.endswith((".localdomain", ".localhost")):
        return False
    return is_domain(name)
