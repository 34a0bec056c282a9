"""What a directory tree looks like, down to owners, modes, times and extended attributes."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file, directory or link; ``content`` is a sha256, or the target of a link, or "" for the rest."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: str
    xattrs: tuple[tuple[str, bytes], ...]


def _entry(path: Path) -> Entry:
    info = os.lstat(path)
    content = ""
    if stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return Entry(
        kind={stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}.get(
            stat.S_IFMT(info.st_mode), "special"
        ),
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime_ns=info.st_mtime_ns,
        content=content,
        xattrs=tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
    )


def snapshot(top: Path) -> dict[str, Entry]:
    """Every entry below ``top`` by relative path, ``top`` itself as "."."""
    found = {".": _entry(top)}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = Path(folder, name)
            found[str(path.relative_to(top))] = _entry(path)
    return found


def differences(
    before: dict[str, Entry], after: dict[str, Entry], *, ignore_mtime: tuple[str, ...] = ()
) -> list[str]:
    """The differences in words, one line each; empty when both are the same.

    Args:
        before: an earlier snapshot.
        after: a later snapshot.
        ignore_mtime: paths whose time of change may differ (a directory in which files came and went).
    """
    lines = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            lines.append(f"{name}: {'new' if old is None else 'gone'}")
            continue
        for field in ("kind", "mode", "uid", "gid", "mtime_ns", "content", "xattrs"):
            one, two = getattr(old, field), getattr(new, field)
            if one != two and not (field == "mtime_ns" and name in ignore_mtime):
                lines.append(f"{name}: {field} {one!r} -> {two!r}")
    return lines
