"""Process 1 of a machine: mounts what a system needs, then lives until its standard input ends.

Run as a program by ``machine.py`` with one JSON argument, inside fresh mount, pid, uts and ipc namespaces and
with the isolated interpreter: it imports only the standard library, and all of it before the root changes.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import socket
import stat
import sys
import uuid

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
MNT_DETACH = 2
# pivot_root(2) has no wrapper in the C library.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError for a failed system call."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    check(libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()), target)


def bind(source: str, target: str, writable: bool) -> None:
    """Show ``source`` at ``target``."""
    mount(source, target, flags=MS_BIND)
    if not writable:
        # A bind mount takes its own flags only when it is mounted again.
        mount("", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def devices(root: str) -> None:
    """A minimal /dev."""
    dev = root + "/dev"
    mount("dev", dev, "tmpfs", MS_NOSUID, "mode=755,size=1m")
    os.umask(0)
    for name, (major, minor) in DEVICES.items():
        os.mknod(f"{dev}/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
    for name, target in LINKS.items():
        os.symlink(target, f"{dev}/{name}")
    os.mkdir(dev + "/pts")
    os.mkdir(dev + "/shm")
    os.umask(0o022)
    mount(
        "devpts", dev + "/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"
    )
    mount("shm", dev + "/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")


def become_systemd(outer_pid: str) -> None:
    """Go on as the machine's systemd; whoever started this process ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.write(1, outer_pid.encode() + b"\n")
    with open("/run/boot_id", "w") as handle:
        handle.write(f"{uuid.uuid4()}\n")
    bind("/run/boot_id", "/proc/sys/kernel/random/boot_id", writable=False)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.execve(
        "/lib/systemd/systemd", ["systemd"], {"container": "conlab", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    )


def main() -> None:
    """Set the machine up, say one's own process number, wait."""
    plan = json.loads(sys.argv[1])
    root = plan["root"]
    # The old /proc still shows the number this process has outside of its own pid namespace.
    outer_pid = os.readlink("/proc/self")
    socket.sethostname(plan["hostname"])
    mount("", "/", flags=MS_REC | MS_PRIVATE)
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", root + "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    devices(root)
    mount("run", root + "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    os.makedirs(root + "/run/lock", exist_ok=True)
    mount("tmp", root + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for source, target, writable in plan["binds"]:
        bind(source, root + target, writable)
    os.chdir(root)
    check(libc.syscall(PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    check(libc.umount2(b".", MNT_DETACH), "old root")
    os.chdir("/")
    # Orphans become children of process 1; ignoring this signal makes the kernel reap them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if plan.get("systemd"):
        become_systemd(outer_pid)
    os.write(1, outer_pid.encode() + b"\n")
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    main()
