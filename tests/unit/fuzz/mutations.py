"""Texts damaged in the ways files are damaged: bytes flipped, pieces cut, doubled, moved, exchanged for hostile ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

HOSTILE = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\r\n",
    b"\t",
    b"\n",
    b"\n\n \n",
    b"\x1b[2J",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"- ",
    b"#",
    b'"',
    b"'",
    b"\\",
    b"$",
    b"${",
    b"$(x)",
    b"=",
    b" = ",
    b"-o ",
    b"-o {",
    b"&a *a",
    b"!!python/object/apply:os.system [id]",
    b"<<: *x",
    b"null",
    b"999999999999999999999",
    b"0.0.0.0/0",
    b"::/0",
    b"..",
    b"/",
    b"%s%n",
    b"# BEGIN conbool-tui lane\n",
    b"# END conbool-tui lane\n",
    "…ß€\u202e".encode(),
    b"A" * 5000,
)


def mutated(data: bytes, seed: int, others: Sequence[bytes] = ()) -> bytes:
    """``data`` with one to eight damages, always the same ones for the same seed; ``others``: texts to take pieces from."""
    chance = random.Random(seed)
    text = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 8))):
        _damage(text, chance, others)
    return bytes(text)


def _damage(text: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    start = chance.randrange(len(text) + 1)
    stop = min(len(text), start + chance.choice((1, 1, 2, 5, 20, 100)))
    kind = chance.randrange(8)
    if kind == 0 and start < len(text):
        text[start] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del text[start:stop]
    elif kind == 2:
        text[start:start] = text[start:stop] * chance.choice((1, 2, 50))
    elif kind == 3:
        text[start:stop] = chance.choice(HOSTILE)
    elif kind == 4:
        text[start:start] = chance.choice(HOSTILE)
    elif kind == 5:
        lines = bytes(text).split(b"\n")
        chance.shuffle(lines)
        text[:] = b"\n".join(lines)
    elif kind == 6 and others:
        other = chance.choice(others)
        place = chance.randrange(len(other) + 1)
        text[start:stop] = other[place : place + chance.choice((5, 50, 500))]
    else:
        lines = bytes(text).split(b"\n")
        line = chance.randrange(len(lines))
        lines[line] = bytes(chance.randrange(256) for _ in range(len(lines[line])))
        text[:] = b"\n".join(lines)
