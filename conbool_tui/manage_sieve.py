"""A ManageSieve client (RFC 5804) for one thing: put a script before an account's own, and take it away again.

The libraries for it wait for ever when the server goes away, and one sends the password in clear when TLS is not offered; so this speaks the
six commands that are needed itself. Everything read has a limit, and the password leaves only over TLS with a verified certificate, or to this
host.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Optional

from conbool_tui.errors import CheckFailedError

PORT = 4190
SCRIPT = "conbool"
_TIMEOUT = 20.0
_LONGEST_LINE = 8192
_LARGEST_SCRIPT = 1_000_000
_LITERAL = re.compile(rb"\{(\d+)\+?\}$")
_REPLY = re.compile(rb"(OK|NO|BYE)(?: \([^)]*\))?(?: (.*))?$", re.IGNORECASE | re.DOTALL)
_INCLUDED = re.compile(r'^include :personal "((?:[^"\\]|\\.)*)";', re.MULTILINE)
_REQUIRE = re.compile(r'^require (\[[^\]]*\]|"[^"]*");', re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """What was done: the script that is active now, and the account's own that it runs (empty: none)."""

    active: str
    own: str


class ManageSieve:
    """One session. Use it as a context manager.

    Args:
        server: name or address.
        port: usually 4190.

    Raises:
        CheckFailedError: no connection, or something that is no ManageSieve server.
    """

    def __init__(self, server: str, port: int = PORT) -> None:
        self._server = server
        self._buffer = b""
        try:
            self._socket: socket.socket = socket.create_connection((server, port), _TIMEOUT)
        except OSError as error:
            raise self._failed(f"port {port} cannot be reached: {error.strerror or error}") from None
        self._capabilities = self._read_capabilities()

    def __enter__(self) -> ManageSieve:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def log_in(self, account: str, password: str) -> None:
        """Switch to TLS and log in (SASL PLAIN). Raises CheckFailedError: no TLS, a certificate that is not trusted, or refused."""
        if "STARTTLS" in self._capabilities:
            self._command(b"STARTTLS")
            try:
                self._socket = ssl.create_default_context().wrap_socket(
                    self._socket, server_hostname=self._server
                )
            except (ssl.SSLError, OSError) as error:
                raise self._failed(f"the TLS connection cannot be trusted: {error}") from None
            self._buffer = b""
            self._capabilities = self._read_capabilities()
        elif not _is_loopback(self._socket.getpeername()[0]):
            raise self._failed("it offers no TLS, and the password would go over the network in clear")
        if "PLAIN" not in self._capabilities.get("SASL", "").upper().split():
            raise self._failed("it does not take a login with SASL PLAIN")
        secret = base64.b64encode(b"\0" + account.encode() + b"\0" + password.encode())
        self._command(b'AUTHENTICATE "PLAIN" "' + secret + b'"', "The login was refused")

    def scripts(self) -> tuple[tuple[str, ...], str]:
        """The names of all scripts, and the active one (empty: none)."""
        names, active = [], ""
        for line in self._command(b"LISTSCRIPTS"):
            words = _strings(line)
            if words:
                names.append(words[0])
                active = words[0] if line.rstrip().upper().endswith(b"ACTIVE") else active
        return tuple(names), active

    def script(self, name: str) -> str:
        """A script's text."""
        lines = self._command(b"GETSCRIPT " + _quoted(name))
        return lines[0].decode("utf-8", "replace") if lines else ""

    def install(self, text: str) -> Installed:
        """Make ``text`` the active script; the account's own active script runs behind it, as before.

        Raises:
            CheckFailedError: the server refuses the script, or cannot run one from another.
        """
        names, active = self.scripts()
        own = _included(self.script(SCRIPT)) if active == SCRIPT else active
        if own and own not in names:
            own = ""
        if own and "include" not in self._capabilities.get("SIEVE", "").split():
            raise self._failed(
                f"it cannot run the account's own script {own} from another one (no include extension)"
            )
        whole = _joined(text, own).encode("utf-8")
        self._command(
            b"PUTSCRIPT %s {%d+}\r\n%s" % (_quoted(SCRIPT), len(whole), whole), "The script was refused"
        )
        self._command(b"SETACTIVE " + _quoted(SCRIPT))
        return Installed(SCRIPT, own)

    def remove(self) -> Installed:
        """Make the account's own script active again and delete ours; nothing happens when ours is not there."""
        names, active = self.scripts()
        if SCRIPT not in names:
            return Installed(active, active)
        own = active
        if active == SCRIPT:
            own = _included(self.script(SCRIPT))
            own = own if own in names else ""
            self._command(b"SETACTIVE " + _quoted(own))
        self._command(b"DELETESCRIPT " + _quoted(SCRIPT))
        return Installed(own, own)

    # --- the protocol --------------------------------------------------------------------------------------

    def _command(self, data: bytes, failed: str = "") -> list[bytes]:
        """Send a command; the lines and strings before its reply. Raises CheckFailedError unless it is OK."""
        try:
            self._socket.sendall(data + b"\r\n")
        except OSError as error:
            raise self._failed(f"the connection broke: {error.strerror or error}") from None
        return self._reply(failed)

    def _reply(self, failed: str) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = self._line()
            literal = _LITERAL.search(line)
            text = self._exactly(int(literal.group(1))) if literal else b""
            reply = _REPLY.match(line)
            if reply is None:
                lines.append(text if literal else line)
                if literal:
                    self._line()
                continue
            if literal:
                self._line()
            if reply.group(1).upper() == b"OK":
                return lines
            said = (text or reply.group(2) or b"").decode("utf-8", "replace").strip().strip('"')
            raise self._failed(f"{failed or 'it refused'}: {said or 'no reason given'}")

    def _read_capabilities(self) -> dict[str, str]:
        found = {}
        for line in self._reply("It is no ManageSieve server"):
            words = _strings(line)
            if words:
                found[words[0].upper()] = words[1] if len(words) > 1 else ""
        return found

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise self._failed("it does not speak ManageSieve")
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        if size > _LARGEST_SCRIPT:
            raise self._failed("it sends more than a script can be")
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise self._failed(f"it does not answer: {error.strerror or error}") from None
        if not data:
            raise self._failed("it closed the connection")
        self._buffer += data

    def _failed(self, why: str) -> CheckFailedError:
        return CheckFailedError(
            f"The ManageSieve server {self._server}: {why}.",
            "The account's scripts are as they were.",
            "Install the script by hand (conbool-tui open-xchange sieve prints it), or look into the mail server's log.",
        )


