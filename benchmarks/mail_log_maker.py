"""A mail log of any size with the mix of lines a busy Postfix host writes."""

from __future__ import annotations

import random
import time
from pathlib import Path

_BLOCK_MESSAGES = 20_000
_DAYS = 6.5


def write_log(path: Path, size: int, now: float) -> int:
    """Write a log of about ``size`` bytes that ends at ``now``; returns how many messages count.

    One made-up stretch of traffic is repeated with later times. Of ten connections four bring a message from outside, one is an
    authenticated one to submission, one comes from the own network and four are refused; each message has its lines of cleanup,
    qmgr, delivery and the end of the connection.
    """
    texts, counted = _block()
    lines = max(1, size // (sum(len(text) + 16 for text in texts)))
    step = _DAYS * 86400 / (lines * len(texts))
    moment = now - _DAYS * 86400
    with path.open("wb") as stream:
        for _ in range(lines):
            out = []
            stamp, known = b"", -1
            for text in texts:
                if int(moment) != known:
                    known = int(moment)
                    stamp = time.strftime("%b %e %H:%M:%S ", time.localtime(known)).encode()
                out.append(stamp + text)
                moment += step
            stream.write(b"".join(out))
    return counted * lines


def _block() -> tuple[list[bytes], int]:
    """Lines without their times, and how many of the messages in them count."""
    some = random.Random(25)
    strangers = [f"mail{n}.sender{n % 700}.example[198.18.{n % 250}.{1 + n % 199}]" for n in range(4000)]
    own = [f"device{n}.example.com[192.0.2.{n}]" for n in range(1, 60)]
    texts: list[str] = []
    counted = 0
    for number in range(_BLOCK_MESSAGES):
        kind = number % 10
        pid = 1000 + number % 900
        queue_id = f"4{some.randrange(16**9):09X}"
        client = some.choice(own if kind == 5 else strangers)
        tag = "postfix/submission/smtpd" if kind == 4 else "postfix/smtpd"
        texts.append(f"mx1 {tag}[{pid}]: connect from {client}")
        if kind > 5:
            helo = f"host{some.randrange(9999)}.example"
            texts.append(
                f"mx1 postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from {client}: 554 5.7.1 Service unavailable; Client host "
                f"blocked using zen.example; from=<x@{helo}> to=<alice@example.com> proto=ESMTP helo=<{helo}>"
            )
            texts.append(
                f"mx1 postfix/smtpd[{pid}]: disconnect from {client} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"
            )
            continue
        if kind == 4:
            texts.append(
                f"mx1 {tag}[{pid}]: {queue_id}: client={client}, sasl_method=PLAIN, sasl_username=alice@example.com"
            )
        else:
            counted += 1
            texts.append(f"mx1 {tag}[{pid}]: {queue_id}: client={client}")
        sender = f"user{some.randrange(999)}@sender{some.randrange(700)}.example"
        texts += [
            f"mx1 postfix/cleanup[{pid + 1}]: {queue_id}: message-id=<{some.randrange(16**16):016x}@sender.example>",
            f"mx1 postfix/qmgr[812]: {queue_id}: from=<{sender}>, size={some.randrange(900, 90000)}, nrcpt=1 (queue active)",
            f"mx1 {tag}[{pid}]: disconnect from {client} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
            f"mx1 postfix/lmtp[{pid + 2}]: {queue_id}: to=<alice@example.com>, relay=mx1.example.com[private/dovecot-lmtp], "
            f"delay=0.{some.randrange(99):02}, delays=0.1/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <alice@example.com> Saved)",
            f"mx1 postfix/qmgr[812]: {queue_id}: removed",
        ]
    return [(text + "\n").encode() for text in texts], counted


def write_flood(path: Path, number: int, version: int, now: float) -> None:
    """Write a log in which every one of ``number`` clients handed over one message within the last hour."""
    with path.open("wb") as stream:
        for index in range(number):
            high, low = divmod(index * 7919 % number, 65536)
            address = f"16.{high}.{low >> 8}.{low & 255}" if version == 4 else f"2001:db8:{high:x}::{low:x}"
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now - 3600 + index * 3600 / number))
            stream.write(
                f"{stamp} mx1 postfix/smtpd[{index % 900}]: 4{index:09X}: client=host{index}.example[{address}]\n".encode()
            )
