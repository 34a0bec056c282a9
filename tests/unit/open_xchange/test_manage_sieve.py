"""The ManageSieve client against servers that misbehave; the real one is asked in the lab."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from conbool_tui.errors import CheckFailedError
from conbool_tui.manage_sieve import ManageSieve, _included, _joined, parse_server

HELLO = b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto include"\r\nOK "ready"\r\n'


class Server(threading.Thread):
    """Says its lines one after the other, each after a command; then it hangs up. Keeps what it was told."""

    def __init__(self, *lines: bytes) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lines = lines
        self.heard = b""
        self.start()

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            for index, line in enumerate(self.lines):
                if index:
                    self.heard += connection.recv(65536)
                connection.sendall(line)
        self.listener.close()


@pytest.fixture
def serve() -> type[Server]:
    """Servers on loopback."""
    return Server


def failing(server: Server) -> str:
    """What is said when a whole installation fails."""

    def whole() -> None:
        with ManageSieve("127.0.0.1", server.port) as session:
            session.log_in("alice", "s3cret")
            session.install("keep;\n")

    with pytest.raises(CheckFailedError) as error:
        whole()
    assert "s3cret" not in repr(error.value.lines())
    return error.value.what


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((b"",), "closed the connection"),
        ((b"HTTP/1.1 400 x\r\n",), "closed the connection"),
        ((b"x" * 20000,), "does not speak ManageSieve"),
        ((b'NO "go away"\r\n',), "It is no ManageSieve server: go away"),
        ((b'"SASL" "GSSAPI"\r\nOK\r\n',), "SASL PLAIN"),
        ((HELLO, b'NO (AUTH-TOO-WEAK) "no"\r\n'), "The login was refused: no"),
        (
            (HELLO, b"OK\r\n", b'"a"\r\n"b" ACTIVE\r\nOK\r\n', b"NO {8}\r\nline 1:x\r\n"),
            "The script was refused: line 1:x",
        ),
        ((HELLO, b"OK\r\n", b"{99999999}\r\n"), "more than a script"),
        ((HELLO, b"OK\r\n", b'"a" ACT'), "closed the connection"),
        ((HELLO, b"BYE\r\n"), "no reason given"),
    ],
)
def test_misbehaving_servers(serve: type[Server], lines: tuple[bytes, ...], said: str) -> None:
    """Each ends in a message, none in a wait without end."""
    assert said in failing(serve(*lines))


def test_no_include_no_install(serve: type[Server]) -> None:
    """A server that cannot run the account's own script behind ours is left alone."""
    server = serve(HELLO.replace(b" include", b""), b"OK\r\n", b'"own" ACTIVE\r\nOK\r\n')
    assert "no include extension" in failing(server)
    assert b"PUTSCRIPT" not in server.heard


def test_nothing_listens() -> None:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    with pytest.raises(CheckFailedError):
        ManageSieve("127.0.0.1", port)


def test_the_own_script_behind_ours() -> None:
    """It is included under its own name, quotes and all, and found again."""
    joined = _joined('# c\nrequire ["fileinto"];\nkeep;\n', 'a"b\\c')
    assert joined.index("include") > joined.index('require ["fileinto"];')
    assert _included(joined) == 'a"b\\c'
    assert _joined("keep;\n", "") == "keep;\n"
    assert _joined("keep;\n", "x").startswith('require "include";\n')


@pytest.mark.parametrize(
    ("text", "server"), [("h", ("h", 4190)), ("h:2000", ("h", 2000)), ("[2001:db8::1]:1", ("2001:db8::1", 1))]
)
def test_server_names(text: str, server: tuple[str, int]) -> None:
    """Name, port, IPv6 address."""
    assert parse_server(text) == server


@pytest.mark.parametrize("text", ["", "a b", "h:0", "h:99999", "2001:db8::1", "[x]:1"])
def test_no_server_names(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=re.escape(text) or "^$"):
        parse_server(text)
