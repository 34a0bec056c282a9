"""Test messages as raw bytes, each with a token that finds every copy of it again."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from typing import Union

_numbers = itertools.count(1)

Header = Union[str, bytes]


def new_token() -> str:
    """A word that occurs in no other message."""
    return f"token-{os.getpid()}-{next(_numbers)}-{os.urandom(6).hex()}"


def split_message(raw: bytes) -> tuple[bytes, bytes]:
    """Header and body of a message; the empty line between belongs to neither."""
    for empty in (b"\r\n\r\n", b"\n\n"):
        head, found, body = raw.partition(empty)
        if found:
            return head, body
    return raw, b""


def body_digest(raw: bytes) -> str:
    """sha256 of the body with CRLF line ends, the form in which SMTP carries it (mailbox files have LF)."""
    body = split_message(raw)[1]
    return hashlib.sha256(body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).hexdigest()


def parse(raw: bytes) -> Parsed:
    """The parsed message; header values stay as they were, folds included."""
    return BytesParser(policy=compat32).parsebytes(raw)


@dataclass(frozen=True)
class Message:
    """A message to send.

    Attributes:
        raw: header and body with CRLF line ends.
        token: part of its Message-ID and of its subject.
        options: ESMTP parameters its MAIL command needs, such as ``BODY=8BITMIME``.
    """

    raw: bytes
    token: str
    options: Sequence[str] = field(default_factory=tuple)

    @property
    def body_sha256(self) -> str:
        """What ``Received.body_sha256`` must be when the body is unchanged."""
        return body_digest(self.raw)


def _bytes(header: Header) -> bytes:
    return header.encode() if isinstance(header, str) else header


def build(
    headers: Iterable[Header] = (),
    body: bytes = b"Hello,\r\n\r\nthis is a test.\r\n",
    *,
    sender: str = "alice@example.com",
    to: str = "someone@outside-a.example",
    mime: Sequence[Header] = ("MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"),
    options: Sequence[str] = (),
) -> Message:
    """A message with the usual headers, then ``headers`` as given (folds with CRLF included), then MIME's.

    Args:
        headers: more header lines without their final CRLF.
        body: with CRLF line ends.
        sender: for the From header.
        to: for the To header.
        mime: the MIME headers; a text/plain message by default.
        options: ESMTP parameters for the MAIL command.
    """
    token = new_token()
    lines = [
        f"From: {sender}",
        f"To: {to}",
        f"Subject: probe {token}",
        "Date: Mon, 16 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{token}@lab.invalid>",
    ]
    every = [_bytes(line) for line in [*lines, *headers, *mime]]
    return Message(b"\r\n".join(every) + b"\r\n\r\n" + body, token, tuple(options))


def plain(headers: Iterable[Header] = (), **more: str) -> Message:
    """Seven-bit text."""
    return build(headers, **more)  # type: ignore[arg-type]


def eight_bit(headers: Iterable[Header] = ()) -> Message:
    """UTF-8 text sent as 8BITMIME (RFC 6152)."""
    mime = (
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )
    body = "Grüße aus Köln: ä ö ü ß € – „Zitat“\r\n日本語\r\n".encode()
    return build(headers, body, mime=mime, options=("BODY=8BITMIME",))


def large(size: int = 5_000_000) -> Message:
    """A message of at least ``size`` bytes that does not compress: an attachment in base64."""
    data = random.Random(5).getrandbits(8 * (size * 3 // 4)).to_bytes(size * 3 // 4, "big")
    attachment = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return multipart(
        [
            (("Content-Type: text/plain",), b"see attachment\r\n"),
            (("Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64"), attachment),
        ]
    )


def multipart(
    parts: Iterable[tuple[Sequence[Header], bytes]], headers: Iterable[Header] = (), kind: str = "mixed"
) -> Message:
    """A multipart message of (header lines, body) parts; bodies with CRLF line ends."""
    boundary = "=_part_0123456789"
    body = b"This is a MIME message.\r\n"
    for lines, content in parts:
        head = b"".join(_bytes(line) + b"\r\n" for line in lines)
        body += b"--" + boundary.encode() + b"\r\n" + head + b"\r\n" + content
    body += b"--" + boundary.encode() + b"--\r\n"
    mime = ("MIME-Version: 1.0", f'Content-Type: multipart/{kind}; boundary="{boundary}"')
    return build(headers, body, mime=mime)


# The ways to write one marker that all mean the same (RFC 5322: the case of names and folds do not matter).
MARKER_FORMS = ("plain", "lower", "upper", "folded", "trailing", "value_case", "no_space")


def marker_header(name: str, value: str, form: str = "plain") -> str:
    """A header line in one of ``MARKER_FORMS``.

    Raises:
        ValueError: unknown form.
    """
    forms = {
        "plain": f"{name}: {value}",
        "lower": f"{name.lower()}: {value}",
        "upper": f"{name.upper()}: {value}",
        "folded": f"{name}:\r\n {value}",
        "trailing": f"{name}: {value} \t ",
        "value_case": f"{name}: {value.swapcase()}",
        "no_space": f"{name}:{value}",
    }
    if form not in forms:
        raise ValueError(f"unknown form of a marker: {form}; known: {', '.join(MARKER_FORMS)}")
    return forms[form]


def loop_header_name(domain: str) -> str:
    """``X-Conbool-<domain>``, dots as hyphens, as in the guide's example X-Conbool-example-com."""
    return "X-Conbool-" + domain.replace(".", "-")


