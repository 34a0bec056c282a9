"""What is noted during a handshake: the chain of a server that is not trusted, and whether it asks for our certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from conbool_tui.checks import tls, x509
from conbool_tui.checks.tls import HandshakeNotes


def handshake(version: ssl.TLSVersion, ask: bool, trusted: bool) -> tuple[HandshakeNotes, bool]:
    """The notes of one handshake, and whether it came to its end."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.maximum_version = version
    authority.create_child_ca().issue_cert("mail.example").configure_cert(server)
    if ask:
        server.verify_mode = ssl.CERT_OPTIONAL
        authority.configure_trust(server)
    client = tls.trusting_context() if trusted else tls.client_context()
    notes = tls.watch(client)
    here, there = socket.socketpair()

    def serve() -> None:
        with suppress(OSError), server.wrap_socket(there, server_side=True):
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname="mail.example"):
            return notes, True
    except ssl.SSLCertVerificationError:
        return notes, False
    finally:
        here.close()
        thread.join(5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize("trusted", [True, False])
def test_notes(version: ssl.TLSVersion, ask: bool, trusted: bool) -> None:
    notes, done = handshake(version, ask, trusted)
    assert done is trusted
    names = [certificate.presented_names for certificate in notes.certificates()]
    assert names[0] == ("mail.example",)
    assert len(names) >= 2
    # TLS 1.2 asks after the certificate, which has ended the handshake already.
    early = version is ssl.TLSVersion.TLSv1_2 and not trusted
    assert notes.asked is (None if early else ask)


def test_without_the_hook_nothing_is_known() -> None:
    class Plain:
        __slots__ = ()

    notes = tls.watch(Plain())  # type: ignore[arg-type]
    assert (notes.chain, notes.asked) == ((), None)


@given(st.binary(max_size=60))
def test_no_message_breaks_it(body: bytes) -> None:
    notes = HandshakeNotes()
    notes.note("read", 22, 11, b"\x0b\x00\x00\x00" + body)
    assert sum(map(len, notes.chain)) <= len(body)
    assert notes.certificates() == [] or isinstance(notes.certificates()[0], x509.Certificate)


def test_messages_of_our_own_do_not_count() -> None:
    notes = HandshakeNotes()
    notes.note("write", 22, 13, b"")
    notes.note("read", 23, 13, b"")
    assert notes.asked is None
