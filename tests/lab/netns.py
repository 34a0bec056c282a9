"""Network namespaces: made, entered by threads, and removed, also those that a killed run left behind."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Generic, Optional, TypeVar

from .cache import LabError

T = TypeVar("T")

PREFIX = "conlab"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def start_time(pid: int) -> Optional[str]:
    """When a process started, in clock ticks since boot (proc(5), field 22 of stat); None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def owner_tag() -> str:
    """``<pid>-<start time>`` of this process: says to later runs whether what carries it is still in use."""
    return f"{os.getpid()}-{start_time(os.getpid())}"


def is_leftover(name: str) -> bool:
    """Whether ``name`` (``conlab-<pid>-<start time>-...``) belongs to a run that has ended."""
    parts = name.split("-")
    if len(parts) < 4 or parts[0] != PREFIX or not parts[1].isdigit():
        return False
    return start_time(int(parts[1])) != parts[2]


def unique_name(role: str) -> str:
    """A name for something of this run, recognisable by ``is_leftover``."""
    return f"{PREFIX}-{owner_tag()}-{next(_numbers)}-{role}"


def ip(*args: str, netns: Optional[str] = None) -> str:
    """Run ip(8), inside the namespace ``netns`` when given, and return what it prints."""
    argv = ["ip", *(["-n", netns] if netns else []), *args]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
    return done.stdout


def ip_batch(lines: Sequence[str], netns: Optional[str] = None) -> None:
    """Run several ip(8) commands in one process; the first failure stops and raises."""
    argv = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}\n" + "\n".join(lines))


def set_namespace(path: str) -> None:
    """Move the calling thread into the network namespace at ``path`` (setns(2)); other threads stay."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(handle, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(handle)


class _Call(Generic[T]):
    def __init__(self, path: str, function: Callable[[], T]) -> None:
        self.path, self.function = path, function
        self.value: Optional[T] = None
        self.error: Optional[BaseException] = None

    def run(self) -> None:
        try:
            set_namespace(self.path)
            self.value = self.function()
        except BaseException as error:
            self.error = error


class Namespace:
    """A named network namespace (ip-netns(8)); loopback is up, nothing else is in it."""

    def __init__(self, role: str) -> None:
        self.name = unique_name(role)
        self.path = f"/run/netns/{self.name}"
        ip("netns", "add", self.name)
        ip("link", "set", "lo", "up", netns=self.name)

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` in a thread inside the namespace; a socket it returns stays in the namespace."""
        call = _Call(self.path, function)
        thread = threading.Thread(target=call.run, name=f"in {self.name}")
        thread.start()
        thread.join()
        if call.error is not None:
            raise call.error
        return call.value  # type: ignore[return-value]

    def sysctl(self, name: str, value: str) -> None:
        """Set a sysctl of the namespace, for example ``net/ipv4/ip_forward``."""
        self.call(lambda: Path("/proc/sys", name).write_text(value))

    def delete(self) -> None:
        """Remove the namespace's name; it ends with the last process in it."""
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)


def remove_leftovers() -> None:
    """Remove the network namespaces of runs that were killed."""
    for path in Path("/run/netns").glob(PREFIX + "-*"):
        if is_leftover(path.name):
            subprocess.run(["ip", "netns", "delete", path.name], capture_output=True, check=False)
