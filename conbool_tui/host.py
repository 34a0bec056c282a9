"""The one door to the machine: files below one root, commands, processes, listening sockets, and atomic writes.

Paths are absolute inside the root: with ``Host("/mnt/server")`` the path ``/etc/postfix/main.cf`` is the mounted system's. Symbolic links are
followed inside the root and never out of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import shutil
import signal
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Optional

from conbool_tui.errors import ConboolError, HostError, NeedsRootError
from conbool_tui.facts import Listener
from conbool_tui.runner import DEFAULT_TIMEOUT, CommandResult, find_program, run_command

_MAX_LINKS = 40
_TEMPORARY_PREFIX = ".conbool-"
_PRIVATE_PLACES = ("/run", "/tmp", "/var/tmp")
_PRIVATE_NAME = re.compile(r"conbool-[0-9a-f]{16}")


def is_temporary(name: str) -> bool:
    """Whether a file of that name is one that an atomic write had begun and not yet put in place."""
    return name.startswith(_TEMPORARY_PREFIX)


@dataclass(frozen=True)
class FileState:
    """A file with everything that must survive a change: content, owner, mode, times and extended attributes (ACLs and SELinux label
    are extended attributes on Linux). ``data`` is None for a directory."""

    data: Optional[bytes]
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int
    xattrs: Mapping[str, bytes]


@dataclass(frozen=True)
class LockHolder:
    """Who holds a lock: process id, when the process was started (seconds since 1970), whether it is stopped."""

    pid: int
    since: float
    stopped: bool


@dataclass(frozen=True)
class Process:
    """A running process."""

    pid: int
    name: str
    command: tuple[str, ...]


class Host:
    """The machine seen through one root.

    Args:
        root: directory of the system to work on; ``/`` is the running one.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root)
        if not os.path.isdir(self.root):
            raise HostError(
                f"{root} is not a directory.",
                "It was given as the root of the system to work on.",
                "Give --root an existing directory.",
            )

    @property
    def live(self) -> bool:
        """True when the root is the running system: then services may be reloaded and sockets mean something."""
        return self.root == "/"

    @property
    def is_root(self) -> bool:
        """True when this process has the administrator's rights."""
        return os.geteuid() == 0

    @property
    def user_id(self) -> int:
        """The effective user this process works as."""
        return os.geteuid()

    def require_root(self, doing: str) -> None:
        """Refuse work that only root can do. Raises NeedsRootError."""
        if not self.is_root:
            raise NeedsRootError(
                f"{doing} needs root.",
                "The mail system's files belong to root.",
                "Run the same command with sudo.",
            )

    # --- names -----------------------------------------------------------------------------------------------------------------

    def resolve(self, path: str) -> str:
        """The path inside the root with every symbolic link followed, like realpath(3) after chroot(2).

        Raises:
            HostError: too many links.
        """
        return self._follow(path)[0]

    def _follow(self, path: str) -> tuple[str, Optional[str]]:
        """The path as ``resolve`` has it, and the first link on the way that belongs neither to root nor to this user."""
        pending = [part for part in path.split("/") if part not in ("", ".")]
        done: list[str] = []
        links = 0
        foreign: Optional[str] = None
        while pending:
            part = pending.pop(0)
            if part == "..":
                if done:
                    done.pop()
                continue
            candidate = os.path.join(self.root, *done, part)
            if os.path.islink(candidate):
                links += 1
                if links > _MAX_LINKS:
                    raise HostError(
                        f"{path} goes through too many symbolic links.",
                        "The links form a circle.",
                        "Repair the links.",
                    )
                if foreign is None and os.lstat(candidate).st_uid not in (0, self.user_id):
                    foreign = "/" + "/".join([*done, part])
                target = os.readlink(candidate)
                if target.startswith("/"):
                    done = []
                pending = [piece for piece in target.split("/") if piece not in ("", ".")] + pending
            else:
                done.append(part)
        return "/" + "/".join(done), foreign

    def foreign_link(self, path: str) -> Optional[str]:
        """The first symbolic link on the way to a path whose owner, neither root nor this user, may let it lead elsewhere."""
        return self._follow(path)[1]

    def real(self, path: str) -> Path:
        """Where the path is on this machine, links resolved inside the root."""
        return Path(self.root, self.resolve(path).lstrip("/"))

    def _entry(self, path: str) -> Path:
        """Where the directory entry itself is: links are followed in the folders above it, not in its last part."""
        folder, name = posixpath.split(posixpath.normpath(path))
        return self.real(folder) / name if name else self.real(folder)

    # --- reading ---------------------------------------------------------------------------------------------------------------

    def exists(self, path: str) -> bool:
        """True when the path leads to something."""
        return self.real(path).exists()

    def is_file(self, path: str) -> bool:
        """True when the path leads to a regular file."""
        return self.real(path).is_file()

    def is_dir(self, path: str) -> bool:
        """True when the path leads to a directory."""
        return self.real(path).is_dir()

    def is_link(self, path: str) -> bool:
        """True when the last part of the path is a symbolic link."""
        return self._entry(path).is_symlink()

    def read_bytes(self, path: str) -> bytes:
        """The file's content.

        Raises:
            HostError: it cannot be read.
            NeedsRootError: it can be read only with more rights.
        """
        try:
            return self._whole(path)
        except OSError as error:
            raise _told(error, path, "read") from None

    def _whole(self, path: str) -> bytes:
        with self._opened(path) as stream:
            return stream.read()

    def _opened(self, path: str) -> IO[bytes]:
        handle = os.open(self.real(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISFIFO(os.fstat(handle).st_mode):
            os.close(handle)
            raise HostError(
                f"{path} cannot be read: it is a named pipe.",
                "Whoever made it could let this program wait forever.",
                "Put a file in its place.",
            )
        return os.fdopen(handle, "rb")

    def read_text(self, path: str) -> str:
        """The file's content as text; bytes that are not UTF-8 survive as surrogates. Raises as read_bytes."""
        return self.read_bytes(path).decode("utf-8", "surrogateescape")

    def read_from(self, path: str, offset: int, limit: int) -> bytes:
        """At most ``limit`` bytes from ``offset`` on, for logs of any size. Raises as read_bytes."""
        try:
            with self._opened(path) as stream:
                stream.seek(offset)
                return stream.read(limit)
        except OSError as error:
            raise _told(error, path, "read") from None

    def listdir(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when it is not there. Raises HostError when it cannot be read."""
        try:
            return sorted(os.listdir(self.real(path)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _told(error, path, "read") from None

    def walk(self, path: str) -> list[str]:
        """Every path below a directory (files, links and directories), sorted, links not followed."""
        found: list[str] = []
        top = self.real(path)
        for folder, folders, files in os.walk(top):
            relative = os.path.relpath(folder, top)
            prefix = path if relative == "." else posixpath.join(path, relative)
            found.extend(posixpath.join(prefix, name) for name in folders + files)
        return sorted(found)

    def stat(self, path: str) -> os.stat_result:
        """stat(2) of what the path leads to. Raises HostError."""
        try:
            return os.stat(self.real(path))
        except OSError as error:
            raise _told(error, path, "read") from None

    def capture(self, path: str) -> Optional[FileState]:
        """The full state of what the path leads to; None when there is nothing.

        Raises:
            HostError, NeedsRootError: it is there but cannot be read.
        """
        real = self.real(path)
        try:
            info = os.stat(real)
            data = None if stat.S_ISDIR(info.st_mode) else self._whole(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _told(error, path, "read") from None
        xattrs: dict[str, bytes] = {}
        try:
            xattrs = {name: os.getxattr(real, name) for name in os.listxattr(real)}
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
                raise _told(error, path, "read") from None
        return FileState(
            data,
            stat.S_IMODE(info.st_mode),
            info.st_uid,
            info.st_gid,
            info.st_mtime_ns,
            info.st_atime_ns,
            xattrs,
        )

    def lstat(self, path: str) -> Optional[os.stat_result]:
        """lstat(2) of the directory entry itself; None when it is not there. Raises HostError."""
        try:
            return os.lstat(self._entry(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _told(error, path, "read") from None

    def link_target(self, path: str) -> str:
        """Where the symbolic link itself points, as written in it. Raises HostError."""
        try:
            return os.readlink(self._entry(path))
        except OSError as error:
            raise _told(error, path, "read") from None

    def is_mount_point(self, path: str) -> bool:
        """True when the file or directory itself is mounted there, bind mounts of single files included; such a file cannot be
        replaced by rename(2). Only known for mounts this process sees (/proc/self/mountinfo)."""
        wanted = str(self.real(path))
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
                points = [line.split(" ")[4] for line in stream]
        except OSError:
            return False
        decoded = [
            re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), point) for point in points
        ]
        return wanted in decoded

    def probe_writable(self, path: str) -> None:
        """Find out, without changing anything, whether a file may be replaced: opening it for writing fails on an immutable or
        append-only file (chattr(1)) and on a read-only mount. Raises HostError, NeedsRootError."""
        try:
            os.close(os.open(self.real(path), os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise _told(error, path, "write") from None

    # --- writing ---------------------------------------------------------------------------------------------------------------

    def write_atomic(
        self,
        path: str,
        data: bytes,
        like: Optional[FileState] = None,
        *,
        mode: int = 0o644,
        keep_times: bool = False,
    ) -> None:
        """Replace or create a file so that a reader sees the old or the new content, never a part.

        The new content goes into a temporary file in the folder of the *resolved* target, gets owner, mode and extended attributes of
        ``like`` (else root:root and ``mode``), is synced, renamed over the target, and the folder is synced.

        Raises:
            HostError: the file cannot be written; the old one is untouched.
        """
        target = self.real(path)
        temporary = target.parent / (_TEMPORARY_PREFIX + os.urandom(8).hex())
        try:
            handle = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            try:
                with os.fdopen(handle, "wb", closefd=False) as stream:
                    stream.write(data)
                if like is not None:
                    _match(handle, like)
                else:
                    if self.user_id == 0:
                        os.fchown(handle, 0, 0)
                    os.fchmod(handle, mode)
                if like is not None and keep_times:
                    os.utime(handle, ns=(like.atime_ns, like.mtime_ns))
                os.fsync(handle)
            finally:
                os.close(handle)
            os.rename(temporary, target)
            self.sync_folder(posixpath.dirname(self.resolve(path)))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise _told(error, path, "write") from None

    def write_guarded(self, path: str, data: bytes, *, append: bool = False) -> None:
        """Replace a file, or append to it, in a folder that others may write, too; it gets mode 0600.

        No symbolic link of theirs is followed, not even one that comes meanwhile, and nothing they put there is opened.

        Raises:
            HostError: a link on the way is somebody else's, something other than a file is there, or it cannot be written.
        """
        above, last = posixpath.split(posixpath.normpath(path))
        resolved, foreign = self._follow(above if append else path)
        if foreign is not None:
            raise HostError(
                f"{path} was not written: {foreign} is a symbolic link of another user.",
                "It may lead to any file of this host.",
                "Remove the link, or give another name.",
            )
        folder, name = (resolved, last) if append else posixpath.split(resolved)
        try:
            with self._descended(folder) as place, contextlib.ExitStack() as undone:
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=place, follow_symlinks=False)
                    if not stat.S_ISREG(found.st_mode) or (append and found.st_uid != self.user_id):
                        raise HostError(
                            f"{path} was not written: what is there is not a file of this user.",
                            "It may lead to any file of this host, or to somebody who waits for what is written.",
                            f"Look at it (ls -ld {path}), remove it, or give another name.",
                        )
                temporary = name if append else _TEMPORARY_PREFIX + os.urandom(8).hex()
                flags = os.O_APPEND | os.O_NONBLOCK if append else os.O_EXCL
                flags |= os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=place), "wb") as stream:
                    if not append:
                        undone.callback(_unlink, temporary, place)
                    os.fchmod(stream.fileno(), 0o600)
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                if not append:
                    os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
                undone.pop_all()
            self.sync_folder(folder)
        except OSError as error:
            raise _told(error, path, "write") from None

    @contextlib.contextmanager
    def _descended(self, folder: str) -> Iterator[int]:
        """A descriptor of a folder, opened part by part, so that none of them can be a symbolic link. Raises OSError."""
        handle = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in filter(None, folder.split("/")):
                flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(part, flags, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    def write_new(
        self,
        path: str,
        data: bytes,
        like: Optional[FileState] = None,
        *,
        mode: int = 0o644,
        times: Optional[tuple[int, int]] = None,
    ) -> None:
        """Create a file that must not exist yet, complete and synced; it takes owner, mode and extended attributes of ``like``.

        Args:
            times: access and modification time in nanoseconds; now when not given.

        Raises:
            HostError: it cannot be created or written; nothing of it stays.
        """
        entry = self._entry(path)
        made = False
        try:
            handle = os.open(
                entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            made = True
            try:
                with os.fdopen(handle, "wb", closefd=False) as stream:
                    stream.write(data)
                if like is not None:
                    _match(handle, like)
                else:
                    if self.user_id == 0:
                        os.fchown(handle, 0, 0)
                    os.fchmod(handle, mode)
                if times is not None:
                    os.utime(handle, ns=times)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            if made:
                with contextlib.suppress(OSError):
                    os.unlink(entry)
            raise _told(error, path, "write") from None

    def move(self, source: str, target: str) -> None:
        """rename(2) one directory entry over another and sync both folders. Raises HostError."""
        old, new = self._entry(source), self._entry(target)
        try:
            os.rename(old, new)
            for folder in {posixpath.dirname(source), posixpath.dirname(target)}:
                self.sync_folder(folder)
        except OSError as error:
            raise _told(error, target, "write") from None

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """Set access and modification time of what the path leads to, in nanoseconds. Raises HostError."""
        try:
            os.utime(self.real(path), ns=(atime_ns, mtime_ns))
        except OSError as error:
            raise _told(error, path, "write") from None

    def set_mode(self, path: str, mode: int) -> None:
        """chmod(2) what the path leads to. Raises HostError."""
        try:
            os.chmod(self.real(path), mode)
        except OSError as error:
            raise _told(error, path, "write") from None

    def make_link(self, path: str, target: str) -> None:
        """Create a symbolic link. Raises HostError."""
        try:
            os.symlink(target, self._entry(path))
        except OSError as error:
            raise _told(error, path, "create") from None

    @contextlib.contextmanager
    def private_folder(self, parents: Sequence[str] = _PRIVATE_PLACES) -> Iterator[str]:
        """A folder that only this user can enter, with a name nobody can guess, in the first parent that lets us; removed afterwards.

        Its lock (flock(2)) tells ``sweep_private`` that it is in use.

        Raises:
            HostError: none of the parents can be written.
        """
        told: Optional[ConboolError] = None
        for parent in parents:
            path = posixpath.join(parent, _TEMPORARY_PREFIX.lstrip(".") + os.urandom(8).hex())
            try:
                os.mkdir(self._entry(path), 0o700)
                try:
                    os.chmod(self._entry(path), 0o700)
                except OSError:
                    os.rmdir(self._entry(path))
                    raise
                handle = self.lock_folder(path)
            except OSError as error:
                told = _told(error, path, "create")
                continue
            except ConboolError as error:
                # Another run took it for one that nobody uses any more.
                told = error
                continue
            try:
                yield path
            finally:
                try:
                    self.remove_tree(path)
                finally:
                    self.unlock(handle)
            return
        raise told or HostError("No folder for temporary files was named.")

    def sweep_private(self, parents: Sequence[str] = _PRIVATE_PLACES) -> None:
        """Remove what ``private_folder`` made in runs that were killed."""
        for parent in parents:
            with contextlib.suppress(ConboolError):
                for name in filter(_PRIVATE_NAME.fullmatch, self.listdir(parent)):
                    path = posixpath.join(parent, name)
                    info = self.lstat(path)
                    if info is None or not stat.S_ISDIR(info.st_mode) or info.st_uid != self.user_id:
                        continue
                    with contextlib.suppress(BlockingIOError):
                        handle = self.lock_folder(path)
                        try:
                            self.remove_tree(path)
                        finally:
                            self.unlock(handle)

    def remove_tree(self, path: str) -> None:
        """Remove a directory of ours with all that is below it, links not followed; no error when it is gone. Raises HostError."""
        try:
            shutil.rmtree(self._entry(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _told(error, path, "remove") from None

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        """Create one directory, owned by root, whatever the umask. Raises HostError."""
        entry = self._entry(path)
        try:
            os.mkdir(entry, mode)
            os.chmod(entry, mode)
            self.sync_folder(posixpath.dirname(posixpath.normpath(path)))
        except OSError as error:
            raise _told(error, path, "create") from None

    def remove(self, path: str) -> None:
        """Remove a file or link, or an empty directory. Raises HostError."""
        entry = self._entry(path)
        try:
            if entry.is_dir() and not entry.is_symlink():
                os.rmdir(entry)
            else:
                os.unlink(entry)
            self.sync_folder(posixpath.dirname(posixpath.normpath(path)))
        except OSError as error:
            raise _told(error, path, "remove") from None

    def append_synced(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Append to a file (created with ``mode``) and sync it before returning: the journal's write. Raises HostError."""
        entry = self._entry(path)
        try:
            handle = os.open(
                entry,
                os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                mode,
            )
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise _told(error, path, "write") from None

    def sync_folder(self, path: str) -> None:
        """fsync(2) a directory so that a rename in it survives a power cut."""
        handle = os.open(self.real(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def lock(self, path: str) -> int:
        """Take an exclusive flock(2) on a file without waiting; the descriptor holds it until ``unlock`` or the process ends.

        Raises:
            BlockingIOError: somebody else holds it.
            HostError: the file cannot be opened.
        """
        import fcntl

        try:
            handle = os.open(self._entry(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _told(error, path, "open") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise
        return handle

    def lock_folder(self, path: str) -> int:
        """Take an exclusive flock(2) on a directory itself, without leaving a file in it; else as ``lock``."""
        import fcntl

        try:
            handle = os.open(self.real(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _told(error, path, "open") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise
        return handle

    def lock_record(self, path: str, wait: float) -> int:
        """Take an exclusive record lock on a whole file (fcntl(2), F_SETLK), the kind that programs take which use lockf(3).

        Args:
            wait: seconds to wait for another holder.

        Raises:
            BlockingIOError: somebody else still holds it after ``wait`` seconds.
            HostError: the file cannot be opened.
        """
        import fcntl
        import time

        try:
            handle = os.open(self._entry(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _told(error, path, "open") from None
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() >= deadline:
                    os.close(handle)
                    raise BlockingIOError(error.errno, os.strerror(error.errno or 0), path) from None
            time.sleep(0.05)

    def lock_holder(self, path: str) -> Optional[LockHolder]:
        """The process that holds a ``lock`` (proc_locks(5)); None when there is none, or it cannot be told."""
        import psutil

        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            inode = os.stat(self._entry(path)).st_ino
            with open("/proc/locks", encoding="ascii") as stream:
                rows = [line.split() for line in stream]
            for row in rows:
                if row[1] == "FLOCK" and int(row[5].rsplit(":", 1)[1]) == inode and int(row[4]) > 0:
                    process = psutil.Process(int(row[4]))
                    stopped = process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
                    return LockHolder(process.pid, process.create_time(), stopped)
        return None

    def unlock(self, handle: int) -> None:
        """Release a lock taken with ``lock``, ``lock_folder`` or ``lock_record``."""
        os.close(handle)

    # --- commands, processes, sockets --------------------------------------------------------------------------------------------

    def which(self, name: str) -> Optional[str]:
        """Path of a program inside the root, None when it is not installed there."""
        if self.live:
            return find_program(name)
        for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            candidate = posixpath.join(folder, name)
            if self.is_file(candidate):
                return candidate
        return None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        stdin: bytes = b"",
        env: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        """Run a program of this host; below another root it runs after chroot(2), so that it sees the same paths.

        Raises:
            HostError: program missing or time limit reached.
            NeedsRootError: another root needs root rights for chroot.
        """
        if self.live:
            return run_command(argv, timeout=timeout, stdin=stdin, env=env)
        if not self.is_root:
            raise NeedsRootError(
                f"Running {argv[0]} of the system below {self.root} needs root.",
                "Its own tools are asked, and chroot(2) is for root only.",
                "Use sudo.",
            )
        return run_command(["chroot", self.root, *argv], timeout=timeout, stdin=stdin, env=env)

    def boot_id(self) -> str:
        """Which boot of the kernel this is (random(4), boot_id); empty when the kernel does not tell."""
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
                return stream.read().strip()
        except (OSError, ValueError):
            return ""

    def since_boot(self) -> float:
        """Seconds since the kernel started, time asleep included; the same for every process, and setting the clock does not move it
        (clock_gettime(2), CLOCK_BOOTTIME)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def has_systemd(self) -> bool:
        """True when systemd runs this system (sd_booted(3)); false in most containers and chroots, and for another root."""
        return self.live and os.path.isdir("/run/systemd/system")

    def listeners(self) -> tuple[Listener, ...]:
        """Listening TCP sockets of the running system; empty for another root or when the system does not tell."""
        if not self.live:
            return ()
        import psutil

        found: list[Listener] = []
        try:
            connections = psutil.net_connections(kind="tcp")
        except (psutil.Error, OSError, LookupError):  # psutil trips over its own feet where /proc is missing
            return ()
        for connection in connections:
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            name = ""
            if connection.pid is not None:
                with contextlib.suppress(psutil.Error):
                    name = psutil.Process(connection.pid).name()
            found.append(Listener(connection.laddr[0], connection.laddr[1], connection.pid, name))
        return tuple(sorted(found, key=lambda item: (item.port, item.address)))

    def addresses(self) -> tuple[str, ...]:
        """The running system's own IP addresses, IPv4 first, without loopback and link-local ones; empty for another root."""
        if not self.live:
            return ()
        import ipaddress
        import socket

        import psutil

        found = set()
        try:
            interfaces = psutil.net_if_addrs()
        except (psutil.Error, OSError):
            return ()
        for entries in interfaces.values():
            for entry in entries:
                if entry.family in (socket.AF_INET, socket.AF_INET6):
                    with contextlib.suppress(ValueError):
                        # A scope stands behind the address of an interface, as in fe80::1%eth0.
                        found.add(ipaddress.ip_address(entry.address.partition("%")[0]))
        kept = [address for address in found if not (address.is_loopback or address.is_link_local)]
        return tuple(str(address) for address in sorted(kept, key=lambda item: (item.version, int(item))))

    def processes(self) -> tuple[Process, ...]:
        """Running processes; empty for another root."""
        if not self.live:
            return ()
        import psutil

        return tuple(
            Process(process.info["pid"], process.info["name"] or "", tuple(process.info["cmdline"] or ()))
            for process in psutil.process_iter(["pid", "name", "cmdline"])
        )

    def process_name(self, pid: int) -> str:
        """Name of a running process; empty for another root or when it is not running."""
        if not self.live:
            return ""
        import psutil

        with contextlib.suppress(psutil.Error):
            return str(psutil.Process(pid).name())
        return ""

    def interrupt(self, pid: int) -> None:
        """Ask a process to stop what it does (kill(2), SIGINT); no error when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)

    def children(self, pid: int) -> tuple[Process, ...]:
        """Running processes that ``pid`` started; empty for another root or when it is not running."""
        if not self.live:
            return ()
        import psutil

        found: list[Process] = []
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(pid).children():
                with contextlib.suppress(psutil.Error):
                    found.append(Process(child.pid, child.name(), tuple(child.cmdline())))
        return tuple(found)


_PRIVILEGED_ATTRIBUTES = ("security.", "trusted.")


def _unlink(name: str, folder: int) -> None:
    """Remove a file of ours from an open folder; no error."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _match(handle: int, like: FileState) -> None:
    """Give an open file owner, mode and extended attributes of ``like``; owner first, because chown(2) clears set-id bits.

    Without root's rights owner and privileged attributes stay this user's: only another root (``--root``) is written that way.
    """
    root = os.geteuid() == 0
    info = os.fstat(handle)
    if root and (info.st_uid, info.st_gid) != (like.uid, like.gid):
        os.fchown(handle, like.uid, like.gid)
    try:
        # A default ACL of the folder gives a new file entries the old one may not have had.
        for name in os.listxattr(handle):
            if name not in like.xattrs and not name.startswith(_PRIVILEGED_ATTRIBUTES):
                os.removexattr(handle, name)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
    os.fchmod(handle, like.mode)
    for name, value in like.xattrs.items():
        if not root and name.startswith(_PRIVILEGED_ATTRIBUTES):
            continue
        try:
            os.setxattr(handle, name, value)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
                raise


_ADVICE = {
    errno.ENOSPC: "Make room on that file system and run again.",
    errno.EDQUOT: "Raise the quota or make room and run again.",
    errno.EROFS: "The file system is mounted read-only: remount it writable and run again.",
    errno.EPERM: "Look for an immutable flag (lsattr, chattr -i) or a security policy.",
    errno.EACCES: "Run with sudo, or look at the permissions of the folders above it.",
    errno.ENOENT: "Look at the folder's path.",
}


def _told(error: OSError, path: str, verb: str) -> HostError | NeedsRootError:
    """The operating system's error as one of ours."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EACCES and os.geteuid() != 0:
        return NeedsRootError(
            f"{path} cannot be {_PAST[verb]}: {reason}.", "This user has no right to it.", "Run with sudo."
        )
    return HostError(
        f"{path} cannot be {_PAST[verb]}: {reason}.",
        "",
        _ADVICE.get(error.errno or 0, "Look at the file system and its messages (dmesg)."),
    )


_PAST = {"read": "read", "write": "written", "create": "created", "remove": "removed", "open": "opened"}
