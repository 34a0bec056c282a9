"""Compile a Sieve script with the host's own sievec(1) before it is where it will be."""

from __future__ import annotations

import contextlib
import posixpath
from typing import Optional

from conbool_tui.errors import ConboolError
from conbool_tui.host import Host
from conbool_tui.mail_system import Problem


def compile_script(host: Host, config_file: str, path: str, text: bytes) -> Optional[bytes]:
    """The compiled form of a script that is to be at ``path``; None when it cannot be made here (no sievec, no right to run it).

    The compiled form says which script it belongs to, and Pigeonhole compiles again when that is another one. So the script is compiled
    at a path of the same length, and the name in the result is replaced.
    """
    with contextlib.suppress(ConboolError), host.private_folder() as top:
        place = _path_of_length(top, len(path))
        if place is None:
            return None
        folder = posixpath.dirname(place)
        if folder != top:
            host.make_folder(folder, 0o700)
        host.write_new(place, text, mode=0o600)
        out = posixpath.join(top, "o")
        result = host.run(["sievec", "-c", config_file, place, out])
        if not result.ok:
            return None
        data = host.read_bytes(out)
        old, new = place.encode(), path.encode()
        return data.replace(old, new) if data.count(old) == 1 else None
    return None


def check_script(host: Host, config_file: str, text: bytes) -> list[Problem]:
    """What sievec says of a script; empty when it compiles. Raises HostError: it cannot be asked."""
    with host.private_folder() as top:
        place = posixpath.join(top, "conbool.sieve")
        host.write_new(place, text, mode=0o600)
        result = host.run(["sievec", "-c", config_file, place, posixpath.join(top, "out")])
        if result.ok:
            return []
        lines = [
            line.strip().replace(place, "the script")
            for line in result.error_text().split("\n")
            if line.strip()
        ]
        return [Problem("sievec refuses the Sieve script", "; ".join(lines[:3]))]


def _path_of_length(top: str, length: int) -> Optional[str]:
    """A path of a script below ``top`` with exactly so many bytes."""
    name = "s.sieve"
    left = length - len(top) - 1 - len(name)
    if left == 0:
        return posixpath.join(top, name)
    if left > 250:
        return None
    # Either a folder takes the difference, or, for a single byte, the name does.
    if left >= 2:
        return posixpath.join(top, "d" * (left - 1), name)
    return posixpath.join(top, "s" + name) if left == 1 else None