def _joined(text: str, own: str) -> str:
    """Our script with the account's own behind it (RFC 6609)."""
    if not own:
        return text
    require = _REQUIRE.search(text)
    head = (
        f'require "include";\n{text}'
        if require is None
        else text[: require.end()] + '\nrequire "include";' + text[require.end() :]
    )
    return f"{head}\n# The account's own script.\ninclude :personal {_quoted(own).decode()};\n"


def _included(text: str) -> str:
    match = _INCLUDED.search(text)
    return re.sub(r"\\(.)", r"\1", match.group(1)) if match else ""


def _quoted(name: str) -> bytes:
    return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8") + b'"'


def _strings(line: bytes) -> list[str]:
    """The quoted strings of a line."""
    found = re.findall(rb'"((?:[^"\\]|\\.)*)"', line)
    return [re.sub(rb"\\(.)", rb"\1", one).decode("utf-8", "replace") for one in found]


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def parse_server(text: str) -> tuple[str, int]:
    """``host``, ``host:port`` or ``[address]:port``. Raises ValueError."""
    match: Optional[re.Match[str]] = re.fullmatch(
        r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([^\s:\[\]]+)(?::(\d{1,5}))?", text.strip()
    )
    if match is None:
        raise ValueError(text)
    port = int(match.group(2) or match.group(4) or PORT)
    if not 0 < port < 65536:
        raise ValueError(text)
    return match.group(1) or match.group(3), port
