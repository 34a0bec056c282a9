"""The state directory: where lock, journals and backups lie.

Layout, all of it for root only (folders 0700, files 0600)::

    lock                              flock(2) of the run that works now
    changes/<ID>/journal.jsonl        what was done, one line before each effect
    changes/<ID>/plan.json            the plan with every single change
    changes/<ID>/files.json           every file before and after: owner, mode, times, attributes, links, checksum
    changes/<ID>/before/, after/      the contents
    changes/<ID>/guard, guard.json    the process that takes an unconfirmed change back: its lock, its first word
    jobs/<ID>/                        work handed over to a process of its own (``transaction.jobs``), only meanwhile
    seen.json                         the newest outcome that somebody was told (``transaction.seen``)
"""

from __future__ import annotations

import datetime
import posixpath
import re
import secrets
import stat

from conbool_tui.errors import CheckFailedError, HostError, UsageError
from conbool_tui.host import Host

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


def utc_now() -> str:
    """The time now, UTC, ISO 8601 with whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """The state directory of one host.

    Args:
        host: the machine.
        state_dir: absolute path inside the host's root.
    """

    def __init__(self, host: Host, state_dir: str) -> None:
        if not state_dir.startswith("/"):
            raise UsageError(
                f"{state_dir} is no absolute path.",
                "It names the state directory.",
                "Give --state-dir a path from /.",
            )
        self.host = host
        self.path = posixpath.normpath(state_dir)
        self.changes = posixpath.join(self.path, "changes")
        self.jobs = posixpath.join(self.path, "jobs")
        self.lock_file = posixpath.join(self.path, "lock")

    def prepare(self) -> None:
        """Create the state directory, or make sure that the one there is ours alone.

        Raises:
            CheckFailedError: it is a symbolic link, no directory, or another user's.
            HostError, NeedsRootError: it cannot be created.
        """
        missing = []
        parent = posixpath.dirname(self.path)
        while not self.host.exists(parent):
            missing.append(parent)
            parent = posixpath.dirname(parent)
        for folder in reversed(missing):
            self.host.make_folder(folder, 0o755)
        self._guard_parents()
        for folder in (self.path, self.changes):
            self.private_folder(folder)

    def private_folder(self, folder: str) -> None:
        """Create a folder below a private one, or make sure that the one there is ours alone. Raises as ``prepare``."""
        if self.host.lstat(folder) is None:
            try:
                self.host.make_folder(folder, _PRIVATE_FOLDER)
            except HostError:
                # Another run may have made it in the same moment.
                if self.host.lstat(folder) is None:
                    raise
        self._guard(folder)

    def present(self) -> bool:
        """True when there is a state directory; reading never creates one. Raises CheckFailedError as
        ``prepare``.
        """
        if self.host.lstat(self.path) is None:
            return False
        self._guard(self.path, repair=False)
        return True

    def _guard_parents(self) -> None:
        """Nobody else may be able to put another folder in the place of ours. Raises CheckFailedError."""
        link = self.host.foreign_link(self.path)
        if link is not None:
            raise CheckFailedError(
                f"{link}, through which {self.path} is reached, is a symbolic link of another user.",
                "It could lead to backups of its owner's own later, and undo trusts those.",
                "Give another --state-dir.",
            )
        folder = posixpath.dirname(self.host.resolve(self.path))
        while True:
            info = self.host.stat(folder)
            shared = info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and info.st_gid != 0)
            if info.st_uid not in (0, self.host.user_id) or (shared and not info.st_mode & stat.S_ISVTX):
                raise CheckFailedError(
                    f"{folder}, in which {self.path} lies, can be changed by others.",
                    "They could put backups of their own in the place of ours, and undo trusts those.",
                    f"Give it to root alone (chown root {folder}; chmod go-w {folder}), or give another --state-dir.",
                )
            if folder == "/":
                return
            folder = posixpath.dirname(folder)

    def _guard(self, folder: str, *, repair: bool = True) -> None:
        info = self.host.lstat(folder)
        trust = "Backups and journals of the mail configuration are kept there, and undo trusts them."
        todo = f"Look at it (ls -ld {folder}), remove it if it is not yours, or give another --state-dir."
        if info is None or not stat.S_ISDIR(info.st_mode):
            raise CheckFailedError(f"{folder} is a symbolic link or no directory.", trust, todo)
        if info.st_uid != self.host.user_id:
            raise CheckFailedError(f"{folder} belongs to user {info.st_uid}.", trust, todo)
        if repair and stat.S_IMODE(info.st_mode) != _PRIVATE_FOLDER:
            self.host.set_mode(folder, _PRIVATE_FOLDER)

    def new_id(self) -> str:
        """An unused id; ids sort by the time they were made, also when the clock stood still or went back."""
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
        last = max(self.ids(), default="")
        if last and last[:15] >= stamp:
            then = datetime.datetime.strptime(last[:15], "%Y%m%d-%H%M%S").replace(
                tzinfo=datetime.timezone.utc
            )
            stamp = (then + datetime.timedelta(seconds=1)).strftime("%Y%m%d-%H%M%S")
        return f"{stamp}-{secrets.token_hex(2)}"

    def ids(self) -> list[str]:
        """Ids of all recorded changes, oldest first."""
        return [name for name in self.host.listdir(self.changes) if _ID.fullmatch(name)]

    def folder(self, change_id: str) -> str:
        """The folder of one change."""
        return posixpath.join(self.changes, change_id)

    def create(self, change_id: str) -> str:
        """Create the folders of a new change. Raises HostError."""
        folder = self.folder(change_id)
        for path in (folder, posixpath.join(folder, "before"), posixpath.join(folder, "after")):
            self.host.make_folder(path, _PRIVATE_FOLDER)
        return folder

    def discard(self, change_id: str) -> None:
        """Remove the folder of a change that never began. Raises HostError."""
        self.host.remove_tree(self.folder(change_id))

    def sweep(self) -> None:
        """Remove folders of changes that were cut off before their first journal line: nothing had been
        done; and what judging left in temporary places. Only under the lock.
        """
        self.host.sweep_private()
        for change_id in self.ids():
            journal = posixpath.join(self.folder(change_id), "journal.jsonl")
            if not self.host.is_file(journal) or b"\n" not in self.host.read_bytes(journal):
                self.discard(change_id)

    def save(self, change_id: str, name: str, data: bytes) -> None:
        """Keep a file in the folder of a change. Raises HostError."""
        self.host.write_atomic(posixpath.join(self.folder(change_id), name), data, mode=_PRIVATE_FILE)

    def load(self, change_id: str, name: str) -> bytes:
        """Read a file from the folder of a change. Raises HostError."""
        return self.host.read_bytes(posixpath.join(self.folder(change_id), name))
