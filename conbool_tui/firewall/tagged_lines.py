"""Our own lines in a text file that belongs to somebody else. Pure, and lossless: every other byte stays as it is.

Where the lines go follows from the file's content alone:

- A file of iptables-restore(8) (it has a line like ``*filter``, or the value declares our chain): lines of ours are those that declare,
  fill or jump to our chain. In the last ``*filter`` table the declaration stands after the other declarations, the jump before the first
  rule of INPUT, the chain's rules before COMMIT. A file without that table gets one, marked by a comment.
- Every other file: lines of ours end in ``# tag`` and stand at the end.
"""

from __future__ import annotations

import re
from typing import Optional

from conbool_tui.firewall.iptables_text import CHAIN, canonical, is_ours

_TABLE = re.compile(rb"^\*[a-z]+\s*$", re.MULTILINE)
_RULE_OF_INPUT = re.compile(r"^(?:\[\d+:\d+\]\s+)?(?:-[AI]|--append|--insert)\s+INPUT\b")
_AND_LINE_FEED = " and the line feed before it"
_LINE_FEED = "# the line feed above, too"
_OWN_TABLE = ("*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]")


def get(data: bytes, tag: str) -> Optional[str]:
    """Our lines in ``data``, each with a line feed; None when there are none.

    Lines for iptables come as this program writes them, whatever counters and order ``netfilter-persistent save`` gave them.
    """
    lines = [line.rstrip("\r\n") for line in _lines(_text(data))]
    if _for_iptables(data, None):
        found = canonical(line for line in lines if is_ours(line))
    else:
        found = [line for line in lines if _tagged(line, tag) and not line.startswith(_LINE_FEED)]
    return "".join(f"{line}\n" for line in found) or None


def put(data: bytes, tag: str, value: Optional[str]) -> bytes:
    """``data`` with exactly the lines of ``value`` as ours (None: none). Unchanged when it says that already."""
    if get(data, tag) == value:
        return data
    lines = [] if value is None else value.splitlines()
    if _for_iptables(data, value):
        return _bytes(_put_iptables(_text(data), tag, lines))
    return _bytes(_put_last(_text(data), tag, lines))


def _put_last(text: str, tag: str, wanted: list[str]) -> str:
    lines = _lines(text)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    added = f"{_LINE_FEED} # {tag}"
    kept: list[str] = []
    last_before_added, added_end = -1, ""
    for line in lines:
        if line.rstrip() == added:
            last_before_added = len(kept) - 1
            added_end = line[len(line.rstrip("\r\n")) :]
        elif not _tagged(line, tag):
            kept.append(line)
    # Not when somebody added lines since: theirs would run into this one.
    if kept and last_before_added == len(kept) - 1:
        kept[-1] = kept[-1].removesuffix(added_end)
    # nft(8) wants a line feed after a comment; the extra line tells that the one before it was not there.
    if wanted and kept and not kept[-1].endswith("\n"):
        kept[-1] += end
        wanted = [added, *wanted]
    return "".join(kept) + "".join(line + end for line in wanted)


def _put_iptables(text: str, tag: str, wanted: list[str]) -> str:
    lines = [line for line in _lines(text) if not is_ours(line)]
    _drop_own_table(lines, tag)
    if not wanted:
        return "".join(lines)
    begin = max((index for index, line in enumerate(lines) if line.rstrip() == "*filter"), default=None)
    if begin is None:
        comment = _own_table_comment(tag)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
            comment += _AND_LINE_FEED
        lines += [f"{line}\n" for line in (comment, *_OWN_TABLE, "COMMIT")]
        begin = len(lines) - len(_OWN_TABLE) - 1
    end = next((index for index in range(begin, len(lines)) if lines[index].strip() == "COMMIT"), len(lines))
    if end == len(lines) and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    declared = begin + 1
    jump = end
    for index in range(end - 1, begin, -1):
        if _RULE_OF_INPUT.match(lines[index]):
            jump = index
    for index in range(begin + 1, end):
        if lines[index].startswith(":"):
            declared = index + 1
    jump = max(jump, declared)
    new = {
        place: [f"{line}\n" for line in wanted if _place(line) == place]
        for place in ("chain", "jump", "body")
    }
    lines[end:end] = new["body"]
    lines[jump:jump] = new["jump"]
    lines[declared:declared] = new["chain"]
    return "".join(lines)


def _place(line: str) -> str:
    if line.startswith(":"):
        return "chain"
    return "body" if line.startswith(f"-A {CHAIN} ") else "jump"


def _own_table_comment(tag: str) -> str:
    return f"# {tag} added this table"


def _drop_own_table(lines: list[str], tag: str) -> None:
    """Take out the table that ``put`` added; when somebody else wrote into it since, only the comment goes."""
    comment = _own_table_comment(tag)
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index].rstrip()
        if line in (comment, comment + _AND_LINE_FEED):
            table = [line.rstrip() for line in lines[index + 1 : index + 2 + len(_OWN_TABLE)]]
            same = table == [*_OWN_TABLE, "COMMIT"]
            del lines[index : index + (2 + len(_OWN_TABLE) if same else 1)]
            if line != comment and same and index == len(lines) and index:
                lines[-1] = lines[-1].rstrip("\n")


def _lines(text: str) -> list[str]:
    """The lines with their line feeds; str.splitlines would also break at form feeds and the like."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _tagged(line: str, tag: str) -> bool:
    return line.rstrip().endswith(f"# {tag}")


def _for_iptables(data: bytes, value: Optional[str]) -> bool:
    return _TABLE.search(data) is not None or (value is not None and f":{CHAIN} " in value)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
