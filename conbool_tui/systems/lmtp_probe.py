"""Does an LMTP server (RFC 2033) at a UNIX socket answer? Nothing is delivered."""

from __future__ import annotations

import socket
from typing import Optional

from conbool_tui.host import Host

_TIMEOUT = 10.0


def greets(host: Host, path: str, timeout: float = _TIMEOUT) -> Optional[str]:
    """None when the server greets with 220, else what happened."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(host.real(path)))
            data = b""
            while b"\n" not in data and len(data) < 1024:
                piece = connection.recv(512)
                if not piece:
                    break
                data += piece
            connection.sendall(b"QUIT\r\n")
    except OSError as error:
        return error.strerror or str(error) or "no answer"
    said = data.split(b"\n")[0].decode("ascii", "replace").strip()
    return None if said.startswith("220") else said or "it closed the connection"
