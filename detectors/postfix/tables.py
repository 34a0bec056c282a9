"""Lookup tables (DATABASE_README): which can be listed, what is in them, and which are not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.facts import Service
from conbool_tui.host import Host
from detectors.postfix.parameters import Tools, fatal_text, warnings_of
from detectors.postfix.values import Table, inline_keys, split_list, tables_in, unbrace

# Type of an indexed table to the suffix of its file; a plain text table has none.
_SUFFIXES = {
    "hash": ".db",
    "btree": ".db",
    "lmdb": ".lmdb",
    "cdb": ".cdb",
    "sdbm": ".pag",
    "dbm": ".pag",
    "texthash": "",
}
_FILE_TYPES = frozenset({"regexp", "pcre", "cidr", "mysql", "pgsql", "ldap", "sqlite", "mongodb", "memcache"})
_QUERY_TIMEOUT = 5.0
# The daemons create these themselves when they need them.
_MADE_BY_POSTFIX = ("_cache_database", "_cache_map", "address_verify_map")

# Settings that take part in the handling of every message: when one of their tables is missing, mail is
# deferred or refused.
_VITAL = frozenset(
    {
        "body_checks",
        "canonical_maps",
        "header_checks",
        "mime_header_checks",
        "mydestination",
        "mynetworks",
        "nested_header_checks",
        "recipient_canonical_maps",
        "relay_domains",
        "relay_recipient_maps",
        "relocated_maps",
        "sender_canonical_maps",
        "sender_dependent_default_transport_maps",
        "sender_dependent_relayhost_maps",
        "smtp_generic_maps",
        "smtp_tls_policy_maps",
        "smtpd_client_restrictions",
        "smtpd_data_restrictions",
        "smtpd_end_of_data_restrictions",
        "smtpd_helo_restrictions",
        "smtpd_recipient_restrictions",
        "smtpd_relay_restrictions",
        "smtpd_sender_restrictions",
        "transport_maps",
        "virtual_alias_domains",
        "virtual_alias_maps",
        "virtual_mailbox_domains",
        "virtual_mailbox_maps",
    }
)


class TableReader:
    """Lists tables, each at most once.

    Args:
        tools: Postfix's commands.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._host: Host = tools.host
        self._keys: dict[str, Optional[tuple[str, ...]]] = {}
        self.warnings: list[str] = []

    def keys(self, table: Table) -> Optional[tuple[str, ...]]:
        """Every key of the table in lower case, None when this kind of table cannot be listed or its file
        cannot be read."""
        if table.direct not in self._keys:
            self._keys[table.direct] = self._list(table)
        return self._keys[table.direct]

    def _list(self, table: Table) -> Optional[tuple[str, ...]]:
        if table.type == "inline":
            found = inline_keys(table.name)
            return None if found is None else tuple(found)
        if table.type == "fail":
            return ()
        if table.type == "unionmap":
            return self._union(table)
        if table.type not in _SUFFIXES:
            return None
        listed = self._dump(table)
        return self._source(table) if listed is None else listed

    def _union(self, table: Table) -> Optional[tuple[str, ...]]:
        """The keys of all tables of a unionmap."""
        inner = unbrace(table.name)
        known = frozenset(_SUFFIXES) | {"inline", "fail"}
        members = [] if inner is None else list(tables_in(inner, known))
        if inner is None or len(members) != len(split_list(inner)):
            return None
        found: list[str] = []
        for member in members:
            keys = self.keys(member)
            if keys is None:
                return None
            found.extend(keys)
        return tuple(dict.fromkeys(found))

    def _dump(self, table: Table) -> Optional[tuple[str, ...]]:
        """The keys Postfix itself sees, from one ``postmap -s``; None when it cannot."""
        try:
            result = self._tools.run("postmap", "-s", table.direct)
        except ConboolError:
            return None
        if not result.ok or fatal_text(result):
            return None
        self.warnings.extend(text for text in warnings_of(result) if "older than source" in text)
        return tuple(line.partition("\t")[0].lower() for line in result.text().split("\n") if line)

    def _source(self, table: Table) -> Optional[tuple[str, ...]]:
        """The keys of the table's source text, for indexes that cannot be listed (cdb) or opened by this
        user."""
        if not table.name.startswith("/"):
            return None
        try:
            return tuple(text_keys(self._host.read_text(table.name)))
        except ConboolError:
            return None


def text_keys(text: str) -> list[str]:
    """The keys of a table's source text (postmap(1)): lines that start with white space continue, ``#``
    starts a comment, keys may be quoted."""
    keys = []
    for line in text.split("\n"):
        if not line.strip() or line[0] in "# \t\r\v\f":
            continue
        if line.startswith('"'):
            key = line[1:].partition('"')[0]
        else:
            key = line.split(None, 1)[0]
        keys.append(key.lower())
    return keys


def catch_all(tools: Tools, value: str, types: frozenset[str], warnings: list[str]) -> Optional[str]:
    """What the transport maps answer for ``*``, the entry for every other recipient (transport(5)); None
    when there is no such entry.

    Args:
        value: transport_maps, expanded.
        warnings: gets a sentence for each table that could not be asked.
    """
    for item in split_list(value):
        for table in tables_in(item, types):
            # Pattern tables are not asked for "*" by trivial-rewrite(8) either.
            if table.type in ("regexp", "pcre", "cidr", "tcp", "static"):
                continue
            try:
                result = tools.run("postmap", "-q", "*", table.direct, timeout=_QUERY_TIMEOUT)
            except ConboolError as error:
                warnings.append(
                    f"transport_maps: {table} could not be asked for a catch-all entry: {error.what}"
                )
                continue
            fatal = fatal_text(result)
            if fatal:
                warnings.append(f"transport_maps: {table} could not be asked for a catch-all entry: {fatal}")
            elif result.ok and result.text().strip():
                return result.text().split("\n")[0].strip()
    return None


def missing_tables(
    host: Host,
    parameters: Mapping[str, str],
    explicit: frozenset[str],
    services: Sequence[Service],
    types: frozenset[str],
) -> tuple[list[str], list[str]]:
    """Tables that main.cf or a service names but that have no file.

    Returns:
        Sentences for those without which no mail is handled, and for the others (unset defaults, aliases and
        the like).
    """
    vital: list[str] = []
    minor: list[str] = []
    seen: dict[str, str] = {}
    values = [(name, parameters.get(name, "")) for name in sorted(explicit)]
    values += [(option.name, option.value) for service in services for option in service.options]
    for name, value in values:
        if ":" not in value or name.endswith(_MADE_BY_POSTFIX):
            continue
        for table in tables_in(value, types):
            if table.direct not in seen:
                seen[table.direct] = _absent_file(host, table)
            absent = seen[table.direct]
            if absent:
                text = f"{name} names {table}, but {absent} does not exist"
                (vital if name in _VITAL else minor).append(text)
    return list(dict.fromkeys(vital)), list(dict.fromkeys(minor))


def _absent_file(host: Host, table: Table) -> str:
    """The file the table needs and does not have, empty when it has it or needs none."""
    if not table.name.startswith("/") or "$" in table.name:
        return ""
    if table.type in _SUFFIXES:
        path = table.name + _SUFFIXES[table.type]
    elif table.type in _FILE_TYPES:
        path = table.name
    else:
        return ""
    try:
        return "" if host.exists(path) else path
    except (ConboolError, OSError):
        return ""
