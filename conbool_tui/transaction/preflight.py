"""Everything about the files that can be found out before the first write."""

from __future__ import annotations

import contextlib
import posixpath
import stat
from collections.abc import Iterator
from typing import Optional

from conbool_tui.errors import CheckFailedError, HostError, NeedsRootError
from conbool_tui.host import FileState, Host
from conbool_tui.transaction.record import FileEntry
from conbool_tui.transaction.work import changed_meanwhile


@contextlib.contextmanager
def nothing_changed() -> Iterator[None]:
    """Tell a HostError in the block as what it is: a condition that does not hold, with nothing changed.

    Raises:
        CheckFailedError: instead of HostError.
    """
    try:
        yield
    except HostError as error:
        why = error.why or "The mail configuration is as it was."
        raise CheckFailedError(f"{error.what} Nothing was changed.", why, error.todo) from None


def require_root(host: Host) -> None:
    """Raise NeedsRootError when the running system is to be changed without root's rights."""
    if host.live and not host.is_root:
        raise NeedsRootError(
            "Changing the mail system needs root.",
            "Its files belong to root, and it must be reloaded.",
            "Run the same command with sudo.",
        )


def entry_for(host: Host, path: str, before: Optional[bytes], after: Optional[bytes], mode: int) -> FileEntry:
    """What is known of a file now, ready to be backed up and replaced.

    Raises:
        CheckFailedError: its content is not ``before``, or it is something that cannot be replaced safely.
        HostError, NeedsRootError: it cannot be read or written.
    """
    resolved = host.resolve(path)
    now = host.capture(resolved)
    if now is not None:
        _regular(host, path, resolved)
    if (None if now is None else now.data) != before:
        raise changed_meanwhile(path)
    if now is not None and after is not None:
        target: Optional[FileState] = FileState(after, now.mode, now.uid, now.gid, 0, 0, now.xattrs)
    elif after is not None:
        target = FileState(after, mode, 0, 0, 0, 0, {})
    else:
        target = None
    return FileEntry(path, resolved, links_of(host, path), now, target)


def _regular(host: Host, path: str, resolved: str) -> None:
    info = host.lstat(resolved)
    if info is None or not stat.S_ISREG(info.st_mode):
        raise CheckFailedError(
            f"{path} is no regular file.", "Only regular files can be replaced.", "Look at it: ls -l."
        )
    if info.st_nlink > 1:
        raise CheckFailedError(
            f"{path} has {info.st_nlink} names (hard links).",
            "Replacing it would leave the other names with the old content.",
            f"Find them (find / -xdev -samefile {resolved}), make one of them the only one, and run again.",
        )
    if host.is_mount_point(resolved):
        raise CheckFailedError(
            f"{path} is a mount of its own (a container's bind mount).",
            "A mounted file cannot be replaced as a whole, and a half-written one could be read.",
            "Mount its folder instead of the single file, or run conbool-tui where the file itself lies.",
        )
    host.probe_writable(resolved)


def links_of(host: Host, path: str) -> tuple[tuple[str, str], ...]:
    """Every symbolic link met on the way, with its text, outermost first."""
    found: list[tuple[str, str]] = []
    pending = [part for part in path.split("/") if part]
    done = "/"
    while pending and len(found) < 40:
        part = pending.pop(0)
        if part == "..":
            done = posixpath.dirname(done)
            continue
        step = posixpath.join(done, part)
        if host.is_link(step):
            target = host.link_target(step)
            found.append((step, target))
            if target.startswith("/"):
                done = "/"
            pending = [piece for piece in target.split("/") if piece not in ("", ".")] + pending
        else:
            done = step
    return tuple(found)
