"""Short SMTP dialogues with a server on this machine. Nothing is ever delivered: no DATA is sent."""

from __future__ import annotations

import smtplib
import socket
from typing import Optional

_TIMEOUT = 10.0


def banner(address: str, port: int, timeout: float = _TIMEOUT) -> Optional[str]:
    """The first line a server says; None when it does not answer within ``timeout`` seconds."""
    try:
        with socket.create_connection((address, port), timeout) as connection:
            connection.settimeout(timeout)
            data = b""
            while b"\n" not in data and len(data) < 1024:
                piece = connection.recv(512)
                if not piece:
                    break
                data += piece
    except OSError:
        return None
    line = data.split(b"\n")[0].decode("ascii", "replace").strip()
    return line or None


def accepts_mail(address: str, port: int, timeout: float = _TIMEOUT) -> Optional[str]:
    """Whether the server goes as far as taking recipients: EHLO, MAIL, RCPT, RSET, QUIT (RFC 5321).

    RCPT makes Postfix's smtpd(8) open its tables and call cleanup(8) and trivial-rewrite(8), so a table
    that cannot be read shows here.

    Returns:
        None when it does, else what it said.
    """
    try:
        with smtplib.SMTP(timeout=timeout) as server:
            code, answer = server.connect(address, port)
            steps = [("the connection", code, answer, 220)]
            if code == 220:
                for command in ("EHLO localhost", "MAIL FROM:<>", "RCPT TO:<postmaster>"):
                    code, answer = server.docmd(command)
                    steps.append((command, code, answer, 250))
                    if code != 250:
                        break
                else:
                    # Another domain takes the other branch of the restrictions; only a server's own failure
                    # (4xx) counts.
                    code, answer = server.docmd("RCPT TO:<probe@conbool-probe.invalid>")
                    steps.append(("RCPT TO of another domain", 250 if code >= 500 else code, answer, 250))
                    server.docmd("RSET")
        for step, got, said, wanted in steps:
            if got != wanted:
                return f"{got} {said.decode('utf-8', 'replace').strip()} in answer to {step}"
    except smtplib.SMTPException as error:
        return f"the connection ended: {error}"
    except OSError as error:
        return error.strerror or str(error) or "no answer"
    return None
