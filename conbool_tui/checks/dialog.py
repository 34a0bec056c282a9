"""An SMTP client that only asks (RFC 5321, RFC 3207): every step by itself, every line kept for the
transcript, no message ever sent.
"""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Callable, Optional, TypeVar

from conbool_tui.checks.limits import STEP, Limits
from conbool_tui.checks.tls import tls_reason

DEFAULT_TIMEOUT = STEP
T = TypeVar("T")
_LONGEST_REPLY = 64 * 1024
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]?)(.*)\Z", re.DOTALL)
# Seconds between two looks at whether the check was cancelled.
_SLICE = 0.2
# What a packet filter's answer (ICMP administratively prohibited) becomes: Linux, icmp_err_convert, and RFC 4443.
_FILTERED = (errno.EHOSTUNREACH, errno.EACCES, errno.EPERM, errno.ENOPROTOOPT)


class DialogError(Exception):
    """The dialog could not go on.

    ``kind`` is refused, filtered, unreachable (no way there), timeout, closed, reset, garbage or tls.
    """

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

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463) at its beginning, such as 5.7.1; empty without one."""
        found = re.match(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |\Z)", self.lines[0] if self.lines else "")
        return found.group() if found else ""


class Dialog:
    """One connection.

    Args:
        address: IP address of the server.
        port: TCP port.
        timeout: seconds for connecting, and again for each reply as a whole, when there are no ``limits``.
        transcript: lines so far, when an earlier connection belongs to the same story.
        limits: the time of the whole check.

    Raises:
        DialogError: no connection.
        CancelledError: the check was ended; every step can raise it.
    """

    def __init__(
        self,
        address: str,
        port: int,
        timeout: float = DEFAULT_TIMEOUT,
        transcript: Optional[list[str]] = None,
        *,
        limits: Optional[Limits] = None,
    ) -> None:
        self.transcript: list[str] = [] if transcript is None else transcript
        self.limits = limits or Limits.of_steps(timeout)
        self.extensions: dict[str, str] = {}
        self._rest = b""
        self._note("=", f"connecting to [{address}]:{port}")
        self._begin()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._connect((address, port))
            self.local_address: str = self._socket.getsockname()[0]
        except OSError as error:
            self._socket.close()
            raise self._told(error) from None
        except BaseException:
            self._socket.close()
            raise

    # --- waiting

    def _begin(self, greeting: bool = False) -> None:
        """Start the clock of a step. Raises CancelledError."""
        self._allowed = self.limits.allowance(greeting)
        self._deadline = time.monotonic() + self._allowed

    def _wait(self, event: int) -> None:
        """Wait until the socket can be read or written. Raises TimeoutError, CancelledError."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, event)
            while True:
                self.limits.go_on()
                left = self._deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                if selector.select(min(left, _SLICE)):
                    return

    def _patiently(self, action: Callable[[], T], event: int) -> T:
        """Repeat ``action`` until it neither wants to read nor to write first. Raises OSError."""
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                self._wait(selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self._wait(selectors.EVENT_WRITE)
            except BlockingIOError:
                self._wait(event)

    def _connect(self, target: tuple[str, int]) -> None:
        code = self._socket.connect_ex(target)
        if code == errno.EINPROGRESS:
            self._wait(selectors.EVENT_WRITE)
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    # --- words

    def _note(self, arrow: str, text: str) -> None:
        self.transcript.append(f"{arrow} {''.join(char if char.isprintable() else '?' for char in text)}")

    def _told(self, error: OSError) -> DialogError:
        """The operating system's or the TLS library's error in our words, also in the transcript."""
        reason = error.strerror or str(error)
        if isinstance(error, (socket.timeout, TimeoutError)):
            kind, text = "timeout", f"no answer within {round(self._allowed, 1):g} seconds"
            if self._allowed <= 0:
                text = f"the {self.limits.total:g} seconds of the whole check are over"
        elif isinstance(error, ConnectionRefusedError):
            kind, text = "refused", "the connection was refused"
        elif isinstance(error, ConnectionResetError):
            kind, text = "reset", "the connection was reset"
        elif isinstance(error, (BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            kind, text = "closed", "the server closed the connection"
        elif isinstance(error, ssl.SSLError):
            kind, text = "tls", tls_reason(error)
        elif error.errno in _FILTERED:
            kind, text = (
                "filtered",
                f"a firewall or router on the way answers that it is not allowed ({reason})",
            )
        else:
            kind, text = "unreachable", f"there is no way there ({reason})"
        return self._failed(kind, text)

    def _failed(self, kind: str, text: str) -> DialogError:
        self._note("!", text)
        return DialogError(kind, text)

    # --- steps

    def reply(self, greeting: bool = False) -> Reply:
        """Read one reply, of one line or several. Raises DialogError."""
        self._begin(greeting)
        lines: list[str] = []
        size = 0
        while True:
            raw = self._line()
            size += len(raw)
            match = _REPLY_LINE.match(raw)
            if match is None or size > _LONGEST_REPLY:
                self._note("<", raw[:200].decode("utf-8", "replace"))
                raise self._failed("garbage", "the answer is not SMTP")
            self._note("<", raw.decode("utf-8", "replace"))
            lines.append(match.group(3).decode("utf-8", "replace"))
            if match.group(2) != b"-":
                return Reply(int(match.group(1)), tuple(lines))

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            try:
                if time.monotonic() > self._deadline:
                    raise TimeoutError
                data = self._patiently(lambda: self._socket.recv(4096), selectors.EVENT_READ)
            except OSError as error:
                raise self._told(error) from None
            if not data:
                raise self._failed("closed", "the server closed the connection")
            self._rest += data
            if len(self._rest) > _LONGEST_REPLY:
                raise self._failed("garbage", "the answer is not SMTP")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    def command(self, text: str) -> Reply:
        """Send one command and read its reply. Raises DialogError."""
        self._note(">", text)
        self._begin()
        data = text.encode("ascii", "replace") + b"\r\n"
        try:
            while data:
                rest = data
                data = rest[self._patiently(lambda: self._socket.send(rest), selectors.EVENT_WRITE) :]  # noqa: B023
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

    def handshake(self, context: ssl.SSLContext, server_name: Optional[str]) -> None:
        """Turn the connection into TLS after STARTTLS was accepted; ``server_name`` is sent as SNI.

        Raises:
            ssl.SSLCertVerificationError: the library does not accept the certificate.
            DialogError: anything else.
        """
        self._begin()
        # What came before TLS must not count afterwards: somebody may have put it there (RFC 3207, section
        # 6).
        self._rest = b""
        try:
            wrapped = context.wrap_socket(
                self._socket, server_hostname=server_name, do_handshake_on_connect=False
            )
            self._socket = wrapped
            self._patiently(wrapped.do_handshake, selectors.EVENT_READ)
        except ssl.SSLCertVerificationError as error:
            self._note("!", f"TLS: {tls_reason(error)}")
            raise
        except OSError as error:
            raise self._told(error) from None
        except ValueError as error:
            raise self._failed("tls", str(error)) from None
        cipher = wrapped.cipher()
        self._note("=", f"TLS: {wrapped.version()} with {cipher[0] if cipher else 'no cipher'}")

    @property
    def tls_version(self) -> str:
        """The protocol agreed upon, such as TLSv1.3; empty without TLS."""
        return (self._socket.version() or "") if isinstance(self._socket, ssl.SSLSocket) else ""

    def peer_certificate(self) -> Optional[bytes]:
        """The server's certificate (DER), None without TLS."""
        return self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None

    def close(self) -> None:
        """Say goodbye if anybody listens, and close."""
        try:
            self._note(">", "QUIT")
            self._socket.send(b"QUIT\r\n")
        except (OSError, ValueError):
            pass
        finally:
            self._socket.close()
