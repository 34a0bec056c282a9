"""Building a sendmail.cf from a sendmail.mc with the host's own m4, without touching a file."""

from __future__ import annotations

import posixpath
import shlex
from typing import Optional

from conbool_tui.errors import CheckFailedError
from conbool_tui.host import Host

CF_DIRECTORIES = (
    "/usr/share/sendmail/cf",
    "/usr/share/sendmail-cf",
    "/usr/lib/sendmail-cf",
    "/usr/local/share/sendmail/cf",
)
TRAILER = b"### %s ###\n"


def cf_directory(host: Host) -> Optional[str]:
    """Where the macro files (package sendmail-cf) are, None when they are not installed."""
    return next((path for path in CF_DIRECTORIES if host.is_file(f"{path}/m4/cf.m4")), None)


def m4_output(host: Host, source: str, data: bytes) -> bytes:
    """What m4 makes of a sendmail.mc.

    Args:
        host: the machine.
        source: the path of sendmail.mc; relative includes start there.
        data: its content, live or planned.

    Raises:
        CheckFailedError: m4 or Sendmail's macro files are missing, or m4 refuses the text.
        HostError, NeedsRootError: m4 cannot be run.
    """
    macros = cf_directory(host)
    if host.which("m4") is None:
        raise CheckFailedError(
            "The program m4 is missing.",
            "Sendmail's configuration is built with it.",
            "Install the package m4.",
        )
    command = "exec m4 -"
    if b"cf.m4" not in data:
        if macros is None:
            raise _no_macros(source)
        command = f"exec m4 {shlex.quote(f'-D_CF_DIR_={macros}/')} {shlex.quote(f'{macros}/m4/cf.m4')} -"
    folder = posixpath.dirname(source)
    result = host.run(["sh", "-c", f"cd {shlex.quote(folder)} && {command}"], stdin=data)
    said = [line.strip() for line in result.error_text().split("\n") if line.strip()]
    wrong = [line for line in said if "ERROR" in line or "cannot open" in line or "Cannot open" in line]
    if not result.ok or wrong:
        if macros is None:
            raise _no_macros(source)
        why = (wrong or said or [f"m4 ended with {result.returncode}"])[0].replace("stdin", source)
        raise CheckFailedError(
            f"m4 cannot build a sendmail.cf from {source}: {why}",
            "",
            f"Repair {source} until `m4 {source} > /dev/null` is silent.",
        )
    return result.stdout


def with_trailer(built: bytes, live: bytes, source: str, data: bytes) -> bytes:
    """Debian's Makefile puts sendmail.mc as comments at the end: the same for a host whose sendmail.cf has that."""
    mark = TRAILER % source.encode()
    if mark not in live:
        return built
    lines = data.split(b"\n")
    lines = lines[:-1] if lines and not lines[-1] else lines
    return built + mark + b"".join(b"# " + line + b"\n" for line in lines)


def _no_macros(source: str) -> CheckFailedError:
    return CheckFailedError(
        "Sendmail's macro files are not installed (cf.m4 was not found).",
        f"Without them no sendmail.cf can be built from {source}.",
        "Install the package sendmail-cf.",
    )
