"""What an undo leaves must not refer to what it takes away: Postfix defers mail for a table or a service that is not there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.postfix_config import MainCf, MasterCf
from conbool_tui.transaction.key_values import Key
from conbool_tui.transaction.record import FileEntry

MAIN, MASTER = "main.cf", "master.cf"


def dangling(
    host: Host, config_directory: str, entries: Iterable[FileEntry], ours: Iterable[str] = ()
) -> dict[Key, str]:
    """Settings that would refer to something that these entries take away, or newly to a file of ours that was taken away
    before: by path and key, to what.

    Only what main.cf and master.cf say themselves is looked at, not the contents of tables. A configuration that
    cannot be read is not looked at either. Raises HostError.
    """
    written = {entry.path: entry for entry in entries}
    gone = [path for path, entry in written.items() if entry.after is None]
    missing = {path for path in ours if path not in written and not host.exists(path)}
    found: dict[Key, str] = {}
    try:
        patterns = {path: _path_pattern(path, config_directory) for path in (*gone, *sorted(missing))}
        patterns.update(_services_gone(written.get(posixpath.join(config_directory, MASTER))))
        known = set(_values(host, config_directory, {})) if missing else set()
        for path, key, value in _values(host, config_directory, written) if patterns else ():
            for name, pattern in patterns.items():
                if pattern.search(value) and not (name in missing and (path, key, value) in known):
                    found.setdefault((path, key), name)
    except ConboolError:
        return {}
    return found


def _path_pattern(path: str, config_directory: str) -> re.Pattern[str]:
    names = [re.escape(path)]
    top = config_directory.rstrip("/") + "/"
    if path.startswith(top):
        names.append(
            r"\$(?:config_directory|\{config_directory\}|\(config_directory\))/" + re.escape(path[len(top) :])
        )
    return re.compile(f"(?:{'|'.join(names)})(?![\\w.-])")


def _services_gone(entry: Optional[FileEntry]) -> dict[str, re.Pattern[str]]:
    """How settings name the services that go away. Raises ConfigTextError."""
    if entry is None or entry.before is None or entry.after is None:
        return {}
    before, after = (
        {(service.name, service.type) for service in MasterCf.parse(state.data or b"").services()}
        for state in (entry.before, entry.after)
    )
    found = {}
    for name, kind in before - after:
        if kind == "unix":
            found[f"service {name}"] = re.compile(f"(?<![\\w.$/-]){re.escape(name)}(?![\\w./-])")
        elif kind == "inet" and ":" in name:
            address, _, port = name.rpartition(":")
            place = r"\[?" + re.escape(address.strip("[]")) + r"\]?:" + re.escape(port)
            found[f"service {name}"] = re.compile(r"(?<![\w.])" + place + r"(?!\w)")
    return found


def _values(
    host: Host, config_directory: str, written: Mapping[str, FileEntry]
) -> Iterator[tuple[str, str, str]]:
    """Path, key and value of all settings as they will be. Raises ConfigTextError, HostError."""
    for name in (MAIN, MASTER):
        path = posixpath.join(config_directory, name)
        entry = written.get(path)
        state = host.capture(path) if entry is None else entry.after
        if state is None:
            continue
        if name == MAIN:
            main = MainCf.parse(state.data or b"")
            for key in main.names():
                yield path, key, main.get(key) or ""
        else:
            for service in MasterCf.parse(state.data or b"").services():
                yield path, f"{service.name}/{service.type}", " ".join(service.args)
