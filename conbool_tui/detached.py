"""Start a process that lives on when the terminal, the SSH session or this process ends.

Where systemd runs the host it becomes a transient unit (systemd-run(1)), outside of the login session that logind may end as a whole; else
a session of its own (setsid(2)) whose parent is process 1.

The transient unit belongs to the system's manager, so neither the end of a session's scope nor of a user's manager ends it, and its
environment is the manager's. ``--no-block``: nobody waits for the manager's job; that the process began is seen from what it writes.
``KillMode=process``: a mail server that it started outlives it. At shutdown it gets SIGTERM and has the usual time
to bring things back. systemd-run(1) expands ``$``, so each is doubled; ``--expand-environment`` is newer than the systemd
of Debian 12.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from conbool_tui.errors import ConboolError, HostError
from conbool_tui.host import Host

_START_MODULE = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); sys.argv[:] = sys.argv[2:]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
_LEAVE = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.umask(0o077)
nothing = os.open("/dev/null", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(nothing, number)
try:
    opened = [int(name) for name in os.listdir("/proc/self/fd")]
except OSError:
    opened = range(256)
for number in opened:
    if number > 2:
        try:
            os.close(number)
        except OSError:
            pass
os.execv(sys.argv[1], sys.argv[1:])
"""


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this program in a fresh Python of the same kind.

    It ignores environment and current folder (``-I``) and looks for modules exactly where this process does.
    """
    if not sys.executable:
        raise HostError(
            "Python does not know its own program file.",
            "Another process of this program cannot be started.",
            "Start conbool-tui by its full path.",
        )
    return [*_interpreter(), "-c", _START_MODULE, json.dumps(_search_path()), module, *arguments]


def spawn(host: Host, argv: Sequence[str], *, unit: str) -> str:
    """Start ``argv`` detached: own session, no terminal, standard streams closed, working directory ``/``.

    Everything in ``argv`` can be seen by every user of the host: no secrets.

    Args:
        host: the running system.
        argv: program by its full path, and arguments.
        unit: name of the transient unit where systemd runs; it must not exist.

    Returns:
        ``systemd`` or ``setsid``, whichever started it.

    Raises:
        HostError: it could not be started.
    """
    if host.has_systemd() and _by_systemd(host, argv, unit):
        return "systemd"
    result = host.run([*_interpreter(), "-c", _LEAVE, *argv])
    if not result.ok:
        raise HostError(
            f"A process of its own could not be started: {result.error_text() or result.returncode}",
            "",
            "Look at the limits of this user and at the system's messages (dmesg).",
        )
    return "setsid"


def _by_systemd(host: Host, argv: Sequence[str], unit: str) -> bool:
    # systemd replaces $NAME in commands; two dollar signs are one.
    plain = [part.replace("$", "$$") for part in argv]
    options = ["--quiet", "--no-block", "--collect", f"--unit={unit}", "--property=WorkingDirectory=/"]
    # What it started and left running (a mail server) must not be ended with it.
    options.append("--property=KillMode=process")
    streams = [f"--property=Standard{name}=null" for name in ("Input", "Output", "Error")]
    try:
        return host.run(["systemd-run", *options, *streams, "--", *plain], timeout=30).ok
    except ConboolError:
        return False


def _interpreter() -> list[str]:
    options = ["-I", "-X", "utf8"]
    if sys.flags.no_site:
        options.append("-S")
    if sys.pycache_prefix:
        options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    elif sys.dont_write_bytecode:
        options.append("-B")
    return [sys.executable, *options]


def _search_path() -> list[str]:
    return [os.path.abspath(place) for place in sys.path]
