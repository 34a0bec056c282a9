"""A content filter as a program: takes mail by SMTP, adds ``X-Scanned: yes`` on top, hands it on.

Runs inside a machine with that machine's Python (3.9 and later, standard library only):
``scanner.py LISTEN_PORT REENTRY_PORT LOG``. As Amavis does, it answers the end of DATA only when the re-entry
has taken the message, and passes XFORWARD on. Every pass is one line in the log: the Message-ID.
"""

from __future__ import annotations

import socketserver
import sys
from socket import create_connection
from typing import BinaryIO


class Upstream:
    """The connection to the re-entry smtpd."""

    def __init__(self, port: int) -> None:
        self.socket = create_connection(("127.0.0.1", port), 60)
        self.file: BinaryIO = self.socket.makefile("rwb")  # type: ignore[assignment]
        self.reply()

    def send(self, line: bytes) -> bytes:
        """One command, or the final dot; returns the reply."""
        self.file.write(line + b"\r\n")
        self.file.flush()
        return self.reply()

    def reply(self) -> bytes:
        """All lines of one reply."""
        lines = b""
        while True:
            line = self.file.readline()
            lines += line
            if not line or line[3:4] != b"-":
                return lines or b"421 4.3.0 re-entry has gone\r\n"


class Session(socketserver.StreamRequestHandler):
    """One client; every envelope command goes straight to the re-entry, whose reply goes back."""

    def handle(self) -> None:
        try:
            upstream = Upstream(int(sys.argv[2]))
        except OSError:
            self.wfile.write(b"421 4.3.2 re-entry is down\r\n")
            return
        self.wfile.write(b"220 scanner ESMTP\r\n")
        while True:
            line = self.rfile.readline()
            command = line.strip()
            verb = command.upper().split(b" ")[0].split(b":")[0]
            if not line or verb == b"QUIT":
                self.wfile.write(b"221 2.0.0 bye\r\n")
                upstream.send(b"QUIT")
                return
            reply = upstream.send(command)
            if verb == b"EHLO":
                # TLS and AUTH stay between the two ends; the rest is what the re-entry can do.
                kept = [
                    part
                    for part in reply.splitlines()
                    if part[4:12] not in (b"STARTTLS", b"PIPELINI", b"CHUNKING")
                ]
                kept = [part[:3] + b"-" + part[4:] for part in kept[:-1]] + [
                    kept[-1][:3] + b" " + kept[-1][4:]
                ]
                reply = b"".join(part + b"\r\n" for part in kept)
            if verb == b"DATA" and reply.startswith(b"354"):
                self.wfile.write(reply)
                reply = upstream.send(self.scan())
            self.wfile.write(reply)

    def scan(self) -> bytes:
        """The message with its mark and final dot, dots still doubled."""
        lines = [b"X-Scanned: yes\r\n"]
        identity = b"?"
        in_header = True
        while True:
            line = self.rfile.readline()
            if not line:
                raise ConnectionError("client has gone")
            if line == b".\r\n":
                break
            in_header = in_header and line != b"\r\n"
            if in_header and line.lower().startswith(b"message-id:"):
                identity = line.split(b":", 1)[1].strip()
            lines.append(line)
        with open(sys.argv[3], "ab") as log:
            log.write(identity + b"\n")
        return b"".join(lines) + b"."


class Server(socketserver.ThreadingTCPServer):
    """Serves several clients at once."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Session) as server:
        server.serve_forever()
