"""The site defaults in /etc/conbool-tui/config.yaml: answers that every run on this server begins with.

The file has the keys and the form of an answers file, and one key of its own, ``plain``: whether the wizard asks in lines. Flags and the wizard win over the answers file, that over the site defaults, and these
over the program's own defaults; alone they are no answers.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from conbool_tui.answers import Answers
from conbool_tui.errors import UsageError
from conbool_tui.host import Host

if TYPE_CHECKING:
    from conbool_tui.answers_file import Tree

FILE = "/etc/conbool-tui/config.yaml"


_PLAIN = re.compile(rb"plain[ \t]*:(?:[ \t]+(.*?))??[ \t]*(?:[ \t]#.*)?\r?")
_WORDS = {b"true": True, b"yes": True, b"on": True, b"false": False, b"no": False, b"off": False}


def load(host: Host) -> Tree:
    """What the site defaults of this host say, empty when there is no such file or it only has comments. Values are checked when answers
    are built of them.

    Raises:
        UsageError: others than root and this user may write it, it is no file, or it is no answers file.
        HostError, NeedsRootError: it cannot be read.
    """
    data, _ = _without_plain(_read(host))
    if all(not line.strip() or line.lstrip().startswith(b"#") for line in data.splitlines()):
        return {}
    # As shipped it says nothing, and the wizard's first picture must not wait for YAML then.
    from conbool_tui import answers_file

    return answers_file.read(data, FILE)


def plain(host: Host) -> bool:
    """Whether the wizard is to ask in lines on this host: ``plain: true``, in a line of its own. Raises as ``load``."""
    return _without_plain(_read(host))[1]


def _without_plain(data: bytes) -> tuple[bytes, bool]:
    """The file without its own key, in as many lines, and what that says. Raises UsageError."""
    lines, found = data.split(b"\n"), []
    for number, line in enumerate(lines):
        match = _PLAIN.fullmatch(line)
        if match is not None:
            found.append((number + 1, (match[1] or b"").lower()))
            lines[number] = b""
    if len(found) > 1:
        raise UsageError(
            f"plain: given twice, in line {found[0][0]} and line {found[1][0]} of {FILE}.",
            "Only one of them could count.",
            "Remove one.",
        )
    if found and found[0][1] not in _WORDS:
        raise UsageError(
            f"plain: must be true or false ({FILE}, line {found[0][0]}).",
            "It says whether the wizard asks in lines, for screen readers and simple terminals.",
            "Write plain: true, or remove the line.",
        )
    return b"\n".join(lines), bool(found) and _WORDS[found[0][1]]


def _read(host: Host) -> bytes:
    if host.lstat(FILE) is None:
        return b""
    if not host.is_file(FILE):
        raise UsageError(
            f"{FILE} is no file.",
            "The site defaults are read from it.",
            "Remove it, or write the site defaults into a file of that name.",
        )
    info = host.stat(FILE)
    if info.st_uid not in (0, host.user_id) or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            f"{FILE} can be written by others than root.",
            "Whoever writes it decides where this server's mail goes.",
            f"Look through it, then run: chown root {FILE} && chmod go-w {FILE}",
        )
    return host.read_bytes(FILE)


def answers(host: Host) -> Answers:
    """The program's defaults with the site defaults of this host over them: where the wizard's fields begin.

    Raises:
        UsageError: as ``load``, or a value cannot be used.
        HostError, NeedsRootError: as ``load``.
    """
    tree = load(host)
    if not tree:
        return Answers()
    from conbool_tui import answers_file

    return answers_file.build(tree)
