"""The one place that starts other programs, through the sh library.

Every command runs with standard input closed, no terminal, LC_ALL=C and a time limit, and its standard error is never mixed into its output.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from conbool_tui.errors import HostError
from conbool_tui.support.credentials import hide_credentials

DEFAULT_TIMEOUT = 60.0
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT_VARIABLES = ("HOME", "TMPDIR", "MAIL_CONFIG")
_EXEC_FAILED = 127


@dataclass(frozen=True)
class CommandResult:
    """What a command printed and how it ended. A negative ``returncode`` is the signal that ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """True when the command ended with 0."""
        return self.returncode == 0

    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 survive as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape")

    def error_text(self) -> str:
        """Standard error as text for people: postconf(1) shows passwords in its warnings, and they are taken out."""
        return hide_credentials(self.stderr.decode("utf-8", "replace").strip())


def find_program(name: str) -> Optional[str]:
    """Absolute path of a program on the administrator's search path, None when it is not there."""
    import shutil

    return shutil.which(name, path=_SYSTEM_PATH)


def run_command(
    argv: Sequence[str],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    stdin: bytes = b"",
    env: Optional[Mapping[str, str]] = None,
) -> CommandResult:
    """Run one command to its end.

    Args:
        argv: program and arguments; the program is looked up on the administrator's path.
        timeout: seconds after which the command is killed.
        stdin: bytes for its standard input, which is then closed.
        env: variables added to the minimal environment.

    Raises:
        HostError: the program is missing, or the time limit was reached.
    """
    import sh

    program = argv[0] if os.path.isabs(argv[0]) else find_program(argv[0])
    if program is None or not os.access(program, os.X_OK):
        raise HostError(
            f"The program {argv[0]} was not found.",
            "It belongs to the mail system or the base system, and this step depends on it.",
            "Install it or run conbool-tui on the machine that has it.",
        )
    environment = {"PATH": _SYSTEM_PATH, "LC_ALL": "C"}
    environment.update({name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ})
    environment.update(env or {})
    out, err = io.BytesIO(), io.BytesIO()
    command = sh.Command(program)
    try:
        # Python's own descriptors are not inherited anyway, and sh can close others only where /proc is mounted.
        process = command(
            *argv[1:],
            _in=io.BytesIO(stdin),
            _out=out,
            _err=err,
            _env=environment,
            _encoding="utf-8",
            _close_fds=False,
            _tty_in=False,
            _tty_out=False,
            _ok_code=list(range(256)),
            _bg=True,
            _bg_exc=False,
        )
    except (sh.ForkException, OSError) as error:
        raise HostError(
            f"{' '.join(argv)} could not be started: {_last_line(str(error))}",
            "This step depends on it.",
            "Look at the limits of this user and at the system's messages (dmesg).",
        ) from None
    # sh's own _timeout polls, which would make every command last at least a tenth of a second.
    expired = threading.Event()
    timer = threading.Timer(timeout, _end, (process, expired))
    timer.daemon = True
    timer.start()
    try:
        process.wait()
        code = int(process.exit_code)
    except sh.SignalException as ended:
        code = -abs(int(ended.exit_code))
    finally:
        timer.cancel()
    if expired.is_set():
        raise HostError(
            f"{' '.join(argv)} did not finish within {timeout:g} seconds and was ended.",
            "A tool that hangs cannot be trusted to have done its work.",
            "Run it by hand to see what it waits for.",
        )
    return CommandResult(tuple(argv), code, out.getvalue(), err.getvalue())


def _end(process: Any, expired: threading.Event) -> None:
    """Kill a command whose time is over."""
    expired.set()
    with contextlib.suppress(OSError):
        process.kill()


def _last_line(text: str) -> str:
    """The line of an error that names its cause."""
    return text.strip().rpartition("\n")[2].strip()
