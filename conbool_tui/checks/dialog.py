"""An SMTP client that only asks (RFC 5321, RFC 3207): every step by itself, every line kept for the
transcript, no message ever sent.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Optional

DEFAULT_TIMEOUT = 10.0
_LONGEST_REPLY = 64 * 1024
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]?)(.*)\Z", re.DOTALL)


class DialogError(Exception):
    """The dialog could not go on; ``kind`` is refused, timeout, unreachable, closed or garbage."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True)
class Reply:
    """A server's reply: its code and the text of its lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reply on one line."""
        return f"{self.code} {' '.join(self.lines)}".rstrip()


class Dialog:
    """One connection.

    Args:
        address: IP address of the server.
        port: TCP port.
        timeout: seconds for connecting, and again for each reply as a whole.
        transcript: lines so far, when an earlier connection belongs to the same story.

    Raises:
        DialogError: no connection.
    """

    def __init__(
        self,
        address: str,
        port: int,
        timeout: float = DEFAULT_TIMEOUT,
        transcript: Optional[list[str]] = None,
    ) -> None:
        self.transcript: list[str] = [] if transcript is None else transcript
        self.timeout = timeout
        self.extensions: dict[str, str] = {}
        self._rest = b""
        self._where = f"[{address}]:{port}"
        self._note("=", f"connecting to {self._where}")
        try:
            self._socket: socket.socket = socket.create_connection((address, port), timeout)
        except OSError as error:
            raise self._told(error) from None
        self.local_address: str = self._socket.getsockname()[0]

    def _note(self, arrow: str, text: str) -> None:
        self.transcript.append(f"{arrow} {''.join(char if char.isprintable() else '?' for char in text)}")

    def _told(self, error: OSError) -> DialogError:
        """The operating system's or the TLS library's error in our words, also in the transcript."""
        if isinstance(error, (socket.timeout, TimeoutError)):
            kind, text = "timeout", f"no answer within {self.timeout:g} seconds"
        elif isinstance(error, ConnectionRefusedError):
            kind, text = "refused", "the connection was refused"
        elif isinstance(
            error, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
        ):
            kind, text = "closed", "the server closed the connection"
        elif isinstance(error, ssl.SSLError):
            kind, text = "tls", tls_reason(error)
        else:
            kind, text = "unreachable", (error.strerror or str(error))
        self._note("!", text)
        return DialogError(kind, text)

    def reply(self) -> Reply:
        """Read one reply, of one line or several. Raises DialogError."""
        deadline = time.monotonic() + self.timeout
        lines: list[str] = []
        size = 0
        while True:
            raw = self._line(deadline)
            size += len(raw)
            match = _REPLY_LINE.match(raw)
            if match is None or size > _LONGEST_REPLY:
                self._note("<", raw[:200].decode("utf-8", "replace"))
                raise DialogError("garbage", "the answer is not SMTP")
            text = match.group(3).decode("utf-8", "replace")
            self._note("<", raw.decode("utf-8", "replace"))
            lines.append(text)
            if match.group(2) != b"-":
                return Reply(int(match.group(1)), tuple(lines))

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._told(TimeoutError())
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(4096)
            except OSError as error:
                raise self._told(error) from None
            if not data:
                self._note("!", "the server closed the connection")
                raise DialogError("closed", "the server closed the connection")
            self._rest += data
            if len(self._rest) > _LONGEST_REPLY:
                raise DialogError("garbage", "the answer is not SMTP")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    def command(self, text: str) -> Reply:
        """Send one command and read its reply. Raises DialogError."""
        self._note(">", text)
        try:
            self._socket.settimeout(self.timeout)
            self._socket.sendall(text.encode("ascii") + b"\r\n")
        except OSError as error:
            raise self._told(error) from None
        return self.reply()

    def ehlo(self, name: str) -> Reply:
        """Greet, and learn the server's extensions. Raises DialogError."""
        answer = self.command(f"EHLO {name}")
        self.extensions = {}
        if answer.code == 250:
            for line in answer.lines[1:]:
                word, _, parameters = line.partition(" ")
                self.extensions[word.upper()] = parameters
        return answer

    def handshake(self, context: ssl.SSLContext, server_name: str) -> None:
        """Turn the connection into TLS after STARTTLS was accepted.

        Raises:
            ssl.SSLCertVerificationError: the library does not accept the certificate.
            DialogError: anything else.
        """
        self._socket.settimeout(self.timeout)
        # What came before TLS must not count afterwards: somebody may have put it there (RFC 3207, section
        # 6).
        self._rest = b""
        try:
            wrapped = context.wrap_socket(self._socket, server_hostname=server_name)
        except ssl.SSLCertVerificationError as error:
            self._note("!", f"TLS: {tls_reason(error)}")
            raise
        except OSError as error:
            raise self._told(error) from None
        except ValueError as error:
            raise DialogError("tls", str(error)) from None
        self._socket = wrapped
        cipher = wrapped.cipher()
        self._note("=", f"TLS: {wrapped.version()} with {cipher[0] if cipher else 'no cipher'}")

    def peer_certificate(self) -> Optional[bytes]:
        """The server's certificate (DER), None without TLS."""
        return self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None

    def close(self) -> None:
        """Say goodbye if anybody listens, and close."""
        try:
            self._note(">", "QUIT")
            self._socket.settimeout(min(self.timeout, 2.0))
            self._socket.sendall(b"QUIT\r\n")
        except OSError:
            pass
        finally:
            self._socket.close()


def tls_reason(error: ssl.SSLError) -> str:
    """The TLS library's own words for a failure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    return (error.reason or str(error)).replace("_", " ").lower()


def client_context(ca_file: Optional[str] = None) -> ssl.SSLContext:
    """A context that demands a chain to a trusted CA and leaves the name to be judged by itself.

    Args:
        ca_file: path on this machine of the trusted CAs; the system's own when None.

    Raises:
        OSError, ssl.SSLError: the file cannot be loaded.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def trusting_context() -> ssl.SSLContext:
    """A context that accepts every certificate: for looking at one that is not trusted. No mail goes through
    it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