def loop(domain: str = "example.com", form: str = "plain", value: str = "true") -> Message:
    """A message that says it went through Conbool."""
    return build([marker_header(loop_header_name(domain), value, form)])


def released(form: str = "plain", value: str = "yes") -> Message:
    """A message that says it was released from quarantine."""
    return build([marker_header("X-Conbool-Released", value, form)])


ICALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//lab//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
    b"UID:1@lab.invalid\r\nDTSTAMP:20261116T100000Z\r\nDTSTART:20261117T100000Z\r\nSUMMARY:Meeting\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)

# The first four are iTIP messages (RFC 6047: text/calendar with a method); the last two are not.
CALENDAR_FORMS = ("top", "capitals", "folded", "part", "attachment", "no_method")


def calendar(form: str = "top") -> Message:
    """A message with a calendar object, in one of ``CALENDAR_FORMS``.

    Raises:
        ValueError: unknown form.
    """
    tops = {
        "top": "Content-Type: text/calendar; charset=utf-8; method=REQUEST",
        "capitals": "CONTENT-TYPE: TEXT/CALENDAR; METHOD=REQUEST; CHARSET=UTF-8",
        "folded": "Content-Type: text/calendar;\r\n charset=utf-8;\r\n\tmethod=REQUEST",
        "no_method": "Content-Type: text/calendar; charset=utf-8",
    }
    if form in tops:
        return build((), ICALENDAR, mime=("MIME-Version: 1.0", tops[form]))
    text = (("Content-Type: text/plain",), b"You are invited.\r\n")
    if form == "part":
        return multipart([text, ((tops["top"],), ICALENDAR)], kind="alternative")
    if form == "attachment":
        lines = (
            'Content-Type: application/ics; name="a.ics"',
            'Content-Disposition: attachment; filename="a.ics"',
        )
        return multipart([text, (lines, ICALENDAR)])
    raise ValueError(f"unknown form of a calendar message: {form}; known: {', '.join(CALENDAR_FORMS)}")


def attached(inner: Message) -> Message:
    """A message that carries ``inner`` as message/rfc822; the inner one's headers are nobody's markers."""
    text = (("Content-Type: text/plain",), b"see the attached message\r\n")
    return multipart([text, (("Content-Type: message/rfc822",), inner.raw)])
