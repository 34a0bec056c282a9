"""A small SMTP server for one test: it says exactly what it is told to say."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from typing import Optional

NO_REPLY = ""
HANG_UP = "hang up"
RESET = "reset"
_DROP = struct.pack("ii", 1, 0)


@dataclass
class Script:
    """What the server says. A reply of "" is silence, "hang up" closes the connection, "reset" resets it.

    Attributes:
        banner: its greeting, sent ``wait`` seconds late.
        ehlo: the answer to EHLO.
        starttls: the answer to STARTTLS when there is ``tls``.
        tls: TLS settings; without them ``handshake`` is sent instead of TLS.
        handshake: what follows an accepted STARTTLS when there is no ``tls``.
        rcpt: the answer to RCPT.
        replies: answers by command.
        inside: answers by command once TLS is on; those of ``replies`` else.
    """

    banner: str = "220 mail.test ESMTP"
    ehlo: str = "250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS"
    starttls: str = "220 go ahead"
    tls: Optional[ssl.SSLContext] = None
    handshake: Optional[str] = None
    rcpt: str = "250 ok"
    replies: dict[str, str] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0


class Server:
    """Listens on a loopback port as long as the ``with`` block runs; ``seen`` has every line clients sent."""

    def __init__(self, script: Script, address: str = "127.0.0.1", port: int = 0) -> None:
        self.script = script
        self.seen: list[str] = []
        self.client_certificates: list[Optional[bytes]] = []
        self._listener = socket.create_server((address, port))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

    def __enter__(self) -> Server:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        # A closed listener does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._stopped.is_set():
                connection.close()
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._talk(connection)
        connection.close()

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        if self.script.wait:
            self._stopped.wait(self.script.wait)
        if not self._say(connection, self.script.banner):
            return
        stream = connection.makefile("rb")
        replies = self.script.replies
        while True:
            line = stream.readline().decode("latin-1").rstrip("\r\n")
            if not line:
                return
            self.seen.append(line)
            word = line.split()[0].upper()
            if word == "STARTTLS" and "STARTTLS" not in replies and self.script.handshake is not None:
                self._say(connection, self.script.starttls)
                if not self._say(connection, self.script.handshake):
                    return
                continue
            if word == "STARTTLS" and "STARTTLS" not in replies and self.script.tls is not None:
                self._say(connection, self.script.starttls)
                connection = self.script.tls.wrap_socket(connection, server_side=True)
                self.client_certificates.append(connection.getpeercert(binary_form=True))
                stream = connection.makefile("rb")
                replies = {**replies, **self.script.inside}
                continue
            if word == "QUIT":
                return
            default = {"EHLO": self.script.ehlo, "RCPT": self.script.rcpt}.get(word, "250 ok")
            if not self._say(connection, replies.get(word, default)):
                return

    def _say(self, connection: socket.socket, text: str) -> bool:
        if text == HANG_UP:
            return False
        if text == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
            return False
        if text == NO_REPLY:
            self._stopped.wait(5)
            return False
        connection.sendall(text.encode("latin-1") + b"\r\n")
        return True


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
