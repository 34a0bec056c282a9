"""Keeps a machine whose process 1 is systemd: in a control group of its own, and no longer than its own standard input is open.

Run as a program with the machine's name and the command that boots it, in the isolated interpreter.
"""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import sys
import tempfile
import time

CLONE_NEWCGROUP = 0x02000000


def in_own_group(top: str) -> None:
    """Only this process's children see the group as their root (cgroup_namespaces(7))."""
    with open(f"{top}/cgroup.procs", "w") as handle:
        handle.write(str(os.getpid()))
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWCGROUP):
        raise OSError(ctypes.get_errno(), "unshare")


def remove(top: str) -> None:
    """Remove the groups that the machine left, from the inside out."""
    for folder, _, _ in os.walk(top, topdown=False):
        for _ in range(100):
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                # Its last process is still dying.
                time.sleep(0.02)


def main() -> int:
    """Boot, wait, clean up."""
    name, command = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="conlab-cgroup-") as place:
        subprocess.run(["mount", "-t", "cgroup2", "conlab", place], check=True)
        top = f"{place}/{name}-{os.getpid()}"
        try:
            os.mkdir(top)
            machine = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, preexec_fn=lambda: in_own_group(top)
            )
            watched = select.poll()
            watched.register(0, select.POLLIN | select.POLLHUP)
            while machine.poll() is None:
                if watched.poll(100) and not os.read(0, 4096):
                    machine.kill()
                    break
            machine.wait()
            remove(top)
        finally:
            subprocess.run(["umount", place], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
